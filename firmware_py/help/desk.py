"""The help desk at a screen: card after card until somebody is helped (FIELD 10, 11).

Person, spare, lead's card, lead's PIN; or blocked card, colleague's card, colleague's PIN, new PIN.
Each card signs a record of its own, with an outcome, as at any tap; nothing of it opens anything by
itself. Steps have a limit in time; a refused card ends the errand, a wrong PIN does not.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from contract.administration import led_by
from contract.certificates import spki
from contract.directory import Slot, Status
from contract.events import CardOutcome, Detail, OutcomeResult, Reason
from contract.help import SpareTerms, text_digest
from contract.ids import Digest, Guid
from contract.pinning import PinContactless
from contract.puk import PukTerms
from contract.signing import sha256
from firmware_py.card.records import SignedRecord
from firmware_py.card.tap import CardAnswer, reason_of
from firmware_py.card.visits import Purpose, Visit
from firmware_py.evidence.journal import Written
from firmware_py.glass import words
from firmware_py.glass.notice import Notice
from firmware_py.glass.view import Screen
from firmware_py.glass.words import TOO_EASY
from firmware_py.help import screens
from firmware_py.help.commands import FindPerson, NewPinWanted, SpareWanted
from firmware_py.help.errand import ERRAND_S, SAY, Errand, Step
from firmware_py.help.finding import PeopleOffice
from firmware_py.help.line import HelpLine
from firmware_py.help.news import News
from firmware_py.help.spares import SpareOffice
from firmware_py.help.unblock import PukOffice
from firmware_py.inside import Panel
from firmware_py.items import CardAsks, HelpNews
from firmware_py.signon.answers import as_judged, as_tapped, have_signed
from firmware_py.signon.decision import OUT_OF_USE
from firmware_py.signon.tries import NotGiven, Over, TryAgain, judge_try
from firmware_py.site.link import HelpHeard
from hardware.apdu import HardwareError
from hardware.easypins import why_easy
from hardware.piv import Pin
from hardware.readers import Interface

LOG: Final = logging.getLogger("tapover.help")
_S: Final = 1_000_000_000
_MS_A_MINUTE: Final = 60_000


class HelpDesk:
    """Belongs to the consumer."""

    def __init__(self, line: HelpLine) -> None:
        assert line.inside.parts.help is not None  # noqa: S101 - the line asks for it
        self.line = line
        self.tools = line.inside.parts.help
        self.custody = line.inside.parts.custody
        self.errand: Errand | None = None
        self._tasks: set[asyncio.Future[None]] = set()
        self.spares = SpareOffice(self)
        self.puks = PukOffice(self)
        self.people = PeopleOffice(self)

    @property
    def busy(self) -> bool:
        """Whether cards and digits are ours."""
        errand = self.errand
        if errand is not None and self.line.inside.parts.clock.monotonic_ns() >= errand.until_ns:
            self.drop()
        return self.errand is not None

    @property
    def wants_no_card(self) -> bool:
        """Whether the next card is nobody's whom we help."""
        return self.errand is not None and self.errand.step is Step.PERSON

    def drop(self) -> None:
        """Whoever was helped has gone, or is done."""
        self.errand = None

    # --- what somebody wants ------------------------------------------------------------------

    def wanted(self, command: SpareWanted | NewPinWanted) -> None:
        """Begin; whatever was begun before is over."""
        errand = Errand("puk", Step.CARD, 0)
        if isinstance(command, SpareWanted):
            errand = Errand("spare", Step.CARD, 0, minutes=command.minutes)
            self.people.wanted(errand, command)
        else:
            errand.key = ec.generate_private_key(ec.SECP256R1())
        self.errand = errand
        self.go_on(errand.step)

    def find(self, command: FindPerson) -> None:
        """Somebody says, letter by letter, whom a spare is for."""
        errand = self.errand if self.busy else None
        if errand is None or (errand.what, errand.step) != ("spare", Step.PERSON):
            errand = self.errand = Errand("spare", Step.PERSON, 0)
        self.go_on(Step.PERSON)
        self.people.find(errand, command)

    def panel(self) -> Panel | None:
        """What the page draws (`screens`); null while nobody is helped."""
        if not self.busy or self.errand is None:
            return None
        now_ns = self.line.inside.parts.clock.monotonic_ns()
        searching = self.people.searching
        return screens.panel(self.errand, self.custody.place(), now_ns, searching=searching)

    # --- cards --------------------------------------------------------------------------------

    def asks(self, item: CardAsks, visit: Visit) -> bool:
        """A card wants to know what to sign."""
        errand = self.errand
        if not self.busy or errand is None:
            return False
        visit.guid = item.guid
        visit.entitlement = self.custody.entitlement(item.guid)
        slot = Slot.CARD_AUTHENTICATION if visit.purpose is Purpose.TAP else Slot.PIV_AUTHENTICATION
        card = visit.entitlement
        keys = self.custody.spare(item.guid) if errand.step is Step.CARD and not card else card
        visit.credential = keys.credential(slot) if keys else None
        visit.asked_at = self.custody.moment()
        have_signed(item, visit, lambda: self._record(errand, visit, item.guid))
        return True

    def _record(self, errand: Errand, visit: Visit, guid: Guid) -> Written:
        evidence = self.line.inside.signon.evidence
        if visit.purpose is Purpose.TAP:
            seal = sha256(spki(errand.key.public_key())) if errand.key else None
            return evidence.record_tap(guid, seal if errand.step is Step.CARD else None)
        errand.terms = self._terms(errand)
        errand.line = errand.terms.to_bytes()
        text = Digest(text_digest(errand.terms.words()))
        return evidence.record_countersign(guid, text, sha256(errand.line))

    def _terms(self, errand: Errand) -> SpareTerms | PukTerms:
        place, keys = self.custody.place().terminal, self.custody.kept.keys
        assert place is not None  # noqa: S101 - without a register no card has a key here
        nonce = secrets.token_hex(32)
        if errand.what == "puk":
            assert errand.card and errand.tap and errand.key  # noqa: S101, PT018 - earlier steps
            key = sha256(spki(errand.key.public_key()))
            tap = sha256(errand.tap.event)
            return PukTerms(
                site=keys.site,
                terminal=place.terminal,
                ward=place.ward,
                guid=errand.card.guid,
                tap=tap,
                key=key,
                nonce=nonce,
            )
        assert errand.spare and errand.person  # noqa: S101, PT018 - earlier steps
        now_ms = self.custody.freshness().now_ms
        return SpareTerms(
            site=keys.site,
            terminal=place.terminal,
            ward=place.ward,
            spare=errand.spare,
            person=errand.person,
            begins_ms=now_ms,
            until_ms=now_ms + errand.minutes * _MS_A_MINUTE,
            nonce=nonce,
        )

    def pin(self, pin: Pin) -> bool:
        """Digits, where they are for a card of ours."""
        errand = self.errand
        if not self.busy or errand is None or self.line.inside.visits.newest is not None:
            return False
        wanted = errand.card if errand.step is Step.NEW_PIN else errand.colleague
        if errand.step not in (Step.PIN, Step.NEW_PIN) or wanted is None:
            return False
        tapped = errand.colleague_tap if errand.step is Step.PIN else errand.tapped
        assert tapped is not None  # noqa: S101 - a card was tapped to come so far
        contactless = self.custody.place().policy.pin_contactless
        card = self.line.inside.presence.for_pin(tapped.reader, contactless=contactless)
        if card is None:
            self.say(words.CARD_BACK)
        elif errand.step is Step.NEW_PIN and why_easy(pin, wanted.holder) is not None:
            self.say(TOO_EASY)
        elif errand.step is Step.PIN:
            warned = errand.attempts == 1
            self.line.inside.visits.prove_pin(card, pin, wanted, warned=warned)
        else:
            self.line.inside.visits.unblock(card, self.puks.work(errand, pin))
        return True

    def ended(self, visit: Visit, end: CardAnswer | HardwareError) -> None:
        """A card has answered, or not. Raises JournalFailed."""
        errand = self.errand
        if visit.purpose is Purpose.UNBLOCK:
            self.puks.worked(end)
            return
        if errand is None:
            return
        if isinstance(end, HardwareError):
            self._unread(errand, visit, end)
            return
        signed = as_judged(visit, end)
        if signed is None or not signed.holds:
            unknown = Reason.CARD_UNKNOWN if signed is None else Reason.CARD_KEY_WRONG
            self.refuse(visit.failed or unknown, visit, signed)
        elif visit.purpose is Purpose.PIN:
            self._proved(errand, visit, signed)
        elif errand.step is Step.CARD:
            self._card_shown(errand, visit, end, signed)
        elif errand.step is Step.COLLEAGUE:
            self._colleague_shown(errand, visit, end, signed)
        else:
            if errand.card is not None and end.guid == errand.card.guid:
                errand.tapped = as_tapped(visit, end)  # in the slot by now, where its PIN is set
            self._commit(OutcomeResult.ASKED, Reason.PIN_NEEDED, visit, signed)
            self.go_on(errand.step)

    def _card_shown(
        self, errand: Errand, visit: Visit, end: CardAnswer, signed: SignedRecord
    ) -> None:
        card = visit.entitlement
        if (card is None) != (errand.what == "spare"):
            self.refuse(Reason.CARD_UNKNOWN, visit, signed)
            return
        if card is not None and (reason := OUT_OF_USE.get(card.status)) is not None:
            self.refuse(reason, visit, signed)
            return
        errand.card, errand.spare = card, end.guid if card is None else None
        errand.tap, errand.tapped = signed, as_tapped(visit, end)
        self._commit(OutcomeResult.ASKED, Reason.PIN_NEEDED, visit, signed)
        self.go_on(Step.COLLEAGUE)

    def _colleague_shown(
        self, errand: Errand, visit: Visit, end: CardAnswer, signed: SignedRecord
    ) -> None:
        card, place = visit.entitlement, self.custody.place().terminal
        holder = errand.person.holder if errand.person else errand.card and errand.card.holder
        fits = card is not None and place is not None and card.holder != holder
        if errand.what == "spare" and fits and card and place:
            fits = any(place.ward in led_by(position) for position in card.positions)
        if card is None or not fits or card.status is not Status.ACTIVE:
            self.refuse(Reason.ROLE_NOT_ALLOWED, visit, signed)
            return
        errand.colleague, errand.colleague_tap = card, as_tapped(visit, end)
        self._commit(OutcomeResult.ASKED, Reason.PIN_NEEDED, visit, signed)
        self.go_on(Step.PIN)

    def _proved(self, errand: Errand, visit: Visit, signed: SignedRecord) -> None:
        errand.record = signed.sequence
        self.go_on(Step.GATEWAY)
        send = self.spares.send if errand.what == "spare" else self.puks.send
        if visit.interface is not Interface.CONTACT and visit.guid is not None:
            self.note(PinContactless(record=signed.sequence, guid=visit.guid))
        self._commit(
            OutcomeResult.PROVED, Reason.GRANTED, visit, signed, lambda: send(errand, signed)
        )

    def _unread(self, errand: Errand, visit: Visit, error: HardwareError) -> None:
        if visit.owner is None:
            reason = reason_of(error)
            self._turn_down(words.refused(reason), self._refused(visit, reason, visit.guid))
            return
        tried = judge_try(error)
        match tried:
            case NotGiven(why, attempts):
                errand.attempts = attempts or errand.attempts
                self.say(why)
            case TryAgain(reason, why, attempts):
                self.note(self._refused(visit, reason, visit.owner.guid, attempts))
                errand.attempts = attempts or errand.attempts
                self.say(why)
            case Over(reason, attempts):
                told = self._refused(visit, reason, visit.owner.guid, attempts)
                self._turn_down(words.refused(reason), told)
                if reason is Reason.PIN_BLOCKED:
                    self.drop()

    def _refused(
        self, visit: Visit, reason: Reason, guid: Guid | None, attempts: int | None = None
    ) -> CardOutcome:
        record = visit.record.sequence if visit.record else None
        event = self.line.inside.signon.outcomes.event
        return event(OutcomeResult.REFUSED, reason, guid, record=record, attempts=attempts)

    # --- what waits ---------------------------------------------------------------------------

    def heard(self, item: HelpHeard) -> None:
        """A peer has helped, or takes it back."""
        self.spares.heard(item)

    def news(self, about: object) -> None:
        """Something that was waited for. Raises JournalFailed."""
        if isinstance(about, News):
            about.tell(self)

    def directory_changed(self) -> None:
        self.spares.directory_changed()

    # --- for the offices ----------------------------------------------------------------------

    def go_on(self, step: Step) -> None:
        """The next step, with a limit of its own; the glass says what is wanted."""
        if (errand := self.errand) is None:
            return
        if step is not errand.step:
            errand.attempts = None
        errand.step = step
        errand.until_ns = self.line.inside.parts.clock.monotonic_ns() + ERRAND_S * _S
        if (sentence := SAY.get((errand.what, step))) is not None:
            self.say(sentence)

    def say(self, sentence: str, at: int | None = None) -> None:
        """On the glass in passing; `at` is the event that a reference leads to. For no refusal."""
        journal = self.line.inside.parts.journal
        reference = None if at is None else words.reference(journal.id, at)
        if self.errand is not None:
            self.errand.said = sentence
        self.line.inside.signon.outcomes.notice = Notice(Screen.NOTICE, sentence, reference)

    def give_up(self, sentence: str, guid: Guid | None = None) -> None:
        """What was wanted cannot be done; the errand is over. Raises JournalFailed."""
        self.drop()
        event = self.line.inside.signon.outcomes.event
        self._turn_down(sentence, event(OutcomeResult.REFUSED, Reason.NOT_DONE, guid))

    def refuse(self, reason: Reason, visit: Visit, signed: SignedRecord | None) -> None:
        """This card does not do; the errand is over. Raises JournalFailed."""
        self._turn_down(
            words.refused(reason), self._outcome(OutcomeResult.REFUSED, reason, visit, signed)
        )
        self.drop()

    def _turn_down(self, sentence: str, told: CardOutcome) -> None:
        if self.errand is not None:
            self.errand.said = sentence
        self.line.inside.signon.outcomes.refuse(told, sentence)

    def note(self, *details: Detail) -> None:
        """Journal what nobody waits for. Raises JournalFailed."""
        self.line.inside.stage.commit(None, details)

    def post(self, about: object) -> None:
        self.line.inside.post(HelpNews(about))

    def later(self, work: Awaitable[None]) -> None:
        """Beside the queue; it comes back by `post`."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _commit(
        self,
        result: OutcomeResult,
        reason: Reason,
        visit: Visit,
        signed: SignedRecord | None,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        told = self._outcome(result, reason, visit, signed)
        self.line.inside.stage.commit(None, (told,), lambda _: then())

    def _outcome(
        self, result: OutcomeResult, reason: Reason, visit: Visit, signed: SignedRecord | None
    ) -> CardOutcome:
        return self.line.inside.signon.outcomes.event(
            *(result, reason, visit.guid),
            signed=signed,
            record=visit.record.sequence if visit.record else None,
            entitlement=visit.entitlement if signed else None,
        )
