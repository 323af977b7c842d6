"""Ships the journal: batches out, receipts in (DESIGN §7.2).

Nothing is forgotten on a broker's word.

- A batch is cut when it can be sent, stored before its first publish and resent byte for byte.
- At most `WINDOW` batches are without receipt at a time; a gap voids what was sent before it was
  heard of, as a new link does. Whatever is not receipted is sent again:
  when the link comes up, when a receipt names a gap, and when no receipt came for a while
  (`resending`).
- Accepted or duplicate: kept as receipted. Gap: sent again from the sequence wanted. Fork:
  shipping stops and the owner is told; he calls `begin_anew` when no tap is under way, and the new
  journal names the old head.
- A receipt that is not signed, not ours or not about a batch of ours changes nothing and is an
  alarm.

It speaks one port, `Publish`; the link gives it while it stands.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from contract.events import AlarmCode
from contract.ids import Digest
from contract.journal import MAX_BATCH_EVENTS, Receipt, Verdict
from contract.signing import Envelope, SignatureRefused, Signer, sha256
from contract.wire import WireError
from firmware_py.evidence import batches, journal_store
from firmware_py.evidence.alarms import Alarms
from firmware_py.evidence.batches import Author, Batch
from firmware_py.evidence.checkpoints import Checkpoints, Doubt, LogTrust
from firmware_py.evidence.committer import CommitFailed, Connection
from firmware_py.evidence.journal import Journal, JournalFailed, Written
from firmware_py.evidence.resending import Patience
from runtime.clock import Clock
from runtime.mqtt import LinkError
from runtime.supervisor import first_of

_log: Final = logging.getLogger(__name__)
_MS: Final = 1_000_000

WINDOW: Final = 4
GATHER_NS: Final = 20 * _MS
"""A lone event waits so long for company: a tap's events follow each other within it."""
MORE_NS: Final = 1000 * _MS
"""... and so long when its appender said that more follows: a card computes for up to 0.7 s."""
# The window allows four answers at a time; a peer that sends more is cut off, the resend heals.
MAX_WAITING_RECEIPTS: Final = 256

Publish = Callable[[bytes], Awaitable[None]]
"""Sends one batch message.

Returns at the broker's PUBACK, which proves nothing; raises LinkError.
"""


class Shipper:
    """Ships one terminal's journal. `run` is its task; everything else is called in the loop."""

    def __init__(
        self,
        journal: Journal,
        signer: Signer,
        trust: LogTrust,
        checkpoints: Checkpoints,
        alarms: Alarms,
        clock: Clock,
        on_fork: Callable[[], None],
        doubt: Doubt | None = None,
    ) -> None:
        self._doubt = doubt or alarms.sound
        self.batches_sent = 0
        """Messages published, resends counted."""
        self._journal = journal
        self._signer = signer
        self._trust = trust
        self._checkpoints = checkpoints
        self._alarms = alarms
        self._clock = clock
        self._on_fork = on_fork
        self._publish: Publish | None = None
        self._bug: BaseException | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._receipts: deque[Receipt] = deque()
        self._wake = asyncio.Event()
        self._gather_until_ns: int | None = None
        self._more = False
        self._patience = Patience()
        self._sent_ns: dict[Digest, int | None] = {}  # of `_open`; None: sent more than once
        self._resend_at_ns: int | None = None
        self._ordinal: int | None = None  # of the journal that the following describe
        self._durable = 0
        self._cut = 0
        self._open: dict[int, Batch] = {}  # without receipt, by first sequence
        self._queue: deque[Batch] = deque()  # of these, to be sent in this order
        self._flights: dict[Digest, Batch] = {}  # of these, sent
        self._rewound_to: int | None = None
        self._forked = False
        self._forked_by: Digest | None = None
        journal.on_grown = self._grown

    @property
    def unshipped(self) -> int:
        """Events of the open journal that no receipt covers yet."""
        waiting = sum(batch.next - batch.first for batch in self._open.values())
        return self._journal.next_sequence - self._cut + waiting

    @property
    def forked(self) -> bool:
        """Whether shipping stands still until `begin_anew`."""
        return self._forked

    def connected(self, publish: Publish) -> None:
        """The link stands: what has no receipt is sent, the oldest first."""
        self._publish = publish
        self._patience.anew()
        self._send_all_again()
        self._wake.set()

    def disconnected(self) -> None:
        self._publish = None
        self._resend_at_ns = None

    def hurry(self) -> None:
        """The site is heard again after a silence: no need to wait for the next resend."""
        self._patience.anew()
        if self._resend_at_ns is not None:
            self._resend_at_ns = self._clock.monotonic_ns()
            self._wake.set()

    def reload(self) -> None:
        """Reads anew what has no receipt: somebody took receipts back (`retention`)."""
        self._ordinal = None
        self._wake.set()

    def follow(self, trust: LogTrust) -> None:
        """The site has another log key; whatever is without receipt is asked for again."""
        self._trust = trust
        self.hurry()

    def receive(self, payload: bytes) -> None:
        """A message from our receipt topic."""
        try:
            envelope = Envelope.from_bytes(payload)
            if self._is_strange(envelope, sha256(payload)):
                return
            receipt = Receipt.open(envelope, self._trust.key)
            self._require_ours(receipt)
        except (WireError, SignatureRefused) as error:
            self._alarms.sound(AlarmCode.RECEIPT_REFUSED, sha256(payload), str(error))
            return
        if len(self._receipts) < MAX_WAITING_RECEIPTS:
            self._receipts.append(receipt)
            self._wake.set()

    def begin_anew(self, software: str) -> Written:
        """Answers a fork: a new journal that names the old head, and the alarm in it.

        What the old one had not delivered stays on this disk. Raises JournalFailed.
        """
        written = self._journal.begin_anew(software)
        subject, self._forked, self._forked_by = self._forked_by, False, None
        self._alarms.sound(AlarmCode.JOURNAL_FORKED, subject, "the site knows another history")
        self._wake.set()
        return written

    async def run(self) -> None:
        """Until cancelled. A failed journal makes it wait until the journal was reopened."""
        try:
            while True:
                self._wake.clear()
                if self._bug is not None:
                    raise self._bug
                try:
                    await self._turn()
                except (JournalFailed, CommitFailed) as error:
                    _log.warning("shipping waits for the journal", extra={"reason": str(error)})
                    await self._wake.wait()
                    continue
                await self._pause()
        finally:
            for task in self._sending:
                task.cancel()

    # --- what happened ----------------------------------------------------------------------

    def _grown(self, durable: int, more: bool) -> None:  # noqa: FBT001 - the journal's callback
        self._durable = durable
        more, self._more = self._more, more
        if more or self._gather_until_ns is None:
            self._gather_until_ns = self._clock.monotonic_ns() + GATHER_NS
        self._wake.set()

    def _is_strange(self, envelope: Envelope, subject: Digest) -> bool:
        """Whether another key signed it.

        The one before: the batch is sent again, and that heals. Anybody else's: a doubt.
        """
        trust, signed_by = self._trust, envelope.key_id
        if signed_by == trust.key.key_id:
            return False
        if trust.before is None or signed_by != trust.before.key_id:
            self._doubt(AlarmCode.RECEIPT_REFUSED, subject, "signed by another key")
        return True

    def _require_ours(self, receipt: Receipt) -> None:
        trust = self._trust
        if (receipt.site, receipt.terminal) != (trust.site, self._journal.terminal):
            raise WireError("a receipt for somebody else")
        if receipt.epoch != trust.epoch:
            raise WireError("a receipt of another log")

    # --- a turn -----------------------------------------------------------------------------

    async def _turn(self) -> None:
        if self._ordinal != self._journal.ordinal:
            await self._take_up()
        while self._receipts:
            await self._settle(self._receipts.popleft())
        if self._resend_at_ns is not None and self._clock.monotonic_ns() >= self._resend_at_ns:
            self._patience.silent()
            self._send_all_again()
        while len(self._flights) < WINDOW and (batch := await self._next_batch()):
            await self._send(batch)

    async def _take_up(self) -> None:
        """Reads how far the open journal has been cut, sent and judged."""
        ordinal = self._journal.ordinal

        def read(connection: Connection) -> tuple[int, int, list[Batch], Digest | None]:
            return (
                journal_store.next_sequence(connection, ordinal),
                batches.next_uncut(connection, ordinal),
                batches.unreceipted(connection, ordinal),
                batches.forked(connection, ordinal),
            )

        durable, self._cut, waiting, fork = await self._journal.run(read)
        self._durable = max(durable, self._durable if self._ordinal == ordinal else 0)
        self._ordinal, self._gather_until_ns, self._more = ordinal, None, False
        self._open = {batch.first: batch for batch in waiting}
        self._sent_ns.clear()
        self._send_all_again()
        if fork is not None:
            self._stop_at_fork(fork)

    def _send_all_again(self) -> None:
        self._flights.clear()
        self._queue = deque(self._open.values())
        self._rewound_to = None
        self._resend_at_ns = None

    async def _next_batch(self) -> Batch | None:
        if self._publish is None or self._forked:
            return None
        while self._queue:
            batch = self._queue.popleft()
            if batch.first in self._open:
                return batch
        if not self._may_cut():
            return None
        self._gather_until_ns = None
        author = Author(
            self._journal.terminal, self._journal.id, self._journal.ordinal, self._signer
        )
        held = self._checkpoints.held

        def job(connection: Connection) -> Batch | None:
            if held is not None:
                held.save(connection)
            return batches.cut(connection, author, held.checkpoint.holds if held else None)

        new = await self._journal.run(job)
        if new is not None:
            self._cut = new.next
            self._open[new.first] = new
        return new

    def _may_cut(self) -> bool:
        uncut = self._durable - self._cut
        if uncut <= 0 or self._ordinal != self._journal.ordinal:
            return False
        return uncut >= MAX_BATCH_EVENTS or self._clock.monotonic_ns() >= self._cut_at_ns()

    def _cut_at_ns(self) -> int:
        if self._gather_until_ns is None:
            return 0
        return self._gather_until_ns + (MORE_NS if self._more else 0)

    async def _send(self, batch: Batch) -> None:
        payload = await self._journal.run(lambda c: batches.message(c, batch))
        publish = self._publish
        if publish is None:  # the link fell meanwhile; `connected` queues it again
            return
        self._flights[batch.digest] = batch
        now = self._clock.monotonic_ns()
        self._sent_ns[batch.digest] = None if batch.digest in self._sent_ns else now
        if self._resend_at_ns is None:
            self._resend_at_ns = now + self._patience.wait_ns
        self.batches_sent += 1
        task = asyncio.ensure_future(_quietly(publish(payload)))
        self._sending.add(task)
        task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._bug = error
            self._wake.set()

    async def _pause(self) -> None:
        deadlines = [] if self._resend_at_ns is None else [self._resend_at_ns]
        cutting = self._publish is not None and not self._forked
        if cutting and self._durable > self._cut and len(self._flights) < WINDOW:
            deadlines.append(self._cut_at_ns())
        if deadlines:
            await first_of(self._wake.wait(), self._clock.sleep_until(min(deadlines)))
        else:
            await self._wake.wait()

    # --- receipts ---------------------------------------------------------------------------

    async def _settle(self, receipt: Receipt) -> None:
        batch = self._flights.get(receipt.batch)
        if batch is None:
            batch = await self._find(receipt.batch)
        if batch is None or not _fits(receipt, batch):
            self._alarms.sound(AlarmCode.RECEIPT_REFUSED, receipt.batch, "not about our batch")
            return
        match receipt.verdict:
            case Verdict.ACCEPTED | Verdict.DUPLICATE:
                await self._delivered(batch, receipt)
            case Verdict.GAP if batch.ordinal == self._ordinal:
                await self._rewind(receipt.next)
            case Verdict.FORK if batch.ordinal == self._ordinal and not self._forked:
                await self._mark(batch, receipt, lazy=False)
                self._stop_at_fork(batch.digest)
            case _:
                pass  # about a journal that is closed

    async def _find(self, digest: Digest) -> Batch | None:
        return await self._journal.run(lambda c: batches.find(c, digest))

    async def _delivered(self, batch: Batch, receipt: Receipt) -> None:
        self._flights.pop(batch.digest, None)
        now, sent_ns = self._clock.monotonic_ns(), self._sent_ns.pop(batch.digest, None)
        self._patience.receipted(None if sent_ns is None else now - sent_ns)
        self._resend_at_ns = now + self._patience.wait_ns if self._flights else None
        if batch.ordinal != self._ordinal or self._open.pop(batch.first, None) is not None:
            await self._mark(batch, receipt, lazy=True)

    async def _mark(self, batch: Batch, receipt: Receipt, *, lazy: bool) -> None:
        now_ms = self._clock.wall_ms()
        marked = self._journal.run(lambda c: batches.mark(c, batch, receipt, now_ms), lazy=lazy)
        if not lazy:
            await marked

    async def _rewind(self, wanted: int) -> None:
        """The site lacks something: sends again from there."""
        if wanted == self._rewound_to:  # late answers to what was sent before say the same
            return
        ordinal = self._journal.ordinal
        waiting = await self._journal.run(lambda c: batches.unmark_from(c, ordinal, wanted))
        if waiting is None:
            self._alarms.sound(AlarmCode.INCLUSION_UNPROVEN, None, f"event {wanted} is not kept")
            self._stop_at_fork(None)
            return
        self._open = {batch.first: batch for batch in waiting}
        self._send_all_again()
        self._rewound_to = wanted

    def _stop_at_fork(self, digest: Digest | None) -> None:
        self._forked, self._forked_by = True, digest
        self._flights.clear()
        self._resend_at_ns = None
        self._on_fork()


def _fits(receipt: Receipt, batch: Batch) -> bool:
    match receipt.verdict:
        case Verdict.ACCEPTED | Verdict.DUPLICATE:
            return receipt.leaf is not None and receipt.next >= batch.next
        case Verdict.GAP:
            return receipt.next < batch.first
        case Verdict.FORK:
            return True


async def _quietly(sending: Awaitable[None]) -> None:
    try:
        await sending
    except LinkError as error:
        _log.debug("a batch was not taken; it is sent again", extra={"reason": str(error)})
