"""The store: transactions that either are on the disk when they end, or never were."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from gateway.store.claims import ClaimRows
from gateway.store.directory import DirectoryRows
from gateway.store.engine import StoreFailed, first_line, migrate, open_engine
from gateway.store.enrolment import EnrolmentRows
from gateway.store.held import HeldRows
from gateway.store.help import HelpRows
from gateway.store.rows import CheckpointRows, FactRows, FleetRows, JournalRows, LogRows


class Transaction:
    """One transaction's view of every table."""

    def __init__(self, connection: sa.Connection) -> None:
        self.log = LogRows(connection)
        self.journals = JournalRows(connection)
        self.directory = DirectoryRows(connection)
        self.claims = ClaimRows(connection)
        self.held = HeldRows(connection)
        self.help = HelpRows(connection)
        self.enrolment = EnrolmentRows(connection)
        self.checkpoints = CheckpointRows(connection)
        self.facts = FactRows(connection)
        self.fleet = FleetRows(connection)


class Store:
    """A database of ours: any number of readers, one writer at a time, from any thread."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        # A transaction that read first could not write after another's commit: it waits its turn.
        self._turn = threading.Lock()

    @classmethod
    def open(cls, url: str) -> Self:
        """Opens, and brings the tables to this program's form. Raises StoreFailed."""
        engine = open_engine(url)
        try:
            migrate(engine)
        except StoreFailed:
            engine.dispose()
            raise
        return cls(engine)

    @property
    def engine(self) -> sa.Engine:
        """For measuring: who counts statements listens here."""
        return self._engine

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Commits at the end; an exception inside undoes everything. Raises StoreFailed.

        When the commit itself raises, what is on the disk is unknown: read it again.
        """
        try:
            with self._turn, self._engine.begin() as connection:
                yield Transaction(connection)
        except SQLAlchemyError as error:
            raise StoreFailed(first_line(error)) from error

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """One moment of the database, whatever is committed meanwhile. Raises StoreFailed."""
        try:
            with self._engine.connect() as connection:
                yield Transaction(connection)
        except SQLAlchemyError as error:
            raise StoreFailed(first_line(error)) from error

    def close(self) -> None:
        self._engine.dispose()
