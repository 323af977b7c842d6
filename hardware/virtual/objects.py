"""Data objects of the PIV application: who may read what where, and how they are written.

SP 800-73-4 part 1 table 3 (access rules) and part 2 §3.1.2, §3.3.1 (GET DATA, PUT DATA).
"""

from __future__ import annotations

from typing import Final

from hardware.apdu import CommandApdu, Sw
from hardware.tlv import Header, Tlv, TlvError
from hardware.virtual.card import Card
from hardware.virtual.names import AID, Access, ObjectTag
from hardware.virtual.security import Refused

MAX_OBJECT: Final = 3_072
"""Largest object taken: YubiKeys' own limit, and above every object of part 1 that we use."""

MAX_STORED: Final = 51_200
"""Most bytes in all objects of one card, as on a YubiKey 5."""

APPLICATION_TEMPLATE: Final = bytes(
    Tlv(
        0x61,
        Tlv(0x4F, AID[5:]),
        Tlv(0x79, Tlv(0x4F, AID[:5])),
        Tlv(0x50, b"tapover virtual PIV card"),
    )
)
"""What SELECT answers (part 2 table 3): AID, allocation authority, label."""

DISCOVERY: Final = bytes(Tlv(ObjectTag.DISCOVERY, Tlv(0x4F, AID), Tlv(0x5F2F, bytes((0x40, 0x00)))))
"""Discovery object (part 1 §3.3.2): the application's PIN alone, no global PIN."""

_CURRENT_DF: Final = (0x3F, 0xFF)
_TAG_LIST: Final = 0x5C
_DATA: Final = 0x53
_NIST_PREFIX: Final = 0x5FC1
_YUBICO_PREFIX: Final = 0x5FFF
_PIN_NEEDED: Final = {
    ObjectTag.FINGERPRINTS,
    ObjectTag.FACE,
    ObjectTag.PRINTED_INFORMATION,
    ObjectTag.IRIS,
}
_CONTACTLESS: Final = {
    ObjectTag.CHUID,
    ObjectTag.CARD_AUTHENTICATION_CERTIFICATE,
    ObjectTag.DISCOVERY,
    ObjectTag.BIOMETRIC_GROUP,
    ObjectTag.SECURE_MESSAGING_CERTIFICATE,
}


def get_data(card: Card, command: CommandApdu, access: Access, *, pin_verified: bool) -> bytes:
    """GET DATA: the object in its tag 53; discovery comes bare. Raises Refused."""
    _require_current_df(command)
    tag = _wanted(_parse(command.data))
    if access is Access.CONTACTLESS_STRICT and tag not in _CONTACTLESS:
        raise Refused(Sw.SECURITY_STATUS_NOT_SATISFIED)
    if tag in _PIN_NEEDED and not pin_verified:
        raise Refused(Sw.SECURITY_STATUS_NOT_SATISFIED)
    if tag == ObjectTag.DISCOVERY:
        return DISCOVERY
    if tag not in card.objects:
        raise Refused(Sw.NOT_FOUND)
    return Tlv(_DATA, card.objects[tag])


def put_data(card: Card, command: CommandApdu) -> bytes:
    """PUT DATA: store under its tag; an empty object removes. Raises Refused."""
    _require_current_df(command)
    parts = _parse(command.data)
    tag = _wanted(parts[:1])
    if len(parts) != 2 or parts[1].tag != _DATA:  # noqa: PLR2004 - the tag list and the object
        raise Refused(Sw.INCORRECT_DATA)
    if tag >> 8 not in (_NIST_PREFIX, _YUBICO_PREFIX):
        raise Refused(Sw.NOT_FOUND)
    others = sum(len(value) for other, value in card.objects.items() if other != tag)
    if len(parts[1].value) > MAX_OBJECT or others + len(parts[1].value) > MAX_STORED:
        raise Refused(Sw.NO_SPACE)
    if parts[1].value:
        card.objects[tag] = parts[1].value
    else:
        card.objects.pop(tag, None)
    card.save()
    return b""


def _require_current_df(command: CommandApdu) -> None:
    if (command.p1, command.p2) != _CURRENT_DF:
        raise Refused(Sw.INCORRECT_P1P2)


def _parse(data: bytes) -> tuple[Tlv, ...]:
    try:
        return Tlv.parse_all(data, minimal=False)
    except TlvError:
        raise Refused(Sw.INCORRECT_DATA) from None


def _wanted(parts: tuple[Tlv, ...]) -> int:
    """The tag in a tag list of one."""
    if len(parts) != 1 or parts[0].tag != _TAG_LIST:
        raise Refused(Sw.INCORRECT_DATA)
    tag_bytes = parts[0].value
    try:
        header = Header.read(tag_bytes + b"\0")
    except TlvError:
        raise Refused(Sw.NOT_FOUND if len(tag_bytes) in (1, 2, 3) else Sw.INCORRECT_DATA) from None
    if header.start != len(tag_bytes) + 1:
        raise Refused(Sw.INCORRECT_DATA)
    return header.tag
