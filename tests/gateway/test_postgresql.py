"""The gateway's store on a real PostgreSQL: the same tables, the same promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from benchmarks.ingest.postgres import Postgres
from benchmarks.ward.ports import PortBlock
from contract.events import Alarm, AlarmCode
from contract.ids import Digest, WardId
from contract.journal import Head, Verdict
from gateway import authority, founding
from gateway.evidence.journal import Batch, Moment
from gateway.evidence.keeping import Ruling
from gateway.link import stating
from gateway.link.stating import Order
from gateway.store import Store, StoreFailed
from gateway.store.schema import metadata
from runtime.clock import ManualClock
from tests.gateway.identities import SITE, Scribe, SiteIdentity


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    log = tmp_path_factory.mktemp("postgres") / "postgres.log"
    with PortBlock() as ports, Postgres(ports.take()[0], log) as server:
        yield server


@pytest.fixture(scope="module")
def store(server: Postgres) -> Iterator[Store]:
    store = Store.open(server.url)
    yield store
    store.close()


def test_migrations_make_the_tables_that_the_program_speaks_of(store: Store) -> None:
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_commit_waits_for_the_disk(store: Store) -> None:
    with store.engine.connect() as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.exec_driver_sql(f"SHOW {setting}").scalar() == "on"


def test_a_reader_sees_one_moment_while_others_write(store: Store) -> None:
    with store.read() as reading:
        before = reading.log.size()
        with store.write() as writing:
            writing.log.add_leaves(before, [b"more"])
        assert reading.log.size() == before
    with store.read() as reading:
        assert reading.log.size() == before + 1
    with store.engine.begin() as connection:
        connection.execute(metadata.tables["leaves"].delete())


def test_what_failed_in_the_middle_was_never_there(store: Store) -> None:
    with store.read() as tx:
        before = tx.log.size()

    def write_two_in_one_place() -> None:
        with store.write() as writing:
            writing.log.add_leaves(before, [b"one"])
            writing.log.add_leaves(before, [b"another"])

    with pytest.raises(StoreFailed):
        write_two_in_one_place()
    with store.read() as tx:
        assert tx.log.size() == before


def test_a_log_is_founded_taken_up_and_judges_batches(store: Store, tmp_path: Path) -> None:
    identity = SiteIdentity(tmp_path / "identity")
    clock = ManualClock()
    known = authority.load(identity.folder, SITE, identity.fingerprint, clock.wall_ms())
    founding.found(store, known, Moment.of(clock))
    scribe = Scribe("bay-1")
    statement, envelope, bodies = scribe.cut(scribe.some(3))
    batch = Batch(statement, envelope.digest, envelope.to_bytes(), bodies)
    alarm = Alarm(code=AlarmCode.PEER_REFUSED, subject=Digest("ab" * 32))
    for verdict in (Verdict.ACCEPTED, Verdict.DUPLICATE):
        evidence = founding.take_up(store, known, identity.fingerprint, Moment.of(clock))
        (ruling,) = evidence.append([batch], Moment.of(clock), [alarm])
        assert isinstance(ruling, Ruling)
        assert ruling.verdict is verdict
        with store.read() as tx:
            assert tx.journals.heads([scribe.journal])[scribe.journal].head == Head(3, scribe.chain)
            assert tx.log.size() == evidence.log.edge().size


def test_a_statement_of_downtime_is_a_leaf_there_too(store: Store, tmp_path: Path) -> None:
    identity = SiteIdentity(tmp_path / "identity")
    clock = ManualClock()
    known = authority.load(identity.folder, SITE, identity.fingerprint, clock.wall_ms())
    with store.engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    founding.found(store, known, Moment.of(clock))
    now = Moment.of(clock)
    evidence = founding.take_up(store, known, identity.fingerprint, now, starts=False)
    order = Order(ward=WardId("ed"), minutes=60)
    envelope = stating.state(evidence, known, order, 1000, now)
    with store.read() as tx:
        assert tx.log.has_statement(envelope.digest)
