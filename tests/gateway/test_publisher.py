"""What terminals hear, in which order, and what a broken link costs."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from itertools import pairwise

import pytest

from contract.checkpoint import CheckpointMessage
from contract.directory import DirectoryChange
from contract.ids import BootId, TerminalId
from contract.journal import split_lines
from contract.signing import Envelope
from contract.statements import Heartbeat, TerminalCounts, TerminalStatus
from contract.tap import DirectoryVersion
from contract.topics import Site, site_topic
from gateway.evidence.checkpoints import Checkpoints
from gateway.link.fleet import Fleet
from gateway.link.publisher import Publisher
from runtime.mqtt import LinkDown
from tests.gateway.conftest import World
from tests.gateway.identities import Scribe
from tests.gateway.requests import terminal_entry
from tests.gateway.test_directory import CARD, Office
from tests.gateway.test_evidence import cut, rulings_of


class Ear:
    """A link of ours: it takes what is published, or has fallen. It keeps the port's rules."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.down = False
        self._news = asyncio.Condition()

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False
    ) -> None:
        assert not retain, "statements are never retained"
        repeated = topic in {site_topic(Site.HEARTBEAT), site_topic(Site.CHECKPOINT)}
        assert qos == (0 if repeated else 1), "only what comes again anyway is not acknowledged"
        if self.down:
            raise LinkDown("fallen")
        async with self._news:
            self.heard.append((topic, payload))
            self._news.notify_all()

    async def wait(self, enough: Callable[[list[tuple[str, bytes]]], bool]) -> None:
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: enough(self.heard))

    def on(self, topic: str) -> list[bytes]:
        return [payload for heard, payload in self.heard if heard.endswith(topic)]


class Studio:
    """A publisher with its world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.office = Office(world)
        self.checkpoints = Checkpoints(world.store, world.evidence.log, world.authority)
        self.publisher = Publisher(
            world.clock, world.authority, self.office.directory, self.checkpoints
        )
        self.ear = Ear()

    def beat(self, payload: bytes) -> Heartbeat:
        return Heartbeat.open(Envelope.from_bytes(payload), self.world.identity.statement.public)


@pytest.fixture
async def studio(world: World) -> AsyncIterator[Studio]:
    studio = Studio(world)
    publisher = studio.publisher
    runs = (
        publisher.run_receipts(),
        publisher.run_heartbeats(),
        publisher.run_checkpoints(),
    )
    tasks = [asyncio.create_task(run) for run in runs]
    yield studio
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_change_goes_out_at_once_with_a_heartbeat_right_behind_it(
    studio: Studio,
) -> None:
    studio.publisher.attach(studio.ear)
    await studio.ear.wait(lambda _: bool(studio.ear.on("heartbeat")))
    applied = studio.office.change(terminal_entry("bay-1", CARD))
    assert studio.publisher.change(applied) == studio.world.clock.wall_ms()
    await studio.ear.wait(lambda heard: "tapover/v1/site/directory" in dict(heard[:-1]))
    topics = [topic for topic, _ in studio.ear.heard]
    place = topics.index("tapover/v1/site/directory")
    (_, message), (second, beat) = studio.ear.heard[place : place + 2]
    assert second == "tapover/v1/site/heartbeat"
    envelope, _ = split_lines(message, len(message))
    change = DirectoryChange.open(envelope, studio.world.identity.statement.public)
    heartbeat = studio.beat(beat)
    assert heartbeat.version == change.version
    assert heartbeat.head == envelope.digest


async def test_a_heartbeat_comes_twice_a_second_and_names_the_newest_checkpoint(
    studio: Studio,
) -> None:
    clock, ear = studio.world.clock, studio.ear
    studio.publisher.attach(ear)
    await ear.wait(lambda _: len(ear.on("checkpoint")) >= 1)
    for beats in range(2, 8):
        await clock.next_deadline()
        clock.advance(0.5)
        await ear.wait(lambda _, beats=beats: len(ear.on("heartbeat")) >= beats)  # type: ignore[misc]
    heard = [studio.beat(payload) for payload in ear.on("heartbeat")]
    issued = [beat.issued_ms for beat in heard]
    assert {after - before for before, after in pairwise(issued)} == {500}
    newest = studio.checkpoints.newest
    assert newest is not None
    assert heard[-1].checkpoint == newest.checkpoint.holds
    assert {beat.nonce for beat in heard} == {None}


async def test_a_checkpoint_is_repeated_each_second_and_grows_with_the_log(
    studio: Studio,
) -> None:
    clock, ear = studio.world.clock, studio.ear
    studio.publisher.attach(ear)
    await ear.wait(lambda _: bool(ear.on("checkpoint")))
    before = studio.world.evidence.log.edge().size
    rulings_of(studio.world, cut(Scribe("bay-1")))

    def grown() -> list[CheckpointMessage]:
        heard = [CheckpointMessage.from_bytes(payload) for payload in ear.on("checkpoint")]
        return [each for each in heard if each.note.split("\n")[1] == str(before + 1)]

    async with asyncio.timeout(10):
        while len(grown()) < 2:
            await clock.next_deadline()
            clock.advance(0.5)
            await asyncio.to_thread(lambda: None)
    first, second = grown()[:2]
    assert first.since == before
    assert second == first


def status(terminal: str, question: str | None = None, taps: int = 0) -> TerminalStatus:
    return TerminalStatus(
        terminal=TerminalId(terminal),
        state="online",
        software="0.1",
        boot=BootId("ab" * 16),
        journal=None,
        directory=DirectoryVersion(epoch=0, n=0),
        counts=TerminalCounts(taps=taps),
        question=question,
    )


async def test_a_terminals_question_is_answered_in_its_own_inbox(studio: Studio) -> None:
    world, ear = studio.world, studio.ear
    fleet = Fleet(world.store, studio.office.register, world.clock, studio.publisher.answer)
    studio.publisher.attach(ear)
    nonce = secrets.token_hex(32)
    fleet.take(TerminalId("bay-1"), status("bay-1", nonce).to_bytes())
    await ear.wait(lambda _: bool(ear.on("bay-1/inbox")))
    assert studio.beat(ear.on("bay-1/inbox")[0]).nonce == nonce


async def test_the_fleet_is_kept_over_a_restart_and_nonsense_is_dropped(
    studio: Studio,
) -> None:
    world, register = studio.world, studio.office.register
    studio.office.change(terminal_entry("bay-1", CARD), terminal_entry("bay-2", CARD))
    fleet = Fleet(world.store, register, world.clock, studio.publisher.answer)
    for taps in (1, 2):
        fleet.take(TerminalId("bay-1"), status("bay-1", taps=taps).to_bytes())
        fleet.save()
    fleet.take(TerminalId("bay-2"), status("bay-1").to_bytes())
    fleet.take(TerminalId("bay-2"), b"{}")
    fleet.take(TerminalId("bay-3"), status("bay-3").to_bytes())
    fleet.save()
    with world.store.write() as tx:  # as by a later version, whose records grew
        tx.fleet.put({TerminalId("bay-4"): (1, b'{"type":"tapover/status/v2"}')})
    again = Fleet(world.store, register, world.clock, studio.publisher.answer)
    again.load()
    rows = {str(row.terminal): row for row in again.rows()}
    assert set(rows) == {"bay-1", "bay-2", "bay-3"}
    assert rows["bay-1"].seen == fleet.rows()[0].seen
    assert rows["bay-1"].seen is not None
    assert rows["bay-1"].seen.status.counts.taps == 2
    assert rows["bay-2"].seen is None
    assert (rows["bay-2"].state, rows["bay-3"].state) == ("active", None)


async def test_a_fallen_link_costs_messages_and_nothing_else(studio: Studio) -> None:
    ear = studio.ear
    ear.down = True
    studio.publisher.attach(ear)
    studio.publisher.beat()
    rulings = rulings_of(studio.world, cut(Scribe("bay-1")))
    receipt = studio.world.evidence.receipt(rulings[0])
    studio.publisher.receipts([(TerminalId("bay-1"), receipt)])
    async with asyncio.timeout(10):
        while studio.publisher.dropped < 2:
            await asyncio.to_thread(lambda: None)
    studio.publisher.detach()
    ear.down = False
    studio.publisher.attach(ear)
    studio.publisher.receipts([(TerminalId("bay-1"), receipt)])
    await ear.wait(lambda _: bool(ear.on("bay-1/receipt")))
    assert ear.on("bay-1/receipt") == [receipt.to_bytes()]
