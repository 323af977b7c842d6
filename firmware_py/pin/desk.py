"""Somebody who is signed on gives her card another PIN (ADR 0021).

- Her session's own card, and none else; another card is a tap as always, and ends this.
- In the slot. Over the air only where the ward takes PINs so, and the card does.
- Old and new PIN go to the card and nowhere else. A new one that is guessed first is not sent.
- The screen was open before, so whoever types is perhaps a stranger, and the card still in the
  slot: one wrong PIN locks it and ends the card's grace here, and no PIN is sent that could leave
  the card fewer than two tries. Its next tap owes the PIN; after that she may go on.
- What came of it is an outcome of the card record, and `pin.changed`; who changes a PIN has proved
  it, so her grace begins anew.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final, Self

from contract.directory import Entitlement, Slot, Status
from contract.events import Detail, OutcomeResult, Reason
from contract.pinning import PinChanged
from firmware_py import items
from firmware_py.card.tap import CardAnswer, FewTries, Question, reason_of
from firmware_py.card.visits import Purpose, Visit
from firmware_py.glass import commands
from firmware_py.glass import words as said
from firmware_py.glass.notice import Notice
from firmware_py.glass.view import Screen
from firmware_py.help.commands import FindPerson, NewPinWanted, SpareWanted
from firmware_py.inside import Inside, Panel
from firmware_py.items import Item
from firmware_py.pin import words
from firmware_py.pin.commands import NewPinEntered
from firmware_py.pin.work import NotWritten, PinChange
from firmware_py.sessions.happenings import Activity, LockPressed
from firmware_py.sessions.values import Session, Transition
from firmware_py.signon.answers import as_judged
from firmware_py.signon.outcomes import proved_by
from firmware_py.signon.pad import STUCK_MS
from firmware_py.signon.tries import NotGiven, Over, TryAgain, judge_try, over_words
from hardware.apdu import HardwareError
from hardware.easypins import why_easy
from hardware.piv import Pin
from hardware.readers import CardArrived, Interface

CHANGE_S: Final = 120
"""From one step to the next; then her work is on the glass alone again."""
_S: Final = 1_000_000_000
_MS: Final = 1_000_000
_COARSE_S: Final = 5
"""Time left is shown in steps: the glass need not change each second."""


class Step(StrEnum):
    """What the page is to show."""

    CARD = "card"
    """The card is to be put where it may be given a PIN."""
    OLD = "old"
    """Present PIN, new PIN and the new one again, from the beginning."""
    NEW = "new"
    """The new one is to be another: the page may go on from there."""
    BUSY = "busy"


class PinDesk:
    """One change of one card's PIN. Belongs to the consumer."""

    def __init__(self, inside: Inside, session: Session, owner: Entitlement) -> None:
        """Use `begin`."""
        self._inside = inside
        self._session = session
        self._owner = owner
        self._step, self._why = Step.OLD, words.CHANGE
        self._change: PinChange | None = None
        """Under way."""
        self._ended = False
        self._from_the_start()

    @classmethod
    def begin(cls, inside: Inside, session: Session) -> Self | None:
        """For whoever is on the glass; null where she is not by a card in use."""
        if session.guid is None:
            return None
        owner = inside.parts.custody.entitlement(session.guid)
        if owner is None or owner.status is not Status.ACTIVE or owner.holder != session.holder:
            return None
        if owner.credential(Slot.PIV_AUTHENTICATION) is None:
            return None
        return cls(inside, session, owner)

    @property
    def over(self) -> bool:
        """Done, given up, out of time, or its holder is not on the glass any more.

        Never while the card is at it: what comes of that is to be written down.
        """
        if self._change is not None:
            return False
        shown = self._inside.stage.newest.shown  # covered for a moment, she has not gone
        gone = shown is None or shown.id != self._session.id
        return self._ended or gone or self._now_ns() >= self._until_ns

    def panel(self) -> Panel:
        """Step, sentence and seconds left."""
        left_s = max(0, self._until_ns - self._now_ns()) / _S
        step, why = self._step, self._why
        if step in (Step.OLD, Step.NEW) and self._card() is None:
            step, why = Step.CARD, words.CHANGE_SLOT  # it was taken out meanwhile
        return {
            "step": step.value,
            "why": why,
            "attempts": None,
            "left_s": int(-(-left_s // _COARSE_S) * _COARSE_S),
        }

    def takes(self, item: Item) -> bool:
        """As `Desk.takes`. Raises JournalFailed."""
        match item:
            case NewPinEntered(old, new):
                self._entered(old, new)
            case commands.Cancelled() if self._change is None:
                self._ended = True
            case items.CardAsks() if self._asks(item):
                pass
            case items.VisitEnded() if (visit := self._inside.visits.find(item.visit)) is not None:
                return self._visit_ended(visit, item.end)
            case SpareWanted() | NewPinWanted() | FindPerson():
                if self._change is not None:
                    return True
                self._ended = True
                return False
            case _:
                return False
        return True

    # --- the card comes -----------------------------------------------------------------------

    def _asks(self, item: items.CardAsks) -> bool:
        """The card whose PIN is changed wants to know what its 9A will sign."""
        visit = self._inside.visits.find(item.visit)
        if visit is None or visit.purpose is not Purpose.CHANGE:
            return False
        self._inside.signon.asks(item, visit)
        return True

    def _visit_ended(self, visit: Visit, end: CardAnswer | HardwareError) -> bool:
        if visit.purpose is Purpose.CHANGE:
            self._inside.visits.ended(visit.number)
            self._worked(visit, end)
            return True
        return visit.purpose is Purpose.TAP and self._own_card_came(visit, end)

    def _own_card_came(self, visit: Visit, end: CardAnswer | HardwareError) -> bool:
        """Her card in the slot now is no tap out. On a plate it is, as always."""
        contactless = self._inside.policy().pin_contactless
        fits = visit.interface is Interface.CONTACT or contactless
        if isinstance(end, HardwareError) or end.guid != self._owner.guid or not fits:
            return False
        signed = as_judged(visit, end)
        if not self._owner.by_pin_alone and (signed is None or not signed.holds):
            return False
        self._inside.visits.ended(visit.number)
        asked = self._inside.signon.outcomes.event(
            OutcomeResult.ASKED,
            Reason.PIN_NEEDED,
            self._owner.guid,
            signed=signed,
            entitlement=self._owner if signed else None,
        )
        self._inside.stage.commit(None, (asked,))
        if signed is not None:  # else it claims to be hers, and no more
            self._inside.happen(Activity())
        if self._step is Step.CARD:
            self._from_the_start()
        return True

    # --- the PINs -----------------------------------------------------------------------------

    def _entered(self, old: Pin, new: Pin) -> None:
        inside = self._inside
        if self._change is not None or inside.visits.newest is not None:
            return
        if new.is_same(old):
            self._ask(Step.NEW, words.NOT_NEW)
        elif why_easy(new, self._owner.holder) is not None:
            self._ask(Step.NEW, said.TOO_EASY)
        elif (card := self._card()) is None:
            self._ask(Step.CARD, words.CHANGE_SLOT)
        else:
            self._order(card, old, new)

    def _order(self, card: CardArrived, old: Pin, new: Pin) -> None:
        now = self._inside.parts.clock.monotonic_ns

        def make(question: Question) -> PinChange:
            self._change = PinChange(question, old, new, self._owner, now)
            return self._change

        self._inside.happen(Activity())
        self._inside.visits.work(card, Purpose.CHANGE, make)
        self._ask(Step.BUSY, said.PIN_CHECKING)

    def _worked(self, visit: Visit, end: CardAnswer | HardwareError) -> None:
        """The card has its new PIN, or not, or nobody knows. Raises JournalFailed."""
        change, self._change = self._change, None
        if isinstance(end, HardwareError):
            if change is not None and change.told:
                self._uncertain(visit, reason_of(end))
            else:
                self._failed(visit, end)
            return
        signed = as_judged(visit, end)
        if signed is None or not signed.holds or visit.asked_at is None:
            self._uncertain(visit, Reason.CARD_KEY_WRONG)
            return
        changed = self._changed(visit, signed.sequence, certain=True)
        remember = self._inside.signon.pins.remember(self._owner, signed, visit.asked_at)
        clock = self._inside.parts.custody.freshness().clock
        shared = self._inside.stage.newest.hold is not None
        proved = proved_by(visit, self._owner, signed, clock, shared=shared)
        self._end((*proved, changed), words.CHANGED, remember)

    def _uncertain(self, visit: Visit, reason: Reason) -> None:
        changed = self._changed(visit, None, certain=False)
        self._end((self._refused(visit, reason), changed), words.UNCERTAIN)

    def _failed(self, visit: Visit, error: HardwareError) -> None:
        """The card has the PIN that it had."""
        if isinstance(error, FewTries):
            self._doubted(self._refused(visit, Reason.PIN_NEEDED, error.left), said.PROVE_FIRST)
            return
        unwritten = isinstance(error, NotWritten)
        tried = Over(Reason.JOURNAL_FAILED) if unwritten else judge_try(error)
        if isinstance(tried, NotGiven):
            self._ask(Step.CARD, words.CHANGE_SLOT)
            return
        refused = self._refused(visit, tried.reason, tried.attempts)
        match tried:
            case TryAgain(Reason.PIN_WRONG):
                self._doubted(refused, said.WRONG_HERE)
            case TryAgain():
                self._inside.stage.commit(None, (refused,))
                self._ask(Step.CARD, words.CHANGE_SLOT)
            case Over(Reason.PIN_BLOCKED as reason):
                if not self._owner.by_pin_alone:
                    self._inside.signon.stuck_until_ms = self._now_ns() // _MS + STUCK_MS
                self._end((refused,), over_words(reason, self._owner))
            case Over():
                self._end((refused,), words.NOT_CHANGED)

    def _doubted(self, refused: Detail, sentence: str) -> None:
        """Perhaps it is not she who stands there: locked, and her card's next tap owes its PIN."""
        stage = self._inside.stage
        self._inside.signon.pins.doubt(self._owner.guid)
        locks = stage.consider(LockPressed()) if stage.takes(LockPressed) else None
        self._end((refused,), sentence, transition=locks)

    # --- what is told -------------------------------------------------------------------------

    def _from_the_start(self) -> None:
        if self._card() is not None:
            self._ask(Step.OLD, words.CHANGE)
        else:
            self._ask(Step.CARD, words.CHANGE_SLOT)

    def _ask(self, step: Step, why: str) -> None:
        self._step, self._why = step, why
        self._until_ns = self._now_ns() + CHANGE_S * _S

    def _end(
        self,
        details: tuple[Detail, ...],
        sentence: str,
        then: Callable[[], None] = lambda: None,
        transition: Transition | None = None,
    ) -> None:
        """Journal it; when it is durable the glass says so, with a reference to its last event."""
        self._ended = True
        journal, outcomes = self._inside.parts.journal, self._inside.signon.outcomes
        reference = said.reference(journal.id, journal.next_sequence + len(details) - 1)
        screen = Screen.NOTICE if sentence == words.CHANGED else Screen.REFUSED

        def act(_: object) -> None:
            then()
            outcomes.notice = Notice(screen, sentence, reference)

        self._inside.stage.commit(transition, details, act)

    def _refused(self, visit: Visit, reason: Reason, attempts: int | None = None) -> Detail:
        return self._inside.signon.outcomes.event(
            OutcomeResult.REFUSED,
            reason,
            self._owner.guid,
            record=visit.record.sequence if visit.record else None,
            entitlement=self._owner,
            attempts=attempts,
        )

    def _changed(self, visit: Visit, record: int | None, *, certain: bool) -> PinChanged:
        return PinChanged(
            record=record,
            guid=self._owner.guid,
            holder=self._owner.holder,
            interface="contact" if visit.interface is Interface.CONTACT else "contactless",
            result="changed" if certain else "uncertain",
        )

    def _card(self) -> CardArrived | None:
        inside = self._inside
        return inside.presence.for_pin(None, contactless=inside.policy().pin_contactless)

    def _now_ns(self) -> int:
        return self._inside.parts.clock.monotonic_ns()
