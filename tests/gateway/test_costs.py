"""What a change costs: the same few statements however many entries, however large the site."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from contract.directory import Entitlement, Entry, Status
from gateway.directory.source import Applied, Held
from gateway.store import engine as opening
from tests.gateway.conftest import World
from tests.gateway.staff import Hospital, cut, ended, member, with_status

# Tables that grow with the site, and must be looked up by their keys.
LARGE = ("directory_entries", "directory_claims", "directory_changes", "leaves", "statements")


@pytest.fixture
def hospital(world: World) -> Hospital:
    return Hospital(world)


@contextmanager
def counted(hospital: Hospital) -> Iterator[list[tuple[str, Any]]]:
    """The statements that the gateway sends to its database meanwhile."""
    seen: list[tuple[str, Any]] = []

    def note(*args: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
        _, _, statement, parameters, _, many = args
        seen.append((statement, parameters[0] if many else parameters))

    engine = hospital.world.store.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def statements(hospital: Hospital, act: Callable[[], object]) -> int:
    with counted(hospital) as seen:
        act()
    return len(seen)


def scans(hospital: Hospital, seen: list[tuple[str, Any]]) -> list[str]:
    """Statements for which SQLite would read a large table from end to end."""
    found = []
    with hospital.world.store.engine.connect() as connection:
        for statement, parameters in seen:
            if not statement.startswith(("SELECT", "DELETE", "UPDATE")):
                continue
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            found += [
                f"{row[3]}: {statement}"
                for row in plan
                if row[3].startswith("SCAN") and any(name in row[3] for name in LARGE)
                # The first row in an index's order is no reading from end to end.
                if not ("USING INDEX" in row[3] and "LIMIT" in statement)
            ]
    return found


def demoted(numbers: range) -> list[Entry]:
    """They lose a position and keep another: the guard must count."""
    return [member(n) for n in numbers]


def test_a_change_takes_as_many_statements_with_five_hundred_entries_as_with_two(
    hospital: Hospital,
) -> None:
    hospital.employ([member(n, "nurse", "porter") for n in range(1200)])
    few = statements(hospital, lambda: hospital.ask(*demoted(range(2))))
    many = statements(hospital, lambda: hospital.ask(*demoted(range(2, 502))))
    assert many == few
    assert few <= 40


def test_it_takes_as_many_at_a_large_site_as_at_a_small_one(hospital: Hospital) -> None:
    costs = []
    for size in (100, 1000):
        hospital.employ([member(n, "nurse", "porter") for n in range(size)])
        lock = with_status(member(0, "nurse", "porter"), Status.SUSPENDED)
        locked = statements(hospital, partial(hospital.ask, lock))
        costs.append((statements(hospital, partial(hospital.ask, *demoted(range(50, 52)))), locked))
    assert costs[0] == costs[1]


def test_nothing_reads_a_large_table_from_end_to_end(hospital: Hospital) -> None:
    people = [member(n, "nurse", "porter") for n in range(600)]
    hospital.employ(people)
    with counted(hospital) as seen:
        assert isinstance(hospital.ask(*demoted(range(20))), Applied)
        held = hospital.ask(*(ended(one, "revoked") for one in people[100:140]))
        assert isinstance(held, Held)
        hospital.approve(held.subject, hospital.otto)
        requests = [hospital.ines.request(*piece) for piece in cut(demoted(range(200, 300)), 50)]
        now = hospital.world.now
        wish = hospital.ines.change_set(hospital.version, requests, now)
        hospital.desk.open_set(wish.to_bytes(), hospital.ines.operator, now)
        for one in requests:
            hospital.desk.stage(wish.digest, one, hospital.ines.operator, now)
        for _ in requests:
            hospital.desk.advance(wish.digest, hospital.ines.operator, now)
    assert scans(hospital, seen) == []


def test_the_upgrade_counts_who_was_there_before(hospital: Hospital) -> None:
    """Tables of an older gateway are filled from what stands: the same rows as by its changes."""
    staff: list[Entitlement] = [member(n, "nurse", "ed-lead") for n in range(5)]
    staff.append(with_status(member(5), Status.LOST))
    hospital.employ(staff)
    tables = ("directory_claims", "withdrawn_cards")
    engine = hospital.world.store.engine

    def rows() -> list[list[tuple[Any, ...]]]:
        with engine.connect() as connection:
            every = [connection.execute(sa.text(f"SELECT * FROM {name}")) for name in tables]
            return [sorted(tuple(row) for row in one) for one in every]

    before = rows()
    assert json.dumps(before).count("ed-lead") == 5
    config = Config()
    config.set_main_option("script_location", str(Path(opening.__file__).with_name("migrations")))
    for change, revision in ((command.downgrade, "0001"), (command.upgrade, "head")):
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            change(config, revision)
    assert rows() == before
