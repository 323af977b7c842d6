"""Batches from the broker: verified, judged in groups, receipted.

One thread beside the event loop does all of it: checks signatures, writes, seals receipts. (A
second one was slower by a quarter: threads that pass the interpreter to each other at every
signature wait for it longer than a signature takes.) Whatever waits when a turn begins goes into
one transaction, up to `GROUP`: alone a batch does not wait, under load the flushes are shared.
Everything is bounded; what does not fit stays with the terminal, which resends what is not
receipted. What comes again meanwhile costs a digest (`repeats`).

Bad input is refused: counted, logged once, an alarm in the gateway's own journal, no receipt.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from contract.events import Alarm, AlarmCode, Detail, Event
from contract.ids import Digest, TerminalId
from contract.journal import MAX_BATCH_BYTES, BatchStatement, Verdict, require_bodies, split_lines
from contract.signing import Envelope, SignatureRefused, sha256
from contract.wire import WireError
from gateway.directory.register import IsRetired, NotRegistered, Register, Registered
from gateway.evidence.journal import Batch, Moment
from gateway.evidence.keeping import Evidence, NotItsJournal, Ruling
from gateway.link.repeats import Key, Repeats
from gateway.store import LateRow, StoreFailed
from runtime.clock import Clock
from runtime.logs import Trouble

_log: Final = logging.getLogger(__name__)
# A commit's flush is shared by this many batches; beyond it there is little left to gain.
GROUP: Final = 40
# Messages between the link and the thread: the link's own inbox holds the rest.
_WAITING: Final = 4 * GROUP
# One alarm a terminal in this time: the journal shall tell of bad input, not be filled by it.
ALARM_EVERY_MS: Final = 60_000
# A database that failed is left alone for a moment.
_RETRY_NS: Final = 500_000_000

Receipts = Sequence[tuple[TerminalId, Envelope]]


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message on a terminal's audit topic; the broker vouches for the terminal's name."""

    terminal: TerminalId
    payload: bytes
    subject: Digest = field(init=False, repr=False)
    """The digest of the message."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "subject", sha256(self.payload))

    @property
    def key(self) -> Key:
        """By which it is known again."""
        return self.terminal, self.subject


@dataclass(frozen=True, slots=True)
class _Sealed:
    """What is answered to a message."""

    incoming: Incoming
    in_log: bool
    receipt: Envelope


@dataclass(frozen=True, slots=True)
class Refusal:
    """Input that is not to be believed. `subject` is the digest of the message."""

    terminal: TerminalId
    reason: str
    subject: Digest


@dataclass(slots=True)
class Counts:
    """Since the start; for /healthz."""

    batches: Counter[Verdict] = field(default_factory=Counter)
    events: int = 0
    repeats: int = 0
    """Messages that came again and were not looked at."""
    refused: int = 0
    failed_commits: int = 0


def verify(incoming: Incoming, register: Register) -> Batch:
    """The batch in a message: signed by the terminal on whose topic it came, every body in place.

    Raises WireError, SignatureRefused or NotRegistered. Pure but for the register it reads.
    """
    return _signed_by(register.active(incoming.terminal), incoming)


def _signed_by(terminal: Registered, incoming: Incoming) -> Batch:
    envelope, bodies = split_lines(incoming.payload, MAX_BATCH_BYTES)
    statement = BatchStatement.open(envelope, terminal.key)
    if statement.terminal != incoming.terminal:
        raise SignatureRefused("the batch names another terminal than its topic")
    require_bodies(bodies, statement.events, Event.CAP)
    # An envelope has one spelling: these are the bytes it was parsed from.
    line = incoming.payload.partition(b"\n")[0]
    return Batch(statement, sha256(line), line, bodies)


class Ingest:
    """From `offer` to `receipted`; lives in the event loop, works in a thread of its own."""

    def __init__(
        self,
        evidence: Evidence,
        register: Register,
        clock: Clock,
        receipted: Callable[[Receipts], None],
    ) -> None:
        self._evidence = evidence
        self._register = register
        self._clock = clock
        self._receipted = receipted
        self._incoming: asyncio.Queue[Incoming] = asyncio.Queue(_WAITING)
        self._storing = Trouble(_log, "writing evidence")
        self._repeats = Repeats()
        self._bad: dict[TerminalId, Trouble] = {}
        self._alarm_due_ms: dict[TerminalId, int] = {}
        self._alarms: list[Detail] = []
        self._late: list[LateRow] = []
        self._writing_since_ns: int | None = None
        self.counts = Counts()

    def stalled(self, within_s: float) -> bool:
        """Whether a write has been under way for longer: a disk or thread that hangs."""
        since = self._writing_since_ns
        return since is not None and self._clock.monotonic_ns() - since > within_s * 1e9

    async def offer(self, terminal: TerminalId, payload: bytes) -> None:
        """Waits while the queue is full; meanwhile the link's inbox fills, and then discards."""
        incoming = Incoming(terminal, payload)
        if (receipt := self._told(incoming)) is not None:
            self.counts.repeats += 1
            self._receipted([(terminal, receipt)])
        elif self._repeats.waits(incoming.key):
            self.counts.repeats += 1  # its receipt comes
        else:
            await self._incoming.put(incoming)

    def _told(self, incoming: Incoming) -> Envelope | None:
        receipt = self._repeats.told(incoming.key)
        if receipt is None:
            return None
        try:
            self._register.active(incoming.terminal)
        except NotRegistered:
            return None  # retired since: judged as whatever else it sends
        return receipt

    async def run(self) -> None:
        """For ever. Raises what is a bug of ours, or a damaged database."""
        with ThreadPoolExecutor(1, thread_name_prefix="ingest") as thread:
            while True:
                group = [] if self._alarms or self._late else await self._waiting()
                self._writing_since_ns = self._clock.monotonic_ns()
                # What is kept here is touched by one of the two at a time: the loop waits.
                try:
                    sealed = await self._judged(thread, group)
                except StoreFailed as error:
                    # No receipt: the terminals keep these batches and send them again.
                    self._storing.failed(str(error))
                    self.counts.failed_commits += 1
                    self._writing_since_ns = None
                    await self._clock.sleep_until(self._clock.monotonic_ns() + _RETRY_NS)
                else:
                    self._writing_since_ns = None
                    self._receipted([(one.incoming.terminal, one.receipt) for one in sealed])

    async def _judged(self, thread: ThreadPoolExecutor, group: list[Incoming]) -> list[_Sealed]:
        """Has a group worked off. From then on, whatever came of it, none of it waits."""
        try:
            sealed = await asyncio.get_running_loop().run_in_executor(thread, self._work, group)
        finally:
            for incoming in group:
                self._repeats.over(incoming.key)
        for one in sealed:
            if one.in_log:
                self._repeats.tell(one.incoming.key, one.receipt)
        return sealed

    async def _waiting(self) -> list[Incoming]:
        """Waits for one, and takes what else is there, up to a group."""
        group = [await self._incoming.get()]
        while len(group) < GROUP and not self._incoming.empty():
            group.append(self._incoming.get_nowait())
        return group

    def _work(self, group: list[Incoming]) -> list[_Sealed]:
        """In the thread: a group, from messages to sealed receipts. Raises StoreFailed."""
        believed: list[Incoming] = []
        batches: list[Batch] = []
        for incoming in group:
            try:
                batches.append(verify(incoming, self._register))
            except IsRetired as error:
                self._keep_apart(error.terminal, incoming)
            except (WireError, SignatureRefused, NotRegistered) as error:
                self._refuse(Refusal(incoming.terminal, str(error), incoming.subject))
            else:
                believed.append(incoming)
        if self._late:
            self._evidence.keep_apart(self._late, Moment.of(self._clock))
            self._late = []
        alarms, self._alarms = self._alarms, []
        if not (batches or alarms):
            return []
        try:
            rulings = self._evidence.append(batches, Moment.of(self._clock), alarms)
        except StoreFailed:
            self._alarms = alarms
            raise
        self._storing.over()
        for ruling in rulings:
            self._count(ruling)
        return [
            _Sealed(incoming, ruling.leaf is not None, self._evidence.receipt(ruling))
            for incoming, ruling in zip(believed, rulings, strict=True)
            if isinstance(ruling, Ruling)
        ]

    def _keep_apart(self, terminal: Registered, incoming: Incoming) -> None:
        """What was queued when its terminal was retired is believed to be its own, and no more."""
        try:
            batch = _signed_by(terminal, incoming)
        except (WireError, SignatureRefused) as error:
            self._refuse(Refusal(incoming.terminal, str(error), sha256(incoming.payload)))
            return
        self._refuse(Refusal(incoming.terminal, "the terminal is retired", batch.digest))
        now_ms = self._clock.wall_ms()
        self._late.append(LateRow(batch.digest, incoming.terminal, now_ms, incoming.payload))

    def _count(self, ruling: Ruling | NotItsJournal) -> None:
        statement = ruling.batch.statement
        if isinstance(ruling, NotItsJournal):
            reason = "the journal is another terminal's"
            self._refuse(Refusal(statement.terminal, reason, ruling.batch.digest))
            return
        self.counts.batches[ruling.verdict] += 1
        match ruling.verdict:
            case Verdict.ACCEPTED:
                self.counts.events += len(statement.events)
                if bad := self._bad.pop(statement.terminal, None):
                    bad.over()
            case Verdict.FORK:
                _log.error(
                    "a journal forked",
                    extra={"terminal": statement.terminal, "journal": statement.journal},
                )
            case Verdict.GAP | Verdict.DUPLICATE:
                pass

    def _refuse(self, refusal: Refusal) -> None:
        """Counts, logs the first in a row, and has an alarm written now and then."""
        self.counts.refused += 1
        terminal = refusal.terminal
        what = f"a batch of terminal {terminal}"
        self._bad.setdefault(terminal, Trouble(_log, what)).failed(refusal.reason)
        now_ms = self._clock.monotonic_ns() // 1_000_000
        if self._alarm_due_ms.get(terminal, 0) <= now_ms and len(self._alarms) < GROUP:
            self._alarm_due_ms[terminal] = now_ms + ALARM_EVERY_MS
            self._alarms.append(Alarm(code=AlarmCode.PEER_REFUSED, subject=refusal.subject))
