"""What the gateway says by the broker: keys, receipts, changes, heartbeats, checkpoints.

Nothing here is a promise: who missed a message asks again (a batch is resent, a change is fetched,
a heartbeat comes twice a second). So what cannot be sent now is dropped and counted, and nothing
that must be quick stands behind receipts.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from contract.ids import TerminalId
from contract.signing import Envelope
from contract.statements import Heartbeat
from contract.tap import DirectoryVersion
from contract.topics import Site, ToTerminal, site_topic, terminal_topic
from gateway.authority import Authority
from gateway.directory.source import Applied, Directory
from gateway.evidence.checkpoints import Checkpoints
from gateway.store import StoreFailed
from runtime.clock import Clock
from runtime.logs import Trouble
from runtime.mqtt import LinkError

_log: Final = logging.getLogger(__name__)
_MS: Final = 1_000_000
HEARTBEAT_MS: Final = 500
CHECKPOINT_MS: Final = 1_000
# A broker tells a thousand terminals one after the other, for some 25 ms, and receipts wait behind
# them: never behind a heartbeat and a checkpoint in a row.
_APART_MS: Final = HEARTBEAT_MS // 2
KEYS_MS: Final = 60_000
# Brokers are set up for packets of a mebibyte; a change of 500 ordinary entries is a third of it.
LARGEST_BYTES: Final = 1_000_000
# The next one comes soon anyway: a thousand terminals need not acknowledge it, nor the broker count
# that, while batches wait behind it.
_REPEATED: Final = 0
# Receipts that wait for the broker; beyond it the oldest are dropped and their batches resent.
_RECEIPTS_WAITING: Final = 10_000
# Receipts under way at once: the broker's round trip is shared, and others need not wait long.
_RECEIPTS_TOGETHER: Final = 32


class Outbound(Protocol):
    """What is needed of a link to the broker."""

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False
    ) -> None:
        """Raises LinkError."""
        ...


class Publisher:
    """Lives in the event loop; the link comes and goes."""

    def __init__(
        self, clock: Clock, authority: Authority, directory: Directory, checkpoints: Checkpoints
    ) -> None:
        self._clock = clock
        self._authority = authority
        self._directory = directory
        self._checkpoints = checkpoints
        self._link: Outbound | None = None
        self._receipts: deque[tuple[TerminalId, bytes]] = deque(maxlen=_RECEIPTS_WAITING)
        self._news = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._trouble = Trouble(_log, "publishing")
        self._storing = Trouble(_log, "signing a checkpoint")
        self.dropped = 0

    def attach(self, link: Outbound) -> None:
        """The broker is there: whoever hears us learns at once how the site stands."""
        self._link = link
        # First: whoever holds older keys believes nothing of what follows.
        self._say_keys()
        self.beat()
        self._repeat_checkpoint()
        self._news.set()

    def detach(self) -> None:
        """It is gone; receipts that waited are worth nothing to a terminal that resends."""
        self._link = None
        self._receipts.clear()

    def receipts(self, sealed: Sequence[tuple[TerminalId, Envelope]]) -> None:
        """To be sent soon."""
        self._receipts.extend((terminal, envelope.to_bytes()) for terminal, envelope in sealed)
        self._news.set()

    def change(self, applied: Applied) -> int:
        """Sends a committed change, a heartbeat right behind it; returns when, in Unix ms.

        A change too large for a broker is fetched by those who hear of its version.
        """
        if len(applied.message) <= LARGEST_BYTES:
            self._send(site_topic(Site.DIRECTORY), applied.message)
        self.beat()
        return self._clock.wall_ms()

    def beat(self) -> None:
        self._send(site_topic(Site.HEARTBEAT), self._heartbeat(None), qos=_REPEATED)

    def emergency(self, message: bytes) -> None:
        """Break-glass, as its terminal signed it."""
        self._send(site_topic(Site.EMERGENCIES), message)

    def answer(self, terminal: TerminalId, nonce: str) -> None:
        """A heartbeat that answers one terminal's question."""
        self._send(terminal_topic(terminal, ToTerminal.INBOX), self._heartbeat(nonce))

    async def run_receipts(self) -> None:
        """Sends receipts for ever."""
        free = asyncio.Semaphore(_RECEIPTS_TOGETHER)
        while True:
            await self._news.wait()
            self._news.clear()
            while self._receipts and self._link is not None:
                await free.acquire()
                if not self._receipts:  # the link fell meanwhile
                    free.release()
                    break
                task = asyncio.create_task(self._receipt(*self._receipts.popleft()))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)
                task.add_done_callback(lambda _: free.release())

    async def _receipt(self, terminal: TerminalId, payload: bytes) -> None:
        await self._publish(terminal_topic(terminal, ToTerminal.RECEIPT), payload)

    async def run_heartbeats(self) -> None:
        """Twice a second, for ever, and between checkpoints."""
        due = self._clock.monotonic_ns() + _APART_MS * _MS
        await self._clock.sleep_until(due)
        while True:
            if self._link is not None:
                self.beat()
            due = max(due + HEARTBEAT_MS * _MS, self._clock.monotonic_ns())
            await self._clock.sleep_until(due)

    async def run_keys(self) -> None:
        """The key statement once a minute, for ever: for who missed it when it was new."""
        while True:
            await self._clock.sleep_until(self._clock.monotonic_ns() + KEYS_MS * _MS)
            if self._link is not None:
                self._say_keys()

    async def run_checkpoints(self) -> None:
        """Once a second, for ever: signed when the log has grown, sent in any case.

        A terminal that just joined hears one soon. At the end one more is signed, so that what
        was receipted can be exported.
        """
        due = self._clock.monotonic_ns()
        try:
            while True:
                await asyncio.to_thread(self.checkpoint)
                if self._link is not None:
                    self._repeat_checkpoint()
                due = max(due + CHECKPOINT_MS * _MS, self._clock.monotonic_ns())
                await self._clock.sleep_until(due)
        finally:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Signs if the log has grown. Blocks."""
        try:
            self._checkpoints.advance(self._clock.wall_ms())
        except StoreFailed as error:
            self._storing.failed(str(error))
        else:
            self._storing.over()

    def _say_keys(self) -> None:
        self._send(site_topic(Site.KEYS), self._authority.keys_envelope.to_bytes())

    def _repeat_checkpoint(self) -> None:
        if newest := self._checkpoints.newest:
            self._send(site_topic(Site.CHECKPOINT), newest.message.to_bytes(), qos=_REPEATED)

    def _heartbeat(self, nonce: str | None) -> bytes:
        head, newest = self._directory.head, self._checkpoints.newest
        beat = Heartbeat(
            site=self._authority.site,
            version=DirectoryVersion.of(head.version),
            head=head.digest,
            checkpoint=newest.checkpoint.holds if newest else None,
            issued_ms=self._clock.wall_ms(),
            nonce=nonce,
        )
        return beat.seal(self._authority.statement).to_bytes()

    def _send(self, topic: str, payload: bytes, *, qos: int = 1) -> None:
        task = asyncio.create_task(self._publish(topic, payload, qos=qos))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _publish(self, topic: str, payload: bytes, *, qos: int = 1) -> None:
        if self._link is None:
            self.dropped += 1
            return
        try:
            await self._link.publish(topic, payload, qos=qos)
        except LinkError as error:
            self.dropped += 1
            self._trouble.failed(str(error))
        else:
            self._trouble.over()
