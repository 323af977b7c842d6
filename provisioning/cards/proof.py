"""What a card must show before the site vouches for it (DESIGN §4).

- Each key signs a fresh challenge, and the signature holds under the key that the card showed.
- 9A refuses to sign before VERIFY (`pin_gated`); VERIFY takes the right PIN, and no wrong one.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Final

from contract.directory import Credential, Slot
from contract.signing import Algorithm, SignatureRefused
from hardware.apdu import CardError
from hardware.piv import NotAllowed, Pin, PinBlocked, PinNotTaken, PivClient, WrongPin
from hardware.pivdata import Algorithm as CardAlgorithm
from hardware.pivdata import KeySlot
from provisioning.errors import CardBlocked, CardUnfit, PinRefused

CARD_ALGORITHM: Final = {
    Algorithm.P256: CardAlgorithm.ECC_P256,
    Algorithm.RSA2048: CardAlgorithm.RSA_2048,
}
"""How a card names the algorithms that the contract lets a card's key have."""

_DOMAIN: Final = b"tapover:enrolment-proof:v1\n"


def prove(
    client: PivClient, credentials: Sequence[Credential], pin: Pin | None
) -> tuple[Credential, ...]:
    """The same credentials as the card proved them: `pin_gated` is what was seen here.

    The card must be fresh from a reset or selection; it is left without a verified PIN, and with
    all its tries. A 9A among the credentials needs `pin`. Raises CardUnfit (a lie), PinRefused,
    CardBlocked, and of `hardware` what the card or its leaving brings.
    """
    return tuple(_prove(client, credential, pin) for credential in credentials)


def _prove(client: PivClient, credential: Credential, pin: Pin | None) -> Credential:
    gated = False
    if credential.slot is Slot.PIV_AUTHENTICATION:
        if pin is None:
            raise ValueError("9A is proved with its PIN")
        digest = secrets.token_bytes(32)
        gated = client.is_pin_gated(*_key(credential), digest)
        verify(client, pin)
    expect_signature(client, credential)
    if pin is not None and credential.slot is Slot.PIV_AUTHENTICATION:
        # After the right one: a mistyped PIN must not cost two tries at once.
        _expect_refusal(client, pin)
        verify(client, pin)
        _forget(client)
    return credential.model_copy(update={"pin_gated": gated})


def verify(client: PivClient, pin: Pin) -> None:
    """VERIFY, its refusals in this package's errors."""
    try:
        client.verify_pin(pin)
    except PinBlocked as error:
        raise CardBlocked("the card's PIN is blocked") from error
    except PinNotTaken as error:
        raise CardUnfit(
            "the card takes no PIN over this interface; put it into a contact reader"
        ) from error
    except WrongPin as error:
        left = "some" if error.attempts is None else error.attempts
        raise PinRefused(f"the card refused the PIN; it has {left} tries left") from error


def expect_signature(client: PivClient, credential: Credential) -> None:
    """Has the key sign a fresh challenge. Raises CardUnfit when the signature does not hold."""
    message = _DOMAIN + secrets.token_bytes(32)
    try:
        signature = client.sign(*_key(credential), hashlib.sha256(message).digest())
    except NotAllowed as error:
        raise CardUnfit(f"the card's {credential.slot} stays shut when it should sign") from error
    try:
        credential.verify_key().verify(message, signature)
    except SignatureRefused as error:
        raise CardUnfit(
            f"the card's {credential.slot} does not sign with the key it showed"
        ) from error


def _expect_refusal(client: PivClient, pin: Pin) -> None:
    """Offers a wrong PIN once: a card that takes it proves nothing by any PIN."""
    digits = pin.padded().rstrip(b"\xff").decode("ascii")
    wrong = Pin("".join(str(9 - int(digit)) for digit in digits))
    try:
        client.verify_pin(wrong)
    except WrongPin:
        return
    raise CardUnfit("the card accepted a wrong PIN; it cannot prove one. Keep it out of use.")


def _forget(client: PivClient) -> None:
    try:
        client.forget_pin()
    except CardError:
        # Older cards cannot; the reset at the end of the visit does the same.
        return


def _key(credential: Credential) -> tuple[KeySlot, CardAlgorithm]:
    return KeySlot(int(credential.slot, 16)), CARD_ALGORITHM[credential.algorithm]
