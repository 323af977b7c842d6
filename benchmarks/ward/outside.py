"""What can be seen of a ward's processes from outside: their files, their sockets, their state.

By this a driver finds the moment at which to kill, and reads what a killed process left behind. No
process is asked, and none has a hook for it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from benchmarks.ward.processes import NotReady, Process
from benchmarks.ward.site import Ward

_LOOK_S: Final = 0.001
_WAL_HEADER, _FRAME_HEADER = 32, 24
_ESTABLISHED: Final = "01"
_CHAIN_DOMAIN: Final = b"tapover:journal:v1\n"  # docs/evidence.md §6
_ORDINAL_SHIFT: Final = 40


class DiskBroken(Exception):
    """What a killed process left on its disk is not whole, or lacks what was promised."""


def wait_until(what: str, holds: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Looks until ``holds``. Raises NotReady, saying ``what`` did not come."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise NotReady(f"not within {timeout_s:g} s: {what}")
        time.sleep(_LOOK_S)


@contextmanager
def stopped(process: Process) -> Iterator[None]:
    """Held by SIGSTOP inside the block; goes on after it, if it was not killed there."""
    process.signal(signal.SIGSTOP)
    try:
        status = Path(f"/proc/{process.pid}/status")
        wait_until(f"{process.name} stands still", lambda: "State:\tT" in status.read_text())
        yield
    finally:
        if process.alive:
            process.signal(signal.SIGCONT)


def unread_bytes(process: Process, peer_port: int) -> int:
    """What has arrived for ``process`` from 127.0.0.1:``peer_port`` and it has not read yet."""
    mine = set()
    for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            mine.add(str(descriptor.readlink()))
        except FileNotFoundError:
            continue  # closed while we looked
    unread = 0
    for line in Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines()[1:]:
        _, _, remote, state, queues, *rest = line.split()
        ours = f"socket:[{rest[4]}]" in mine and state == _ESTABLISHED
        if ours and int(remote.rpartition(":")[2], 16) == peer_port:
            unread += int(queues.rpartition(":")[2], 16)
    return unread


class WalWatch:
    """Waits for the next write to a database's write-ahead log, within microseconds of it."""

    def __init__(self, database: Path) -> None:
        """The state from which a change counts is that of now."""
        self._wal = database.with_name(f"{database.name}-wal")
        self._known = self._look()

    def wait(self, timeout_s: float) -> bool:
        """Whether it was written to in time; the next `wait` counts from there."""
        deadline = time.monotonic() + timeout_s
        while (now := self._look()) == self._known:  # a spin: the moment lasts 0.2 ms
            if time.monotonic() > deadline:
                return False
        self._known = now
        return True

    def _look(self) -> tuple[int, int]:
        try:
            found = self._wal.stat()
        except FileNotFoundError:
            return (0, 0)
        return (found.st_size, found.st_mtime_ns)


def query(database: Path, question: str, *values: object) -> list[tuple[Any, ...]]:
    """Asks a database that belongs to somebody else, reading only."""
    address = f"file:{database}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=10.0)) as connection:
        return connection.execute(question, values).fetchall()


# --- a terminal's journal -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cut:
    """A batch on a terminal's disk that no receipt covers; ``size`` is its message's."""

    digest: str
    size: int


def journal_of(ward: Ward, terminal: str) -> Path:
    """Where a terminal keeps its journal."""
    return ward[terminal].state / "journal.sqlite"


def readers_watched(ward: Ward, terminal: str) -> int:
    """How many readers a terminal has told of since its latest start."""
    rows = query(
        journal_of(ward, terminal),
        "SELECT json_extract(CAST(data AS TEXT), '$.detail.kind') FROM event "
        "ORDER BY position DESC LIMIT 64",
    )
    since = [kind for (kind,) in rows]
    return since[: since.index("terminal.started")].count("reader.changed")


def unreceipted(ward: Ward, terminal: str) -> list[Cut]:
    """Batches that were cut and have no receipt on this disk."""
    rows = query(
        journal_of(ward, terminal),
        "SELECT digest, length(envelope) + (SELECT coalesce(sum(length(data) + 1), 0) FROM event "
        "WHERE position >= (journal << ?1) + first AND position < (journal << ?1) + batch.next) "
        "FROM batch WHERE verdict IS NULL",
        _ORDINAL_SHIFT,
    )
    return [Cut(*row) for row in rows]


def receipted(ward: Ward) -> set[str]:
    """Batches for which a terminal's disk has a receipt that they are in the log."""
    rows = [
        row
        for name in ward.terminals
        for row in query(
            journal_of(ward, name),
            "SELECT digest FROM batch WHERE verdict IN ('accepted', 'duplicate')",
        )
    ]
    return {digest for (digest,) in rows}


def waiting_events(ward: Ward, terminal: str) -> int:
    """Events on a terminal's disk that no receipt covers."""
    path = journal_of(ward, terminal)
    ((written,),) = query(path, "SELECT count(*) FROM event")
    ((done,),) = query(
        path, "SELECT coalesce(sum(next - first), 0) FROM batch WHERE verdict IS NOT NULL"
    )
    return int(written) - int(done)


class Commit(StrEnum):
    """A database's commit as its files have it at a moment."""

    NONE = "no commit under way"
    WRITING = "a commit half written"
    FLUSHING = "a commit written, not yet flushed"


def commit_of(database: Path) -> Commit:
    """What stands in the write-ahead log beyond the last frame that readers are told of.

    SQLite tells them, in the shared index, once a commit is flushed (its file format, §4.3).
    """
    with database.with_name(f"{database.name}-wal").open("rb") as wal:
        header = wal.read(_WAL_HEADER)
        wal.seek(_told(database, header))
        frames = wal.read()
    size = _FRAME_HEADER + int.from_bytes(header[8:12], "big")
    found = Commit.NONE
    for at in range(0, len(frames), size):
        frame = frames[at : at + size]
        if frame[8:16] != header[16:24]:
            break  # left over from before the log began anew
        whole = len(frame) == size and any(frame[4:8])
        found = Commit.FLUSHING if whole else Commit.WRITING
    return found


@contextmanager
def image(database: Path, *, flushed: bool) -> Iterator[sqlite3.Connection]:
    """A dead process's database, copied and opened as after a crash.

    With ``flushed`` as after a power cut that took everything the disk had not confirmed.
    """
    wal = database.with_name(f"{database.name}-wal")
    with tempfile.TemporaryDirectory(prefix="tap-image-") as folder:
        copy = Path(folder) / database.name
        shutil.copyfile(database, copy)
        if wal.exists():
            frames = wal.read_bytes()
            kept = frames[: _told(database, frames)] if flushed else frames
            copy.with_name(wal.name).write_bytes(kept)
        with closing(sqlite3.connect(copy)) as connection:
            ((fine,),) = connection.execute("PRAGMA integrity_check(1)").fetchall()
            if fine != "ok":
                raise DiskBroken(f"{database}: {fine}")
            yield connection


def events_left(journal: Path, *, flushed: bool) -> list[bytes]:
    """The events that a dead terminal left, every chain computed anew. Raises DiskBroken."""
    with image(journal, flushed=flushed) as connection:
        journals = connection.execute("SELECT ordinal, id FROM journal").fetchall()
        rows = connection.execute(
            "SELECT position, data, chain FROM event ORDER BY position"
        ).fetchall()
    expected = {
        int(ordinal) << _ORDINAL_SHIFT: _hash(_CHAIN_DOMAIN + bytes.fromhex(identity))
        for ordinal, identity in journals
    }
    for position, data, chain in rows:
        before = expected.pop(position, None)
        if before is None:
            raise DiskBroken(f"{journal}: an event is missing before {position:x}")
        after = _hash(before + _hash(data))
        if after.hex() != chain:
            raise DiskBroken(f"{journal}: the chain does not hold at {position:x}")
        expected[position + 1] = after
    return [data for _, data, _ in rows]


def _told(database: Path, wal: bytes) -> int:
    """How many bytes of a write-ahead log its readers are told of."""
    with database.with_name(f"{database.name}-shm").open("rb") as shared:
        told = int.from_bytes(shared.read(20)[16:], sys.byteorder)
    return _WAL_HEADER + told * (_FRAME_HEADER + int.from_bytes(wal[8:12], "big"))


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


# --- the gateway's log --------------------------------------------------------------------------


def log_of(ward: Ward) -> Path:
    """Where the gateway keeps the evidence."""
    return ward.folder / "gateway-state" / "gateway.sqlite"


def stored(ward: Ward, cuts: list[Cut]) -> int:
    """How many of these batches stand in the evidence log."""
    known = {digest for (digest,) in query(log_of(ward), "SELECT digest FROM batches")}
    return sum(cut.digest in known for cut in cuts)


def uncovered(ward: Ward) -> int:
    """Leaves of the log beyond its newest checkpoint."""
    ((size, covered),) = query(
        log_of(ward),
        "SELECT (SELECT max(leaf) + 1 FROM leaves), (SELECT max(size) FROM checkpoints)",
    )
    return int(size or 0) - int(covered or 0)


def pause(seconds: float) -> None:
    """Lets a seeded time pass, to the microsecond: a sleep would come back too late."""
    end = time.perf_counter() + seconds
    if seconds > 0.01:
        time.sleep(seconds - 0.005)
    while time.perf_counter() < end:
        os.sched_yield()
