"""The loop of the generator: batches fall due, go out, are receipted, and are sent again if not.

A terminal behaves as the product's shipper does, with the product's own constants: at most `WINDOW`
batches without receipt, everything without receipt again after two seconds, doubling, and at each
new connection; reconnecting with the product's back-off and full jitter. One thread, one epoll.
"""

from __future__ import annotations

import heapq
import random
import select
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.ingest.scribe import Signed
from benchmarks.ingest.wire import Client
from contract.ids import Digest, TerminalId
from contract.journal import Receipt
from contract.signing import Envelope
from contract.wire import decode_base64
from firmware_py.evidence.resending import Patience
from firmware_py.evidence.shipper import WINDOW
from runtime.supervisor import Backoff

_S: Final = 1_000_000_000
_LOOK_NS: Final = 50_000_000  # between two looks at what should be sent again
_SHAKING_AT_ONCE: Final = 32  # handshakes under way while everybody connects for the first time
# A heartbeat reaches a thousand machines at once, and here one process: its acknowledgements must
# not hold up the receipt of another terminal, which they could not do on a ward.
_ACKNOWLEDGED_AT_ONCE: Final = 20
RECEIPTS_KEPT: Final = 500  # envelopes kept whole, to check their signatures afterwards


class NotDrained(Exception):
    """Batches were left without receipt when the time was over."""


@dataclass(slots=True)
class Due:
    """A batch and when it was, or is, cut."""

    batch: Signed
    due_ns: int


@dataclass(slots=True)
class Outcome:
    """What a load came to. Times are of `time.monotonic_ns`."""

    sent: int = 0
    resent: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    receipts: list[tuple[int, int, int]] = field(default_factory=list)
    """(when due, when receipted, events) of each batch, in the order of their receipts."""
    late_ns: list[int] = field(default_factory=list)
    """How long after its time each batch was looked at: the generator's own part."""
    envelopes: list[bytes] = field(default_factory=list)
    """The first receipts, as they came."""
    falls: int = 0
    back_ns: list[int] = field(default_factory=list)
    """When each terminal that had fallen was connected again."""


class Terminal:
    """One terminal's queue and what it has under way."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.queue: deque[Due] = deque()
        self.flights: dict[Digest, Due] = {}
        self.failures = 0
        self.resend_at_ns = 0
        self.patience = Patience()
        self.sent_ns: dict[Digest, int | None] = {}
        """Of flights; None: sent more than once."""
        self.was_up = False


class Fleet:
    """Terminals with their connections. Everything happens inside its methods, in one thread."""

    def __init__(
        self, contexts: Mapping[TerminalId, Callable[[], ssl.SSLContext]], port: int
    ) -> None:
        self._poll = select.epoll()
        self._terminals = {
            name: Terminal(Client(name, make(), port, self._poll, self._hearer(name)))
            for name, make in contexts.items()
        }
        self._by_descriptor: dict[int, Terminal] = {}
        self._reconnects: list[tuple[int, TerminalId]] = []
        self._backoff = Backoff()
        self._chance = random.Random()
        self._outcome = Outcome()
        self._unreceipted = 0
        self._blind = False
        self._looked_ns = 0
        self._owing: deque[Terminal] = deque()

    def connect(self, timeout_s: float = 60.0) -> float:
        """Connects everybody, some at a time; the seconds that it took. Raises OSError."""
        began = time.monotonic_ns()
        waiting = deque(self._terminals.values())
        shaking: list[Terminal] = []
        while waiting or shaking:
            if time.monotonic_ns() - began > timeout_s * _S:
                raise TimeoutError(f"{len(waiting) + len(shaking)} terminals are not connected")
            while waiting and len(shaking) < _SHAKING_AT_ONCE:
                terminal = waiting.popleft()
                self._begin(terminal)
                shaking.append(terminal)
            self._turn(_LOOK_NS)
            shaking = [terminal for terminal in shaking if not terminal.client.up]
        return (time.monotonic_ns() - began) / _S

    def pump(self) -> None:
        """Takes what the broker sends meanwhile, without waiting."""
        self._turn(0)

    def carry(self, load: Sequence[Due], timeout_s: float, *, blind: bool = False) -> Outcome:
        """Sends `load` (ordered by time, which counts from now) and waits for every receipt.

        `blind` awaits none: it is for a consumer that gives none. Raises NotDrained.
        """
        began = time.monotonic_ns()
        self._outcome, self._blind = Outcome(), blind
        self._unreceipted = 0 if blind else len(load)
        place, deadline = 0, began + round(timeout_s * _S)
        while place < len(load) or self._unreceipted or (blind and self._is_writing()):
            now = time.monotonic_ns()
            if now > deadline:
                raise NotDrained(f"{self._unreceipted} of {len(load)} batches have no receipt")
            while place < len(load) and began + load[place].due_ns <= now:
                due = load[place]
                place += 1
                self._arrive(Due(due.batch, began + due.due_ns), now)
            wait = _LOOK_NS
            if place < len(load):
                wait = min(wait, began + load[place].due_ns - time.monotonic_ns())
            self._turn(max(0, wait))
        return self._outcome

    def _is_writing(self) -> bool:
        return any(terminal.client.is_writing for terminal in self._terminals.values())

    def _arrive(self, due: Due, now: int) -> None:
        self._outcome.late_ns.append(now - due.due_ns)
        terminal = self._terminals[due.batch.terminal]
        terminal.queue.append(due)
        self._send(terminal)

    def _send(self, terminal: Terminal) -> None:
        client = terminal.client
        while terminal.queue and client.up and (self._blind or len(terminal.flights) < WINDOW):
            due = terminal.queue.popleft()
            if not self._blind:
                now = time.monotonic_ns()
                if not terminal.flights:
                    terminal.resend_at_ns = now + terminal.patience.wait_ns
                terminal.flights[due.batch.digest] = due
                terminal.sent_ns[due.batch.digest] = now
            self._outcome.sent += 1
            self._publish(terminal, due)

    def _publish(self, terminal: Terminal, due: Due) -> None:
        try:
            terminal.client.publish(due.batch.message)
        except OSError:
            self._fall(terminal)

    def _send_again(self, terminal: Terminal) -> None:
        terminal.resend_at_ns = time.monotonic_ns() + terminal.patience.wait_ns
        for due in list(terminal.flights.values()):
            if terminal.client.up:
                terminal.sent_ns[due.batch.digest] = None
                self._outcome.resent += 1
                self._publish(terminal, due)

    def _turn(self, wait_ns: int) -> None:
        for descriptor, _ in self._poll.poll(0 if self._owing else wait_ns / _S):
            if (terminal := self._by_descriptor.get(descriptor)) is not None:
                self._work(terminal)
        for _ in range(min(_ACKNOWLEDGED_AT_ONCE, len(self._owing))):
            terminal = self._owing.popleft()
            try:
                terminal.client.flush()
            except OSError:
                self._fall(terminal)
        now = time.monotonic_ns()
        if now - self._looked_ns >= _LOOK_NS:
            self._looked_ns = now
            self._look(now)

    def _work(self, terminal: Terminal) -> None:
        client = terminal.client
        try:
            client.work()
        except OSError:
            self._fall(terminal)
            return
        if client.up and not terminal.was_up:
            self._rise(terminal)
        if client.up and client.is_writing:
            self._owing.append(terminal)

    def _rise(self, terminal: Terminal) -> None:
        if terminal.failures:
            self._outcome.back_ns.append(time.monotonic_ns())
        terminal.was_up, terminal.failures = True, 0
        terminal.patience.anew()
        self._send_again(terminal)
        self._send(terminal)

    def _fall(self, terminal: Terminal) -> None:
        """The line broke: close, and come back after the product's own delay."""
        if terminal.was_up:
            self._outcome.falls += 1
        self._by_descriptor.pop(terminal.client.descriptor, None)
        terminal.client.close()
        terminal.was_up = False
        terminal.failures += 1
        delay_s = self._backoff.delay_s(terminal.failures, self._chance)
        at = time.monotonic_ns() + round(delay_s * _S)
        heapq.heappush(self._reconnects, (at, terminal.client.terminal))

    def _begin(self, terminal: Terminal) -> None:
        terminal.client.connect()
        self._by_descriptor[terminal.client.descriptor] = terminal

    def _look(self, now: int) -> None:
        while self._reconnects and self._reconnects[0][0] <= now:
            terminal = self._terminals[heapq.heappop(self._reconnects)[1]]
            try:
                self._begin(terminal)
            except OSError:
                self._fall(terminal)
        for terminal in self._terminals.values():
            if terminal.flights and terminal.client.up and terminal.resend_at_ns <= now:
                terminal.patience.silent()
                self._send_again(terminal)

    def _hearer(self, name: TerminalId) -> Callable[[str, bytes], None]:
        def heard(topic: str, payload: bytes) -> None:
            if topic.endswith("/receipt"):
                self._receipted(self._terminals[name], payload)

        return heard

    def _receipted(self, terminal: Terminal, payload: bytes) -> None:
        now, outcome = time.monotonic_ns(), self._outcome
        if len(outcome.envelopes) < RECEIPTS_KEPT:
            outcome.envelopes.append(payload)
        receipt = read_receipt(payload)
        outcome.verdicts[receipt.verdict] = outcome.verdicts.get(receipt.verdict, 0) + 1
        due = terminal.flights.get(receipt.batch)
        if due is None or receipt.leaf is None:
            return  # of a duplicate whose first receipt came, or a gap: what was lost comes again
        del terminal.flights[receipt.batch]
        self._unreceipted -= 1
        sent_ns = terminal.sent_ns.pop(receipt.batch)
        terminal.patience.receipted(None if sent_ns is None else now - sent_ns)
        terminal.resend_at_ns = now + terminal.patience.wait_ns
        outcome.receipts.append((due.due_ns, now, due.batch.events))
        self._send(terminal)


def read_receipt(payload: bytes) -> Receipt:
    """A receipt, its signature not looked at."""
    return Receipt.from_bytes(decode_base64(Envelope.from_bytes(payload).payload))


def spread(batches: Iterable[Signed], rate: float) -> list[Due]:
    """Due evenly, so that `rate` events fall due in each second; all at once for a rate of 0."""
    at, load = 0.0, []
    for batch in batches:
        load.append(Due(batch, round(at * _S)))
        at += batch.events / rate if rate else 0.0
    return load
