"""The PIV client (SP 800-73-4 part 2): what a terminal asks of a card.

A warm tap is three exchanges with a P-256 card: :meth:`PivClient.select`,
:meth:`PivClient.read_guid`, :meth:`PivClient.sign` with the card-authentication key. Every method
blocks for as long as the card takes; it belongs in a worker thread with a deadline.

Errors by culprit: CardError and its kin here (the card said no), CardMisbehaved and UnusableCard
(the card is wrong), CardTransportError (no answer).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final, NoReturn

from hardware.apdu import (
    SHORT_LE,
    CardChannel,
    CardError,
    CardMisbehaved,
    CommandApdu,
    Sw,
    attempts_left,
)
from hardware.exchange import Exchanger, exchanger
from hardware.pivdata import (
    CERTIFICATE_OF,
    GUID_HEAD,
    PIV_AID,
    TAG_DYNAMIC_AUTHENTICATION,
    TAG_LIST,
    Algorithm,
    Discovery,
    Guid,
    KeySlot,
    ObjectId,
    Reference,
    certificate_in,
    guid_in,
    tag_bytes,
)
from hardware.tlv import Tlv, TlvError

PIN_MIN_DIGITS: Final = 6
PIN_MAX_DIGITS: Final = 8
DIGEST_BYTES: Final = 32
RSA_BYTES: Final = 256

TAG_CHALLENGE: Final = 0x81
TAG_RESPONSE: Final = 0x82

_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SHA256_INFO: Final = bytes.fromhex("3031300D060960864801650304020105000420")
_DER_SEQUENCE: Final = 0x30
_DER_INTEGER: Final = 0x02


class NotPivCard(CardError):
    """The card has no PIV application."""


class WrongPin(CardError):
    """The PIN (or PUK) was wrong. ``attempts`` remain; None when the card does not say."""

    def __init__(self, sw: int, what: str) -> None:
        """Read the attempts from the status word."""
        super().__init__(sw, what)
        self.attempts = attempts_left(sw)


class PinBlocked(CardError):
    """No attempt remains: the card takes no PIN (or PUK) until it is unblocked."""


class PinNotTaken(CardError):
    """The card does not take a PIN here: over contactless, or not of this form. None was spent."""


class NotAllowed(CardError):
    """The key may not be used yet: a PIN is owed (6982), or never over this interface."""


class Pin:
    """A PIN or PUK of 6 to 8 digits that shows itself to nobody but the card."""

    __slots__ = ("_digits",)

    def __init__(self, digits: str) -> None:
        """Raises ValueError, which does not quote them, for anything but 6 to 8 digits."""
        fits = PIN_MIN_DIGITS <= len(digits) <= PIN_MAX_DIGITS
        if not (fits and digits.isascii() and digits.isdigit()):
            raise ValueError(f"a PIN has {PIN_MIN_DIGITS} to {PIN_MAX_DIGITS} digits")
        self._digits = digits

    def padded(self) -> bytes:
        """Eight bytes, filled up with FF (part 2 §2.4.3)."""
        return self._digits.encode().ljust(PIN_MAX_DIGITS, b"\xff")

    def is_same(self, other: Pin) -> bool:
        """Whether these are the same digits, told in the same time either way."""
        return hmac.compare_digest(self.padded(), other.padded())

    def __repr__(self) -> str:
        return "Pin(redacted)"

    def __reduce__(self) -> NoReturn:
        """A PIN leaves the process towards a card only."""
        raise TypeError("a PIN is not to be stored or sent")


class PivClient:
    """One PIV card during one visit. Not for two threads at once."""

    def __init__(self, channel: CardChannel, monotonic_ns: Callable[[], int]) -> None:
        """Talk through ``channel``; time what passes through it with ``monotonic_ns``."""
        self.exchanger: Exchanger = exchanger(channel, monotonic_ns)

    @property
    def exchanges(self) -> int:
        """Commands sent so far, each link and each GET RESPONSE counted."""
        return self.exchanger.wire.exchanges

    @property
    def card_ns(self) -> int:
        """Nanoseconds spent inside the channel so far: the card's and PC/SC's own time."""
        return self.exchanger.wire.card_ns

    def select(self) -> None:
        """Choose the PIV application (part 2 §3.1.1). Raises NotPivCard."""
        command = CommandApdu(0x00, 0xA4, 0x04, 0x00, PIV_AID, SHORT_LE)
        answer = self.exchanger.send_until(command, 0)
        if not answer.ok_so_far:
            raise NotPivCard(answer.sw, "SELECT")

    def read_guid(self) -> Guid:
        """The card's GUID, from the first answer to GET DATA for the CHUID.

        A signed CHUID is 2 kB; its remainder is not fetched. Raises UnusableCard.
        """
        answer = self.exchanger.send_until(_get_data(ObjectId.CHUID), GUID_HEAD)
        if not answer.ok_so_far:
            raise CardError(answer.sw, "GET DATA CHUID")
        return guid_in(answer.data)

    def read_object(self, object_id: ObjectId) -> bytes:
        """A whole data object as the card hands it out (part 2 §3.1.2)."""
        answer = self.exchanger.send(_get_data(object_id))
        return answer.expect_ok(f"GET DATA {object_id.name}")

    def read_certificate(self, slot: KeySlot) -> bytes:
        """The DER certificate of ``slot``, unpacked. Raises UnusableCard."""
        return certificate_in(self.read_object(CERTIFICATE_OF[slot]))

    def read_discovery(self) -> Discovery:
        """The Discovery Object. Raises UnusableCard."""
        return Discovery.parse(self.read_object(ObjectId.DISCOVERY))

    def pin_attempts(self) -> int | None:
        """PIN attempts that remain; None when the PIN is verified at present (part 2 §3.2.1)."""
        answer = self.exchanger.send(CommandApdu(0x00, 0x20, 0x00, Reference.PIN))
        if answer.ok:
            return None
        if answer.sw in _BLOCKED:
            return 0
        left = attempts_left(answer.sw)
        if left is None:
            raise CardError(answer.sw, "VERIFY without a PIN")
        return left

    def verify_pin(self, pin: Pin) -> None:
        """Let the card judge the PIN. Raises WrongPin, PinBlocked or PinNotTaken."""
        command = CommandApdu(0x00, 0x20, 0x00, Reference.PIN, pin.padded())
        expect_secret_taken(self.exchanger.send(command).sw, "VERIFY")

    def forget_pin(self) -> None:
        """Take back a verified PIN (part 2 §3.2.1, P1 = FF). Cards without it raise CardError."""
        command = CommandApdu(0x00, 0x20, 0xFF, Reference.PIN)
        self.exchanger.send(command).expect_ok("VERIFY reset")

    def sign(self, slot: KeySlot, algorithm: Algorithm, digest: bytes) -> bytes:
        """Signature over a SHA-256 ``digest`` by the key in ``slot`` (part 2 §3.2.4, A.3).

        ECC_P256: an ECDSA signature, in strict DER whatever the card's own encoding.
        RSA_2048: RSASSA-PKCS1-v1_5, 256 bytes. Raises NotAllowed when the key is locked.
        """
        if len(digest) != DIGEST_BYTES:
            raise ValueError("sign takes a SHA-256 digest")
        match algorithm:
            case Algorithm.ECC_P256:
                return strict_ecdsa(self._authenticate(slot, algorithm, digest))
            case Algorithm.RSA_2048:
                signature = self._authenticate(slot, algorithm, pkcs1_block(digest))
                if len(signature) != RSA_BYTES:
                    raise CardMisbehaved(f"RSA-2048 signature of {len(signature)} bytes")
                return signature
            case _:
                raise ValueError(f"{algorithm.name} does not sign")

    def _authenticate(self, slot: KeySlot, algorithm: Algorithm, challenge: bytes) -> bytes:
        template = Tlv(TAG_DYNAMIC_AUTHENTICATION, Tlv(TAG_RESPONSE), Tlv(TAG_CHALLENGE, challenge))
        answer = self.exchanger.send(CommandApdu(0x00, 0x87, algorithm, slot, template, SHORT_LE))
        if answer.sw == Sw.SECURITY_STATUS_NOT_SATISFIED:
            raise NotAllowed(answer.sw, f"sign with {slot:02X}")
        data = answer.expect_ok(f"sign with {slot:02X}")
        try:
            return Tlv.parse(data, minimal=False).child(TAG_RESPONSE, minimal=False)
        except TlvError as error:
            raise CardMisbehaved(f"GENERAL AUTHENTICATE: {error}") from error

    def is_pin_gated(self, slot: KeySlot, algorithm: Algorithm, digest: bytes) -> bool:
        """Whether the key refuses to sign ``digest`` while no PIN is verified.

        To be asked before VERIFY; a PIN that stuck from earlier is taken back first where the card
        knows how. Only 6982 counts as a refusal: any other status word raises CardError, since a
        card that cannot sign at all proves nothing about its PIN.
        """
        if self.pin_attempts() is None:
            self.forget_pin()
        try:
            self.sign(slot, algorithm, digest)
        except NotAllowed:
            return True
        return False


_BLOCKED: Final = (Sw.PIN_BLOCKED, Sw.REFERENCE_DATA_NOT_USABLE, 0x63C0)


def expect_secret_taken(sw: int, what: str) -> None:
    """Turn a card's judgement of a PIN or PUK into our errors; cards differ in their words.

    A status word outside of 9000, 63xx, 6983 and 6984 means that the card did not compare at all.
    """
    if sw == Sw.OK:
        return
    if sw in _BLOCKED:
        raise PinBlocked(sw, what)
    if sw == Sw.VERIFICATION_FAILED or attempts_left(sw) is not None:
        raise WrongPin(sw, what)
    raise PinNotTaken(sw, what)


def pkcs1_block(digest: bytes) -> bytes:
    """EMSA-PKCS1-v1_5 of a SHA-256 digest for a 2048-bit key (RFC 8017 §9.2)."""
    info = _SHA256_INFO + digest
    return b"\x00\x01" + b"\xff" * (RSA_BYTES - len(info) - 3) + b"\x00" + info


def strict_ecdsa(signature: bytes) -> bytes:
    """The same (r, s) in strict DER: cards pad integers, or leave out their sign byte.

    Raises CardMisbehaved for anything that is no pair of numbers below P-256's order.
    """
    try:
        outer = Tlv.parse(signature, minimal=False)
        pair = outer.children(minimal=False)
    except TlvError as error:
        raise CardMisbehaved(f"ECDSA signature: {error}") from error
    if outer.tag != _DER_SEQUENCE or [part.tag for part in pair] != [_DER_INTEGER] * 2:
        raise CardMisbehaved("ECDSA signature is no pair of integers")
    numbers = [int.from_bytes(part.value, "big") for part in pair]
    if not all(0 < number < _P256_ORDER for number in numbers):
        raise CardMisbehaved("ECDSA signature out of range")
    return bytes(Tlv(_DER_SEQUENCE, *(_der_integer(number) for number in numbers)))


def _der_integer(number: int) -> Tlv:
    return Tlv(_DER_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _get_data(object_id: ObjectId) -> CommandApdu:
    return CommandApdu(0x00, 0xCB, 0x3F, 0xFF, Tlv(TAG_LIST, tag_bytes(object_id)), SHORT_LE)
