"""Sign-on: from a card's arrival to what it opens, asks or is refused (DESIGN §4, §5).

Each step is an item on the terminal's queue; nothing here waits. A tap: its record is appended and
the card signs it; its answer is judged under the entitlement's key; the decision falls; the outcome
and what it does to sessions are journalled as one, and act when they are durable. A PIN goes to the
card and nowhere else: it is held by nothing here.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from contract.directory import Entitlement, Slot, Status
from contract.events import Detail, OutcomeResult, Reason
from contract.ids import Digest, Guid, HolderId, PositionId, SessionId
from contract.policy import Downtime
from contract.tap import PinProof
from firmware_py.card.records import Evidence, Rights
from firmware_py.card.tap import CardAnswer, FewTries, reason_of
from firmware_py.card.visits import Purpose, Visit
from firmware_py.evidence.journal import Journal, Written
from firmware_py.glass import words
from firmware_py.items import CardAsks
from firmware_py.sessions.machine import (
    Cancelled,
    Granted,
    Joining,
    Kind,
    LockPressed,
    Owing,
    OwnTap,
    Session,
    Transition,
)
from firmware_py.sessions.stage import Stage
from firmware_py.signon.answers import (
    as_judged,
    as_tapped,
    came_too_late,
    have_signed,
    why_unsigned,
)
from firmware_py.signon.decision import (
    ChoosePosition,
    Decision,
    NeedsPin,
    OfferBreakGlass,
    Open,
    Proof,
    Refuse,
    decide,
    is_holders,
    only_says,
)
from firmware_py.signon.grace import ProvenPins
from firmware_py.signon.outcomes import Outcomes, proved_by
from firmware_py.signon.pad import STUCK_MS, Offer, Pad, Shut, Tapped, Vouched
from firmware_py.signon.pins import Pins
from firmware_py.signon.positions import Shifts
from firmware_py.signon.tries import FailedTry, NotGiven, Over, TryAgain, judge_try, over_words
from firmware_py.signon.unsigned import Does, judge_unsigned
from hardware.apdu import HardwareError
from hardware.piv import WrongPin

LOG: Final = logging.getLogger("tapover.signon")

_UNREAD: Final = frozenset({Reason.CARD_TORN, Reason.CARD_HUNG, Reason.CARD_ERROR})
"""Says nothing about the card: whoever is at the pad may hold it to a reader once more."""


class SignOn:
    """Belongs to the consumer. `on_pin_proof` publishes."""

    def __init__(
        self,
        journal: Journal,
        rights: Rights,
        stage: Stage,
        pins: ProvenPins,
        shifts: Shifts,
        on_pin_proof: Callable[[PinProof], None],
    ) -> None:
        self.pad: Pad | None = None
        self.offer: Offer | None = None
        """At a held screen."""
        self.entered: Tapped | None = None
        """The tap that the session on the glass rests on."""
        self.shifts = shifts
        self.greeting = words.OPEN
        self.outcomes = Outcomes(journal, rights, stage)
        self._journal = journal
        self._rights = rights
        self._stage = stage
        self.evidence = self._evidence = Evidence(journal, rights)
        self.vouched: dict[Guid, Vouched] = {}
        """Whose blocked PIN a colleague's stands for, without the network."""
        self.stuck_until_ms = 0
        """Somebody's PIN is blocked: until then the glass says who helps (monotonic)."""
        self.shut: Shut | None = None
        """The newest tap, where it came to nothing that break-glass may mend."""
        self.downtime: Downtime | None = None
        """As it is declared here."""
        self.seal: Callable[[], Digest | None] = lambda: None
        """The digest of a fresh key, for each tap's record: what moves here is sealed to it."""
        self.pins = Pins(journal.terminal, self._evidence, pins, on_pin_proof)

    def asks(self, item: CardAsks, visit: Visit) -> None:
        """A card wants to know what to sign: append the record and hand its digest down.

        Nothing is signed by a card that has no key here.
        """
        visit.guid = item.guid
        entitlement = self._rights.entitlement(item.guid)
        slot = Slot.CARD_AUTHENTICATION
        record: Callable[[Guid], Written] = self._record_tap
        if visit.purpose in (Purpose.PIN, Purpose.CHANGE):
            slot, record = Slot.PIV_AUTHENTICATION, self._evidence.record_pin
        visit.entitlement = entitlement
        visit.credential = entitlement.credential(slot) if entitlement else None
        visit.asked_at = self._rights.moment()
        have_signed(item, visit, lambda: record(item.guid))

    def _record_tap(self, guid: Guid) -> Written:
        return self._evidence.record_tap(guid, self.seal())

    # --- a tap ended ------------------------------------------------------------------------

    def tapped(self, visit: Visit, end: CardAnswer | HardwareError) -> None:
        """Judge the answer, decide, and set it going. Raises JournalFailed."""
        self.outcomes.counts.taps += 1
        self.shut = None
        tap = as_tapped(visit, end)
        self.outcomes.read(tap)
        if isinstance(end, HardwareError):
            self._turn_away(tap, reason_of(end), OutcomeResult.REFUSED)
            return
        if visit.failed is not None:
            self._turn_away(tap, visit.failed, OutcomeResult.REFUSED)
            return
        held = tap.signed is not None and tap.signed.holds
        key = tap.signed.key if tap.signed and held else None
        proof = Proof(end.guid, tap.interface, Slot.CARD_AUTHENTICATION, key)
        shown = self._stage.newest.shown
        # Asked anew: the directory may have changed while the card computed.
        entitlement = self._rights.entitlement(end.guid)
        own = shown is not None and entitlement and entitlement.holder == shown.holder
        if entitlement and own and is_holders(proof, entitlement):
            self._own_tap(tap, entitlement)
        elif entitlement and only_says(proof, entitlement):
            self._unsigned(tap, proof, entitlement)
        else:
            wanted = self._wanted(entitlement) if entitlement else None
            self.decided(tap, proof, self.decide(proof, entitlement, wanted))

    def _own_tap(self, tap: Tapped, entitlement: Entitlement) -> None:
        in_use = entitlement.status is Status.ACTIVE
        transition = self._stage.consider(OwnTap(entitlement.holder, may_stay=in_use))
        still = transition.result is OutcomeResult.STILL_YOU
        self.greeting = words.STILL_YOU if still else words.OPEN
        self.entered = tap
        self.outcomes.opened(tap, Reason.GRANTED, transition)

    def _unsigned(self, tap: Tapped, proof: Proof, entitlement: Entitlement) -> None:
        """Of a card whose tap proves nothing."""
        policy, now_ms = self._rights.place().policy, self._rights.moment().monotonic_ms
        match judge_unsigned(self._stage.newest, entitlement, policy, now_ms):
            case Does.NOTHING:
                self._turn_away(tap, Reason.PIN_NEEDED, OutcomeResult.REFUSED)
            case Does.STAY:
                self.outcomes.unsigned(tap, None)
            case Does.LOCK:
                self.outcomes.unsigned(tap, self._stage.consider(LockPressed()))
            case Does.ASK:
                wanted = self._wanted(entitlement)
                self.decided(tap, proof, self.decide(proof, entitlement, wanted))

    def decide(
        self, proof: Proof, entitlement: Entitlement | None, chosen: PositionId | None = None
    ) -> Decision:
        """What this proof opens here and now, in the position chosen now or in this shift."""
        preferred, now = chosen, self._rights.moment()
        if preferred is None and entitlement is not None:
            holder, policy = entitlement.holder, self._rights.place().policy
            preferred = self.shifts.of(holder, policy, now.monotonic_ms)
            preferred = preferred or self._stage.newest.preferred(holder)
        decision = decide(
            proof,
            entitlement,
            self._rights.place(),
            self.pins.of(proof.guid),
            self._rights.freshness(),
            now,
            preferred=preferred,
            downtime=self.downtime,
        )
        vouched = self.vouched.get(proof.guid) if proof.key else None
        if isinstance(decision, NeedsPin) and vouched and now.monotonic_ms < vouched.until_ms:
            return Open(vouched.position)
        return decision

    def decided(
        self,
        tap: Tapped,
        proof: Proof,
        decision: Decision,
        before: Sequence[Detail] = (),
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """What a decision sets going; ``before`` stands before its outcome in the same commit."""
        entitlement = tap.entitlement
        if entitlement and not before and self._offered(tap, entitlement, proof, decision):
            return
        match decision:
            case Open(position, pin) if entitlement is not None:
                pad = self.pad if self.pad and self.pad.tapped is tap else None
                pin_record = pin.sequence if pin else pad.pin_record if pad else None
                session = Session(
                    SessionId(secrets.token_hex(16)),
                    entitlement.holder,
                    position.id,
                    proof.guid,
                    Kind.DOWNTIME if self.downtime else Kind.ORDINARY,
                )
                repositions = pad is not None and pad.repositions
                transition = self._stage.consider(Granted(session, repositions))
                if pad and pad.wants == position.id:
                    self.chose(entitlement.holder, position.id)
                self.pad, self.greeting, self.entered = None, words.OPEN, tap
                if repositions:
                    self._stage.commit(transition, before, lambda _: then())
                    return
                self.outcomes.opened(tap, decision.reason, transition, before, pin_record, then)
            case NeedsPin() | ChoosePosition() if entitlement is not None:
                owing = self._stage.consider(Owing(entitlement.holder, proof.guid))
                self.ask(tap, entitlement, proof, decision, owing, before, then)
            case OfferBreakGlass(reason):
                self._turn_away(tap, reason, OutcomeResult.OFFERED, before)
                self.shut = Shut(tap, reason, self._rights.moment().monotonic_ms)
            case _:
                assert isinstance(decision, Refuse)  # noqa: S101 - nothing else is left
                self._turn_away(tap, decision.reason, OutcomeResult.REFUSED, before)

    def ask(
        self,
        tap: Tapped,
        entitlement: Entitlement,
        proof: Proof,
        decision: NeedsPin | ChoosePosition,
        transition: Transition,
        before: Sequence[Detail] = (),
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """A PIN or a choice is owed: the pad. Raises JournalFailed."""
        pad = Pad(tap, entitlement, proof, decision)
        if self.pad is not None:
            pad.pin_record = self.pad.pin_record if before else None
            pad.repositions = self.pad.repositions and self.pad.tapped is tap
        pad.wants = self._wanted(entitlement)
        self.pad = pad
        if isinstance(decision, NeedsPin) and not decision.here:
            pad.why = pad.slot_words
        reason = decision.logged if isinstance(decision, NeedsPin) else decision.reason
        self.outcomes.asked(tap, reason, transition, before, then)

    def _wanted(self, entitlement: Entitlement) -> PositionId | None:
        """What she chose at the pad, also where she taps again for its PIN."""
        pad = self.pad
        return pad.wants if pad and pad.entitlement.holder == entitlement.holder else None

    def _offered(
        self, tap: Tapped, entitlement: Entitlement, proof: Proof, decision: Decision
    ) -> bool:
        """Whether the screen is held by others: then nothing opens before she has chosen."""
        newest = self._stage.newest
        if newest.hold is None or not isinstance(decision, Open | NeedsPin | ChoosePosition):
            return False
        transition = self._stage.consider(Joining(entitlement.holder, proof.guid))
        role = decision.position.name if isinstance(decision, Open) else ""
        may_join = not isinstance(decision, NeedsPin)
        self.offer = Offer(tap, entitlement, proof, role, may_join)
        self.outcomes.offered(tap, transition)
        return True

    def chose(self, holder: HolderId, position: PositionId) -> None:
        """Of several, by her own touch: remembered for the shift."""
        self.shifts.chose(holder, position, self._rights.moment().monotonic_ms)

    def _turn_away(
        self, tap: Tapped, reason: Reason, result: OutcomeResult, before: Sequence[Detail] = ()
    ) -> None:
        """The present session is untouched; a pad of this very card ends."""
        own_pad = self.pad is not None and tap.guid == self.pad.entitlement.guid
        transition = self._end_pad() if own_pad and reason not in _UNREAD else None
        self.outcomes.turned_away(tap, reason, result, transition, before)

    # --- the pad ----------------------------------------------------------------------------

    def chosen(self, position: PositionId) -> None:
        """One of the positions offered was taken. Raises JournalFailed."""
        pad = self.pad
        if pad is None or not isinstance(pad.asks, ChoosePosition):
            return
        if position in {p.id for p in pad.asks.positions}:
            entitlement = self._rights.entitlement(pad.entitlement.guid)
            pad.wants = position
            decision = self.decide(pad.proof, entitlement, position)
            self.decided(pad.tapped, pad.proof, decision)

    def abandoned(self) -> None:
        """The pad was left: cancelled, or its time is over. Raises JournalFailed."""
        pad = self.pad
        if pad is not None:
            self.outcomes.at_pad(pad, Reason.PIN_ABANDONED, self._end_pad())

    def proved(self, visit: Visit, end: CardAnswer | HardwareError) -> None:
        """The card has judged the PIN. Raises JournalFailed."""
        pad, owner = self.pad, visit.owner
        if owner is None:
            return
        if pad is None or pad.entitlement.guid != owner.guid:
            came_too_late(self.outcomes, owner, visit, end)  # another's pad by now, or nobody's
            return
        if isinstance(end, HardwareError):
            if pad.repositions and isinstance(end, FewTries | WrongPin):
                self._doubted(pad, visit, end)
            else:
                self._pin_failed(pad, visit, judge_try(end))
            return
        signed = as_judged(visit, end)
        if signed is None or not signed.holds or visit.asked_at is None:
            reason = why_unsigned(visit, signed) or Reason.CARD_KEY_WRONG
            self.outcomes.at_pad(pad, reason, self._end_pad(), signed=signed, announced=True)
            return
        guid = pad.entitlement.guid
        pad.pin_record = signed.sequence
        before = proved_by(visit, pad.entitlement, signed, self._rights.freshness().clock)
        then = self.pins.remember(pad.entitlement, signed, visit.asked_at)
        if pad.entitlement.by_pin_alone and not pad.repositions:
            # What opens rests on this very signature, and a record serves once.
            pad.tapped, before = replace(pad.tapped, signed=signed), before[:-1]
        proof = Proof(guid, visit.interface, Slot.PIV_AUTHENTICATION, signed.key, pin_verified=True)
        decision = self.decide(proof, self._rights.entitlement(guid), pad.wants)
        self.decided(pad.tapped, proof, decision, before, then)

    def _pin_failed(self, pad: Pad, visit: Visit, tried: FailedTry) -> None:
        match tried:
            case NotGiven(why, attempts):
                pad.why, pad.attempts = why, attempts or pad.attempts
                return
            case Over(reason):
                if reason is Reason.PIN_BLOCKED:
                    now_ms = self._rights.moment().monotonic_ms
                    self.stuck_until_ms = 0 if pad.entitlement.by_pin_alone else now_ms + STUCK_MS
                    self.shut = Shut(pad.tapped, reason, now_ms)
                said = over_words(reason, pad.entitlement)
                self.outcomes.at_pad(pad, reason, self._end_pad(), announced=True, sentence=said)
            case TryAgain(reason, why, attempts):
                pad.why = why if reason is not Reason.PIN_NOT_HERE else pad.slot_words
                if reason is Reason.PIN_WRONG:
                    pad.attempts = attempts
                if reason is Reason.PIN_NOT_HERE and isinstance(pad.asks, NeedsPin):
                    pad.asks = replace(pad.asks, here=False)
                again = self._stage.consider(Owing(pad.entitlement.holder, pad.entitlement.guid))
                record = visit.record.sequence if visit.record else None
                self.outcomes.at_pad(pad, reason, again, record=record, attempts=attempts)

    def _doubted(self, pad: Pad, visit: Visit, error: FewTries | WrongPin) -> None:
        """By touch at an open screen whoever stands there had the PIN asked for, and missed it.

        She gets no second try so, and the card's next tap owes its PIN.
        """
        self.pins.doubt(pad.entitlement.guid)
        wrong = isinstance(error, WrongPin)
        self.outcomes.at_pad(
            *(pad, Reason.PIN_WRONG if wrong else Reason.PIN_NEEDED, self._end_pad()),
            record=visit.record.sequence if visit.record else None,
            attempts=error.attempts if isinstance(error, WrongPin) else error.left,
            announced=True,
            sentence=words.WRONG_HERE if wrong else words.PROVE_FIRST,
        )

    def _end_pad(self) -> Transition | None:
        """The pad goes; what was parked for it stays parked, and the screen ends locked."""
        self.pad = None
        return self._stage.consider(Cancelled()) if self._stage.takes(Cancelled) else None

    # --- the journal ------------------------------------------------------------------------

    def forget(self) -> None:
        """The journal failed: what was asked is void, and its heartbeat unknown."""
        self.pad = None
        self._evidence.forget_heartbeat()
        self.outcomes.unwritten(words.NOT_NOW)
