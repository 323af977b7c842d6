"""Personalising a blank PIV card for a holder (SP 800-73-4): keys are made on it and stay there.

What the site later believes of the card is what was seen here: its two public keys, and that 9A
refused to sign before VERIFY. The certificates serve foreign software only.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from contract.certificates import Profile, Subject, spki
from contract.directory import Credential, Slot
from contract.ids import Guid
from contract.signing import Algorithm, SignatureRefused, VerifyKey
from contract.wire import encode_base64
from hardware.apdu import CardChannel
from hardware.personalise import (
    FACTORY_MANAGEMENT_KEY,
    FACTORY_PIN,
    FACTORY_PUK,
    CardMaker,
    ManagementKey,
)
from hardware.piv import Pin, PivClient, WrongPin
from hardware.pivdata import Algorithm as CardAlgorithm
from hardware.pivdata import Guid as CardGuid
from hardware.pivdata import KeySlot
from provisioning import keys
from provisioning.errors import CardUnfit
from provisioning.site import SiteFolder
from runtime.clock import Clock

_PROOF = b"tapover:enrolment-proof:v1\n"


@dataclass(frozen=True, slots=True)
class IssuedCard:
    """What an entitlement needs to know of a card."""

    guid: Guid
    credentials: tuple[Credential, ...]


def issue_card(
    channel: CardChannel, folder: SiteFolder, holder: str, pin: Pin, clock: Clock
) -> IssuedCard:
    """Personalises the blank card behind `channel` and proves what it made.

    The card's secrets (management key, PUK) are kept in the authority's folder before the card
    changes.
    Raises CardUnfit (not blank, lying, ungated) and the errors of `hardware`.
    """
    authority = keys.Authority.load(folder.authority, "card_ca")
    maker = CardMaker(channel, clock.monotonic_ns)
    if not maker.read_state().blank:
        raise CardUnfit("the card is not blank; it may be somebody's. Take a blank one.")
    guid = secrets.token_bytes(16)
    management, puk = ManagementKey.random(), Pin(f"{secrets.randbelow(10**8):08d}")
    _keep_secrets(folder.authority / "cards", guid, management, puk)

    maker.authenticate(FACTORY_MANAGEMENT_KEY)
    subject = Subject(holder, folder.site)
    made: list[Credential] = []
    for slot, profile in (
        (KeySlot.CARD_AUTHENTICATION, Profile.CARD_AUTHENTICATION),
        (KeySlot.AUTHENTICATION, Profile.PIV_AUTHENTICATION),
    ):
        public = maker.generate_key(slot)
        certificate = authority.issue(profile, subject, public, clock.wall_ms(), keys.CARD_DAYS)
        maker.put_certificate(slot, keys.der(certificate))
        made.append(_credential(slot, public, certificate))
    expires = keys.moment(clock.wall_ms()) + keys.CARD_DAYS
    maker.put_chuid(CardGuid(guid), expires.strftime("%Y%m%d"))
    maker.put_ccc(guid[:14])
    maker.ensure_discovery()
    maker.change_puk(FACTORY_PUK, puk)
    maker.change_pin(FACTORY_PIN, pin)
    maker.set_management_key(management)
    return IssuedCard(Guid(guid.hex()), tuple(prove(maker.client, made, pin)))


def prove(client: PivClient, credentials: list[Credential], pin: Pin) -> list[Credential]:
    """Has each key sign a fresh challenge; records whether 9A refused before VERIFY.

    Raises CardUnfit when a signature does not hold: the card lies about its keys.
    """
    proven: list[Credential] = []
    for credential in credentials:
        slot = KeySlot(int(credential.slot, 16))
        message = _PROOF + secrets.token_bytes(32)
        digest = hashlib.sha256(message).digest()
        gated = False
        if slot is KeySlot.AUTHENTICATION:
            client.forget_pin()
            gated = client.is_pin_gated(slot, CardAlgorithm.ECC_P256, digest)
            _expect_refusal(client, pin)
            client.verify_pin(pin)
        signature = client.sign(slot, CardAlgorithm.ECC_P256, digest)
        try:
            VerifyKey.from_base64(credential.key).verify(message, signature)
        except SignatureRefused as error:
            raise CardUnfit(
                f"the card's {credential.slot} does not sign with the key it showed"
            ) from error
        proven.append(credential.model_copy(update={"pin_gated": gated}))
    client.forget_pin()
    return proven


def _expect_refusal(client: PivClient, pin: Pin) -> None:
    """Offers a wrong PIN once: a card that takes it proves nothing by any PIN."""
    wrong = Pin("".join(str(9 - int(digit)) for digit in _digits(pin)))
    try:
        client.verify_pin(wrong)
    except WrongPin:
        return
    raise CardUnfit("the card accepted a wrong PIN; it cannot prove one. Keep it out of use.")


def _credential(
    slot: KeySlot, public: ec.EllipticCurvePublicKey, certificate: x509.Certificate
) -> Credential:
    assert certificate.public_key() == public  # noqa: S101 - made two lines above
    return Credential(
        slot=Slot(f"{slot:02X}"), algorithm=Algorithm.P256, key=encode_base64(spki(public))
    )


def _keep_secrets(folder: Path, guid: bytes, management: ManagementKey, puk: Pin) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    record = {
        "management_algorithm": management.algorithm.name,
        "management_key": management.value.hex(),
        "puk": _digits(puk),
    }
    keys.write_new(folder / f"{guid.hex()}.json", json.dumps(record).encode())


def _digits(pin: Pin) -> str:
    return pin.padded().rstrip(b"\xff").decode("ascii")
