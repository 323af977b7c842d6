"""Journal, batch, receipt: chained events and the gateway's judgement of them (DESIGN §7).

- Chain: c₀ = SHA-256(CHAIN_DOMAIN ‖ journal id), cᵢ₊₁ = SHA-256(cᵢ ‖ SHA-256(eventᵢ)); cᵢ is the
  value *before* event i.
- A batch statement names first sequence, chain value before it and the hashes of its events. It
  is cut once, signed once, and resent byte for byte. On the wire: the envelope, then one event a
  line.
- The gateway judges envelope and chain, never content. `judge` is pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contract.events import Event
from contract.ids import (
    Digest,
    DigestField,
    JournalId,
    JournalIdField,
    SiteIdField,
    TerminalIdField,
)
from contract.signing import Envelope, PayloadType, Statement, sha256
from contract.wire import Count, Part, WireError

CHAIN_DOMAIN = b"tapover:journal:v1\n"
# Four batches in flight at 20 events is the working size; 64 bounds a gateway's work for one
# message.
MAX_BATCH_EVENTS = 64
# 64 events of at most 4 KiB, the statement, the newlines.
MAX_BATCH_BYTES = 64 * (Event.CAP + 1) + 16 * 1024


def chain_start(journal: JournalId) -> Digest:
    """The chain value before event 0."""
    return sha256(CHAIN_DOMAIN + bytes.fromhex(journal))


def chain_next(before: Digest, event_digest: Digest) -> Digest:
    """The chain value after an event."""
    return sha256(bytes.fromhex(before) + bytes.fromhex(event_digest))


def chain_over(before: Digest, event_digests: Iterable[Digest]) -> Digest:
    """The chain value after several events, in order."""
    value = bytes.fromhex(before)
    for digest in event_digests:
        value = hashlib.sha256(value + bytes.fromhex(digest)).digest()
    return Digest(value.hex())


class Holds(Part):
    """The newest checkpoint that the terminal has accepted.

    Its word that the log was at least this.
    """

    epoch: Count
    size: Count
    root: DigestField


class BatchStatement(Statement):
    """Consecutive events of one journal, by digest."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.BATCH

    type: Literal["tapover/batch/v1"] = "tapover/batch/v1"
    terminal: TerminalIdField
    journal: JournalIdField
    first: Count
    previous: DigestField
    events: Annotated[tuple[DigestField, ...], Field(min_length=1, max_length=MAX_BATCH_EVENTS)]
    holds: Holds | None

    @property
    def next(self) -> int:
        return self.first + len(self.events)

    @property
    def head(self) -> Digest:
        """The chain value after the batch's last event."""
        return chain_over(self.previous, self.events)


def join_lines(envelope: Envelope, lines: Iterable[bytes]) -> bytes:
    """A statement and its bodies as one message.

    One line each, joined by a single newline, none at the end.
    """
    return b"\n".join((envelope.to_bytes(), *lines))


def split_lines(message: bytes, cap: int) -> tuple[Envelope, tuple[bytes, ...]]:
    """The inverse of `join_lines`; the bodies' digests are checked by `require_bodies`.

    Raises WireError.
    """
    if len(message) > cap:
        raise WireError(f"more than {cap} bytes")
    first, *bodies = message.split(b"\n")
    return Envelope.from_bytes(first), tuple(bodies)


def require_bodies(bodies: tuple[bytes, ...], digests: tuple[Digest, ...], cap: int) -> None:
    """Raises WireError unless each body has its digest, in order, and at most `cap` bytes."""
    if len(bodies) != len(digests):
        raise WireError("not one body for each digest")
    for body, digest in zip(bodies, digests, strict=True):
        if len(body) > cap or sha256(body) != digest:
            raise WireError("a body does not fit its digest")


class Verdict(StrEnum):
    """What `judge` says of a batch."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    GAP = "gap"
    FORK = "fork"


class Receipt(Statement):
    """Signed with the log key at commit.

    For a gap, `next` names the sequence that is wanted and `leaf` is null.
    """

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.RECEIPT

    type: Literal["tapover/receipt/v1"] = "tapover/receipt/v1"
    site: SiteIdField
    epoch: Count
    """The log epoch in which `leaf` is an index."""
    terminal: TerminalIdField
    journal: JournalIdField
    verdict: Verdict
    batch: DigestField
    """Digest of the batch's envelope."""
    next: Count
    leaf: Count | None


@dataclass(frozen=True, slots=True)
class Head:
    """Where a journal stands at the gateway.

    The sequence wanted next and the chain value before it.
    """

    next: int
    chain: Digest

    @classmethod
    def start(cls, journal: JournalId) -> Head:
        return cls(0, chain_start(journal))


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and where the journal stands after it."""

    verdict: Verdict
    head: Head
    """The head afterwards; unchanged unless accepted."""


def judge(
    head: Head, statement: BatchStatement, digest: Digest, stored: Digest | None
) -> Judgement:
    """Judges a verified batch against the journal's head.

    `digest` names the batch's envelope, `stored` the one already accepted at the same first
    sequence, if any.
    - Accepted: it continues the chain.
    - Duplicate: these very bytes are stored.
    - Gap: something before it is missing.
    - Fork: another history than the one accepted; the terminal must start a new journal.
    """
    if stored == digest:
        return Judgement(Verdict.DUPLICATE, head)
    if statement.first > head.next:
        return Judgement(Verdict.GAP, head)
    if statement.first == head.next and statement.previous == head.chain:
        return Judgement(Verdict.ACCEPTED, Head(statement.next, statement.head))
    return Judgement(Verdict.FORK, head)
