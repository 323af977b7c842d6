"""Batches as the disk has them: cut once, signed once, resent byte for byte (DESIGN §7.2).

Functions of a connection, called in the committer's thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from contract.ids import Digest, JournalId, TerminalId
from contract.journal import (
    MAX_BATCH_EVENTS,
    BatchStatement,
    Holds,
    Receipt,
    chain_start,
)
from contract.signing import Signer, sha256
from firmware_py.evidence.journal_store import JournalDamaged, position


@dataclass(frozen=True, slots=True)
class Batch:
    """Where a stored batch stands, and the digest of its envelope."""

    ordinal: int
    first: int
    next: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class Shipped:
    """A receipted batch with its place in the evidence log."""

    batch: Batch
    envelope: bytes
    epoch: int
    leaf: int


@dataclass(frozen=True, slots=True)
class Author:
    """Whose batches these are."""

    terminal: TerminalId
    journal: JournalId
    ordinal: int
    signer: Signer


def cut(connection: sqlite3.Connection, author: Author, holds: Holds | None) -> Batch | None:
    """Signs and stores the next batch; None when every event is in one already."""
    first = next_uncut(connection, author.ordinal)
    rows = connection.execute(
        "SELECT data FROM event WHERE position >= ? AND position < ? ORDER BY position",
        (position(author.ordinal, first), position(author.ordinal, first + MAX_BATCH_EVENTS)),
    ).fetchall()
    if not rows:
        return None
    statement = BatchStatement(
        terminal=author.terminal,
        journal=author.journal,
        first=first,
        previous=_chain_before(connection, author, first),
        events=tuple(sha256(data) for (data,) in rows),
        holds=holds,
    )
    envelope = statement.seal(author.signer)
    batch = Batch(author.ordinal, first, statement.next, envelope.digest)
    connection.execute(
        "INSERT INTO batch (journal, first, next, digest, envelope) VALUES (?, ?, ?, ?, ?)",
        (batch.ordinal, batch.first, batch.next, batch.digest, envelope.to_bytes()),
    )
    return batch


def next_uncut(connection: sqlite3.Connection, ordinal: int) -> int:
    """The first sequence that is in no batch yet."""
    row = connection.execute(
        "SELECT next FROM batch WHERE journal = ? ORDER BY first DESC LIMIT 1", (ordinal,)
    ).fetchone()
    return int(row[0]) if row else 0


def _chain_before(connection: sqlite3.Connection, author: Author, sequence: int) -> Digest:
    if sequence == 0:
        return chain_start(author.journal)
    row = connection.execute(
        "SELECT chain FROM event WHERE position = ?", (position(author.ordinal, sequence - 1),)
    ).fetchone()
    if row is None:
        raise JournalDamaged(f"event {sequence - 1} is missing")
    return Digest(row[0])


def message(connection: sqlite3.Connection, batch: Batch) -> bytes:
    """The batch as it was and will be sent: envelope and events, a line each."""
    (envelope,) = connection.execute(
        "SELECT envelope FROM batch WHERE journal = ? AND first = ?", (batch.ordinal, batch.first)
    ).fetchone()
    rows = connection.execute(
        "SELECT data FROM event WHERE position >= ? AND position < ? ORDER BY position",
        (position(batch.ordinal, batch.first), position(batch.ordinal, batch.next)),
    )
    return b"\n".join((envelope, *(data for (data,) in rows)))


def unreceipted(connection: sqlite3.Connection, ordinal: int) -> list[Batch]:
    """In order of their sequences."""
    return _batches(
        connection.execute(
            "SELECT journal, first, next, digest FROM batch "
            "WHERE journal = ? AND verdict IS NULL ORDER BY first",
            (ordinal,),
        ).fetchall()
    )


def find(connection: sqlite3.Connection, digest: Digest) -> Batch | None:
    """The batch with that envelope, of whichever journal."""
    found = _batches(
        connection.execute(
            "SELECT journal, first, next, digest FROM batch WHERE digest = ?", (digest,)
        ).fetchall()
    )
    return found[0] if found else None


def forked(connection: sqlite3.Connection, ordinal: int) -> Digest | None:
    """The batch of this journal that the gateway judged to be a fork."""
    row = connection.execute(
        "SELECT digest FROM batch WHERE journal = ? AND verdict = 'fork' LIMIT 1", (ordinal,)
    ).fetchone()
    return Digest(row[0]) if row else None


def mark(connection: sqlite3.Connection, batch: Batch, receipt: Receipt, receipted_ms: int) -> None:
    """Keeps what the receipt says."""
    connection.execute(
        "UPDATE batch SET verdict = ?, epoch = ?, leaf = ?, receipted_ms = ? "
        "WHERE journal = ? AND first = ?",
        (
            receipt.verdict.value,
            receipt.epoch,
            receipt.leaf,
            receipted_ms,
            batch.ordinal,
            batch.first,
        ),
    )


def unmark_from(connection: sqlite3.Connection, ordinal: int, sequence: int) -> list[Batch] | None:
    """Takes back the receipts from the batch that holds `sequence` on.

    Returns all that is unreceipted then; None if `sequence` is not kept.
    """
    row = connection.execute(
        "SELECT first FROM batch WHERE journal = ? AND first <= ? AND next > ?",
        (ordinal, sequence, sequence),
    ).fetchone()
    if row is None:
        return None
    connection.execute(
        "UPDATE batch SET verdict = NULL WHERE journal = ? AND first >= ? AND verdict <> 'fork'",
        (ordinal, row[0]),
    )
    return unreceipted(connection, ordinal)


def unmark(connection: sqlite3.Connection, unproven: Sequence[Batch]) -> None:
    connection.executemany(
        "UPDATE batch SET verdict = NULL WHERE journal = ? AND first = ?",
        [(batch.ordinal, batch.first) for batch in unproven],
    )


def of_earlier_logs(connection: sqlite3.Connection, epoch: int, most: int) -> list[Shipped]:
    """Batches whose receipts are of log epochs before `epoch`, the oldest first."""
    rows = connection.execute(
        "SELECT journal, first, next, digest, envelope, epoch, leaf FROM batch "
        "WHERE verdict IN ('accepted', 'duplicate') AND epoch < ? ORDER BY journal, first LIMIT ?",
        (epoch, most),
    ).fetchall()
    return [Shipped(Batch(*row[:4]), *row[4:]) for row in rows]


def settle_earlier(
    connection: sqlite3.Connection, epoch: int, proven: Sequence[Batch], lost: Sequence[Batch]
) -> None:
    """Receipts of earlier logs: these hold in `epoch` too, those are taken back.

    What has a receipt of `epoch` meanwhile stays as it is.
    """
    where = "WHERE journal = ? AND first = ? AND epoch < ?"
    connection.executemany(
        f"UPDATE batch SET epoch = ? {where}",  # noqa: S608 - our own words
        [(epoch, batch.ordinal, batch.first, epoch) for batch in proven],
    )
    connection.executemany(
        f"UPDATE batch SET verdict = NULL {where}",  # noqa: S608 - our own words
        [(batch.ordinal, batch.first, epoch) for batch in lost],
    )


def shipped_before(
    connection: sqlite3.Connection, before_ms: int, log: Holds, most: int, keep: Batch
) -> list[Shipped]:
    """The oldest batches receipted before `before_ms` whose leaf lies under the checkpoint `log`.

    None at or after `keep`'s place, nor a journal's newest: cutting goes on from there.
    """
    rows = connection.execute(
        "SELECT journal, first, next, digest, envelope, epoch, leaf FROM batch "
        "WHERE verdict IN ('accepted', 'duplicate') AND receipted_ms < ? AND epoch = ? "
        "AND leaf < ? AND (journal, next) <= (?, ?) "
        "AND first < (SELECT max(first) FROM batch AS newer WHERE newer.journal = batch.journal) "
        "ORDER BY journal, first LIMIT ?",
        (before_ms, log.epoch, log.size, keep.ordinal, keep.first, most),
    ).fetchall()
    return [Shipped(Batch(*row[:4]), *row[4:]) for row in rows]


def forget(connection: sqlite3.Connection, proven: Sequence[Batch]) -> None:
    """Deletes events and envelopes of what `shipped_before` gave and the log was shown to hold."""
    for batch in proven:
        connection.execute(
            "DELETE FROM event WHERE position >= ? AND position < ?",
            (position(batch.ordinal, batch.first), position(batch.ordinal, batch.next)),
        )
        connection.execute(
            "DELETE FROM batch WHERE journal = ? AND first = ?", (batch.ordinal, batch.first)
        )


def _batches(rows: list[tuple[int, int, int, str]]) -> list[Batch]:
    return [Batch(ordinal, first, next_, Digest(digest)) for ordinal, first, next_, digest in rows]
