"""Countersign: the glass shows a text, and another person's card signs it (DESIGN §4, §5).

* The present session stays as it is; its work is put aside while the text stands there.
* Whoever signs is another *person* than those who work in the session, whichever card she holds,
  and one who could sign on here; a refused card ends nothing.
* A card that comes in the first second was on its way to something else: it taps over, as always.
* A tap signs with 9E; where the application asks for the PIN, or the card has no key for taps, 9A
  signs after it. What came of it is durable before the application hears of it, and nothing is told
  once the session was hidden.
* A record that a card signed for one text counts for nothing else, whatever became of that text.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from contract.countersigning import CountersignResult
from contract.directory import Entitlement, Slot
from contract.events import CardOutcome, Detail, OutcomeResult, Reason
from contract.ids import HolderId
from contract.pinning import PinContactless
from firmware_py.card.records import SignedRecord
from firmware_py.card.tap import CardAnswer
from firmware_py.card.visits import Purpose, Visit
from firmware_py.countersign import words as said
from firmware_py.countersign.errand import Errand
from firmware_py.countersign.values import Signed, Wanted, Withdrawn
from firmware_py.evidence.journal import JournalFailed, Written
from firmware_py.glass import commands, words
from firmware_py.inside import Inside, Panel
from firmware_py.items import AppAsked, CardAsks, Item, JournalDown, VisitEnded
from firmware_py.sessions.values import UNIDENTIFIED
from firmware_py.signon.answers import as_judged, as_tapped, have_signed, why_unsigned
from firmware_py.signon.decision import NeedsPin, OfferBreakGlass, Proof, Refuse, decide
from firmware_py.signon.tries import NotGiven, Over, TryAgain, judge_try, over_words
from hardware.apdu import HardwareError
from hardware.piv import Pin
from hardware.readers import Interface

LOG: Final = logging.getLogger("tapover.countersign")


class CountersignDesk:
    """Belongs to the consumer."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._rights = inside.parts.custody
        self._now_ns = inside.parts.clock.monotonic_ns
        self._errand: Errand | None = None
        self._ours: dict[int, Errand] = {}
        """Visits that serve a countersign, and which."""

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        self._look()
        errand = self._errand
        match item:
            case AppAsked(Wanted() as wanted):
                self._begin(wanted)
            case AppAsked(Withdrawn(wanted)):
                if errand and errand.wanted is wanted and errand.waits:
                    self._end(CountersignResult.WITHDRAWN)
            case CardAsks() if (visit := self._inside.visits.find(item.visit)) is not None:
                return self._asks(item, visit)
            case VisitEnded() if item.visit in self._ours:
                return self._ended(item, self._ours.pop(item.visit))
            case commands.PinEntered(pin):
                return self._pin(pin)
            case commands.Cancelled() if errand is not None:
                if errand.waits:
                    self._end(CountersignResult.CANCELLED)
            case _:
                return False
        return True

    def panel(self) -> Panel | None:
        """The text, where its session is on the glass."""
        errand = self._errand
        return errand.panel(self._now_ns()) if errand and self._is_there(errand) else None

    def _is_there(self, errand: Errand) -> bool:
        signed_on = self._inside.stage.signed_on
        return signed_on is not None and signed_on.id == errand.wanted.session

    def _authors(self) -> set[HolderId]:
        """Who works in the session: none of them can be the second person."""
        newest = self._inside.stage.newest
        joined = newest.hold.joined if newest.hold else ()
        return {*joined, *((newest.shown.holder,) if newest.shown else ())}

    # --- from the asking to the answer ------------------------------------------------------

    def _begin(self, wanted: Wanted) -> None:
        stage = self._inside.stage
        if stage.signed_on is None or stage.signed_on.id != wanted.session:
            wanted.answer(CountersignResult.SESSION_ENDED)
            return
        busy = stage.visible is None or stage.aside or self._errand_goes_on
        if busy or UNIDENTIFIED in self._authors():
            wanted.answer(None)
            return
        self._errand = Errand.begin(wanted, self._now_ns())
        stage.put_aside()

    @property
    def _errand_goes_on(self) -> bool:
        return self._errand is not None and self._errand.step != "done"

    def _look(self) -> None:
        """Whether its time is over, or its session hidden."""
        errand = self._errand
        if errand is None:
            return
        if not self._is_there(errand):
            self._end(CountersignResult.SESSION_ENDED)
        elif self._now_ns() >= errand.until_ns and errand not in self._ours.values():
            if errand.step == "done":
                self._errand = None
            elif errand.waits:
                self._end(CountersignResult.EXPIRED)

    def _end(self, result: CountersignResult) -> None:
        """Nothing is told of what was signed: only the journal has it by now."""
        errand, self._errand = self._errand, None
        if errand is None or errand.step == "done":
            return
        errand.wanted.answer(result)
        try:
            if errand.waits:
                self._inside.stage.commit(None, (errand.ended(result),))
            if self._is_there(errand):
                self._inside.stage.bring_back()
        except JournalFailed as error:  # said by the journal itself; the item in hand still counts
            self._inside.post(JournalDown(str(error)))

    # --- cards ------------------------------------------------------------------------------

    def _asks(self, item: CardAsks, visit: Visit) -> bool:
        """A card wants to know what to sign."""
        errand = self._errand
        if visit.purpose is Purpose.PIN:
            errand = self._ours.get(visit.number)
        elif errand is None or not errand.waits or not errand.could_be_read(visit.seen_ns):
            return False
        entitlement = self._rights.entitlement(item.guid)
        if errand is None or entitlement is None:
            return False  # sign-on turns away a card that nobody knows
        self._ours[visit.number] = errand
        visit.guid, visit.entitlement = item.guid, entitlement
        proves = visit.purpose is Purpose.PIN
        slot = Slot.PIV_AUTHENTICATION if proves else Slot.CARD_AUTHENTICATION
        visit.credential = entitlement.credential(slot)
        visit.asked_at = self._rights.moment()
        if entitlement.holder in self._authors():
            item.question.answer(None)
            return True
        have_signed(item, visit, lambda: self._record(errand, visit, entitlement))
        return True

    def _record(self, errand: Errand, visit: Visit, entitlement: Entitlement) -> Written:
        evidence, wanted = self._inside.signon.evidence, errand.wanted
        if wanted.pin and visit.purpose is Purpose.TAP:
            return evidence.record_tap(entitlement.guid)
        return evidence.record_countersign(entitlement.guid, wanted.digest, wanted.document)

    def _ended(self, item: VisitEnded, errand: Errand) -> bool:
        """One of ours has answered, or not. Raises JournalFailed."""
        visit, end = self._inside.visits.find(item.visit), item.end
        if visit is None or (isinstance(end, HardwareError) and visit.purpose is Purpose.TAP):
            return False  # sign-on says that it should be held still, or is no card
        self._inside.visits.ended(item.visit)
        if errand is not self._errand or not errand.waits:
            signed = as_judged(visit, end) if isinstance(end, CardAnswer) else None
            reason = why_unsigned(visit, signed) or Reason.OFFER_ABANDONED
            self._commit(OutcomeResult.REFUSED, reason, visit, signed)
        elif isinstance(end, HardwareError):
            self._pin_failed(errand, visit, end)
        else:
            self._answered(errand, visit, end)
        return True

    def _answered(self, errand: Errand, visit: Visit, end: CardAnswer) -> None:
        signed = as_judged(visit, end)
        entitlement = self._rights.entitlement(end.guid)
        reason = self._why_not(errand, visit, signed, entitlement)
        if entitlement is not None and reason is None and signed is None:
            self._only_says(errand, visit, end, entitlement)
        elif reason is not None or signed is None or entitlement is None:
            self._refuse(errand, reason or Reason.CARD_UNKNOWN, visit, signed)
        elif errand.wanted.pin and visit.purpose is Purpose.TAP:
            tapped = as_tapped(visit, end)
            self._commit(
                *(OutcomeResult.ASKED, Reason.PIN_NEEDED, visit, signed),
                then=lambda: errand.ask_pin(entitlement, tapped, self._now_ns()),
            )
        else:
            self._countersigned(errand, visit, signed, entitlement)

    def _only_says(
        self, errand: Errand, visit: Visit, end: CardAnswer, entitlement: Entitlement
    ) -> None:
        """A card without a key for taps (ADR 0024): its PIN signs, also where a tap would do.

        Anybody could have its GUID, so it takes nobody's pad away.
        """
        if errand.step == "pin" and errand.colleague != entitlement:
            self._commit(OutcomeResult.REFUSED, Reason.PIN_NEEDED, visit, None)
            return
        tapped = as_tapped(visit, end)
        self._commit(
            *(OutcomeResult.ASKED, Reason.PIN_NEEDED, visit, None),
            then=lambda: errand.ask_pin(entitlement, tapped, self._now_ns()),
        )

    def _why_not(
        self,
        errand: Errand,
        visit: Visit,
        signed: SignedRecord | None,
        entitlement: Entitlement | None,
    ) -> Reason | None:
        """The rules of sign-on, for another person. Null: she may, or owes her PIN for it."""
        if entitlement is None:
            return Reason.CARD_UNKNOWN
        if entitlement.holder in self._authors():
            return Reason.SAME_PERSON
        proves = visit.purpose is Purpose.PIN
        says = entitlement.by_pin_alone and not proves and signed is None
        if visit.failed or not (says or (signed is not None and signed.holds)):
            return visit.failed or Reason.CARD_KEY_WRONG
        slot = Slot.PIV_AUTHENTICATION if proves else Slot.CARD_AUTHENTICATION
        key = signed.key if signed else None
        proof = Proof(entitlement.guid, visit.interface, slot, key, pin_verified=proves)
        rights = self._rights
        place, fresh, now = rights.place(), rights.freshness(), rights.moment()
        match decide(proof, entitlement, place, None, fresh, now):
            case Refuse(Reason.PIN_UNGATED) if not errand.wanted.pin:
                return None
            case Refuse(reason) | OfferBreakGlass(reason):
                return reason
            case NeedsPin() as owed if proves:
                return owed.logged
            case _:
                return None

    def _countersigned(
        self, errand: Errand, visit: Visit, signed: SignedRecord, by: Entitlement
    ) -> None:
        errand.step, errand.colleague = "signing", by

        def tell() -> None:
            if self._errand is errand and self._is_there(errand):
                errand.done(self._now_ns())
                errand.wanted.answer(Signed(signed, by))
                self._inside.stage.bring_back()

        done = self._outcome(OutcomeResult.COUNTERSIGNED, Reason.GRANTED, visit, signed)
        ended = errand.ended(CountersignResult.SIGNED, signed.sequence)
        marks: list[Detail] = []
        if visit.purpose is Purpose.PIN and visit.interface is not Interface.CONTACT:
            marks.append(PinContactless(record=signed.sequence, guid=by.guid))
        self._inside.stage.commit(None, (*marks, done, ended), lambda _: tell())

    def _refuse(
        self, errand: Errand, reason: Reason, visit: Visit, signed: SignedRecord | None
    ) -> None:
        """This card does not do; another may."""
        reference = self._reference()
        same = reason is Reason.SAME_PERSON
        sentence = said.ANOTHER_PERSON if same else words.refused(reason)
        LOG.info("refused", extra={"reason": reason, "reference": reference})
        self._commit(
            *(OutcomeResult.REFUSED, reason, visit, signed),
            then=lambda: errand.again(sentence, self._now_ns(), reference),
        )

    # --- the PIN ----------------------------------------------------------------------------

    def _pin(self, pin: Pin) -> bool:
        """Digits, where they are for the second person's card."""
        errand, visits = self._errand, self._inside.visits
        if errand is None or errand.step != "pin" or errand.colleague is None:
            return False
        if visits.newest is not None or errand.tapped is None:
            return True
        contactless = self._inside.policy().pin_contactless
        card = self._inside.presence.for_pin(errand.tapped.reader, contactless=contactless)
        if card is None:
            errand.words = words.CARD_BACK
            return True
        visit = visits.prove_pin(card, pin, errand.colleague, warned=errand.attempts == 1)
        self._ours[visit.number] = errand
        return True

    def _pin_failed(self, errand: Errand, visit: Visit, error: HardwareError) -> None:
        tried = judge_try(error)
        if isinstance(tried, NotGiven):
            errand.attempts, errand.words = tried.attempts or errand.attempts, tried.words
            return
        visit.guid = errand.colleague.guid if errand.colleague else visit.guid
        reference = self._reference()
        self._commit(OutcomeResult.REFUSED, tried.reason, visit, None, attempts=tried.attempts)
        match tried:
            case Over(reason):
                owner = errand.colleague
                sentence = over_words(reason, owner) if owner else words.refused(reason)
                errand.again(sentence, self._now_ns(), reference)
            case TryAgain(Reason.PIN_NOT_HERE):
                errand.words = said.PIN_IN_SLOT
            case TryAgain(_, why, attempts):
                errand.attempts, errand.words = attempts or errand.attempts, why

    # --- the journal ------------------------------------------------------------------------

    def _reference(self) -> str:
        """Of the event that is committed next."""
        journal = self._inside.parts.journal
        return words.reference(journal.id, journal.next_sequence)

    def _commit(
        self,
        result: OutcomeResult,
        reason: Reason,
        visit: Visit,
        signed: SignedRecord | None,
        *,
        attempts: int | None = None,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Journal what came of a card; ``then``, once it is durable, what the glass says of it."""
        errand = self._errand
        told = self._outcome(result, reason, visit, signed, attempts)

        def act() -> None:
            if errand is self._errand and errand is not None and errand.waits:
                then()

        self._inside.stage.commit(None, (told,), lambda _: act())

    def _outcome(
        self,
        result: OutcomeResult,
        reason: Reason,
        visit: Visit,
        signed: SignedRecord | None,
        attempts: int | None = None,
    ) -> CardOutcome:
        return self._inside.signon.outcomes.event(
            *(result, reason, visit.guid),
            signed=signed,
            record=visit.record.sequence if visit.record else None,
            entitlement=visit.entitlement if signed else None,
            attempts=attempts,
        )
