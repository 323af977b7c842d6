"""Grace: the time after a proven PIN in which a tap alone is enough (DESIGN §6).

Derived, never granted.

The rules:

* A proven PIN is a fact (whose card, by which key, where, when); its end is computed anew at each
  tap from the ward's policy as it stands *then*: a shortened policy shortens it at once.
* It counts at the terminal where it was proved, and within the boot in which it was proved: another
  boot's monotonic time says nothing. (Scope `ward` needs other terminals' proofs: not yet derived.)
* It counts from the PIN *record*, which is before the PIN was proved, never from later.
* It belongs to a card, its 9A key and its holder: another card or a new key of the same holder
  starts without, and so does another holder of the same card (a spare that changed hands).
* A role or a position has its own, shorter, grace where the policy says so; zero: a PIN a tap.

Pure. `rebuild` finds the facts again in the terminal's own journal after a restart of the daemon.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from contract.events import CardOutcome, CardRecorded, Event, OutcomeResult
from contract.ids import Guid, HolderId, KeyId, PositionId, TerminalId
from contract.policy import GRACE_CEILING_S, Policy
from contract.tap import PinRecord
from firmware_py.trust.sitetime import Moment

# Facts kept: one a card. A shared terminal sees some dozens a shift; beyond this the oldest goes,
# and its holder is asked for the PIN again.
MAX_PROVEN: Final = 4096


@dataclass(frozen=True, slots=True)
class ProvenPin:
    """That a card's holder proved the PIN here."""

    guid: Guid
    key: KeyId
    """The 9A key that signed the record."""
    terminal: TerminalId
    at: Moment
    sequence: int
    """The PIN record's place in the journal."""
    holder: HolderId | None = None
    """Whose the card was then; null: of an outcome that did not say."""


def remaining_ms(
    proven: ProvenPin | None,
    policy: Policy,
    role: str,
    terminal: TerminalId,
    now: Moment,
    position: PositionId | None = None,
) -> int:
    """How long a tap alone is still enough to hold `role` in `position` here; 0 when it is not."""
    if proven is None or proven.terminal != terminal or proven.at.boot != now.boot:
        return 0
    passed_ms = now.monotonic_ms - proven.at.monotonic_ms
    if passed_ms < 0:
        return 0
    return max(0, policy.grace_for(role, position) * 1000 - passed_ms)


@dataclass(frozen=True, slots=True)
class ProvenPins:
    """The newest proven PIN of each card, as this terminal knows them. A value."""

    by_guid: Mapping[Guid, ProvenPin]

    @classmethod
    def none(cls) -> ProvenPins:
        return cls({})

    def of(self, guid: Guid) -> ProvenPin | None:
        return self.by_guid.get(guid)

    def with_proof(self, proven: ProvenPin) -> ProvenPins:
        """With this fact added; what can no longer count under any policy is dropped."""
        oldest_ms = proven.at.monotonic_ms - GRACE_CEILING_S * 1000
        kept = {
            guid: fact
            for guid, fact in self.by_guid.items()
            if guid != proven.guid
            and fact.at.boot == proven.at.boot
            and fact.at.monotonic_ms >= oldest_ms
        }
        while len(kept) >= MAX_PROVEN:
            del kept[min(kept, key=lambda guid: kept[guid].at.monotonic_ms)]
        kept[proven.guid] = proven
        return ProvenPins(kept)


def rebuild(events: Iterable[Event], terminal: TerminalId, now: Moment) -> ProvenPins:
    """The facts of this boot in the terminal's own journal, `events` in their order.

    Give it the events of the last `GRACE_CEILING_S` (or more; others are passed over).
    """
    asked: dict[int, Event] = {}
    pins = ProvenPins.none()
    for event in events:
        if event.boot != now.boot or event.terminal != terminal:
            continue
        match event.detail:
            case CardRecorded(record=PinRecord()):
                asked[event.sequence] = event
            case CardOutcome(result=OutcomeResult.PROVED, record=int(sequence)) as outcome:
                record_event = asked.pop(sequence, None)
                if record_event is not None and outcome.guid and outcome.key:
                    at = Moment(now.boot, record_event.monotonic_ms)
                    holder = outcome.holder
                    proof = ProvenPin(outcome.guid, outcome.key, terminal, at, sequence, holder)
                    pins = pins.with_proof(proof)
            case _:
                pass
    return pins
