"""The terminal's journal: chained events, durable before anything is shown (DESIGN §7.1).

- A journal's random id is made with its database, by `Journal.create` alone; `open` never makes
  one.
- `append` fixes bytes, sequences and chain at once, in the caller's thread; the commit runs in the
  committer's, so the flush runs while the card computes. Events appended together are one commit.
- A failed commit fails the journal: no event is accepted until `reopen` has read anew what is
  durable.
- A fork (the gateway knows another history) is answered by `begin_anew`: a new journal, whose
  first event names the old one's head.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, TypeVar

from contract.events import ClockTrust, Detail, Event, JournalOpened
from contract.ids import BootId, Digest, JournalId, TerminalId
from contract.journal import chain_next, chain_start
from contract.signing import sha256
from firmware_py.evidence import journal_store
from firmware_py.evidence.committer import (
    CommitFailed,
    Committer,
    Connection,
    Unreadable,
    connect,
    fold,
)
from firmware_py.evidence.journal_store import Head, JournalDamaged
from runtime.durable import StorageError, flush_folder

__all__ = ["Journal", "JournalDamaged", "JournalExists", "JournalFailed", "JournalMissing"]

T = TypeVar("T")

# Hashed anew at each opening: more than a day of a busy terminal, in a few milliseconds.
TAIL_EVENTS = 2000


class JournalMissing(Exception):
    """There is no journal here. It is made once, explicitly."""


class JournalExists(Exception):
    """There is a journal here already; its identity is never overwritten."""


class JournalFailed(Exception):
    """The journal cannot be written. Nobody is signed on until `reopen` succeeds (DESIGN §7)."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """When an event is made, as this machine knows it."""

    boot: BootId
    monotonic_ms: int
    wall_ms: int
    clock: ClockTrust


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event will stand: its sequence and the chain value before it."""

    journal: JournalId
    sequence: int
    chain: Digest


Maker = Callable[[Place], Detail]
"""Makes a detail that must know its own place (a card record carries `previous`)."""


@dataclass(frozen=True, slots=True)
class Written:
    """Events that have their place in the chain; on disk once `durable` is done."""

    events: tuple[bytes, ...]
    """The exact bytes, in order."""
    first: int
    """Sequence of the first of them."""
    durable: asyncio.Future[None] = field(repr=False)
    """Done when they are on disk; raises JournalFailed. One `append` is one commit."""

    @property
    def sequence(self) -> int:
        """Sequence of the last of them: of *the* event where only one was appended."""
        return self.first + len(self.events) - 1

    @property
    def data(self) -> bytes:
        """Bytes of the last of them: what the card signs, where that is the card record."""
        return self.events[-1]


class Journal:
    """One terminal's open journal. Used in the event loop's thread.

    `on_failed` is called once for each failure. `on_grown(next, more)`, for the shipper, after an
    append became durable: all events before `next` are on disk; `more` is the appender's word that
    he appends again at once.
    """

    def __init__(
        self, path: Path, terminal: TerminalId, stamp: Callable[[], Stamp], connection: Connection
    ) -> None:
        """For `create` and `open`."""
        self.path = path
        self.terminal = terminal
        self.on_failed: Callable[[JournalFailed], None] = lambda _failure: None
        self.on_grown: Callable[[int, bool], None] = lambda _next, _more: None
        self._stamp = stamp
        self._flushes_before = 0
        self._head = _read_open(connection, terminal)
        self._committer = self._commit_by(connection)

    @classmethod
    def create(
        cls,
        path: Path,
        terminal: TerminalId,
        software: str,
        stamp: Callable[[], Stamp],
        after: Head | None = None,
    ) -> Self:
        """Makes database, id and event 0 (`journal.opened`), durable on return.

        `after` is the head of the journal before it, where there is one (`last_known`). Raises
        JournalExists, JournalFailed. Killed half-way it leaves nothing at `path`.
        """
        if path.exists():
            raise JournalExists(str(path))
        unfinished = path.with_name(f"{path.name}.unfinished")
        _remove(unfinished)
        journal = JournalId(secrets.token_hex(16))
        try:
            with contextlib.closing(connect(unfinished, create=True)) as connection:
                journal_store.create_schema(connection)
                place = Place(journal, 0, chain_start(journal))
                event = _event(terminal, place, _opened(software, after), stamp())
                journal_store.add_journal(connection, 0, journal, terminal)
                chain = chain_next(place.chain, sha256(event))
                journal_store.add_events(connection, 0, [(0, event, chain)])
                fold(connection)
            unfinished.rename(path)
            flush_folder(path.parent)
        except (CommitFailed, sqlite3.Error, OSError, StorageError) as error:
            raise JournalFailed(str(error)) from error
        return cls.open(path, terminal, stamp)

    @classmethod
    def open(cls, path: Path, terminal: TerminalId, stamp: Callable[[], Stamp]) -> Self:
        """Reads the head and verifies the tail.

        Raises JournalMissing, JournalDamaged (see `set_aside`), JournalFailed (the disk).
        """
        if not path.exists():
            raise JournalMissing(str(path))
        return cls(path, terminal, stamp, _connect(path))

    @property
    def id(self) -> JournalId:
        return self._head.journal

    @property
    def next_sequence(self) -> int:
        return self._head.next

    @property
    def chain(self) -> Digest:
        """The chain value before the next event."""
        return self._head.chain

    @property
    def ordinal(self) -> int:
        """Which of the database's journals this is, counted from 0."""
        return self._head.ordinal

    @property
    def flushes(self) -> int:
        """Commits that wrote to disk since this object was made: one flush each."""
        return self._flushes_before + self._committer.flushes

    @property
    def failed(self) -> bool:
        return self._committer.failure is not None

    def append(self, *details: Detail | Maker, more: bool = False) -> Written:
        """Appends one or more events in one commit, all or none.

        A detail may be a function of its `Place`. `more` says that another append follows at once
        (a tap record before its outcome): the shipper then waits a moment longer before it cuts a
        batch. Raises JournalFailed at once when the journal has failed, ValueError when an event
        would exceed its cap; then nothing was appended.
        """
        stamp = self._stamp()
        head = self._head
        place = Place(head.journal, head.next, head.chain)
        rows: list[tuple[int, bytes, Digest]] = []
        for item in details:
            detail = item(place) if callable(item) else item
            data = _event(self.terminal, place, detail, stamp)
            after = chain_next(place.chain, sha256(data))
            rows.append((place.sequence, data, after))
            place = Place(head.journal, place.sequence + 1, after)
        grown = replace(head, next=place.sequence, chain=place.chain)
        durable = self._commit(
            lambda c: journal_store.add_events(c, head.ordinal, rows), grown, more=more
        )
        self._head = grown
        return Written(tuple(data for _, data, _ in rows), head.next, durable)

    def begin_anew(self, software: str) -> Written:
        """Closes this journal and opens another in the same commit.

        Its event 0 names the old head.
        """
        old = self._head
        journal, ordinal = JournalId(secrets.token_hex(16)), old.ordinal + 1
        place = Place(journal, 0, chain_start(journal))
        data = _event(self.terminal, place, _opened(software, old), self._stamp())
        after = chain_next(place.chain, sha256(data))

        def job(connection: Connection) -> None:
            journal_store.add_journal(connection, ordinal, journal, self.terminal)
            journal_store.add_events(connection, ordinal, [(0, data, after)])

        begun = Head(ordinal, journal, 1, after)
        durable = self._commit(job, begun, more=False)
        self._head = begun
        return Written((data,), 0, durable)

    def run(self, job: Callable[[Connection], T], *, lazy: bool = False) -> asyncio.Future[T]:
        """Runs the shipper's own reads and writes in the committer's thread.

        See `Committer.submit`. Raises JournalFailed at once; the future raises CommitFailed.
        """
        try:
            return self._committer.submit(job, lazy=lazy)
        except CommitFailed as error:
            raise JournalFailed(str(error)) from error

    async def reopen(self) -> None:
        """Opens the database anew after a failure and reads what is durable.

        Raises JournalFailed, JournalDamaged.
        """
        await asyncio.to_thread(self._committer.close)
        connection = await asyncio.to_thread(_connect, self.path)
        try:
            # What the failed flush left in the page cache is written again or refused again.
            await asyncio.to_thread(fold, connection)
        except sqlite3.Error as error:
            connection.close()
            raise JournalFailed(str(error)) from error
        self._head = await asyncio.to_thread(_read_open, connection, self.terminal)
        self._flushes_before += self._committer.flushes
        self._committer = self._commit_by(connection)
        self.on_grown(self._head.next, False)  # noqa: FBT003 - its one flag

    async def close(self) -> None:
        """Commits what waits and closes the database."""
        await asyncio.to_thread(self._committer.close)

    def _commit_by(self, connection: Connection) -> Committer:
        wal = self.path.with_name(f"{self.path.name}-wal")
        return Committer(connection, wal, self._fail)

    def _commit(
        self, job: Callable[[Connection], None], then: Head, *, more: bool
    ) -> asyncio.Future[None]:
        try:
            committed = self._committer.submit(job, vital=True)
        except CommitFailed as error:
            raise JournalFailed(str(error)) from error
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settle(done: asyncio.Future[None]) -> None:
            error = done.exception()
            if error is None:
                if not durable.done():
                    durable.set_result(None)
                if then.ordinal == self._head.ordinal:
                    self.on_grown(then.next, more)
            elif not durable.done():
                durable.set_exception(JournalFailed(str(error)))
                durable.exception()  # seen: `on_failed` tells those who do not wait

        committed.add_done_callback(settle)
        return durable

    def _fail(self, failure: CommitFailed) -> None:
        self.on_failed(JournalFailed(str(failure)))


def set_aside(path: Path) -> Path:
    """Moves a damaged database out of the way, whole, for somebody to look at.

    Returns its new path.
    """
    aside = next(
        candidate
        for n in range(1, 1_000_000)
        if not (candidate := path.with_name(f"{path.name}.damaged-{n}")).exists()
    )
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    flush_folder(path.parent)
    return aside


def last_known(path: Path) -> Head | None:
    """How far a damaged journal's chain still holds: what the next one names. None if nowhere."""
    try:
        with contextlib.closing(connect(path)) as connection:
            return journal_store.read_sound(connection)
    except (CommitFailed, sqlite3.Error):
        return None


def _opened(software: str, after: Head | None) -> JournalOpened:
    if after is None:
        return JournalOpened(software=software)
    return JournalOpened(
        software=software,
        previous_journal=after.journal,
        previous_next=after.next,
        previous_head=after.chain,
    )


def _event(terminal: TerminalId, place: Place, detail: Detail, stamp: Stamp) -> bytes:
    data = Event(
        terminal=terminal,
        journal=place.journal,
        sequence=place.sequence,
        boot=stamp.boot,
        monotonic_ms=stamp.monotonic_ms,
        wall_ms=stamp.wall_ms,
        clock=stamp.clock,
        salt=secrets.token_hex(16),
        detail=detail,
    ).to_bytes()
    if len(data) > Event.CAP:
        raise ValueError(f"an event of {len(data)} bytes; {Event.CAP} are allowed")
    return data


def _connect(path: Path) -> Connection:
    try:
        return connect(path)
    except Unreadable as error:
        raise JournalDamaged(str(error)) from error
    except CommitFailed as error:
        raise JournalFailed(str(error)) from error


def _read_open(connection: Connection, terminal: TerminalId) -> Head:
    try:
        return journal_store.read_open(connection, terminal, TAIL_EVENTS)
    except sqlite3.OperationalError as error:
        connection.close()
        raise JournalFailed(str(error)) from error
    except sqlite3.Error as error:
        connection.close()
        raise JournalDamaged(str(error)) from error
    except JournalDamaged:
        connection.close()
        raise


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).unlink()
