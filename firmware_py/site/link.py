"""The link to the site: one MQTT connection under a supervisor, replaced when it falls (DESIGN §8).

- The broker may be away from the start of the day; nothing here is waited for by a tap.
- What arrives is handed on by topic: receipts to the shipper, checkpoints to their keeper,
  everything else as bytes with the moment of arrival to the sink, where it is verified.
- `status` is our retained birth and will. With it goes the question: a fresh nonce at each connect
  and every ten minutes, answered by a heartbeat in our inbox, from which site time is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from ssl import SSLContext
from typing import Final, Literal

from contract.directory import MAX_CHANGE_BYTES
from contract.ids import BootId, TerminalId, Version
from contract.serving import Interface
from contract.statements import TerminalCounts, TerminalStatus
from contract.tap import DirectoryVersion
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
from contract.wire import WireError
from firmware_py.evidence.checkpoints import Checkpoints
from firmware_py.evidence.journal import Journal
from firmware_py.evidence.shipper import Shipper
from firmware_py.site.peerrate import PeerRate
from firmware_py.trust.heard import Asked, DirectoryHeard, HeartbeatHeard
from runtime.clock import Clock
from runtime.logs import Trouble
from runtime.mqtt import Broker, Limits, LinkError, Message, MqttLink, Will
from runtime.settings import CertificateError
from runtime.supervisor import Change, State, Supervisor, first_of

_log: Final = logging.getLogger(__name__)
_S: Final = 1_000_000_000

QUESTION_NS: Final = 600 * _S
STATUS_NS: Final = 30 * _S
STATUS_CHANGED_NS: Final = 1 * _S
"""A change of the counts is told so much later, together with those that follow it."""
FAREWELL_S: Final = 1.0
MAX_PEER_BYTES: Final = 96 * 1024
"""Of a terminal's word to the others: the longest is a session's sealed state (`contract.move`)."""
SILENCE_NS: Final = 3 * _S
"""Six heartbeats missed: the gateway is away (shown as offline) until the next one."""


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The link came up, fell, or tries again. `reason` is for the log."""

    state: State
    reason: str

    @property
    def up(self) -> bool:
        return self.state is State.UP


@dataclass(frozen=True, slots=True)
class KeysHeard:
    """A key statement's envelope, unverified."""

    data: bytes


@dataclass(frozen=True, slots=True)
class HelpHeard:
    """What a terminal said on its own help topic, unverified."""

    terminal: TerminalId
    data: bytes


@dataclass(frozen=True, slots=True)
class MoveHeard:
    """What a terminal said on its own move topic, unverified."""

    terminal: TerminalId
    data: bytes


@dataclass(frozen=True, slots=True)
class PinProofHeard:
    """What a terminal said on its own PIN topic, unverified."""

    terminal: TerminalId
    data: bytes


@dataclass(frozen=True, slots=True)
class DowntimeSaid:
    """What a terminal said on its own downtime topic, unverified."""

    terminal: TerminalId
    data: bytes


@dataclass(frozen=True, slots=True)
class EmergencyHeard:
    """Break-glass at some terminal: its envelope, unverified."""

    data: bytes
    terminal: TerminalId | None = None
    """That said it on its own topic; null: the gateway passes it on."""


def _emergency_of(terminal: TerminalId, data: bytes) -> EmergencyHeard:
    return EmergencyHeard(data, terminal)


SiteMessage = (DowntimeSaid | EmergencyHeard) | (
    HelpHeard | MoveHeard | PinProofHeard | LinkChanged | Asked | HeartbeatHeard | DirectoryHeard
)
_HEARD: Final[dict[FromTerminal, Callable[[TerminalId, bytes], SiteMessage]]] = {
    FromTerminal.EMERGENCY: _emergency_of,
    FromTerminal.DOWNTIME: DowntimeSaid,
    FromTerminal.HELP: HelpHeard,
    FromTerminal.MOVE: MoveHeard,
    FromTerminal.PIN: PinProofHeard,
}
_FROM_PEERS: Final = tuple(f"/{channel}" for channel in _HEARD)


@dataclass(frozen=True, slots=True)
class Report:
    """What `status` says of the terminal, as its owner knows it."""

    directory: Version
    taps: int
    refused: int
    alarms: int
    readers: int | None = None
    rtc: bool | None = None
    break_glass: int = 0
    unrecorded: int = 0
    downtimes: int = 0
    interfaces: frozenset[Interface] = frozenset()


class Link:
    """Keeps one connection to the broker. `run` is its task.

    `sink` is called in the loop for each message and must neither block nor raise; `report` is
    asked for each status.
    """

    def __init__(
        self,
        broker: tuple[str, int],
        tls: Callable[[], SSLContext],
        *,
        software: str,
        boot: BootId,
        journal: Journal,
        shipper: Shipper,
        checkpoints: Checkpoints,
        sink: Callable[[SiteMessage | KeysHeard], None],
        report: Callable[[], Report],
        clock: Clock,
        chance: random.Random,
    ) -> None:
        """`broker` is host and port. `tls` is called for each connection."""
        self._broker = broker
        self._tls = tls
        self._software = software
        self._boot = boot
        self._journal = journal
        self._shipper = shipper
        self._checkpoints = checkpoints
        self._sink = sink
        self._report = report
        self._clock = clock
        self._status_changed = asyncio.Event()
        self._standing: MqttLink | None = None
        self._heard_ns: int | None = None
        self._ask_now = False
        self._anew = asyncio.Event()
        self._supervisor = Supervisor(
            "the link to the broker", self._session, (LinkError, CertificateError), clock, chance
        )
        self._supervisor.listen(self._changed)
        terminal = journal.terminal
        self._receipt = terminal_topic(terminal, ToTerminal.RECEIPT)
        self._inbox = terminal_topic(terminal, ToTerminal.INBOX)
        self._status = terminal_topic(terminal, FromTerminal.STATUS)
        self._audit = terminal_topic(terminal, FromTerminal.AUDIT)
        self._terminal = terminal
        self._rate = PeerRate()
        self._flooding = Trouble(_log, "listening to another terminal")

    @property
    def now(self) -> Change:
        """The supervisor's state."""
        return self._supervisor.now

    async def run(self) -> None:
        """Until cancelled."""
        await self._supervisor.run()

    def status_changed(self) -> None:
        """The counts or the directory changed: told within a second."""
        self._status_changed.set()

    def hurry(self) -> None:
        """What kept the link from standing may be mended: try soon."""
        self._supervisor.hurry()

    def renew(self) -> None:
        """The certificate is another one: connect anew, with that."""
        self._anew.set()
        self._supervisor.hurry()

    def ask(self) -> None:
        """Ask for site time within a second, if the link stands."""
        self._ask_now = True
        self._status_changed.set()

    async def tell(self, channel: FromTerminal, payload: bytes) -> bool:
        """Tells the other terminals, if the link stands; what matters is said again."""
        link = self._standing
        if link is None:
            return False
        try:
            await link.publish(terminal_topic(self._terminal, channel), payload)
        except LinkError as error:
            _log.info("not published", extra={"channel": channel, "reason": str(error)})
            return False
        return True

    # --- one connection ---------------------------------------------------------------------

    async def _session(self, stands: Callable[[], None]) -> None:
        self._anew.clear()
        host, port = self._broker
        will = Will(self._status, self._status_bytes("offline", None), retain=True)
        topics = (
            *(self._receipt, self._inbox),
            *(any_terminal(channel) for channel in _HEARD),
            *(site_topic(channel) for channel in Site),
        )
        link = MqttLink(
            Broker(host, port, self._journal.terminal),
            self._tls,
            topics,
            will,
            # A change of the directory is the largest message, far above a batch.
            Limits(payload_bytes=MAX_CHANGE_BYTES),
        )
        async with link:
            self._standing = link
            stands()
            self._shipper.connected(lambda payload: link.publish(self._audit, payload))
            try:
                await first_of(self._listen(link), self._speak(link), self._anew.wait())
            finally:
                self._standing = None
                self._shipper.disconnected()
                await self._take_leave(link)

    async def _take_leave(self, link: MqttLink) -> None:
        """A goodbye keeps the broker from sending our will, so we say ourselves that we go."""
        with contextlib.suppress(LinkError, TimeoutError):  # it fell: the broker sends the will
            async with asyncio.timeout(FAREWELL_S):
                await link.publish(self._status, self._status_bytes("offline", None), retain=True)

    async def _listen(self, link: MqttLink) -> None:
        while True:
            for message in await link.take():
                self._hear(message)

    def _hear(self, message: Message) -> None:
        if message.retain:  # nothing that we listen to is ever retained: somebody's old word
            return
        now_ns = self._clock.monotonic_ns()
        match message.topic:
            case self._receipt:
                self._shipper.receive(message.payload)
            case self._inbox:
                self._sink(HeartbeatHeard(message.payload, now_ns, answer=True))
            case topic if topic == site_topic(Site.HEARTBEAT):
                self._note_heartbeat(now_ns)
                self._sink(HeartbeatHeard(message.payload, now_ns, answer=False))
            case topic if topic == site_topic(Site.DIRECTORY):
                self._sink(DirectoryHeard(message.payload))
            case topic if topic == site_topic(Site.KEYS):
                self._sink(KeysHeard(message.payload))
            case topic if topic == site_topic(Site.EMERGENCIES):
                self._sink(EmergencyHeard(message.payload))
            case topic if topic == site_topic(Site.CHECKPOINT):
                self._checkpoints.receive(message.payload)
            case topic if topic.endswith(_FROM_PEERS):
                self._hear_peer(topic, message.payload)
            case topic:
                _log.debug("not a topic that we asked for", extra={"topic": topic})

    def _hear_peer(self, topic: str, payload: bytes) -> None:
        """The broker lets a terminal write below its own name alone."""
        try:
            named = parse_topic(topic)
        except WireError:
            return
        if not isinstance(named, TerminalTopic) or named.terminal == self._terminal:
            return
        heard = _HEARD.get(named.channel) if isinstance(named.channel, FromTerminal) else None
        if heard is None or len(payload) > MAX_PEER_BYTES:
            return
        if self._rate.takes(named.terminal, self._clock.monotonic_ns()):
            self._sink(heard(named.terminal, payload))
        else:
            self._flooding.failed(f"{named.terminal} says too much")

    def _note_heartbeat(self, now_ns: int) -> None:
        if self._heard_ns is None or now_ns - self._heard_ns > SILENCE_NS:
            self._shipper.hurry()
        self._heard_ns = now_ns

    async def _speak(self, link: MqttLink) -> None:
        """The birth with its question at once, then a status every so often, or soon after news."""
        ask_at_ns = self._clock.monotonic_ns()
        while True:
            now_ns = self._clock.monotonic_ns()
            nonce = None
            if now_ns >= ask_at_ns or self._ask_now:
                self._ask_now = False
                nonce, ask_at_ns = secrets.token_hex(32), now_ns + QUESTION_NS
                self._sink(Asked(nonce, now_ns))
            self._status_changed.clear()
            await link.publish(self._status, self._status_bytes("online", nonce), retain=True)
            deadline_ns = min(now_ns + STATUS_NS, ask_at_ns)
            await first_of(self._news(), self._clock.sleep_until(deadline_ns))

    async def _news(self) -> None:
        await self._status_changed.wait()
        await self._clock.sleep_until(self._clock.monotonic_ns() + STATUS_CHANGED_NS)

    def _status_bytes(self, state: Literal["online", "offline"], nonce: str | None) -> bytes:
        report = self._report()
        return TerminalStatus(
            terminal=self._journal.terminal,
            state=state,
            software=self._software,
            boot=self._boot,
            journal=self._journal.id,
            directory=DirectoryVersion.of(report.directory),
            counts=TerminalCounts(
                taps=report.taps,
                refused=report.refused,
                unshipped=self._shipper.unshipped,
                alarms=report.alarms,
                break_glass=report.break_glass,
                unrecorded=report.unrecorded,
                downtimes=report.downtimes,
            ),
            question=nonce,
            readers=report.readers,
            rtc=report.rtc,
            interfaces=tuple(sorted(report.interfaces)) or None,
        ).to_bytes()

    def _changed(self, change: Change) -> None:
        self._sink(LinkChanged(change.state, change.reason))
