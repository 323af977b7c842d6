"""The newest checkpoint this terminal has accepted: the log only ever grows (DESIGN §7.4).

- A checkpoint is believed once the log key's note holds and a proof connects it to the one held.
- A broadcast proves its step from the last broadcast; who holds another one asks for his own proof.
- One that is not a continuation is refused and alarmed; the one held stays. No dispute about the
  log stops sign-on.
- It is made durable with each batch that names it (`holds`), and at the end: never a flush of its
  own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from contract.checkpoint import Checkpoint, CheckpointMessage, open_checkpoint
from contract.events import AlarmCode
from contract.ids import Digest, SiteId
from contract.signing import SignatureRefused, VerifyKey, sha256
from contract.tree import ProofRefused, verify_consistency
from contract.wire import WireError, decode_base64
from firmware_py.evidence.alarms import Alarms
from firmware_py.evidence.committer import Connection
from firmware_py.evidence.journal import Journal
from firmware_py.fetch import FetchFailed

_log: Final = logging.getLogger(__name__)
# A gateway that cannot prove its own log is asked again so seldom that nobody notices.
ASK_AGAIN_NS: Final = 5 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class LogTrust:
    """Whose receipts and checkpoints are believed: from the key statement."""

    site: SiteId
    epoch: int
    """The log epoch."""
    key: VerifyKey
    before: VerifyKey | None = None
    """The key that this one replaced in the same log: of what is held, never of anything new."""


@dataclass(frozen=True, slots=True)
class Held:
    """A checkpoint with the note that makes it believable to others (a QR code, a witness)."""

    checkpoint: Checkpoint
    note: str

    def save(self, connection: Connection) -> None:
        """In the journal's database, in the caller's transaction."""
        connection.execute(
            "INSERT INTO checkpoint (one, note) VALUES (1, ?) "
            "ON CONFLICT (one) DO UPDATE SET note = excluded.note",
            (self.note,),
        )


class Step(StrEnum):
    """What a message is to somebody who holds a checkpoint."""

    TAKE = "take"
    SAME = "same"
    OLD = "old"
    """Smaller than the one held; says nothing without a proof, and nobody needs it."""
    ASK = "ask"
    """Its proof starts elsewhere."""


def open_note(note: str, trust: LogTrust) -> Held:
    """Raises WireError or SignatureRefused."""
    return Held(open_checkpoint(note, trust.site, trust.epoch, trust.key), note)


def judge(held: Checkpoint | None, message: CheckpointMessage, new: Checkpoint) -> Step:
    """Pure.

    `new` is what `message` says, its signature verified. Raises ProofRefused when the log was
    rewritten.
    """
    if held is None:
        return Step.TAKE
    if new.size < held.size:
        return Step.OLD
    if new.size == held.size:
        if new.root != held.root:
            raise ProofRefused("two roots for one size")
        return Step.SAME
    if message.since != held.size:
        return Step.ASK
    proof = tuple(decode_base64(step) for step in message.consistency)
    verify_consistency(held.size, held.root, new.size, new.root, proof)
    return Step.TAKE


async def load(journal: Journal, trust: LogTrust) -> Held | None:
    """What was held before a restart.

    None also where it was of another log epoch: the root has declared the new one.
    """

    def read(connection: Connection) -> str | None:
        row = connection.execute("SELECT note FROM checkpoint").fetchone()
        return None if row is None else str(row[0])

    note = await journal.run(read)
    if note is None:
        return None
    why = ""
    for key in (trust.key, trust.before):
        try:
            if key is not None:
                return open_note(note, replace(trust, key=key))
        except (WireError, SignatureRefused) as error:
            why = str(error)
    _log.warning("the checkpoint held before is of another log", extra={"why": why})
    return None


Doubt = Callable[[AlarmCode, Digest, str], None]
"""Hears of what another key signed: an alarm, or the site has new keys (``Custody.doubt``)."""
Ask = Callable[[int], Awaitable[CheckpointMessage]]
"""Asks the gateway for its newest checkpoint with the proof from this size on.

Raises FetchFailed.
"""


class Checkpoints:
    """Holds one checkpoint and connects each newer one to it."""

    def __init__(
        self,
        trust: LogTrust,
        alarms: Alarms,
        now_ns: Callable[[], int],
        ask: Ask,
        held: Held | None = None,
        doubt: Doubt | None = None,
    ) -> None:
        """`held` is what was held before a restart (`load`)."""
        self._doubt = doubt or alarms.sound
        self._trust = trust
        self._held = held
        self._alarms = alarms
        self._now_ns = now_ns
        self._ask = ask
        self._asking: asyncio.Task[None] | None = None
        self._ask_after_ns = 0

    @property
    def held(self) -> Held | None:
        return self._held

    def follow(self, trust: LogTrust) -> None:
        """The site has another log key. Of the same log: what is held stays, and must go on."""
        if trust.epoch != self._trust.epoch:
            self._held = None
        self._trust = trust

    def receive(self, payload: bytes) -> None:
        """A message from the checkpoint topic."""
        try:
            message = CheckpointMessage.from_bytes(payload)
        except WireError as error:
            self._alarms.sound(AlarmCode.STATEMENT_REFUSED, sha256(payload), str(error))
            return
        if self.take(message) is Step.ASK:
            self._ask_in_the_background()

    def take(self, message: CheckpointMessage) -> Step | None:
        """Accepts `message` if it continues what is held; None when it was refused and alarmed."""
        held = None if self._held is None else self._held.checkpoint
        subject = sha256(message.note.encode())
        try:
            new = open_note(message.note, self._trust)
            step = judge(held, message, new.checkpoint)
        except SignatureRefused as error:
            self._doubt(AlarmCode.STATEMENT_REFUSED, subject, str(error))
            return None
        except WireError as error:
            # Of a later log epoch: only the root's word can say whether there is one.
            later = message.epoch > self._trust.epoch
            sound = self._doubt if later else self._alarms.sound
            sound(AlarmCode.STATEMENT_REFUSED, subject, str(error))
            return None
        except ProofRefused as error:
            self._alarms.sound(AlarmCode.CHECKPOINT_INCONSISTENT, subject, str(error))
            return None
        if step is Step.TAKE:
            self._held = new
        return step

    def _ask_in_the_background(self) -> None:
        now_ns = self._now_ns()
        if self._asking is not None or now_ns < self._ask_after_ns or self._held is None:
            return
        self._ask_after_ns = now_ns + ASK_AGAIN_NS
        self._asking = asyncio.ensure_future(self._connect(self._held.checkpoint.size))
        self._asking.add_done_callback(self._asked)

    async def _connect(self, since: int) -> None:
        try:
            message = await self._ask(since)
        except FetchFailed:
            return  # the gateway is away; the next broadcast asks again
        if self.take(message) is not None:
            self._ask_after_ns = 0

    def _asked(self, task: asyncio.Task[None]) -> None:
        self._asking = None
        if not task.cancelled() and (error := task.exception()):
            raise error
