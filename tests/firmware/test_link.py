"""The link on a real broker over mutual TLS:

It comes up by itself, asks, hands on, and delivers.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from contract.checkpoint import CheckpointMessage
from contract.events import TerminalStopped
from contract.ids import Version
from contract.statements import TerminalStatus
from contract.tap import PinProof
from contract.topics import (
    FromTerminal,
    Site,
    TerminalTopic,
    ToTerminal,
    any_terminal,
    parse_topic,
    site_topic,
    terminal_topic,
)
from contract.wire import encode_base64
from firmware_py.evidence.alarms import Alarms
from firmware_py.evidence.checkpoints import Checkpoints
from firmware_py.evidence.journal import Journal
from firmware_py.evidence.shipper import Shipper
from firmware_py.fetch import FetchFailed
from firmware_py.site.link import KeysHeard, Link, LinkChanged, Report, SiteMessage
from firmware_py.trust.heard import Asked, DirectoryHeard, HeartbeatHeard
from runtime.clock import SystemClock
from runtime.mqtt import LinkDown, MqttLink
from runtime.supervisor import State
from tests.firmware.fake_site import BOOT, TERMINAL, FakeSite, stamps
from tests.runtime.conftest import site as broker
from tests.ward.site import BrokerSite

__all__ = ["broker"]

STOPPED = TerminalStopped()
DEADLINE_S = 10.0


async def until(true: Callable[[], bool], news: asyncio.Event) -> None:
    """Looks again at each news; fails at the deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not true():
            news.clear()
            await news.wait()


class Gateway:
    """The other end:

    Judges what arrives, answers, and remembers what terminals said of themselves.
    """

    def __init__(self, world: FakeSite, link: MqttLink) -> None:
        self.world, self.link = world, link
        self.statuses: list[TerminalStatus] = []
        self.pins: list[bytes] = []
        self.news = asyncio.Event()
        self.deaf = False

    async def run(self) -> None:
        """Until the broker falls."""
        with contextlib.suppress(LinkDown):
            await self._listen()

    async def _listen(self) -> None:
        async for message in self.link.messages():
            topic = parse_topic(message.topic)
            assert isinstance(topic, TerminalTopic)
            if topic.channel is FromTerminal.STATUS:
                self.statuses.append(TerminalStatus.from_bytes(message.payload))
            elif topic.channel is FromTerminal.PIN:
                self.pins.append(message.payload)
            elif not self.deaf:
                receipt = self.world.take(message.payload)
                await self.link.publish(terminal_topic(TERMINAL, ToTerminal.RECEIPT), receipt)
            self.news.set()

    async def say(self, topic: str, payload: bytes) -> None:
        await self.link.publish(topic, payload)


class Terminal:
    """The evidence side of a terminal, whole, without its cards."""

    def __init__(self, folder: Path, broker: BrokerSite, world: FakeSite) -> None:
        clock = SystemClock()
        self.journal = Journal.create(folder / "j.sqlite", TERMINAL, "0.1.0", lambda: stamps(clock))
        world.journal_file = self.journal.path
        self.alarms = Alarms(self.journal, clock)
        self.checkpoints = Checkpoints(world.trust, self.alarms, clock.monotonic_ns, self._ask)
        self.shipper = Shipper(
            self.journal,
            world.batch_key,
            world.trust,
            self.checkpoints,
            self.alarms,
            clock,
            self._on_fork,
        )
        self.heard: list[SiteMessage | KeysHeard] = []
        self.news = asyncio.Event()
        issued = broker.terminals.client(TERMINAL)
        self.link = Link(
            ("127.0.0.1", broker.mosquitto.port),
            lambda: broker.context(issued, TERMINAL),
            software="0.1.0",
            boot=BOOT,
            journal=self.journal,
            shipper=self.shipper,
            checkpoints=self.checkpoints,
            sink=self._sink,
            report=lambda: Report(Version(1, 7), taps=3, refused=1, alarms=self.alarms.count),
            clock=clock,
            chance=random.Random(1),
        )
        self.tasks = [
            asyncio.create_task(self.shipper.run()),
            asyncio.create_task(self.link.run()),
        ]

    def _on_fork(self) -> None:
        raise AssertionError("nobody forks here")

    async def _ask(self, _since: int) -> CheckpointMessage:
        raise FetchFailed("no gateway here")

    def _sink(self, message: SiteMessage | KeysHeard) -> None:
        self.heard.append(message)
        self.news.set()

    async def up(self) -> None:
        await until(lambda: self.link.now.state is State.UP, self.news)

    async def stop(self) -> None:
        for task in reversed(self.tasks):
            task.cancel()
        await asyncio.wait(self.tasks)
        await self.journal.close()


@pytest.fixture
def world() -> FakeSite:
    return FakeSite()


@pytest.fixture
async def terminal(tmp_path: Path, broker: BrokerSite, world: FakeSite) -> AsyncIterator[Terminal]:
    terminal = Terminal(tmp_path, broker, world)
    yield terminal
    await terminal.stop()


@pytest.fixture
async def gateway(broker: BrokerSite, world: FakeSite) -> AsyncIterator[Gateway]:
    channels = (FromTerminal.AUDIT, FromTerminal.STATUS, FromTerminal.PIN)
    async with broker.link("gateway", [any_terminal(each) for each in channels]) as link:
        gateway = Gateway(world, link)
        task = asyncio.create_task(gateway.run())
        yield gateway
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()):
            raise error


async def test_taps_reach_the_site_and_are_receipted(gateway: Gateway, terminal: Terminal) -> None:
    await terminal.up()
    for _ in range(5):
        await terminal.journal.append(STOPPED, STOPPED).durable
    await until(lambda: len(gateway.world.events) == 11, gateway.news)
    await settled(terminal)
    assert terminal.shipper.unshipped == 0
    assert terminal.alarms.count == 0


async def settled(terminal: Terminal) -> None:
    """Until the last receipt, which is on its way, has been taken."""
    async with asyncio.timeout(DEADLINE_S):
        while terminal.shipper.unshipped:
            await terminal.journal.run(lambda _c: None)


async def test_the_question_goes_out_at_connect_and_its_answer_comes_by_the_inbox(
    gateway: Gateway, terminal: Terminal
) -> None:
    await terminal.up()
    await until(lambda: bool(gateway.statuses), gateway.news)
    asked = next(each for each in terminal.heard if isinstance(each, Asked))
    birth = gateway.statuses[0]
    assert (birth.state, birth.question) == ("online", asked.nonce)
    assert (birth.terminal, birth.counts.taps) == (TERMINAL, 3)
    await gateway.say(terminal_topic(TERMINAL, ToTerminal.INBOX), b"an answer")
    await gateway.say(site_topic(Site.HEARTBEAT), b"a broadcast")
    await gateway.say(site_topic(Site.DIRECTORY), b"a change")
    await until(lambda: any(isinstance(e, DirectoryHeard) for e in terminal.heard), terminal.news)
    beats = [each for each in terminal.heard if isinstance(each, HeartbeatHeard)]
    assert [(beat.data, beat.answer) for beat in beats] == [
        (b"an answer", True),
        (b"a broadcast", False),
    ]
    assert all(beat.heard_ns >= asked.asked_ns for beat in beats)


async def test_checkpoints_are_connected_as_they_come(gateway: Gateway, terminal: Terminal) -> None:
    await terminal.up()
    message = gateway.world.checkpoint_message(0)
    await gateway.say(site_topic(Site.CHECKPOINT), message.to_bytes())
    await gateway.say(site_topic(Site.HEARTBEAT), b"behind it")
    await until(lambda: any(isinstance(e, HeartbeatHeard) for e in terminal.heard), terminal.news)
    held = terminal.checkpoints.held
    assert held is not None
    assert held.note == message.note


async def test_a_broker_that_is_away_is_waited_for_and_nothing_is_lost(
    broker: BrokerSite, gateway: Gateway, terminal: Terminal
) -> None:
    """Also from the start of the day."""
    await terminal.up()
    broker.mosquitto.kill()
    await until(lambda: terminal.link.now.state is State.WAITING, terminal.news)
    for _ in range(20):
        await terminal.journal.append(STOPPED).durable
    broker.mosquitto.start()
    channels = [any_terminal(FromTerminal.AUDIT), any_terminal(FromTerminal.STATUS)]
    async with broker.link("gateway", channels) as link:
        again = Gateway(gateway.world, link)
        task = asyncio.create_task(again.run())
        await until(lambda: len(again.world.events) == 21, again.news)
        await settled(terminal)
        task.cancel()
        await asyncio.wait([task])
    states = [each.state for each in terminal.heard if isinstance(each, LinkChanged)]
    assert states[:3] == [State.CONNECTING, State.UP, State.WAITING]
    assert states[-1] is State.UP


async def test_a_terminal_that_stops_says_so_and_one_that_is_cut_off_is_told_of(
    gateway: Gateway, terminal: Terminal
) -> None:
    await terminal.up()
    await until(lambda: bool(gateway.statuses), gateway.news)
    await terminal.stop()
    await until(lambda: gateway.statuses[-1].state == "offline", gateway.news)


async def test_counts_follow_soon_after_a_change(gateway: Gateway, terminal: Terminal) -> None:
    await terminal.up()
    await until(lambda: bool(gateway.statuses), gateway.news)
    terminal.link.status_changed()
    await until(lambda: len(gateway.statuses) == 2, gateway.news)
    assert gateway.statuses[1].question is None


async def test_a_pin_proof_goes_out_when_the_link_stands(
    gateway: Gateway, terminal: Terminal
) -> None:
    proof = PinProof(record=encode_base64(b"record"), signature=encode_base64(b"signature"))
    assert not await terminal.link.tell(FromTerminal.PIN, proof.to_bytes())
    await terminal.up()
    assert await terminal.link.tell(FromTerminal.PIN, proof.to_bytes())
    await until(lambda: gateway.pins == [proof.to_bytes()], gateway.news)


async def test_what_a_killed_gateway_never_receipted_is_sent_again(
    gateway: Gateway, terminal: Terminal
) -> None:
    """The broker had acknowledged the batch; its first heartbeat brings the gateway up to date."""
    gateway.deaf = True
    await terminal.up()
    await until(lambda: bool(gateway.statuses), gateway.news)
    await terminal.journal.append(STOPPED).durable
    gateway.deaf = False
    await gateway.say(site_topic(Site.HEARTBEAT), b"back again")
    await until(lambda: len(gateway.world.events) == 2, gateway.news)
    await settled(terminal)
