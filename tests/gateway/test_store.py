"""The database itself: durable, brought up to date, and written in SQL that others speak too."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from contract.ids import Digest
from gateway.store import CheckpointRow, Store, StoreFailed, sqlite_url
from gateway.store.rows import CheckpointRows
from gateway.store.schema import metadata
from tests.gateway.conftest import World


def test_a_commit_is_on_the_disk_when_it_returns(world: World) -> None:
    with world.store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_migrations_make_the_tables_that_the_program_speaks_of(world: World) -> None:
    with world.store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_database_of_a_newer_program_is_left_alone(world: World) -> None:
    with world.store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    world.store.close()
    before = world.database.read_bytes()
    with pytest.raises(StoreFailed):
        Store.open(sqlite_url(world.database))
    assert world.database.read_bytes() == before


def test_what_is_no_database_is_our_own_error(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sqlite"
    path.write_bytes(b"not a database, but a long enough text to be read as one\n" * 20)
    with pytest.raises(StoreFailed):
        Store.open(sqlite_url(path))


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: str(table.name))
def test_every_table_can_be_made_in_postgresql(table: sa.Table) -> None:
    ddl = str(CreateTable(table).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    assert ddl.count("\n") > len(table.columns)
    assert "BLOB" not in ddl


def test_a_reader_sees_one_moment_while_others_write(world: World) -> None:
    with world.store.read() as reading:
        before = reading.log.size()
        with world.store.write() as writing:
            writing.log.add_leaves(before, [b"more"])
        assert reading.log.size() == before
    with world.store.read() as reading:
        assert reading.log.size() == before + 1


def test_an_exception_inside_a_transaction_undoes_all_of_it(world: World) -> None:
    def fail_half_way() -> None:
        with world.store.write() as writing:
            writing.facts.add({"a": "b"})
            writing.facts.add({"c": str(1 // 0)})

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    with world.store.read() as reading:
        assert "a" not in reading.facts.all()


def test_checkpoints_do_not_fill_the_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CheckpointRows, "KEPT", 5)
    for size in range(3, 20):
        with world.store.write() as tx:
            tx.checkpoints.add(CheckpointRow(size, Digest("ab" * 32), size, "note"))
    with world.store.engine.connect() as connection:
        kept = connection.scalars(sa.text("SELECT size FROM checkpoints ORDER BY number")).all()
    assert kept == [15, 16, 17, 18, 19]
