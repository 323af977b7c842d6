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
from dataclasses import dataclass
from typing import Final, Protocol

from contract.directory import Entitlement, Slot
from contract.events import AlarmCode, Detail, OutcomeResult, Reason
from contract.ids import Digest, Guid, PositionId, SessionId
from contract.signing import SignatureRefused
from contract.tap import PinProof, card_digest
from contract.wire import encode_base64
from firmware_py import words
from firmware_py.decision import (
    ChoosePosition,
    Decision,
    NeedsPin,
    OfferBreakGlass,
    Open,
    Proof,
    Refuse,
    decide,
    is_holders,
)
from firmware_py.evidence import Evidence, Rights, SignedRecord, outcome
from firmware_py.grace import ProvenPin, ProvenPins
from firmware_py.items import CardAsks
from firmware_py.journal import Journal, JournalFailed
from firmware_py.kiosk.view import Screen
from firmware_py.pad import Pad, Tapped
from firmware_py.presenting import Notice
from firmware_py.sessions import Cancelled, Granted, Owing, OwnTap, Session, Transition
from firmware_py.stage import Acted, Stage
from firmware_py.tap import CardAnswer, Challenge, reason_of
from firmware_py.visits import Purpose, Visit
from hardware.apdu import HardwareError

LOG: Final = logging.getLogger("tapover.signon")

_UNREAD: Final = frozenset({Reason.CARD_TORN, Reason.CARD_HUNG, Reason.CARD_ERROR})
"""Says nothing about the card: whoever is at the pad may hold it to a reader once more."""


class Sound(Protocol):
    """Raises an alarm."""

    def __call__(self, code: AlarmCode, subject: Digest | None = None, why: str = "") -> None:
        """Journal it, at a bounded rate."""
        ...


@dataclass(frozen=True, slots=True)
class Timed:
    """A tap whose outcome has just acted: its time runs until the page has drawn it."""

    tapped: Tapped
    record: int
    flush_ns: int


@dataclass(slots=True)
class Counts:
    """Since the daemon started."""

    taps: int = 0
    refused: int = 0


class SignOn:
    """Belongs to the consumer. `on_pin_proof` publishes; `sound` alarms."""

    def __init__(
        self,
        journal: Journal,
        rights: Rights,
        stage: Stage,
        pins: ProvenPins,
        sound: Sound,
        on_pin_proof: Callable[[PinProof], None],
    ) -> None:
        self.pad: Pad | None = None
        self.notice: Notice | None = None
        self.timed: list[Timed] = []
        self._timed: int | None = None
        self.counts = Counts()
        self.greeting = words.OPEN
        self._journal = journal
        self._rights = rights
        self._stage = stage
        self._evidence = Evidence(journal, rights)
        self._pins = pins
        self._sound = sound
        self._on_pin_proof = on_pin_proof

    # --- the card asks what to sign ---------------------------------------------------------

    def asks(self, item: CardAsks, visit: Visit) -> None:
        """Append the record and hand its digest down; nothing for a card with no key here."""
        visit.guid = item.guid
        entitlement = self._rights.entitlement(item.guid)
        slot = Slot.CARD_AUTHENTICATION
        record = self._evidence.record_tap
        if visit.purpose is Purpose.PIN:
            slot, record = Slot.PIV_AUTHENTICATION, self._evidence.record_pin
        visit.entitlement = entitlement
        visit.credential = entitlement.credential(slot) if entitlement else None
        if visit.credential is None:
            item.question.answer(None)
            return
        try:
            visit.record = record(item.guid)
        except JournalFailed:
            visit.failed = Reason.JOURNAL_FAILED
            item.question.answer(None)
            return
        digest = card_digest(visit.record.data)
        item.question.answer(Challenge(visit.credential.algorithm, digest))

    # --- a tap ended ------------------------------------------------------------------------

    def tapped(self, visit: Visit, end: CardAnswer | HardwareError) -> None:
        """Judge the answer, decide, and set it going. Raises JournalFailed."""
        self.counts.taps += 1
        tap = _tapped(visit, end)
        if isinstance(end, HardwareError):
            reason = reason_of(end)
            if reason is Reason.CARD_HUNG:
                self._sound(AlarmCode.CARD_HUNG, None, str(end))
            self._refuse(tap, reason, visit.guid)
            return
        if visit.failed is not None:
            self._refuse(tap, visit.failed, end.guid)
            return
        held = tap.signed is not None and tap.signed.holds
        key = tap.signed.key if tap.signed and held else None
        proof = Proof(tap.guid, tap.interface, Slot.CARD_AUTHENTICATION, key)
        shown = self._stage.newest.shown
        entitlement = tap.entitlement
        own = shown is not None and entitlement and entitlement.holder == shown.holder
        if entitlement and own and is_holders(proof, entitlement):
            self._own_tap(tap, entitlement)
        else:
            self._decided(tap, proof, self._decide(proof, entitlement, None))

    def _own_tap(self, tap: Tapped, entitlement: Entitlement) -> None:
        transition = self._stage.consider(OwnTap(entitlement.holder))
        self.greeting = (
            words.STILL_YOU if transition.result is OutcomeResult.STILL_YOU else words.OPEN
        )
        self._commit(tap, Reason.GRANTED, transition)

    def _decide(
        self, proof: Proof, entitlement: Entitlement | None, chosen: PositionId | None
    ) -> Decision:
        preferred = chosen
        if preferred is None and entitlement is not None:
            preferred = self._stage.newest.preferred(entitlement.holder)
        return decide(
            proof,
            entitlement,
            self._rights.place(),
            self._pins.of(proof.guid),
            self._rights.freshness(),
            self._rights.moment(),
            preferred=preferred,
        )

    def _decided(
        self, tap: Tapped, proof: Proof, decision: Decision, before: Sequence[Detail] = ()
    ) -> None:
        """What a decision sets going; ``before`` stands before its outcome in the same commit."""
        entitlement = tap.entitlement
        match decision:
            case Open(position, pin) if entitlement is not None:
                session = Session(
                    SessionId(secrets.token_hex(16)), entitlement.holder, position.id, tap.guid
                )
                pad = self.pad if self.pad and self.pad.tapped is tap else None
                pin_record = pin.sequence if pin else pad.pin_record if pad else None
                transition = self._stage.consider(Granted(session))
                self.pad, self.greeting = None, words.OPEN
                self._commit(tap, decision.reason, transition, before, pin_record)
            case NeedsPin() | ChoosePosition() if entitlement is not None:
                transition = self._stage.consider(Owing(entitlement.holder, tap.guid))
                pin_record = self.pad.pin_record if before and self.pad else None
                self.pad = Pad(tap, entitlement, proof, decision, pin_record=pin_record)
                if isinstance(decision, NeedsPin) and not decision.here:
                    self.pad.why = words.SLOT_ONCE
                reason = decision.logged if isinstance(decision, NeedsPin) else decision.reason
                self._ask(tap, reason, transition, before)
            case OfferBreakGlass(reason):
                self._turn_away(tap, reason, OutcomeResult.OFFERED, tap.guid, before)
            case _:
                assert isinstance(decision, Refuse)  # noqa: S101 - nothing else is left
                self._turn_away(tap, decision.reason, OutcomeResult.REFUSED, tap.guid, before)

    # --- the pad ----------------------------------------------------------------------------

    def chosen(self, position: PositionId) -> None:
        """One of the positions offered was taken. Raises JournalFailed."""
        pad = self.pad
        if pad is None or not isinstance(pad.asks, ChoosePosition):
            return
        if position in {p.id for p in pad.asks.positions}:
            decision = self._decide(pad.proof, pad.entitlement, position)
            self._decided(pad.tapped, pad.proof, decision)

    def abandoned(self) -> None:
        """The pad was left: cancelled, or its time is over. Raises JournalFailed."""
        pad, self.pad = self.pad, None
        if pad is None:
            return
        transition = self._stage.consider(Cancelled()) if self._stage.takes(Cancelled) else None
        clock = self._rights.freshness().clock
        left = outcome(
            OutcomeResult.REFUSED,
            Reason.PIN_ABANDONED,
            pad.tapped.guid,
            clock,
            entitlement=pad.entitlement,
        )
        self._stage.commit(transition, (left,))

    def proved(self, visit: Visit, end: CardAnswer | HardwareError) -> None:
        """The card has judged the PIN. Raises JournalFailed."""
        pad = self.pad
        if pad is None or visit.guid not in (None, pad.tapped.guid):
            return
        if isinstance(end, HardwareError):
            self._pin_failed(pad, visit, end)
            return
        signed = _judged(visit, end)
        if signed is None or not signed.holds:
            reason = visit.failed or Reason.CARD_KEY_WRONG
            self._end_pad(pad, reason, signed)
            return
        moment = self._rights.moment()
        terminal = self._journal.terminal
        self._pins = self._pins.with_proof(
            ProvenPin(pad.tapped.guid, signed.key, terminal, moment, signed.sequence)
        )
        self._on_pin_proof(
            PinProof(record=encode_base64(signed.event), signature=encode_base64(signed.signature))
        )
        proved = outcome(
            OutcomeResult.PROVED,
            Reason.GRANTED,
            pad.tapped.guid,
            self._rights.freshness().clock,
            signed=signed,
            entitlement=pad.entitlement,
        )
        pad.pin_record = signed.sequence
        proof = Proof(
            pad.tapped.guid,
            visit.interface,
            Slot.PIV_AUTHENTICATION,
            signed.key,
            pin_verified=True,
        )
        decision = self._decide(proof, self._rights.entitlement(pad.tapped.guid), None)
        self._decided(pad.tapped, proof, decision, (proved,))

    def _pin_failed(self, pad: Pad, visit: Visit, error: HardwareError) -> None:
        reason = reason_of(error)
        attempts = getattr(error, "attempts", None)
        if reason is Reason.CARD_HUNG:
            self._sound(AlarmCode.CARD_HUNG, None, str(error))
        match reason:
            case Reason.PIN_WRONG if attempts != 0:
                pad.attempts, pad.why = attempts, words.PIN_AGAIN
            case Reason.CARD_TORN:
                pad.why = words.CARD_BACK
            case Reason.PIN_NOT_HERE:
                pad.asks, pad.why = NeedsPin(pad.asks.reason, here=False), words.SLOT_ONCE
            case _:
                blocked = reason is Reason.PIN_WRONG
                self._end_pad(pad, Reason.PIN_BLOCKED if blocked else reason)
                return
        owing = Owing(pad.entitlement.holder, pad.tapped.guid)
        failed = outcome(
            OutcomeResult.REFUSED,
            reason,
            pad.tapped.guid,
            self._rights.freshness().clock,
            record=visit.record.sequence if visit.record else None,
            entitlement=pad.entitlement,
            attempts=attempts,
        )
        self._stage.commit(self._stage.consider(owing), (failed,))

    def _end_pad(self, pad: Pad, reason: Reason, signed: SignedRecord | None = None) -> None:
        """Nothing more can come of it: refused, and the screen stays locked."""
        self.pad = None
        transition = self._stage.consider(Cancelled()) if self._stage.takes(Cancelled) else None
        refused = outcome(
            OutcomeResult.REFUSED,
            reason,
            pad.tapped.guid,
            self._rights.freshness().clock,
            signed=signed,
            entitlement=pad.entitlement,
        )
        self._announce(reason, transition, (refused,), Screen.REFUSED, lambda _: None)

    # --- outcomes ---------------------------------------------------------------------------

    def refuse_unread(self, reason: Reason, guid: Guid | None = None) -> None:
        """A card that no visit was made to: mute, or left behind. Raises JournalFailed."""
        screen = Screen.NOTICE if reason is Reason.CARD_LEFT else Screen.REFUSED
        refused = outcome(OutcomeResult.REFUSED, reason, guid, self._rights.freshness().clock)
        self._announce(reason, None, (refused,), screen, lambda _: None)

    def forget(self) -> None:
        """The journal failed: what was asked is void, and its heartbeat unknown."""
        self.pad = None
        self._evidence.forget_heartbeat()
        self.notice = Notice(Screen.REFUSED, words.NOT_NOW)

    def forget_pins(self) -> None:
        """Another journal: records of the old one prove nothing in it."""
        self._pins = ProvenPins.none()

    def _refuse(self, tap: Tapped, reason: Reason, guid: Guid | None) -> None:
        self._turn_away(tap, reason, OutcomeResult.REFUSED, guid)

    def _turn_away(
        self,
        tap: Tapped,
        reason: Reason,
        result: OutcomeResult,
        guid: Guid | None,
        before: Sequence[Detail] = (),
    ) -> None:
        """Refused or offered: the present session is untouched; a pad of this very card ends."""
        transition = None
        read = reason not in _UNREAD
        if read and self.pad is not None and guid == self.pad.tapped.guid:
            self.pad = None
            transition = self._stage.consider(Cancelled()) if self._stage.takes(Cancelled) else None
        turned = outcome(
            result,
            reason,
            guid,
            self._rights.freshness().clock,
            signed=tap.signed,
            record=tap.record,
            entitlement=tap.entitlement if tap.signed else None,
        )
        screen = Screen.OFFER if result is OutcomeResult.OFFERED else Screen.REFUSED
        self._announce(
            reason, transition, (*before, turned), screen, lambda acted: self._time(tap, acted)
        )

    def _announce(
        self,
        reason: Reason,
        transition: Transition | None,
        details: Sequence[Detail],
        screen: Screen,
        then: Callable[[Acted], None],
    ) -> None:
        sequence = self._journal.next_sequence + len(details) - 1
        reference = words.reference(self._journal.id, sequence)
        self.counts.refused += 1

        def act(acted: Acted) -> None:
            self.notice = Notice(screen, words.refused(reason), reference)
            then(acted)

        LOG.info("refused", extra={"reason": reason, "reference": reference})
        self._stage.commit(transition, details, act)

    def _ask(
        self, tap: Tapped, reason: Reason, transition: Transition, before: Sequence[Detail]
    ) -> None:
        asked = outcome(
            OutcomeResult.ASKED,
            reason,
            tap.guid,
            self._rights.freshness().clock,
            record=tap.record,
            entitlement=tap.entitlement,
        )
        self._stage.commit(transition, (*before, asked), lambda acted: self._time(tap, acted))

    def _commit(
        self,
        tap: Tapped,
        reason: Reason,
        transition: Transition,
        before: Sequence[Detail] = (),
        pin_record: int | None = None,
    ) -> None:
        assert transition.result is not None  # noqa: S101 - Granted and OwnTap have one
        done = outcome(
            transition.result,
            reason,
            tap.guid,
            self._rights.freshness().clock,
            signed=tap.signed,
            entitlement=tap.entitlement,
            session=transition.session,
            pin_record=pin_record,
        )
        self._stage.commit(transition, (*before, done), lambda acted: self._time(tap, acted))

    def _time(self, tap: Tapped, acted: Acted) -> None:
        """Once a tap: what a person does at the pad afterwards is not the software's time."""
        if tap.record is not None and tap.record != self._timed:
            self._timed = tap.record
            self.timed.append(Timed(tap, tap.record, acted.flush_ns))


def _tapped(visit: Visit, end: CardAnswer | HardwareError) -> Tapped:
    answer = end if isinstance(end, CardAnswer) else None
    return Tapped(
        guid=answer.guid if answer else visit.guid or Guid(""),
        reader=visit.reader,
        interface=visit.interface,
        seen_ns=visit.seen_ns,
        card_ns=answer.card_ns if answer else 0,
        exchanges=answer.exchanges if answer else 0,
        entitlement=visit.entitlement,
        signed=_judged(visit, answer) if answer else None,
        record=visit.record.sequence if visit.record else None,
    )


def _judged(visit: Visit, answer: CardAnswer) -> SignedRecord | None:
    if visit.record is None or visit.credential is None or answer.signature is None:
        return None
    try:
        return SignedRecord.judge(visit.record, visit.credential, answer.signature)
    except SignatureRefused:
        LOG.warning("an entitlement's key is of no use", extra={"guid": answer.guid})
        return None
