"""BER-TLV data objects as PIV cards use them (ISO/IEC 7816-4 §5.2.2, SP 800-73-4 part 2).

A :class:`Tlv` is its own encoding that knows its structure, so it can be concatenated, hashed and
sent like any other bytes. Only definite lengths are read. Whatever a card sends ends in a
:class:`Tlv` or in a :class:`TlvError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

MAX_VALUE: Final = 16_384
"""Largest value read or built: the largest PIV object (facial image) holds 12,710 bytes."""

MAX_OBJECTS: Final = 64
"""Most objects read from one string: the longest PIV template, the CCC, has 14."""

_TAG_BYTES: Final = 3  # PIV's longest tag is 5FC1xx
_MAX_TAG: Final = 0xFFFFFF
_MORE: Final = 0x80  # in a tag's later bytes: another follows; in a length: long form
_LENGTH_BYTES: Final = 3  # after 81, 82 or 83; the cap fits in two, foreign cards pad
_LOW_FIVE: Final = 0x1F  # all set in a first byte: the tag goes on


class TlvError(ValueError):
    """Bytes that are not a BER-TLV object of the PIV profile."""


@dataclass(frozen=True, slots=True)
class Header:
    """Tag and length in front of a value; the value begins at offset ``start``."""

    tag: int
    length: int
    start: int

    @property
    def end(self) -> int:
        """Offset of the first byte after the value."""
        return self.start + self.length

    @classmethod
    def read(cls, data: bytes, offset: int = 0, *, minimal: bool = True) -> Header:
        """The header at ``offset``, whether or not its value is complete.

        Raises TlvError: cut, indefinite, over the caps, or with a length field longer than needed
        (unless ``minimal`` is False, for foreign cards: ISO/IEC 7816-4 allows it).
        """
        tag, at = _read_tag(data, offset)
        if at >= len(data):
            raise TlvError("length missing")
        first = data[at]
        at += 1
        if first < _MORE:
            return cls(tag, first, at)
        count = first & ~_MORE
        if not 1 <= count <= _LENGTH_BYTES:
            raise TlvError("indefinite or oversized length field")
        if at + count > len(data):
            raise TlvError("length field cut")
        length = int.from_bytes(data[at : at + count], "big")
        if minimal and count != len(_encode_length(length)) - 1:
            raise TlvError("length field not minimal")
        if length > MAX_VALUE:
            raise TlvError(f"value of {length} bytes is over the cap")
        return cls(tag, length, at + count)


class Tlv(bytes):
    """One data object: ``tag``, ``value``, and itself the DER encoding of both."""

    tag: int
    value: bytes

    def __new__(cls, tag: int, *parts: bytes) -> Self:
        """Encode ``parts``, joined, under ``tag``. Raises TlvError: bad tag, over the cap."""
        value = b"".join(parts)
        if len(value) > MAX_VALUE:
            raise TlvError(f"value of {len(value)} bytes is over the cap")
        self = super().__new__(cls, _encode_tag(tag) + _encode_length(len(value)) + value)
        self.tag = tag
        self.value = value
        return self

    def __repr__(self) -> str:
        """Tag and length only: a value may be a secret."""
        return f"Tlv({self.tag:02X}, {len(self.value)} bytes)"

    @classmethod
    def parse(cls, data: bytes, *, minimal: bool = True) -> Tlv:
        """The one object that ``data`` is, nothing before or after. Raises TlvError."""
        header = Header.read(data, minimal=minimal)
        if header.end != len(data):
            raise TlvError("value cut" if header.end > len(data) else "bytes after the object")
        return cls(header.tag, data[header.start :])

    @classmethod
    def parse_all(cls, data: bytes, *, minimal: bool = True) -> tuple[Tlv, ...]:
        """The objects that ``data`` is made of, in order. Raises TlvError."""
        return tuple(cls._walk(data, minimal=minimal))

    @classmethod
    def _walk(cls, data: bytes, *, minimal: bool) -> Iterator[Tlv]:
        offset = count = 0
        while offset < len(data):
            count += 1
            if count > MAX_OBJECTS:
                raise TlvError("more objects than the cap")
            header = Header.read(data, offset, minimal=minimal)
            if header.end > len(data):
                raise TlvError("value cut")
            yield cls(header.tag, data[header.start : header.end])
            offset = header.end

    def children(self, *, minimal: bool = True) -> tuple[Tlv, ...]:
        """The objects inside the value. Raises TlvError when the value is not made of objects.

        PIV's outer tag 53 is primitive in form and holds objects all the same.
        """
        return Tlv.parse_all(self.value, minimal=minimal)

    def child(self, tag: int, *, minimal: bool = True) -> bytes:
        """Value of the only object ``tag`` inside. Raises TlvError when absent or repeated."""
        found = [tlv.value for tlv in self.children(minimal=minimal) if tlv.tag == tag]
        if len(found) != 1:
            raise TlvError(f"tag {tag:02X} appears {len(found)} times in {self.tag:02X}")
        return found[0]


def _read_tag(data: bytes, offset: int) -> tuple[int, int]:
    """Tag at ``offset`` and the offset after it."""
    if offset >= len(data):
        raise TlvError("tag missing")
    end = offset + 1
    if data[offset] & _LOW_FIVE == _LOW_FIVE:
        while end < len(data) and end - offset < _TAG_BYTES and data[end] & _MORE:
            end += 1
        end += 1
    if end > len(data):
        raise TlvError("tag cut")
    tag = int.from_bytes(data[offset:end], "big")
    if end - offset > _TAG_BYTES or _encode_tag(tag) != data[offset:end]:
        raise TlvError("tag not of the PIV profile")
    return tag, end


def _encode_tag(tag: int) -> bytes:
    if not 0 < tag <= _MAX_TAG:
        raise TlvError("tag out of range")
    encoded = tag.to_bytes((tag.bit_length() + 7) // 8, "big")
    head, tail = encoded[0], encoded[1:]
    if (head & _LOW_FIVE == _LOW_FIVE) != bool(tail):
        raise TlvError(f"{tag:X} is no BER tag")
    more = [bool(byte & _MORE) for byte in tail]
    if tail and (more[-1] or not all(more[:-1]) or tail[0] == _MORE):
        raise TlvError(f"{tag:X} is no BER tag")
    return encoded


def _encode_length(length: int) -> bytes:
    if length < _MORE:
        return bytes((length,))
    encoded = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((_MORE | len(encoded),)) + encoded
