"""A simulated terminal's journal: real events of real taps, cut into batches and signed beforehand.

Generated data: opaque ids and salts are made up, the shapes and sizes are those of a shift. A tap
leaves five events, as the terminal daemon writes them. The bytes are cut from one event of each
kind by putting in sequence, clocks and salt, since the product's own encoder would take most of the
set-up's time; the tests hold both spellings against each other.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from contract.events import (
    CardOutcome,
    CardRecorded,
    Cause,
    ClockTrust,
    Detail,
    Event,
    JournalOpened,
    OutcomeResult,
    Reason,
    SessionChange,
    SessionChanged,
    TapTiming,
)
from contract.ids import (
    BootId,
    Digest,
    Guid,
    HolderId,
    JournalId,
    KeyId,
    PositionId,
    SessionId,
    TerminalId,
)
from contract.journal import BatchStatement, chain_over, chain_start, join_lines
from contract.signing import Algorithm, Signer, sha256
from contract.tap import DirectoryVersion, TapRecord
from contract.wire import encode_base64

# Sixteen digits each and unlike anything else in an event: the places to put values in.
_SEQUENCE: Final = 1_111_111_111_111_111
_MONOTONIC: Final = 2_222_222_222_222_222
_WALL: Final = 3_333_333_333_333_333
_SALT: Final = "5a17" * 8
_START_MS: Final = 1_767_225_600_000
# DER of a P-256 signature with both numbers at their usual length.
_SIGNATURE: Final = encode_base64(bytes(72))
TAP_EVENTS: Final = 5
"""Events that a warm tap over somebody else's session leaves in the journal."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A batch as it goes over the wire. `digest` names its envelope, as a receipt does."""

    terminal: TerminalId
    first: int
    events: int
    digest: Digest
    message: bytes


class Scribe:
    """Writes one journal. A terminal may begin a new one whenever it likes, and so does this."""

    def __init__(self, terminal: TerminalId, signer: Signer) -> None:
        self.terminal = terminal
        self.journal = JournalId(secrets.token_hex(16))
        self.next = 0
        self._signer = signer
        self._chain = chain_start(self.journal)
        self._opening = self._template(JournalOpened(software="0.1.0"))
        self._tap = [self._template(detail) for detail in _tap_details()]

    def bodies(self, count: int) -> list[bytes]:
        """The next events, byte for byte as the product would write them."""
        salts = secrets.token_hex(16 * count)
        return [
            (self._tap[(at - 1) % TAP_EVENTS] if at else self._opening)
            % (at, at * 7, _START_MS + at * 7, salts[place * 32 : place * 32 + 32].encode())
            for place, at in enumerate(range(self.next, self.next + count))
        ]

    def cut(self, count: int) -> Signed:
        """The next `count` events as a signed batch."""
        bodies = self.bodies(count)
        statement = BatchStatement(
            terminal=self.terminal,
            journal=self.journal,
            first=self.next,
            previous=self._chain,
            events=tuple(sha256(body) for body in bodies),
            holds=None,
        )
        envelope = statement.seal(self._signer)
        first, self.next = self.next, statement.next
        self._chain = chain_over(self._chain, statement.events)
        message = join_lines(envelope, bodies)
        return Signed(self.terminal, first, count, envelope.digest, message)

    def batches(self, count: int, size: int) -> Iterator[Signed]:
        """`count` batches of `size` events."""
        return (self.cut(size) for _ in range(count))

    def _template(self, detail: Detail) -> bytes:
        event = Event(
            terminal=self.terminal,
            journal=self.journal,
            sequence=_SEQUENCE,
            boot=BootId("b007" * 8),
            monotonic_ms=_MONOTONIC,
            wall_ms=_WALL,
            clock=ClockTrust.SITE,
            salt=_SALT,
            detail=detail,
        )
        text = event.to_bytes().replace(b"%", b"%%")
        for number in (_SEQUENCE, _MONOTONIC, _WALL):
            text = text.replace(b"%d" % number, b"%d")
        return text.replace(_SALT.encode(), b"%s")


def _tap_details() -> tuple[Detail, ...]:
    """A warm tap over another's session, with made-up ids of the real lengths."""
    guid, key = Guid(secrets.token_hex(16)), KeyId(secrets.token_hex(32))
    digest = [Digest(secrets.token_hex(32)) for _ in range(4)]
    mine, other = (SessionId(secrets.token_hex(16)) for _ in range(2))
    holder, position = HolderId("nurse-0042"), PositionId("nurse-ed")
    record = TapRecord(
        guid=guid,
        previous=digest[0],
        directory=DirectoryVersion(epoch=1, n=4711),
        heartbeat=digest[1],
        nonce=digest[2],
        seal=digest[3],
    )
    outcome = CardOutcome(
        record=4711,
        guid=guid,
        result=OutcomeResult.OPENED,
        reason=Reason.GRANTED,
        key=key,
        algorithm=Algorithm.P256,
        signature=_SIGNATURE,
        holder=holder,
        position=position,
        session=mine,
        pin_record=4242,
        clock=ClockTrust.SITE,
    )
    parked = SessionChanged(
        session=other,
        holder=HolderId("doctor-0007"),
        position=PositionId("doctor-ed"),
        change=SessionChange.PARKED,
        cause=Cause.TAP_OVER,
    )
    opened = SessionChanged(
        session=mine,
        holder=holder,
        position=position,
        change=SessionChange.OPENED,
        cause=Cause.TAP,
    )
    timing = TapTiming(
        record=4711,
        exchanges=3,
        card_us=201_000,
        flush_us=900,
        software_us=9_000,
        total_us=212_000,
    )
    return CardRecorded(record=record), outcome, parked, opened, timing
