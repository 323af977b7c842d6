"""What a batch costs the gateway's database: statements and commits, as SQLAlchemy sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from contract.ids import TerminalId
from contract.journal import MAX_BATCH_EVENTS, join_lines
from gateway.directory.register import Register
from gateway.link.ingest import GROUP, Ingest, Receipts
from tests.gateway.conftest import World
from tests.gateway.identities import Scribe
from tests.gateway.requests import terminal_entry

EVENTS = 20
STATEMENTS = (
    "BEGIN",
    "SELECT journals",  # what is known of these terminals' journals
    "INSERT INTO leaves",
    "UPDATE tiles",
    "INSERT INTO events",
    "INSERT INTO batches",
    "UPDATE journals",
)
"""Of one transaction, however much is in it: rows go to a statement in one call."""


@dataclass
class Cost:
    """What reached the database."""

    statements: list[str] = field(default_factory=list)
    commits: int = 0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


@contextmanager
def counting(engine: sa.Engine) -> Iterator[Cost]:
    cost = Cost()

    def statement(_c: Any, _k: Any, text: str, *_: Any) -> None:  # noqa: ANN401
        cost.statements.append(text)

    def commit(_c: Any) -> None:  # noqa: ANN401
        cost.commits += 1

    sa.event.listen(engine, "before_cursor_execute", statement)
    sa.event.listen(engine, "commit", commit)
    try:
        yield cost
    finally:
        sa.event.remove(engine, "before_cursor_execute", statement)
        sa.event.remove(engine, "commit", commit)


def require_statements(cost: Cost) -> None:
    assert len(cost.statements) == len(STATEMENTS), cost.statements
    for statement, begins in zip(cost.statements, STATEMENTS, strict=True):
        assert " ".join(statement.split()).startswith(begins)


async def store(world: World, batches: int, events: int = EVENTS) -> Cost:
    """The cost of so many batches that wait together, each of a terminal that is known."""
    done = asyncio.Event()
    receipted: list[TerminalId] = []
    register = Register(world.authority.statement)
    loop = asyncio.get_running_loop()
    left = batches

    def receive(sealed: Receipts) -> None:
        receipted.extend(terminal for terminal, _ in sealed)
        if len(receipted) == left:
            loop.call_soon_threadsafe(done.set)

    ingest = Ingest(world.evidence, register, world.clock, receive)
    scribes = [Scribe(f"bay-{n}") for n in range(batches)]
    for scribe in scribes:
        register.apply([terminal_entry(scribe.terminal, scribe.signer.public)])
    counted: list[Cost] = []
    for _ in range(2):  # the first batch of each makes its journal known
        receipted.clear()
        done.clear()
        for scribe in scribes:
            _, envelope, bodies = scribe.cut(scribe.some(events))
            await ingest.offer(scribe.terminal, join_lines(envelope, bodies))
        with counting(world.store.engine) as cost:
            running = asyncio.create_task(ingest.run())
            async with asyncio.timeout(10):
                await done.wait()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        counted.append(cost)
    return counted[-1]


async def test_a_batch_is_one_commit_and_seven_statements(world: World) -> None:
    cost = await store(world, 1)
    assert cost.commits == 1
    require_statements(cost)


async def test_batches_that_wait_together_share_one_commit_and_their_statements(
    world: World,
) -> None:
    cost = await store(world, GROUP)
    assert cost.commits == 1
    require_statements(cost)


@pytest.mark.parametrize("events", [1, MAX_BATCH_EVENTS])
async def test_the_number_of_events_in_a_batch_costs_no_statement(
    world: World, events: int
) -> None:
    cost = await store(world, 1, events)
    require_statements(cost)
