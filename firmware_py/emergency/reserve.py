"""The journal's reserve: a file of fixed size beside it, written in place when nothing else can be.

Its space is taken at the terminal's first start, so a full disk cannot take it away, and it is
written around SQLite, so a damaged database cannot either. What lies in it is journalled as soon as
the journal takes events again, or at the next start, and then taken out.

A record is its length (4 bytes, big-endian), the SHA-256 of its bytes, and its bytes; zero length
ends them. A record that was cut by a power failure does not fit its digest: it and what follows was
never said to be kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from runtime.durable import NotThere, StorageError, TooLarge, read_capped, write_file

LOG: Final = logging.getLogger("tapover.emergency")
SIZE: Final = 64 * 1024
"""More than a dozen of the longest events; break-glass with a dead disk is not an hour's habit."""
_LENGTH: Final = 4
_DIGEST: Final = 32

T = TypeVar("T")


class ReserveFull(Exception):
    """There is no room left in it, or it cannot be read or written."""


class Reserve:
    """Each method blocks on the disk: but for a start, they are called in their `turn`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # One at a time, and behind nothing else: the shared threads may all wait for a gateway.
        self._disk = ThreadPoolExecutor(1, "reserve")

    async def turn(self, work: Callable[[], T]) -> T:
        """Do it in the reserve's own thread. Raises ReserveFull."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)

    def prepare(self) -> None:
        """Takes the space, where it was not taken before. Raises StorageError, OSError.

        What lies in a file of another size is carried over; one that cannot be read stays.
        """
        try:
            data = read_capped(self.path, SIZE)
        except NotThere:
            data = b""
        except TooLarge:
            with self.path.open("rb") as file:
                data = file.read(SIZE)
        else:
            if len(data) == SIZE:
                return
        kept = b"".join(_framed(record) for record in _records(data))
        # A record that fills the last bytes of a longer file has no end here.
        write_file(self.path, kept[: SIZE - _LENGTH].ljust(SIZE, b"\0"))

    def put(self, record: bytes) -> None:
        """Durable on return. Raises ReserveFull."""
        try:
            data = read_capped(self.path, SIZE)
            at = sum(len(_framed(one)) for one in _records(data))
            framed = _framed(record)
            if at + len(framed) + _LENGTH > len(data):
                raise ReserveFull("no room is left")
            self._write(framed + bytes(_LENGTH), at)
        except (StorageError, OSError) as error:
            raise ReserveFull(str(error)) from error

    def records(self) -> list[bytes]:
        """What lies in it, in its order; nothing where there is no file. Raises ReserveFull."""
        try:
            return _records(read_capped(self.path, SIZE))
        except NotThere:
            return []
        except StorageError as error:
            raise ReserveFull(str(error)) from error

    def forget(self, records: list[bytes]) -> None:
        """They are journalled; if nothing else lies in it, it is empty now. Raises ReserveFull."""
        if not records or self.records() != records:
            return
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


def _framed(record: bytes) -> bytes:
    return len(record).to_bytes(_LENGTH) + hashlib.sha256(record).digest() + record


def _records(data: bytes) -> list[bytes]:
    found: list[bytes] = []
    at = 0
    while size := int.from_bytes(data[at : at + _LENGTH]):
        begins = at + _LENGTH + _DIGEST
        record = data[begins : begins + size]
        if hashlib.sha256(record).digest() != data[at + _LENGTH : begins]:
            LOG.warning("the journal's reserve ends in a record that was cut short")
            break
        found.append(record)
        at = begins + size
    return found
