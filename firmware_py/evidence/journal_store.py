"""The journal's SQL: journals, events, batches, the checkpoint held.

Functions of a connection, called in the committer's thread.

One database holds the terminal's journals, of which the last is open; an earlier one was closed by
a fork. An event's place is one integer, so that appending only ever touches the table's last page.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from contract.ids import Digest, JournalId, TerminalId
from contract.journal import chain_next, chain_start
from contract.signing import sha256

APPLICATION_ID = 0x7461706A  # "tapj"
SCHEMA_VERSION = 1
# 2^40 events are 34,000 years at one a second; 2^22 journals fit above them.
_ORDINAL_SHIFT = 40

_SCHEMA = """
CREATE TABLE journal (
    ordinal INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    terminal TEXT NOT NULL,
    closed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    data BLOB NOT NULL,
    chain TEXT NOT NULL
) STRICT;
CREATE TABLE batch (
    journal INTEGER NOT NULL REFERENCES journal (ordinal),
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    envelope BLOB NOT NULL,
    verdict TEXT,
    epoch INTEGER,
    leaf INTEGER,
    receipted_ms INTEGER,
    PRIMARY KEY (journal, first)
) STRICT;
CREATE INDEX batch_unreceipted ON batch (journal, first) WHERE verdict IS NULL;
CREATE TABLE checkpoint (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    note TEXT NOT NULL
) STRICT;
"""


class JournalDamaged(Exception):
    """The database is not this terminal's journal, or its chain does not hold.

    Carries what in `str`.
    """


@dataclass(frozen=True, slots=True)
class Head:
    """Where a journal stands: its next sequence and the chain value before it."""

    ordinal: int
    journal: JournalId
    next: int
    chain: Digest


def create_schema(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.executescript(_SCHEMA)


def position(ordinal: int, sequence: int) -> int:
    return (ordinal << _ORDINAL_SHIFT) + sequence


def add_journal(
    connection: sqlite3.Connection, ordinal: int, journal: JournalId, terminal: TerminalId
) -> None:
    """Opens a journal, closing the one before it."""
    connection.execute("UPDATE journal SET closed = 1")
    connection.execute(
        "INSERT INTO journal (ordinal, id, terminal) VALUES (?, ?, ?)", (ordinal, journal, terminal)
    )


def add_events(
    connection: sqlite3.Connection, ordinal: int, events: Iterable[tuple[int, bytes, Digest]]
) -> None:
    """Stores (sequence, bytes, chain value after it)."""
    connection.executemany(
        "INSERT INTO event (position, data, chain) VALUES (?, ?, ?)",
        [(position(ordinal, sequence), data, chain) for sequence, data, chain in events],
    )


def next_sequence(connection: sqlite3.Connection, ordinal: int) -> int:
    """The first sequence that this journal has not used."""
    newest = connection.execute(
        "SELECT max(position) FROM event WHERE position >= ? AND position < ?",
        (position(ordinal, 0), position(ordinal + 1, 0)),
    ).fetchone()[0]
    return 0 if newest is None else int(newest) + 1 - position(ordinal, 0)


def read_open(connection: sqlite3.Connection, terminal: TerminalId, tail: int) -> Head:
    """The open journal, its last `tail` events verified. Raises JournalDamaged, sqlite3.Error."""
    if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
        raise JournalDamaged("not a journal's database")
    if connection.execute("PRAGMA user_version").fetchone() != (SCHEMA_VERSION,):
        raise JournalDamaged("a journal of another version of this program")
    row = connection.execute(
        "SELECT ordinal, id, terminal FROM journal WHERE closed = 0 ORDER BY ordinal DESC LIMIT 1"
    ).fetchone()
    if row is None:
        raise JournalDamaged("no journal is open in it")
    ordinal, journal, owner = row
    if owner != terminal:
        raise JournalDamaged("the journal of another terminal")
    next_, chain = verify_events(connection, ordinal, JournalId(journal), tail)
    return Head(ordinal, JournalId(journal), next_, chain)


def verify_events(
    connection: sqlite3.Connection, ordinal: int, journal: JournalId, last: int | None = None
) -> tuple[int, Digest]:
    """Hashes the last `last` events (all by default) anew.

    Returns the next sequence and the chain value before it. Raises JournalDamaged.
    """
    low, high = position(ordinal, 0), position(ordinal + 1, 0)
    next_ = next_sequence(connection, ordinal)
    if not next_:
        raise JournalDamaged("a journal without its first event")
    start = low if last is None else max(low, low + next_ - last)
    expected: int | None = None
    chain: Digest | None = None
    rows = connection.execute(
        "SELECT position, data, chain FROM event WHERE position >= ? AND position < ? "
        "ORDER BY position",
        (start, high),
    )
    for place, data, after in rows:
        if expected is None:
            chain = _chain_before(connection, place, low, chain_start(journal))
        elif place != expected:
            raise JournalDamaged(f"event {expected - low} is missing")
        if chain is not None and chain_next(chain, sha256(data)) != after:
            raise JournalDamaged(f"event {place - low} does not fit the chain")
        chain, expected = Digest(after), place + 1
    if chain is None:
        raise JournalDamaged("a journal whose events vanish while they are read")
    return next_, chain


def read_sound(connection: sqlite3.Connection) -> Head | None:
    """The newest journal as far as it can be vouched for: hashed anew from its very first event.

    None where that event was forgotten or lost: a head that is only believed is not named.
    """
    row = connection.execute("SELECT ordinal, id FROM journal ORDER BY ordinal DESC").fetchone()
    if row is None:
        return None
    ordinal, journal = row
    next_, chain = 0, chain_start(journal)
    try:
        for place, data, after in connection.execute(
            "SELECT position, data, chain FROM event WHERE position >= ? AND position < ? "
            "ORDER BY position",
            (position(ordinal, 0), position(ordinal + 1, 0)),
        ):
            value = chain_next(chain, sha256(data))
            if place != position(ordinal, next_) or value != after:
                break
            next_, chain = next_ + 1, value
    except sqlite3.Error:
        pass  # a page that cannot be read ends what can be vouched for
    return Head(ordinal, JournalId(journal), next_, chain) if next_ else None


def _chain_before(
    connection: sqlite3.Connection, place: int, low: int, start: Digest
) -> Digest | None:
    """The chain value before the first event that is read.

    None where the one before was forgotten.
    """
    if place == low:
        return start
    row = connection.execute("SELECT chain FROM event WHERE position = ?", (place - 1,)).fetchone()
    return Digest(row[0]) if row else None


def read_events(connection: sqlite3.Connection, ordinal: int, first: int) -> list[bytes]:
    """The bytes of a journal's events from a sequence on, in their order."""
    rows = connection.execute(
        "SELECT data FROM event WHERE position >= ? AND position < ? ORDER BY position",
        (position(ordinal, first), position(ordinal + 1, 0)),
    )
    return [data for (data,) in rows]
