"""Two people declare downtime at a screen: card and PIN, the one after the other (DESIGN §5).

Each card signs an ordinary tap record and then, after its PIN, a downtime record with the digests
of the same terms and of the one text that is shown for them. Who may: somebody of the roles that
the ward's policy names, of this ward, with a card in use (`declarers`). Not the same person twice.
That it is over, one of them declares alone: it takes rights away and gives none. The ward's other
terminals are told, and check the cards' signatures themselves (`spreading`).

A refused card or a wrong PIN does not end it; its time does, and whoever cancels. Until then
nothing else is begun, so that nobody's touch undoes what the first of two has signed.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from contract.directory import Entitlement, Slot
from contract.emergency import (
    Declarer,
    DowntimeDeclared,
    DowntimeTerms,
)
from contract.events import OutcomeResult, Reason
from contract.ids import Digest
from contract.signing import sha256
from contract.wire import encode_base64
from firmware_py import items
from firmware_py.card.records import SignedRecord
from firmware_py.card.tap import CardAnswer, reason_of
from firmware_py.card.visits import Purpose, Visit
from firmware_py.emergency import words
from firmware_py.emergency.declarers import why_not
from firmware_py.evidence.journal import Written
from firmware_py.glass import words as kiosk
from firmware_py.glass.commands import Cancelled, PinEntered
from firmware_py.glass.notice import Notice
from firmware_py.glass.view import Screen
from firmware_py.items import CardAsks, Item
from firmware_py.signon.answers import as_judged, as_tapped, have_signed, why_unsigned
from firmware_py.signon.decision import Proof, is_holders
from firmware_py.signon.outcomes import proved_by
from firmware_py.signon.pad import Tapped
from firmware_py.signon.tries import NotGiven, Over, TryAgain, judge_try
from hardware.apdu import HardwareError
from hardware.piv import Pin

if TYPE_CHECKING:
    from firmware_py.emergency.downtime import DowntimeLine

LOG: Final = logging.getLogger("tapover.emergency")
STEP_MS: Final = 120_000
"""From one step to the next: the second person comes from another bay."""


class Step(StrEnum):
    """What is waited for."""

    CARD = "card"
    PIN = "pin"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class Declaration:
    """How far it has come."""

    terms: DowntimeTerms
    until_ms: int
    step: Step = Step.CARD
    said: str = words.FIRST_CARD
    by: tuple[Declarer, ...] = ()
    initials: tuple[str, ...] = ()
    signed: tuple[SignedRecord, ...] = field(default=(), repr=False)
    card: Entitlement | None = field(default=None, repr=False)
    tapped: Tapped | None = field(default=None, repr=False)
    attempts: int | None = None


class Declaring:
    """Belongs to the consumer."""

    def __init__(self, line: DowntimeLine) -> None:
        self._line = line
        self._inside = line.inside
        self._custody = line.inside.parts.custody
        self._now: Declaration | None = None
        self._proving: tuple[int, DowntimeTerms] | None = None
        """The newest visit that proves a PIN for us, and under which terms."""

    @property
    def now(self) -> Declaration | None:
        """Null when nobody declares anything, or not any more."""
        if self._now is not None and self._now.until_ms <= self._line.now_ms():
            self._now = None
            self._say(words.NOT_DECLARED)
        return self._now

    def begin(self, *, ends: bool) -> None:
        """Somebody wants to. While anybody declares anything this is nothing."""
        if self.now is not None:
            return
        policy, place = self._line.policy(), self._custody.place().terminal
        if policy is None or place is None or self._inside.outage.down:
            return
        terms = DowntimeTerms(
            site=self._custody.kept.keys.site,
            terminal=place.terminal,
            ward=place.ward,
            begins_ms=self._begins_ms(ends=ends),
            limit_s=policy.renew_s,
            off=policy.off,
            ends=ends,
            nonce=secrets.token_hex(32),
        )
        self._go_on(Declaration(terms, 0), words.END_CARD if ends else words.FIRST_CARD)

    def _begins_ms(self, *, ends: bool) -> int:
        """Now; whatever a clock says, after what is over here, and not before what it ends."""
        now_ms, on = self._custody.freshness().now_ms, self._line.on
        return max(now_ms, self._line.over_ms + 1, on.begins_ms if ends and on else 0)

    def takes(self, item: Item) -> bool:
        """Cards and digits, while somebody declares. Raises JournalFailed."""
        if (now := self.now) is None:
            return False
        match item:
            case items.CardAsks() if visit := self._ours(now, item.visit):
                self._asks(now, item, visit)
            case items.VisitEnded() if visit := self._ours(now, item.visit):
                self._inside.visits.ended(item.visit)
                self._ended(now, visit, item.end)
            case PinEntered(pin) if now.step is Step.PIN:
                self._pin(now, pin)
            case Cancelled():
                self._drop(words.NOT_DECLARED)
            case items.JournalDown():
                self._now = None
                return False
            case _:
                return False
        return True

    # --- cards --------------------------------------------------------------------------------

    def _ours(self, now: Declaration, number: int) -> Visit | None:
        """Any tap, and the PIN that is waited for; what else a card answers is for sign-on."""
        visit = self._inside.visits.find(number)
        if visit is None or visit.purpose is Purpose.TAP:
            return visit
        waits = now.step is Step.PIN and self._proving == (number, now.terms)
        hers = now.card and visit.owner and now.card.guid == visit.owner.guid
        return visit if waits and hers else None

    def _asks(self, now: Declaration, item: CardAsks, visit: Visit) -> None:
        visit.guid = item.guid
        visit.entitlement = self._custody.entitlement(item.guid)
        pin = visit.purpose is Purpose.PIN
        slot = Slot.PIV_AUTHENTICATION if pin else Slot.CARD_AUTHENTICATION
        visit.credential = visit.entitlement.credential(slot) if visit.entitlement else None
        visit.asked_at = self._custody.moment()
        have_signed(item, visit, lambda: self._record(now, item, proves=pin))

    def _record(self, now: Declaration, item: CardAsks, *, proves: bool) -> Written:
        evidence = self._inside.signon.evidence
        if not proves:
            return evidence.record_tap(item.guid)
        text = Digest(sha256(now.terms.words().encode()))
        terms = sha256(now.terms.to_bytes())
        return evidence.record_downtime(item.guid, text, terms, self._line.heartbeat_before())

    def _pin(self, now: Declaration, pin: Pin) -> None:
        if now.card is None or now.tapped is None or self._inside.visits.newest is not None:
            return
        contactless = self._inside.policy().pin_contactless
        card = self._inside.presence.for_pin(now.tapped.reader, contactless=contactless)
        if card is None:
            self._say(kiosk.CARD_BACK)
            return
        visit = self._inside.visits.prove_pin(card, pin, now.card, warned=now.attempts == 1)
        self._proving = (visit.number, now.terms)

    def _ended(self, now: Declaration, visit: Visit, end: CardAnswer | HardwareError) -> None:
        proves = visit.purpose is Purpose.PIN
        match end:
            case CardAnswer() if proves:
                self._proved(now, visit, as_judged(visit, end))
            case CardAnswer():
                self._shown(now, visit, end, as_judged(visit, end))
            case _ if proves:
                self._pin_failed(now, visit, end)
            case _:
                self._another_card(now)
                reason = reason_of(end)
                self._refuse(kiosk.refused(reason), reason, visit)

    def _shown(
        self, now: Declaration, visit: Visit, end: CardAnswer, signed: SignedRecord | None
    ) -> None:
        tap = as_tapped(visit, end)
        held = signed is not None and signed.holds
        key = signed.key if signed and held else None
        proof = Proof(end.guid, visit.interface, Slot.CARD_AUTHENTICATION, key)
        card = self._custody.entitlement(end.guid)
        reason = visit.failed or self._refused(proof, card)
        if card is None or reason is not None:
            self._refuse(words.NOT_YOU, reason or Reason.CARD_UNKNOWN, visit, signed)
        elif card.holder in {one.holder for one in now.by}:
            self._refuse(words.ANOTHER_PERSON, Reason.SAME_PERSON, visit, signed)
        else:
            self._commit(OutcomeResult.ASKED, Reason.PIN_NEEDED, visit, signed)
            asked = replace(now, card=card, tapped=tap, attempts=None, step=Step.PIN)
            self._go_on(asked, words.DECLARER_PIN.format(text=now.terms.words()))

    def _refused(self, proof: Proof, card: Entitlement | None) -> Reason | None:
        """Why this card cannot declare it; null: it can. What the directory knew must do."""
        policy = self._line.policy()
        if card is None or policy is None:
            return Reason.CARD_UNKNOWN
        if not is_holders(proof, card):
            return Reason.CARD_KEY_WRONG
        return why_not(card, policy, self._custody)

    def _proved(self, now: Declaration, visit: Visit, signed: SignedRecord | None) -> None:
        if now.card is None or signed is None or not signed.holds:
            self._now = None
            reason = why_unsigned(visit, signed) or Reason.CARD_KEY_WRONG
            self._refuse(words.NOT_DECLARED, reason, visit, signed)
            return
        declarer = Declarer(holder=now.card.holder, record=signed.sequence)
        by = (*now.by, declarer)
        initials = (*now.initials, now.card.name.initials)
        clock, shared = self._custody.freshness().clock, self._inside.stage.newest.hold is not None
        told = proved_by(visit, now.card, signed, clock, shared=shared)
        agreed = replace(
            now,
            by=by,
            initials=initials,
            signed=(*now.signed, signed),
            card=None,
            tapped=None,
            attempts=None,
        )
        if now.terms.begins_ms <= self._line.over_ms:
            self._inside.stage.commit(None, told)  # meanwhile somebody ended it at another screen
            self._drop(words.NOT_DECLARED)
        elif now.terms.ends:
            self._now = None
            self._line.end_declared(declarer, now.terms, told, lambda: self._spread(agreed))
        elif len(by) == 1:
            self._inside.stage.commit(None, told)
            self._go_on(replace(agreed, step=Step.CARD), words.SECOND_CARD)
        else:
            self._go_on(replace(agreed, step=Step.DISK), kiosk.PIN_CHECKING)
            declared = DowntimeDeclared(
                ward=now.terms.ward,
                by=by,
                terms=encode_base64(now.terms.to_bytes()),
                statement=None,
                limit_s=self._left_s(now.terms),
            )
            self._inside.stage.commit(
                None, (*told, declared), lambda _: self._declared(declared, agreed)
            )

    def _left_s(self, terms: DowntimeTerms) -> int:
        """It ends at every screen at the same time: so long after its terms were made."""
        passed_s = (self._custody.freshness().now_ms - terms.begins_ms) // 1000
        return max(1, terms.limit_s - max(0, passed_s))

    def _declared(self, declared: DowntimeDeclared, agreed: Declaration) -> None:
        self._now = None
        self._line.begin(declared, agreed.initials)
        self._spread(agreed)
        self._say(words.DOWNTIME_ON)

    def _spread(self, agreed: Declaration) -> None:
        if (spreading := self._line.spreading()) is not None:
            spreading.say(agreed.terms.to_bytes(), agreed.signed)

    def _pin_failed(self, now: Declaration, visit: Visit, error: HardwareError) -> None:
        match judge_try(error):
            case NotGiven(why, attempts):
                self._go_on(replace(now, attempts=attempts or now.attempts), why)
            case TryAgain(reason, why, attempts):
                self._commit(OutcomeResult.REFUSED, reason, visit, attempts=attempts)
                said = kiosk.SLOT if reason is Reason.PIN_NOT_HERE else why
                self._go_on(replace(now, attempts=attempts or now.attempts), said)
            case Over(reason, attempts):
                self._another_card(now)
                self._refuse(kiosk.refused(reason), reason, visit, attempts=attempts)

    def _another_card(self, now: Declaration) -> None:
        """This one came to nothing; what was agreed so far stands."""
        first = words.SECOND_CARD if now.by else words.FIRST_CARD
        ask = words.END_CARD if now.terms.ends else first
        self._now = replace(now, step=Step.CARD, card=None, tapped=None, attempts=None, said=ask)

    # --- what is said -------------------------------------------------------------------------

    def _refuse(
        self,
        sentence: str,
        reason: Reason,
        visit: Visit,
        signed: SignedRecord | None = None,
        attempts: int | None = None,
    ) -> None:
        """Journal it; once it is durable the glass says so, with a reference to it."""
        journal, stands = self._inside.parts.journal, self._now
        reference = kiosk.reference(journal.id, journal.next_sequence)

        def act() -> None:
            if self._now is stands:
                self._say(sentence, Screen.REFUSED, reference)

        LOG.info("refused", extra={"reason": reason, "reference": reference})
        self._commit(OutcomeResult.REFUSED, reason, visit, signed, attempts, act)

    def _commit(
        self,
        result: OutcomeResult,
        reason: Reason,
        visit: Visit,
        signed: SignedRecord | None = None,
        attempts: int | None = None,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        owner = visit.owner
        told = self._inside.signon.outcomes.event(
            *(result, reason, owner.guid if owner else visit.guid),
            signed=signed,
            record=visit.record.sequence if visit.record else None,
            entitlement=owner or (visit.entitlement if signed else None),
            attempts=attempts,
        )
        self._inside.stage.commit(None, (told,), lambda _: then())

    def _go_on(self, now: Declaration, said: str) -> None:
        until_ms = self._line.now_ms() + STEP_MS
        self._now = replace(now, until_ms=until_ms, said=said)
        self._inside.timers.set("declaring", STEP_MS / 1000, items.SurroundingsChanged())
        self._say(said)

    def _drop(self, sentence: str) -> None:
        self._now = None
        self._say(sentence)

    def _say(
        self, sentence: str, screen: Screen = Screen.NOTICE, reference: str | None = None
    ) -> None:
        self._inside.signon.outcomes.notice = Notice(screen, sentence, reference)
