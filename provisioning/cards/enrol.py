"""Registering a PIV card that others issued, without writing a byte to it (DESIGN §4).

- What the site believes of it is what the card proves here, by the keys in its certificates: 9E for
  the tap, and 9A with its PIN. One of the two is enough; without 9E every sign-on is a PIN.
- P-256 or RSA-2048, no other. The certificates are read for their keys alone: who issued them, and
  until when, is the issuer's matter.
- Refused: no GUID or a zero one, a GUID or a key that the directory knows, one key in both slots,
  a key that does not sign, a 9A that signs without a PIN, a PIN that any digits pass for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.utils import CryptographyDeprecationWarning

from contract.certificates import spki
from contract.directory import Credential, Slot
from contract.ids import Guid
from contract.signing import Algorithm, SignatureRefused, VerifyKey
from contract.wire import encode_base64
from hardware.apdu import CardChannel, CardError, Sw
from hardware.piv import NotPivCard, Pin, PivClient
from hardware.pivdata import KeySlot, UnusableCard
from provisioning.cards.proof import prove
from provisioning.directory.entries import IssuedCard
from provisioning.errors import CardUnfit, GuidTaken

SLOTS = (KeySlot.CARD_AUTHENTICATION, KeySlot.AUTHENTICATION)
# A certificate that is not there, or not over this interface.
_NOT_HERE = (Sw.NOT_FOUND, Sw.SECURITY_STATUS_NOT_SATISFIED)


@dataclass(frozen=True, slots=True)
class Found:
    """A card that could be enrolled, before it has proved anything."""

    guid: Guid
    credentials: tuple[Credential, ...]

    @property
    def wants_pin(self) -> bool:
        """Whether its 9A can be enrolled, which takes the PIN."""
        return any(one.slot is Slot.PIV_AUTHENTICATION for one in self.credentials)


def look(client: PivClient) -> Found:
    """What the card shows of itself. Raises CardUnfit, and the errors of `hardware`."""
    try:
        client.select()
        guid = Guid(client.read_guid().hex())
        shown = tuple(one for slot in SLOTS if (one := _shown(client, slot)) is not None)
    except NotPivCard as error:
        raise CardUnfit("this is no PIV card") from error
    except UnusableCard as error:
        raise CardUnfit(f"the card cannot be told from others, or read: {error}") from error
    except CardError as error:
        if error.sw == Sw.NOT_FOUND:
            raise CardUnfit("the card has no CHUID, so no GUID: it is blank") from error
        raise
    if not shown:
        raise CardUnfit("the card has no key in 9E or 9A that can sign on: P-256 or RSA-2048")
    if len({one.key for one in shown}) != len(shown):
        raise CardUnfit("the card has one key in 9A and 9E: its PIN would prove nothing")
    return Found(guid, shown)


def enrol_card(
    channel: CardChannel,
    ask_pin: Callable[[], Pin | None],
    known: Callable[[Guid, tuple[Credential, ...]], str | None],
    monotonic_ns: Callable[[], int],
) -> IssuedCard:
    """The card in the reader as its entitlement will have it.

    `ask_pin` is called when the card has a 9A; None leaves it out. `known` says whose this GUID, or
    one of these keys, is already. Raises GuidTaken, CardUnfit (also for a lie), PinRefused,
    CardBlocked, and the errors of `hardware`.
    """
    client = PivClient(channel, monotonic_ns)
    found = look(client)
    owner = known(found.guid, found.credentials)
    if owner is not None:
        raise GuidTaken(f"the directory knows this card already: {owner}")
    wanted, pin = found.credentials, None
    if found.wants_pin:
        pin = ask_pin()
        if pin is None:
            wanted = tuple(one for one in wanted if one.slot is Slot.CARD_AUTHENTICATION)
    if not wanted:
        raise CardUnfit("the card has a 9A alone, and that is enrolled with its PIN")
    proved = prove(client, wanted, pin)
    for one in proved:
        if one.slot is Slot.PIV_AUTHENTICATION and not one.pin_gated:
            raise CardUnfit("the card's 9A signs without a PIN; it cannot prove one")
    return IssuedCard(found.guid, proved)


def _shown(client: PivClient, slot: KeySlot) -> Credential | None:
    """The key of a slot by its certificate; None where it has none that can sign on."""
    try:
        der = client.read_certificate(slot)
    except CardError as error:
        if error.sw in _NOT_HERE:
            return None
        raise
    key = _key_in(der)
    if key is None:
        return None
    match key.algorithm:
        case Algorithm.P256 | Algorithm.RSA2048 as algorithm:
            return Credential(
                slot=Slot(f"{slot:02X}"), algorithm=algorithm, key=encode_base64(key.spki)
            )
        case _:
            return None


def _key_in(der: bytes) -> VerifyKey | None:
    """The key of a certificate, if it is of a kind that the contract names."""
    try:
        with warnings.catch_warnings():
            # Foreign certificates bend RFC 5280 in ways that are no matter of ours.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            key = x509.load_der_x509_certificate(der).public_key()
        return VerifyKey.from_spki(spki(key))
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion, SignatureRefused):
        return None
