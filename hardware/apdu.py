"""Commands and responses between a terminal and a card (ISO/IEC 7816-4), and the errors of both.

Nothing here logs, and no ``repr`` shows data: a command may carry a PIN.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Protocol

MAX_RAW_RESPONSE: Final = 65_538
"""Longest single answer a reader can hand over: extended length and the status word."""

SHORT_DATA: Final = 255
SHORT_LE: Final = 256
EXTENDED_LE: Final = 65_536

_BYTE: Final = 0xFF
_LONGEST_DATA: Final = 0xFFFF
_HEADER: Final = 4  # CLA INS P1 P2
_EXTENDED: Final = 3  # a zero byte, then a length of two
_SW_BYTES: Final = 2
_SW_ATTEMPTS: Final = 0x63C0
SW1_MORE: Final = 0x61


class HardwareError(Exception):
    """Family of everything that cards, readers and pcscd do to us."""


class ApduError(HardwareError):
    """Bytes that are no APDU, or an APDU that cannot be encoded: the sender's fault."""


class CardError(HardwareError):
    """The card said no. ``sw`` is its status word."""

    def __init__(self, sw: int, what: str = "command") -> None:
        """Name what was asked; the status word is added."""
        super().__init__(f"{what}: card answered {describe(sw)}")
        self.sw = sw
        self.what = what


class CardMisbehaved(HardwareError):
    """The card answered something that the standard does not allow."""


class CardTransportError(HardwareError):
    """No answer: the card, the reader or pcscd is not there."""


class CardGone(CardTransportError):
    """The card was taken away or reset by somebody else."""


class CardTorn(CardGone):
    """The card was taken away while a command was under way: whether it was done is unknown."""


class CardHung(CardTransportError):
    """The card did not answer before the deadline; its worker was abandoned."""


class ReaderError(CardTransportError):
    """The reader is missing, in use by another program, or broken."""


class ServiceError(CardTransportError):
    """pcscd cannot be reached."""


class Sw(IntEnum):
    """Status words by their names in SP 800-73-4 part 2 and ISO/IEC 7816-4 table 5 and 6."""

    OK = 0x9000
    VERIFICATION_FAILED = 0x6300
    MEMORY_FAILURE = 0x6581
    WRONG_LENGTH = 0x6700
    LOGICAL_CHANNEL_NOT_SUPPORTED = 0x6881
    SECURE_MESSAGING_NOT_SUPPORTED = 0x6882
    LAST_OF_CHAIN_EXPECTED = 0x6883
    CHAINING_NOT_SUPPORTED = 0x6884
    SECURITY_STATUS_NOT_SATISFIED = 0x6982
    PIN_BLOCKED = 0x6983
    REFERENCE_DATA_NOT_USABLE = 0x6984
    CONDITIONS_NOT_SATISFIED = 0x6985
    COMMAND_NOT_ALLOWED = 0x6986
    INCORRECT_SM_DATA = 0x6988
    INCORRECT_DATA = 0x6A80
    FUNCTION_NOT_SUPPORTED = 0x6A81
    NOT_FOUND = 0x6A82
    RECORD_NOT_FOUND = 0x6A83
    NO_SPACE = 0x6A84
    INCORRECT_P1P2 = 0x6A86
    REFERENCE_NOT_FOUND = 0x6A88
    WRONG_P1P2 = 0x6B00
    INS_NOT_SUPPORTED = 0x6D00
    CLA_NOT_SUPPORTED = 0x6E00
    NO_PRECISE_DIAGNOSIS = 0x6F00


def describe(sw: int) -> str:
    """The status word in hexadecimal, with its name where it has one."""
    if attempts_left(sw) is not None:
        return f"{sw:04X} (wrong PIN, {attempts_left(sw)} left)"
    try:
        return f"{sw:04X} ({Sw(sw).name})"
    except ValueError:
        return f"{sw:04X}"


def attempts_left(sw: int) -> int | None:
    """The X of 63CX, the tries that remain; None for every other status word."""
    return sw & 0x0F if sw & 0xFFF0 == _SW_ATTEMPTS else None


@dataclass(frozen=True, slots=True)
class CommandApdu:
    """One command. ``le`` is the most bytes expected back, None for none (cases 1 and 3)."""

    cla: int
    ins: int
    p1: int = 0
    p2: int = 0
    data: bytes = field(default=b"", repr=False)
    le: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no encoding can carry."""
        if any(not 0 <= byte <= _BYTE for byte in (self.cla, self.ins, self.p1, self.p2)):
            raise ApduError("CLA, INS, P1 and P2 are bytes")
        if len(self.data) > _LONGEST_DATA or not (self.le is None or 1 <= self.le <= EXTENDED_LE):
            raise ApduError("data or expected length out of range")

    def encode(self) -> bytes:
        """Short form when it fits, else extended (ISO/IEC 7816-3 §12.1)."""
        head = bytes((self.cla, self.ins, self.p1, self.p2))
        if len(self.data) <= SHORT_DATA and (self.le is None or self.le <= SHORT_LE):
            body = bytes((len(self.data),)) + self.data if self.data else b""
            tail = b"" if self.le is None else bytes((self.le & 0xFF,))
            return head + body + tail
        body = len(self.data).to_bytes(2, "big") + self.data if self.data else b""
        tail = b"" if self.le is None else (self.le & 0xFFFF).to_bytes(2, "big")
        return head + b"\0" + body + tail

    @classmethod
    def decode(cls, raw: bytes) -> CommandApdu:
        """Read any of the seven encodings. Raises ApduError."""
        if len(raw) < _HEADER:
            raise ApduError("command shorter than its header")
        data, le = _decode_body(raw[_HEADER:])
        cla, ins, p1, p2 = raw[:_HEADER]
        return cls(cla, ins, p1, p2, data, le)


def _decode_body(body: bytes) -> tuple[bytes, int | None]:
    if not body:
        return b"", None
    if len(body) == 1:
        return b"", body[0] or SHORT_LE
    if body[0]:
        return _split_body(body, start=1, length=body[0], le_bytes=1)
    if len(body) == _EXTENDED:
        return b"", int.from_bytes(body[1:], "big") or EXTENDED_LE
    length = int.from_bytes(body[1:3], "big")
    if not length:
        raise ApduError("empty data field in an extended command")
    return _split_body(body, start=_EXTENDED, length=length, le_bytes=2)


def _split_body(body: bytes, *, start: int, length: int, le_bytes: int) -> tuple[bytes, int | None]:
    end = start + length
    if len(body) == end:
        return body[start:], None
    if len(body) == end + le_bytes:
        return body[start:end], int.from_bytes(body[end:], "big") or 1 << (8 * le_bytes)
    raise ApduError("data field and its length differ")


@dataclass(frozen=True, slots=True)
class ResponseApdu:
    """One answer: data and status word."""

    data: bytes = field(repr=False)
    sw: int

    @property
    def ok(self) -> bool:
        """Whether the card did what was asked (9000)."""
        return self.sw == Sw.OK

    @property
    def ok_so_far(self) -> bool:
        """Whether it did, be there more to fetch or not (9000 or 61xx)."""
        return self.ok or self.sw >> 8 == SW1_MORE

    def encode(self) -> bytes:
        """Data and the two bytes of the status word."""
        return self.data + self.sw.to_bytes(2, "big")

    @classmethod
    def decode(cls, raw: bytes) -> ResponseApdu:
        """Split an answer. Raises CardMisbehaved for one without a status word of 6xxx or 9xxx."""
        if not _SW_BYTES <= len(raw) <= MAX_RAW_RESPONSE:
            raise CardMisbehaved(f"answer of {len(raw)} bytes")
        if raw[-2] >> 4 not in (6, 9):
            raise CardMisbehaved(f"status word {raw[-2:].hex()}")
        return cls(raw[:-2], int.from_bytes(raw[-2:], "big"))

    def expect_ok(self, what: str) -> bytes:
        """The data when the card said 9000, else CardError naming ``what`` was asked."""
        if not self.ok:
            raise CardError(self.sw, what)
        return self.data


class CardChannel(Protocol):
    """A way to one card: bytes there, bytes back. Blocking; used by one thread at a time."""

    def transmit(self, apdu: bytes) -> bytes:
        """Send a command, return data and status word.

        Raises CardGone, CardTorn, CardHung, ReaderError or ServiceError.
        """
        ...
