"""Making a blank PIV card somebody's card (SP 800-73-4 part 2 §3.3; Yubico's SET MANAGEMENT KEY).

Small steps that can be asked for again: reading what is there first (:meth:`CardMaker.read_state`)
lets provisioning go on where it was torn off. Keys are made on the card and never leave it;
certificates come in as DER from an authority that this module knows nothing of.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hardware.apdu import (
    SHORT_LE,
    CardChannel,
    CardError,
    CardMisbehaved,
    CommandApdu,
    Sw,
)
from hardware.piv import (
    TAG_CHALLENGE,
    TAG_RESPONSE,
    Pin,
    PinBlocked,
    PivClient,
    WrongPin,
)
from hardware.pivdata import (
    CERTIFICATE_OF,
    NON_FEDERAL,
    PIV_PIN_ONLY,
    TAG_DATA,
    TAG_DYNAMIC_AUTHENTICATION,
    TAG_LIST,
    Algorithm,
    Discovery,
    Guid,
    KeySlot,
    ObjectId,
    Reference,
    ccc,
    certificate,
    certificate_in,
    chuid,
    fasc_n,
    guid_in,
    tag_bytes,
)
from hardware.tlv import Tlv, TlvError
from hardware.unblock import change_secret, set_pin_by_puk

TAG_WITNESS: Final = 0x80
_TAG_PUBLIC_KEY: Final = 0x7F49
_TAG_POINT: Final = 0x86

MANAGEMENT_KEY_BYTES: Final = {
    Algorithm.TDES: 24,
    Algorithm.AES_128: 16,
    Algorithm.AES_192: 24,
    Algorithm.AES_256: 32,
}
"""Length of a management key by its algorithm."""

_MOST_TRIES: Final = 256
"""A YubiKey can be set to 255 tries; one more is refused by every card."""

_REFUSALS: Final = (Sw.SECURITY_STATUS_NOT_SATISFIED, Sw.INCORRECT_DATA, Sw.VERIFICATION_FAILED)


class WrongManagementKey(CardError):
    """The card did not accept the management key, or its kind."""


class ManagementKey:
    """The key (9B) that may write to a card; shows itself to nobody but the card."""

    __slots__ = ("algorithm", "value")

    def __init__(self, algorithm: Algorithm, value: bytes) -> None:
        """``algorithm``: TDES or one of the AES. Raises ValueError for a wrong length."""
        if MANAGEMENT_KEY_BYTES.get(algorithm) != len(value):
            raise ValueError(f"no {algorithm.name} management key")
        self.algorithm = algorithm
        self.value = value

    @classmethod
    def random(cls, algorithm: Algorithm = Algorithm.AES_192) -> ManagementKey:
        """A fresh key from the system's randomness."""
        return cls(algorithm, secrets.token_bytes(MANAGEMENT_KEY_BYTES[algorithm]))

    @property
    def block_bytes(self) -> int:
        """Length of a challenge."""
        return 8 if self.algorithm is Algorithm.TDES else 16

    def encrypt(self, block: bytes) -> bytes:
        """One block under the key: the standard's challenge and response, no message."""
        encryptor = self._cipher().encryptor()
        return encryptor.update(block) + encryptor.finalize()

    def decrypt(self, block: bytes) -> bytes:
        """One block, backwards."""
        decryptor = self._cipher().decryptor()
        return decryptor.update(block) + decryptor.finalize()

    def _cipher(self) -> Cipher[modes.ECB]:
        tdes = self.algorithm is Algorithm.TDES
        return Cipher(TripleDES(self.value) if tdes else algorithms.AES(self.value), modes.ECB())  # noqa: S305 - single random blocks, as the standard has it

    def __repr__(self) -> str:
        return f"ManagementKey({self.algorithm.name}, redacted)"

    def __reduce__(self) -> NoReturn:
        """To store it is the vault's matter, by ``value``, never by accident."""
        raise TypeError("a management key is not to be pickled")


FACTORY_MANAGEMENT_KEY: Final = ManagementKey(Algorithm.TDES, bytes(range(1, 9)) * 3)
FACTORY_MANAGEMENT_KEYS: Final = (
    FACTORY_MANAGEMENT_KEY,
    ManagementKey(Algorithm.AES_192, FACTORY_MANAGEMENT_KEY.value),
)
"""The same 24 bytes, as 3DES or (YubiKeys from 5.7 on) as AES-192."""

FACTORY_PIN: Final = Pin("123456")
FACTORY_PUK: Final = Pin("12345678")
"""What new PIV cards of the trade come with; public, and replaced when a card is issued."""


@dataclass(frozen=True, slots=True)
class CardState:
    """What stands on a card at present. ``guid`` None: a blank card."""

    guid: Guid | None
    certificates: dict[KeySlot, bytes]
    discovery: Discovery | None
    pin_attempts: int | None

    @property
    def blank(self) -> bool:
        """Whether nobody has written to it."""
        return self.guid is None and not self.certificates


class CardMaker:
    """Writes to one card. The PIV application is selected when it begins."""

    def __init__(self, channel: CardChannel, monotonic_ns: Callable[[], int]) -> None:
        """Select the application. Raises NotPivCard, CardTransportError."""
        self.client = PivClient(channel, monotonic_ns)
        self.client.select()

    def read_state(self) -> CardState:
        """What is there; needs no key. Raises UnusableCard for objects that cannot be read."""
        found = self._read_if_there(ObjectId.CHUID)
        discovery = self._read_if_there(ObjectId.DISCOVERY)
        certificates = {
            slot: certificate_in(answer)
            for slot, object_id in CERTIFICATE_OF.items()
            if (answer := self._read_if_there(object_id)) is not None
        }
        return CardState(
            None if found is None else guid_in(found),
            certificates,
            None if discovery is None else Discovery.parse(discovery),
            self.client.pin_attempts(),
        )

    def authenticate(self, key: ManagementKey) -> None:
        """Prove the management key to the card, and have it prove the key to us (A.1).

        Raises WrongManagementKey; CardMisbehaved when the card does not know the key itself.
        """
        witness = self._management(key, TAG_WITNESS, Tlv(TAG_WITNESS))
        if len(witness) != key.block_bytes:
            raise CardMisbehaved(f"witness of {len(witness)} bytes")
        challenge = secrets.token_bytes(key.block_bytes)
        response = self._management(
            key,
            TAG_RESPONSE,
            Tlv(TAG_WITNESS, key.decrypt(witness)),
            Tlv(TAG_CHALLENGE, challenge),
        )
        if not hmac.compare_digest(response, key.encrypt(challenge)):
            raise CardMisbehaved("the card does not know its management key")

    def _management(self, key: ManagementKey, wanted: int, *parts: Tlv) -> bytes:
        template = Tlv(TAG_DYNAMIC_AUTHENTICATION, *parts)
        command = CommandApdu(0x00, 0x87, key.algorithm, KeySlot.MANAGEMENT, template, SHORT_LE)
        answer = self.client.exchanger.send(command)
        if answer.sw in _REFUSALS or answer.sw == Sw.INCORRECT_P1P2:
            raise WrongManagementKey(answer.sw, "management key")
        try:
            data = answer.expect_ok("management key")
            return Tlv.parse(data, minimal=False).child(wanted, minimal=False)
        except TlvError as error:
            raise CardMisbehaved(f"management key: {error}") from error

    def set_management_key(self, key: ManagementKey) -> None:
        """Replace it (Yubico's FF; other makers have their own tools). Authenticate first."""
        head = bytes((key.algorithm, KeySlot.MANAGEMENT, len(key.value)))
        self._send(CommandApdu(0x00, 0xFF, 0xFF, 0xFF, head + key.value), "SET MANAGEMENT KEY")

    def generate_key(self, slot: KeySlot) -> ec.EllipticCurvePublicKey:
        """A fresh P-256 key pair in ``slot``; the one there before is gone (§3.3.2)."""
        control = Tlv(0xAC, Tlv(0x80, bytes((Algorithm.ECC_P256,))))
        answer = self._send(CommandApdu(0x00, 0x47, 0x00, slot, control, SHORT_LE), "GENERATE")
        try:
            template = Tlv.parse(answer, minimal=False)
            point = template.child(_TAG_POINT, minimal=False)
            if template.tag != _TAG_PUBLIC_KEY:
                raise CardMisbehaved(f"GENERATE: template {template.tag:X}")
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except (TlvError, ValueError) as error:
            raise CardMisbehaved(f"GENERATE: {error}") from error

    def put_certificate(self, slot: KeySlot, der: bytes) -> None:
        """Store the certificate of ``slot``, uncompressed."""
        self._put(CERTIFICATE_OF[slot], certificate(der))

    def put_chuid(self, guid: Guid, expires: str) -> None:
        """Store an unsigned CHUID: the card's GUID, and its expiry as YYYYMMDD."""
        self._put(ObjectId.CHUID, chuid(guid, expires, fasc_n(NON_FEDERAL)))

    def put_ccc(self, card_id: bytes) -> None:
        """Store a Card Capability Container around 14 bytes that tell this card from others."""
        self._put(ObjectId.CCC, ccc(card_id))

    def delete(self, object_id: ObjectId) -> None:
        """Store nothing under ``object_id``: it is there no longer."""
        self._put(object_id, Tlv(TAG_DATA))

    def wipe(self) -> None:
        """Everything gone, by Yubico's RESET: it wants PIN and PUK blocked, so it blocks them.

        May be asked for again after a card was torn away. Raises CardError for a card without it.
        """
        nobodys = Pin(f"{secrets.randbelow(10**8):08d}")
        self._block(lambda: self.client.verify_pin(nobodys))
        self._block(lambda: self.unblock_pin(nobodys, nobodys))
        self._send(CommandApdu(0x00, 0xFB), "RESET")

    @staticmethod
    def _block(guess: Callable[[], None]) -> None:
        for _ in range(_MOST_TRIES):
            try:
                guess()
            except PinBlocked:
                return
            except WrongPin:
                continue
        raise CardMisbehaved("a PIN or PUK does not block")

    def ensure_discovery(self) -> Discovery:
        """The Discovery Object, written if the card has none; many cards bring a fixed one."""
        answer = self._read_if_there(ObjectId.DISCOVERY)
        if answer is not None:
            return Discovery.parse(answer)
        command = CommandApdu(0x00, 0xDB, 0x3F, 0xFF, PIV_PIN_ONLY.encode())
        self._send(command, "PUT DATA DISCOVERY")
        return PIV_PIN_ONLY

    def change_pin(self, old: Pin, new: Pin) -> None:
        """CHANGE REFERENCE DATA for the PIN. Raises WrongPin, PinBlocked or PinNotTaken."""
        self._change(Reference.PIN, old, new)

    def change_puk(self, old: Pin, new: Pin) -> None:
        """The same for the PUK, of six to eight digits."""
        self._change(Reference.PUK, old, new)

    def unblock_pin(self, puk: Pin, new: Pin) -> None:
        """RESET RETRY COUNTER: a new PIN by the PUK. Raises as change_pin does, of the PUK."""
        set_pin_by_puk(self.client, puk, new)

    def _change(self, reference: Reference, old: Pin, new: Pin) -> None:
        change_secret(self.client, reference, old, new)

    def _put(self, object_id: ObjectId, value: Tlv) -> None:
        data = Tlv(TAG_LIST, tag_bytes(object_id)) + value
        self._send(CommandApdu(0x00, 0xDB, 0x3F, 0xFF, data), f"PUT DATA {object_id.name}")

    def _send(self, command: CommandApdu, what: str) -> bytes:
        return self.client.exchanger.send(command).expect_ok(what)

    def _read_if_there(self, object_id: ObjectId) -> bytes | None:
        try:
            return self.client.read_object(object_id)
        except CardError as error:
            if error.sw == Sw.NOT_FOUND:
                return None
            raise
