"""Grace: the time after a proven PIN in which a tap alone is enough (DESIGN §6).

Derived, never granted.

The rules:

* A proven PIN is a fact (whose card, by which key, where, when); its end is computed anew at each
  tap from the ward's policy as it stands *then*: a shortened policy shortens it at once.
* It counts at the terminal where it was proved, and within the boot in which it was proved: another
  boot's monotonic time says nothing. With the ward's scope `ward` it counts at the other terminals
  of that ward too, from the proof that they heard and verified themselves (`firmware_py.roaming`),
  by their own policy and clock.
* It counts from the PIN *record*, which is before the PIN was proved, never from later; at another
  terminal from the heartbeat that the record names, which is before the record.
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
from contract.ids import BootId, Guid, HolderId, KeyId, PositionId, TerminalId, WardId
from contract.moving import PinHeard
from contract.policy import GRACE_CEILING_S, GraceScope, Policy
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
    """The place in this journal: of the PIN record, or of the event by which it was heard."""
    holder: HolderId | None = None
    """Whose the card was then; null: of an outcome that did not say."""
    ward: WardId | None = None
    """Where it was proved, if elsewhere."""


def remaining_ms(
    proven: ProvenPin | None,
    policy: Policy,
    role: str,
    terminal: TerminalId,
    now: Moment,
    position: PositionId | None = None,
) -> int:
    """How long a tap alone is still enough to hold `role` in `position` here; 0 when it is not."""
    if proven is None or proven.at.boot != now.boot:
        return 0
    shared = policy.grace_scope is GraceScope.WARD and proven.ward == policy.ward
    if proven.terminal != terminal and not shared:
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

    def is_news(self, proven: ProvenPin) -> bool:
        """Whether no later proof is known of the same key, by the same holder."""
        known = self.by_guid.get(proven.guid)
        if known is None or known.at.boot != proven.at.boot:
            return True
        same = (known.key, known.holder) == (proven.key, proven.holder)
        return not same or known.at.monotonic_ms < proven.at.monotonic_ms

    def without(self, guid: Guid) -> ProvenPins:
        """With nothing known of a card: its PIN is asked for at its next tap."""
        return ProvenPins({one: fact for one, fact in self.by_guid.items() if one != guid})

    def with_proof(self, proven: ProvenPin) -> ProvenPins:
        """With this fact added, unless a later one is known; what counts no longer is dropped."""
        if not self.is_news(proven):
            return self
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
            case PinHeard() as heard:
                pins = pins.with_proof(heard_pin(heard, event.sequence, event.boot))
            case _:
                pass
    return pins


def heard_pin(heard: PinHeard, sequence: int, boot: BootId) -> ProvenPin:
    """The fact in an event of this journal, with its place there."""
    return ProvenPin(
        guid=heard.guid,
        key=heard.key,
        terminal=heard.terminal,
        at=Moment(boot, heard.since_monotonic_ms),
        sequence=sequence,
        holder=heard.holder,
        ward=heard.ward,
    )
