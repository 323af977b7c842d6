"""The PIV data model (SP 800-73-4 part 1): names of keys, algorithms and objects, and their form.

Reading is lenient where cards in the field are (lengths not minimal, unknown tags, a gzipped
certificate) and ends in a value, a TlvError or an UnusableCard. What is built here is strict.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NewType

from hardware.apdu import HardwareError
from hardware.tlv import MAX_VALUE, Header, Tlv, TlvError

Guid = NewType("Guid", bytes)
"""The 16 bytes by which a card is known (CHUID tag 34)."""

GUID_BYTES: Final = 16

GUID_HEAD: Final = 60
"""The GUID ends within this many bytes of a CHUID: headers of 4, EE of 4, FASC-N of 27, 18."""

PIV_AID: Final = bytes.fromhex("A00000030800001000")
"""The PIV application without its version (part 1 §2.2)."""

PIV_AID_FULL: Final = PIV_AID + bytes.fromhex("0100")

NON_FEDERAL: Final = "99999999999999"
"""Agency, system and credential number of a card that no US agency issued (part 1 §3.1.2)."""

TAG_DATA: Final = 0x53
TAG_LIST: Final = 0x5C
TAG_DYNAMIC_AUTHENTICATION: Final = 0x7C


class UnusableCard(HardwareError):
    """A PIV card that cannot serve: no GUID, a zero GUID, an object nobody can read."""


class KeySlot(IntEnum):
    """Key references (part 1 table 4b)."""

    AUTHENTICATION = 0x9A
    MANAGEMENT = 0x9B
    SIGNATURE = 0x9C
    KEY_MANAGEMENT = 0x9D
    CARD_AUTHENTICATION = 0x9E


class Reference(IntEnum):
    """Secrets a cardholder may know (part 1 table 4a)."""

    PIN = 0x80
    PUK = 0x81


class Algorithm(IntEnum):
    """Algorithm identifiers (SP 800-78-4 table 6-2)."""

    TDES_DEFAULT = 0x00
    TDES = 0x03
    RSA_2048 = 0x07
    AES_128 = 0x08
    AES_192 = 0x0A
    AES_256 = 0x0C
    ECC_P256 = 0x11


class ObjectId(IntEnum):
    """Data objects by their tags (part 1 table 3)."""

    DISCOVERY = 0x7E
    CARD_AUTHENTICATION_CERTIFICATE = 0x5FC101
    CHUID = 0x5FC102
    AUTHENTICATION_CERTIFICATE = 0x5FC105
    CCC = 0x5FC107
    SIGNATURE_CERTIFICATE = 0x5FC10A
    KEY_MANAGEMENT_CERTIFICATE = 0x5FC10B


CERTIFICATE_OF: Final = {
    KeySlot.AUTHENTICATION: ObjectId.AUTHENTICATION_CERTIFICATE,
    KeySlot.SIGNATURE: ObjectId.SIGNATURE_CERTIFICATE,
    KeySlot.KEY_MANAGEMENT: ObjectId.KEY_MANAGEMENT_CERTIFICATE,
    KeySlot.CARD_AUTHENTICATION: ObjectId.CARD_AUTHENTICATION_CERTIFICATE,
}

_CHUID_FASC_N: Final = 0x30
_CHUID_GUID: Final = 0x34
_CHUID_EXPIRES: Final = 0x35
_CHUID_SIGNATURE: Final = 0x3E
_CERTIFICATE: Final = 0x70
_CERTIFICATE_INFO: Final = 0x71
_CHECK: Final = 0xFE
_GZIPPED: Final = 0x01
_GZIP_WINDOW: Final = 31  # zlib's number for a gzip header and the widest window


def tag_bytes(object_id: ObjectId) -> bytes:
    """The object's tag as it stands in a tag list."""
    return object_id.to_bytes((object_id.bit_length() + 7) // 8, "big")


def guid_in(head: bytes) -> Guid:
    """The GUID in the beginning of a GET DATA answer for the CHUID; the rest may be missing.

    Raises UnusableCard when there is none, or it is zero (as on cards made before GUIDs were used).
    """
    try:
        outer = Header.read(head, minimal=False)
        at = outer.start
        while outer.tag == TAG_DATA and at < min(outer.end, GUID_HEAD):
            inner = Header.read(head, at, minimal=False)
            if inner.tag == _CHUID_GUID:
                return _guid(head[inner.start : inner.end])
            at = inner.end
    except TlvError as error:
        raise UnusableCard(f"CHUID: {error}") from error
    raise UnusableCard("CHUID without a GUID")


def _guid(value: bytes) -> Guid:
    if len(value) != GUID_BYTES or not any(value):
        raise UnusableCard("GUID of zeros or of a wrong length")
    return Guid(value)


def chuid(guid: Guid, expires: str, fasc_n: bytes) -> Tlv:
    """An unsigned CHUID (part 1 table 9). ``expires`` is YYYYMMDD, ``fasc_n`` 25 bytes."""
    if len(guid) != GUID_BYTES or not any(guid):
        raise ValueError("a GUID has 16 bytes, not all zero")
    if not (len(expires) == len("YYYYMMDD") and expires.isascii() and expires.isdigit()):
        raise ValueError("the expiry is YYYYMMDD")
    return Tlv(
        TAG_DATA,
        Tlv(_CHUID_FASC_N, fasc_n),
        Tlv(_CHUID_GUID, guid),
        Tlv(_CHUID_EXPIRES, expires.encode()),
        Tlv(_CHUID_SIGNATURE),
        Tlv(_CHECK),
    )


def certificate_in(answer: bytes) -> bytes:
    """The DER certificate in a GET DATA answer (part 1 table 10). Raises UnusableCard."""
    try:
        outer = Tlv.parse(answer, minimal=False)
        der = outer.child(_CERTIFICATE, minimal=False)
        info = outer.child(_CERTIFICATE_INFO, minimal=False)
    except TlvError as error:
        raise UnusableCard(f"certificate: {error}") from error
    return _gunzip(der) if info and info[0] & _GZIPPED else der


def _gunzip(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    try:
        der = unpacker.decompress(packed, MAX_VALUE)
    except zlib.error as error:
        raise UnusableCard("certificate does not unpack") from error
    if not unpacker.eof:
        raise UnusableCard("certificate cut, or over the cap when unpacked")
    return der


def certificate(der: bytes) -> Tlv:
    """A certificate object, not compressed."""
    return Tlv(TAG_DATA, Tlv(_CERTIFICATE, der), Tlv(_CERTIFICATE_INFO, b"\0"), Tlv(_CHECK))


@dataclass(frozen=True, slots=True)
class Discovery:
    """The Discovery Object (part 1 §3.3.2): which application, which PINs it takes."""

    aid: bytes
    pin_usage: int

    @property
    def application_pin(self) -> bool:
        """Whether the PIV PIN can be used (bit 7 of the first byte)."""
        return bool(self.pin_usage & 0x4000)

    @property
    def global_pin(self) -> bool:
        """Whether the card's global PIN can be used as well (bit 6)."""
        return bool(self.pin_usage & 0x2000)

    @classmethod
    def parse(cls, answer: bytes) -> Discovery:
        """Read a GET DATA answer. Raises UnusableCard."""
        try:
            outer = Tlv.parse(answer, minimal=False)
            aid = outer.child(0x4F, minimal=False)
            usage = outer.child(0x5F2F, minimal=False)
        except TlvError as error:
            raise UnusableCard(f"discovery object: {error}") from error
        if outer.tag != ObjectId.DISCOVERY or len(usage) != len(b"\x40\x00"):
            raise UnusableCard("discovery object malformed")
        return cls(aid, int.from_bytes(usage, "big"))

    def encode(self) -> Tlv:
        """The object as it is stored."""
        usage = self.pin_usage.to_bytes(2, "big")
        return Tlv(ObjectId.DISCOVERY, Tlv(0x4F, self.aid), Tlv(0x5F2F, usage))


PIV_PIN_ONLY: Final = Discovery(PIV_AID_FULL, 0x4000)
"""What our cards say: the PIV PIN, and no other."""


_CARD_IDENTIFIER: Final = bytes.fromhex("A000000116FF02")
_CARD_ID_BYTES: Final = 14
_CCC_FIXED: Final = {0xF1: b"\x21", 0xF2: b"\x21", 0xF4: b"\x00", 0xF5: b"\x10"}
_CCC_EMPTY: Final = (0xF3, 0xF6, 0xF7, 0xFA, 0xFB, 0xFC, 0xFD, _CHECK)


def ccc(card_id: bytes) -> Tlv:
    """A Card Capability Container (part 1 table 8); nothing reads more than that it is there."""
    if len(card_id) != _CARD_ID_BYTES:
        raise ValueError(f"a card identifier has {_CARD_ID_BYTES} bytes of its own")
    parts = {0xF0: _CARD_IDENTIFIER + card_id} | _CCC_FIXED | dict.fromkeys(_CCC_EMPTY, b"")
    return Tlv(TAG_DATA, *(Tlv(tag, parts[tag]) for tag in sorted(parts)))


def fasc_n(numbers: str) -> bytes:
    """A FASC-N of 25 bytes: five-bit digits with odd parity (TIG SCEPACS §2.1).

    ``numbers``: agency (4), system (4) and credential (6 digits). Series, issue, person,
    category, organisation and association are those of a card without any: 0 1 0 0 0000 0.
    """
    if not (len(numbers) == len(NON_FEDERAL) and numbers.isascii() and numbers.isdigit()):
        raise ValueError("agency, system and credential have 4, 4 and 6 digits")
    start, separator, end = 0xB, 0xD, 0xF
    agency, system, credential = numbers[:4], numbers[4:8], numbers[8:]
    symbols = [start, *_digits(agency), separator, *_digits(system), separator]
    symbols += [*_digits(credential), separator, 0, separator, 1, separator]
    symbols += [*_digits("0000000000"), *_digits("0" + "0000" + "0"), end]
    check = 0
    for symbol in symbols:
        check ^= symbol
    bits = "".join(_five_bits(symbol) for symbol in [*symbols, check])
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _digits(text: str) -> list[int]:
    return [int(digit) for digit in text]


def _five_bits(symbol: int) -> str:
    """Four bits, least significant first, and the parity that makes their number odd."""
    bits = f"{symbol:04b}"[::-1]
    return bits + str(1 - bits.count("1") % 2)
