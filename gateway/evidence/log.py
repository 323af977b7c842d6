"""The evidence log as something to append to: one transaction at a time, leaves and tree together.

The tree's right edge is kept in memory between transactions and thrown away by any failure: what a
failed commit left on the disk is read again, never assumed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from contract.ids import Digest, JournalId
from contract.journal import Head
from contract.signing import Envelope, PayloadType
from contract.tree import leaf_hash
from gateway.store import BatchRow, ForkRow, JournalRow, Store, Transaction
from gateway.tiles import Edge, grow, load_edge


class Appending:
    """What one transaction adds. Rows are gathered and written together at its end."""

    def __init__(self, tx: Transaction, edge: Edge) -> None:
        self.tx = tx
        self._edge = edge
        self._leaves: list[bytes] = []
        self._statements: list[tuple[Digest, str, int]] = []
        self._bodies: list[tuple[int, Sequence[bytes]]] = []
        self._batches: list[BatchRow] = []
        self._opened: dict[JournalId, JournalRow] = {}
        self._advanced: dict[JournalId, Head] = {}
        self._forks: list[ForkRow] = []

    @property
    def size(self) -> int:
        """Leaves, with those added here."""
        return self._edge.size + len(self._leaves)

    def add_statement(self, envelope: Envelope) -> int:
        """Adds a statement that is no batch; returns its leaf."""
        leaf = self._add_leaf(envelope.to_bytes())
        self._statements.append((envelope.digest, kind_of(envelope.payloadType), leaf))
        return leaf

    def add_batch(
        self, journal: JournalId, first: int, digest: Digest, line: bytes, bodies: Sequence[bytes]
    ) -> int:
        """Adds a batch that was judged to continue its journal; returns its leaf."""
        leaf = self._add_leaf(line)
        self._batches.append(BatchRow(journal, first, digest, leaf))
        self._bodies.append((leaf, bodies))
        return leaf

    def open_journal(self, journal: JournalId, row: JournalRow) -> None:
        """A journal that was not known, and where it stands at the end of this transaction."""
        self._opened[journal] = row

    def advance_journal(self, journal: JournalId, head: Head) -> None:
        self._advanced[journal] = head

    def add_fork(self, fork: ForkRow) -> None:
        self._forks.append(fork)

    def write(self) -> Edge:
        """Writes all of it, one statement a table; returns the edge that holds after the commit."""
        edge, tiles = grow(self._edge, [leaf_hash(leaf) for leaf in self._leaves])
        log, journals = self.tx.log, self.tx.journals
        log.add_leaves(self._edge.size, self._leaves)
        log.write_tiles(tiles)
        log.add_statements(self._statements)
        log.add_bodies(self._bodies)
        journals.add_batches(self._batches)
        journals.open(list(self._opened.items()))
        journals.advance(list(self._advanced.items()))
        journals.add_forks(self._forks)
        return edge

    def _add_leaf(self, line: bytes) -> int:
        self._leaves.append(line)
        return self.size - 1


class Log:
    """Appends to the site's log, from any thread, one transaction after another."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = threading.Lock()
        self._edge: Edge | None = None

    @contextmanager
    def appending(self) -> Iterator[Appending]:
        """Commits at the end; an exception inside undoes everything.

        Raises StoreFailed, and TileMissing for a damaged database.
        """
        with self._turn:
            edge, self._edge = self._edge, None
            with self._store.write() as tx:
                appending = Appending(tx, edge or _read_edge(tx))
                yield appending
                grown = appending.write()
            self._edge = grown

    def edge(self) -> Edge:
        """The right edge of what is committed. Raises StoreFailed, TileMissing."""
        with self._turn:
            if self._edge is None:
                with self._store.read() as tx:
                    self._edge = _read_edge(tx)
            return self._edge


def kind_of(payload_type: PayloadType) -> str:
    """How the store names a kind of statement."""
    return payload_type.name.lower()


def _read_edge(tx: Transaction) -> Edge:
    return load_edge(tx.log.size(), tx.log.tile)
