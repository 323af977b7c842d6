"""The gateway's own journal: operators' acts, alarms, starts, in the same form as a terminal's.

Its batches are signed by the statement key and go through the same judgement.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from contract.events import ClockTrust, Detail, Event
from contract.ids import BootId, Digest, JournalId, TerminalId
from contract.journal import BatchStatement, Head
from contract.signing import Envelope, Signer, sha256
from contract.topics import GATEWAY
from runtime.clock import Clock

SELF: Final = TerminalId(GATEWAY)


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened, as this machine's clocks had it."""

    boot: BootId
    monotonic_ms: int
    wall_ms: int

    @classmethod
    def of(cls, clock: Clock) -> Moment:
        boot = BootId(uuid.UUID(clock.boot_id).hex)
        return cls(boot, clock.monotonic_ns() // 1_000_000, clock.wall_ms())


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch whose signature and bodies were checked; `line` is its envelope, byte for byte."""

    statement: BatchStatement
    digest: Digest
    line: bytes
    bodies: tuple[bytes, ...]


class OwnJournal:
    """Writes events of terminal `gateway`. The gateway is where site time comes from."""

    def __init__(self, journal: JournalId, signer: Signer) -> None:
        self.id = journal
        self._signer = signer

    def batch(self, head: Head, details: Sequence[Detail], now: Moment) -> Batch:
        """The batch that continues the journal at `head` with an event for each detail."""
        bodies = tuple(
            self._event(head.next + i, detail, now).to_bytes() for i, detail in enumerate(details)
        )
        statement = BatchStatement(
            terminal=SELF,
            journal=self.id,
            first=head.next,
            previous=head.chain,
            events=tuple(sha256(body) for body in bodies),
            holds=None,
        )
        envelope: Envelope = statement.seal(self._signer)
        return Batch(statement, envelope.digest, envelope.to_bytes(), bodies)

    def _event(self, sequence: int, detail: Detail, now: Moment) -> Event:
        return Event(
            terminal=SELF,
            journal=self.id,
            sequence=sequence,
            boot=now.boot,
            monotonic_ms=now.monotonic_ms,
            wall_ms=now.wall_ms,
            clock=ClockTrust.SITE,
            salt=secrets.token_hex(16),
            detail=detail,
        )
