"""What one transaction reads and writes: the log, its journals, its checkpoints.

Every method is one statement for however many rows it is given (executemany with a plain INSERT).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from contract.ids import Digest, JournalId, TerminalId
from contract.journal import MAX_BATCH_EVENTS, Head
from gateway.store import schema
from gateway.tiles import TileWrite

# Rows that a streamed reading fetches at a time.
_STREAM_ROWS: Final = 500


@dataclass(frozen=True, slots=True)
class JournalRow:
    """Whose journal it is and where it stands."""

    terminal: TerminalId
    head: Head


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch that is in the log."""

    journal: JournalId
    first: int
    digest: Digest
    leaf: int


@dataclass(frozen=True, slots=True)
class ForkRow:
    """A batch that tells another history, with its bodies, as it came."""

    digest: Digest
    journal: JournalId
    terminal: TerminalId
    first: int
    received_ms: int
    message: bytes


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A checkpoint as it was published."""

    size: int
    root: Digest
    issued_ms: int
    note: str


class Rows:
    """The statements share a connection, and so a transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def _insert(self, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            self._connection.execute(sa.insert(table), rows)

    def _stream(self, statement: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
        options = {"yield_per": _STREAM_ROWS}
        yield from self._connection.execute(statement, execution_options=options)


class LogRows(Rows):
    """Leaves, tiles, statements by digest, event bodies."""

    def size(self) -> int:
        newest = self._connection.scalar(sa.select(sa.func.max(schema.leaves.c.leaf)))
        return 0 if newest is None else newest + 1

    def add_leaves(self, first: int, envelopes: Sequence[bytes]) -> None:
        rows = [{"leaf": first + i, "envelope": data} for i, data in enumerate(envelopes)]
        self._insert(schema.leaves, rows)

    def leaves(self, size: int) -> Iterator[bytes]:
        """The first `size` leaves in order."""
        table = schema.leaves
        query = sa.select(table.c.envelope).where(table.c.leaf < size).order_by(table.c.leaf)
        return (row.envelope for row in self._stream(query))

    def leaf(self, leaf: int) -> bytes | None:
        table = schema.leaves
        return self._connection.scalar(sa.select(table.c.envelope).where(table.c.leaf == leaf))

    def write_tiles(self, writes: Sequence[TileWrite]) -> None:
        table = schema.tiles
        self._insert(
            table,
            [
                {"level": tile.level, "number": tile.number, "hashes": tile.hashes}
                for tile in writes
                if tile.is_new
            ],
        )
        grown = [
            {"at_level": tile.level, "at_number": tile.number, "new": tile.hashes}
            for tile in writes
            if not tile.is_new
        ]
        if grown:
            at = (table.c.level == sa.bindparam("at_level")) & (
                table.c.number == sa.bindparam("at_number")
            )
            self._connection.execute(
                sa.update(table).where(at).values(hashes=sa.bindparam("new")), grown
            )

    def tile(self, level: int, number: int) -> bytes:
        """The hashes of a tile as far as it is filled; nothing where there is none."""
        table = schema.tiles
        found: bytes | None = self._connection.scalar(
            sa.select(table.c.hashes).where(table.c.level == level, table.c.number == number)
        )
        return found or b""

    def add_bodies(self, batches: Sequence[tuple[int, Sequence[bytes]]]) -> None:
        """Event bodies by the leaf of their batch."""
        rows = [
            {"id": leaf * MAX_BATCH_EVENTS + position, "body": body}
            for leaf, bodies in batches
            for position, body in enumerate(bodies)
        ]
        self._insert(schema.events, rows)

    def bodies(self, size: int) -> Iterator[bytes]:
        """Bodies of events in the first `size` leaves, in order."""
        table = schema.events
        query = sa.select(table.c.body).where(table.c.id < size * MAX_BATCH_EVENTS)
        return (row.body for row in self._stream(query.order_by(table.c.id)))

    def add_statements(self, rows: Sequence[tuple[Digest, str, int]]) -> None:
        """(digest, kind, leaf) of leaves that are no batches."""
        names = ("digest", "kind", "leaf")
        self._insert(schema.statements, [dict(zip(names, row, strict=True)) for row in rows])

    def has_statement(self, digest: Digest) -> bool:
        """Whether a statement that is no batch is a leaf."""
        table = schema.statements
        found = self._connection.scalar(sa.select(table.c.leaf).where(table.c.digest == digest))
        return found is not None

    def statements(self, digests: Collection[Digest]) -> dict[Digest, bytes]:
        """Leaves that are no batches, by digest."""
        table, leaves = schema.statements, schema.leaves
        query = sa.select(table.c.digest, leaves.c.envelope)
        query = query.join(table, table.c.leaf == leaves.c.leaf)
        rows = self._connection.execute(query.where(table.c.digest.in_(digests)))
        return {row.digest: row.envelope for row in rows}

    def newest_statement(self, kind: str) -> bytes | None:
        """The newest leaf of a kind."""
        table, leaves = schema.statements, schema.leaves
        query = (
            sa.select(leaves.c.envelope)
            .join(table, table.c.leaf == leaves.c.leaf)
            .where(table.c.kind == kind)
            .order_by(leaves.c.leaf.desc())
            .limit(1)
        )
        return self._connection.scalar(query)


class JournalRows(Rows):
    """Journals' heads, accepted batches, forks."""

    def heads(self, journals: Collection[JournalId]) -> dict[JournalId, JournalRow]:
        table = schema.journals
        query = sa.select(table).where(table.c.journal.in_(journals))
        return {
            row.journal: JournalRow(row.terminal, Head(row.next, row.chain))
            for row in self._connection.execute(query)
        }

    def open(self, journals: Sequence[tuple[JournalId, JournalRow]]) -> None:
        rows = [
            {
                "journal": journal,
                "terminal": row.terminal,
                "next": row.head.next,
                "chain": row.head.chain,
            }
            for journal, row in journals
        ]
        self._insert(schema.journals, rows)

    def advance(self, heads: Sequence[tuple[JournalId, Head]]) -> None:
        table = schema.journals
        if heads:
            self._connection.execute(
                sa.update(table)
                .where(table.c.journal == sa.bindparam("of"))
                .values(next=sa.bindparam("to_next"), chain=sa.bindparam("to_chain")),
                [
                    {"of": journal, "to_next": head.next, "to_chain": head.chain}
                    for journal, head in heads
                ],
            )

    def stored(self, wanted: Collection[tuple[JournalId, int]]) -> list[BatchRow]:
        """The accepted batches at these first sequences, perhaps with others of their journals."""
        table = schema.batches
        query = sa.select(table).where(
            table.c.journal.in_({journal for journal, _ in wanted}),
            table.c.first.in_({first for _, first in wanted}),
        )
        return [
            BatchRow(row.journal, row.first, row.digest, row.leaf)
            for row in self._connection.execute(query)
        ]

    def add_batches(self, batches: Sequence[BatchRow]) -> None:
        rows = [
            {
                "journal": batch.journal,
                "first": batch.first,
                "digest": batch.digest,
                "leaf": batch.leaf,
            }
            for batch in batches
        ]
        self._insert(schema.batches, rows)

    def forks_known(self, digests: Collection[Digest]) -> set[Digest]:
        table = schema.forks
        query = sa.select(table.c.digest).where(table.c.digest.in_(digests))
        return set(self._connection.scalars(query))

    def forks_of(self, journals: Collection[JournalId]) -> dict[JournalId, int]:
        """How many forks of each journal are kept."""
        table = schema.forks
        query = (
            sa.select(table.c.journal, sa.func.count().label("forks"))
            .where(table.c.journal.in_(journals))
            .group_by(table.c.journal)
        )
        return {row.journal: row.forks for row in self._connection.execute(query)}

    def forks_by_terminal(self) -> dict[TerminalId, int]:
        table = schema.forks
        query = sa.select(table.c.terminal, sa.func.count().label("forks"))
        rows = self._connection.execute(query.group_by(table.c.terminal))
        return {row.terminal: row.forks for row in rows}

    def add_forks(self, forks: Sequence[ForkRow]) -> None:
        rows = [
            {
                "digest": fork.digest,
                "journal": fork.journal,
                "terminal": fork.terminal,
                "first": fork.first,
                "received_ms": fork.received_ms,
                "message": fork.message,
            }
            for fork in forks
        ]
        self._insert(schema.forks, rows)


class CheckpointRows(Rows):
    """Published checkpoints, the newest of them."""

    # At one a second a day has 86,400: older ones say nothing that the log itself does not prove.
    KEPT: Final = 100_000

    def newest(self) -> CheckpointRow | None:
        table = schema.checkpoints
        row = self._connection.execute(
            sa.select(table).order_by(table.c.number.desc()).limit(1)
        ).one_or_none()
        if row is None:
            return None
        return CheckpointRow(row.size, row.root, row.issued_ms, row.note)

    def add(self, checkpoint: CheckpointRow) -> None:
        table = schema.checkpoints
        newest: int | None = self._connection.scalar(sa.select(sa.func.max(table.c.number)))
        number = 0 if newest is None else newest + 1
        self._insert(
            table,
            [
                {
                    "number": number,
                    "size": checkpoint.size,
                    "root": checkpoint.root,
                    "issued_ms": checkpoint.issued_ms,
                    "note": checkpoint.note,
                }
            ],
        )
        self._connection.execute(sa.delete(table).where(table.c.number <= number - self.KEPT))


class FactRows(Rows):
    """What this log is; written once, and once more where it is restored."""

    def all(self) -> dict[str, str]:
        rows = self._connection.execute(sa.select(schema.facts))
        return {row.name: row.value for row in rows}

    def add(self, facts: dict[str, str]) -> None:
        self._insert(schema.facts, [{"name": n, "value": v} for n, v in facts.items()])

    def drop(self, names: Collection[str]) -> None:
        """For a restored log alone."""
        self._connection.execute(sa.delete(schema.facts).where(schema.facts.c.name.in_(names)))


class FleetRows(Rows):
    """The newest status of each terminal."""

    def all(self) -> dict[TerminalId, tuple[int, bytes]]:
        """(seen, in Unix milliseconds; status) by terminal."""
        rows = self._connection.execute(sa.select(schema.fleet))
        return {row.terminal: (row.seen_ms, row.status) for row in rows}

    def put(self, seen: dict[TerminalId, tuple[int, bytes]]) -> None:
        table = schema.fleet
        gone = sa.delete(table).where(table.c.terminal.in_(seen))
        self._connection.execute(gone)
        self._insert(
            table,
            [
                {"terminal": terminal, "seen_ms": seen_ms, "status": status}
                for terminal, (seen_ms, status) in seen.items()
            ],
        )
