"""Opening a database: address, durability, migrations.

What is special to one database is here alone. SQLite: write-ahead log with `synchronous=FULL`, so
that a commit is on the disk when it returns. PostgreSQL is durable as it comes, but by default each
statement of a transaction sees another moment.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import SQLAlchemyError

_MIGRATIONS: Final = Path(__file__).with_name("migrations")
# Copying the write-ahead log back can hold somebody up for a moment, never for this long.
_BUSY_MS: Final = 10_000
# The web framework's threads, 40, each with one, and some for the gateway's own.
_CONNECTIONS: Final = 50
_log: Final = logging.getLogger(__name__)
# It tells of its dialect at every start.
logging.getLogger("alembic").setLevel(logging.WARNING)


class StoreFailed(Exception):
    """The database did not do as asked; nothing of that transaction is believed to be there."""


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def open_engine(url: str) -> sa.Engine:
    """An engine whose transactions are real ones, and durable at commit."""
    engine = sa.create_engine(url, pool_size=5, max_overflow=_CONNECTIONS - 5)
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
    # Python's driver would begin transactions by rules of its own; ours begin below.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def migrate(engine: sa.Engine) -> None:
    """Brings the tables to this program's form. Raises StoreFailed, also for a newer form."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except Exception as error:
        # Alembic's own errors and the database's have no family in common.
        raise StoreFailed(f"the database could not be brought up to date: {error}") from error
    _log.info("database is up to date")


def first_line(error: SQLAlchemyError) -> str:
    """What the database said, without the statement and its values."""
    return str(getattr(error, "orig", None) or type(error).__name__)
