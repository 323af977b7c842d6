"""The journal's reserve: a file of fixed size beside it, written in place when nothing else can be.

Its space is taken at the terminal's first start, so a full disk cannot take it away, and it is
written around SQLite, so a damaged database cannot either. What lies in it is journalled as soon as
the journal takes events again, or at the next start, and then taken out.

A record is its length (4 bytes, big-endian), the SHA-256 of its bytes, and its bytes; zero length
ends them. A record that was cut by a power failure does not fit its digest: it and what follows was
never said to be kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Final

from runtime.durable import (
    AlreadyThere,
    NotThere,
    StorageError,
    TooLarge,
    create_new,
    read_capped,
    remove,
)

SIZE: Final = 64 * 1024
"""More than a dozen of the longest events; break-glass with a dead disk is not an hour's habit."""
_LENGTH: Final = 4
_DIGEST: Final = 32


class ReserveFull(Exception):
    """There is no room left in it, or it cannot be written."""


class Reserve:
    """Each method blocks on the disk: call them in a worker thread, one at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Takes the space, where it was not taken before. Raises StorageError."""
        with contextlib.suppress(AlreadyThere):
            create_new(self.path, bytes(SIZE))
        if self.path.stat().st_size != SIZE:
            remove(self.path)
            create_new(self.path, bytes(SIZE))

    def put(self, record: bytes) -> None:
        """Durable on return. Raises ReserveFull."""
        try:
            data = read_capped(self.path, SIZE)
            at = sum(_LENGTH + _DIGEST + len(one) for one in _records(data))
            framed = len(record).to_bytes(_LENGTH) + hashlib.sha256(record).digest() + record
            if at + len(framed) + _LENGTH > len(data):
                raise ReserveFull("no room is left")
            self._write(framed + bytes(_LENGTH), at)
        except (StorageError, OSError) as error:
            raise ReserveFull(str(error)) from error

    def records(self) -> list[bytes]:
        """What lies in it, in its order; nothing where it cannot be read."""
        try:
            return _records(read_capped(self.path, SIZE))
        except (NotThere, TooLarge, StorageError):
            return []

    def clear(self) -> None:
        """All of it is journalled. Raises ReserveFull."""
        try:
            self._write(bytes(_LENGTH), 0)
        except OSError as error:
            raise ReserveFull(str(error)) from error

    def _write(self, data: bytes, at: int) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            written = os.pwrite(descriptor, data, at)
            if written != len(data):
                raise OSError(f"{written} of {len(data)} bytes were written")
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)


def _records(data: bytes) -> list[bytes]:
    found: list[bytes] = []
    at = 0
    while size := int.from_bytes(data[at : at + _LENGTH]):
        begins = at + _LENGTH + _DIGEST
        record = data[begins : begins + size]
        if hashlib.sha256(record).digest() != data[at + _LENGTH : begins]:
            break
        found.append(record)
        at = begins + size
    return found
