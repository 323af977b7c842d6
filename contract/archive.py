r"""A back-up in one file: named files, encrypted under a passphrase, whole or refused.

    b"tapover-backup/v1\n" ‖ salt, 16 bytes ‖ then sealed pieces

Key = scrypt(passphrase, salt, n = 2^15, r = 8, p = 1). A piece is AES-256-GCM over up to 1 MiB,
its nonce the piece's number (11 bytes) and 1 for the last piece, else 0: none can be left out,
moved or cut off unseen. Inside: for each file its name's length (2 bytes), name, size (8 bytes),
data; a name of length 0 ends it. Pure: bytes come in and go out in pieces.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

MAGIC: Final = b"tapover-backup/v1\n"
PIECE: Final = 1 << 20
_SALT_BYTES: Final = 16
_TAG_BYTES: Final = 16
_COST: Final = 1 << 15
_MAX_NAME: Final = 1024


class ArchiveRefused(Exception):
    """It is no back-up, another passphrase's, damaged, or cut off."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file: `pieces` are read once, in order, before the next member."""

    name: str
    size: int
    pieces: Iterable[bytes]


def seal(members: Iterable[Member], passphrase: bytes) -> Iterator[bytes]:
    """The archive, piece by piece."""
    salt = secrets.token_bytes(_SALT_BYTES)
    yield MAGIC + salt
    cipher, number, rest = AESGCM(_key(passphrase, salt)), 0, bytearray()
    for data in _packed(members):
        rest += data
        while len(rest) > PIECE:
            yield cipher.encrypt(_nonce(number, last=False), bytes(rest[:PIECE]), None)
            del rest[:PIECE]
            number += 1
    yield cipher.encrypt(_nonce(number, last=True), bytes(rest), None)


def unseal(read: Callable[[int], bytes], passphrase: bytes) -> Iterator[Member]:
    """Its files. `read` gives up to so many bytes, fewer only at the end.

    Raises ArchiveRefused, also late: nothing counts until all was read.
    """
    head = read(len(MAGIC) + _SALT_BYTES)
    if not head.startswith(MAGIC) or len(head) != len(MAGIC) + _SALT_BYTES:
        raise ArchiveRefused("it is no back-up of tapover")
    inside = _Inside(_opened(read, AESGCM(_key(passphrase, head[len(MAGIC) :]))))
    while length := int.from_bytes(inside.take(2)):
        if length > _MAX_NAME:
            raise ArchiveRefused("a name in it is too long")
        name = inside.take(length).decode("utf-8", "strict")
        size = int.from_bytes(inside.take(8))
        pieces = inside.stream(size)
        yield Member(name, size, pieces)
        for _ in pieces:  # what nobody wanted
            pass
    inside.end()


def _packed(members: Iterable[Member]) -> Iterator[bytes]:
    for member in members:
        name = member.name.encode()
        yield len(name).to_bytes(2) + name + member.size.to_bytes(8)
        left = member.size
        for piece in member.pieces:
            left -= len(piece)
            yield piece
        if left:
            raise ArchiveRefused(f"{member.name} changed while it was read")
    yield bytes(2)


def _opened(read: Callable[[int], bytes], cipher: AESGCM) -> Iterator[bytes]:
    number, piece = 0, read(PIECE + _TAG_BYTES)
    while True:
        after = read(PIECE + _TAG_BYTES) if len(piece) == PIECE + _TAG_BYTES else b""
        try:
            yield cipher.decrypt(_nonce(number, last=not after), piece, None)
        except InvalidTag:
            words = "another passphrase, or damaged" if number == 0 else "damaged or cut off"
            raise ArchiveRefused(f"it cannot be opened: {words}") from None
        if not after:
            return
        number, piece = number + 1, after


class _Inside:
    """Bytes out of opened pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def take(self, size: int) -> bytes:
        return b"".join(self.stream(size))

    def stream(self, size: int) -> Iterator[bytes]:
        while size:
            if not self._rest:
                self._rest = self._next()
            piece, self._rest = self._rest[:size], self._rest[size:]
            size -= len(piece)
            yield piece

    def end(self) -> None:
        if self._rest or next(self._pieces, b""):
            raise ArchiveRefused("something follows its end")

    def _next(self) -> bytes:
        for piece in self._pieces:
            if piece:
                return piece
        raise ArchiveRefused("it ends too early")


def _key(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=_COST, r=8, p=1).derive(passphrase)


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11) + bytes([last])
