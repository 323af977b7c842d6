"""Cards at a screen in an emergency: tapped while no journal can record them, or a colleague's.

While the journal fails a tap opens nothing, but it is still worth something: the card signs a
detached record, the directory still says whose it is, and break-glass then stands in that name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from contract.directory import Entitlement, Slot
from contract.events import OutcomeResult, Reason
from contract.tap import card_digest
from firmware_py.card.tap import Challenge, reason_of
from firmware_py.emergency.claims import confirms
from firmware_py.emergency.detached import detached_record
from firmware_py.glass.view import Screen
from firmware_py.glass.words import NOT_NOW, refused
from firmware_py.items import CardAsks, VisitEnded
from firmware_py.sessions.machine import LockPressed
from firmware_py.signon.answers import as_tapped
from firmware_py.signon.decision import (
    OfferBreakGlass,
    Proof,
    Refuse,
    decide,
    is_holders,
    only_says,
)
from firmware_py.signon.pad import Shut, Tapped
from hardware.apdu import HardwareError

if TYPE_CHECKING:
    from firmware_py.emergency.opening import Opening

SLOT: Final = Slot.CARD_AUTHENTICATION


def proof_of(tap: Tapped) -> Proof | None:
    """What a tap's card showed; null where it never told its GUID."""
    if tap.guid is None:
        return None
    held = tap.signed is not None and tap.signed.holds
    return Proof(tap.guid, tap.interface, SLOT, tap.signed.key if tap.signed and held else None)


class Guests:
    """Belongs to the consumer."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._inside = opening.inside
        self._custody = opening.custody

    def asks(self, item: CardAsks) -> None:
        """A card wants to know what to sign, and no journal can hold it."""
        visit = self._inside.visits.find(item.visit)
        if visit is None:
            item.question.answer(None)
            return
        visit.guid = item.guid
        visit.entitlement = self._custody.entitlement(item.guid)
        visit.credential = visit.entitlement.credential(SLOT) if visit.entitlement else None
        visit.asked_at = self._custody.moment()
        if visit.credential is None:
            item.question.answer(None)
            return
        terminal, signon = self._inside.parts.journal.terminal, self._inside.signon
        beat = signon.evidence.name_heartbeat()
        visit.record = detached_record(self._custody, terminal, item.guid, beat, signon.seal())
        digest = card_digest(visit.record.data)
        item.question.answer(Challenge(visit.credential.algorithm, digest))

    def ended(self, item: VisitEnded, *, detached: bool) -> bool:
        """Such a card has answered, or a colleague's. Raises JournalFailed."""
        if isinstance(item.end, HardwareError):
            if detached:
                self._inside.visits.ended(item.visit)
                self._opening.say(refused(reason_of(item.end)), Screen.REFUSED)
            return detached
        visit = self._inside.visits.ended(item.visit)
        if visit is None:
            return True
        tap = as_tapped(visit, item.end)
        if detached:
            tap = replace(tap, record=None)
        # Asked anew: the directory may have changed while the card computed.
        entitlement = self._custody.entitlement(item.end.guid)
        if self._opening.line.waits() is not None:
            self._colleague(tap, entitlement, detached=detached)
        else:
            self._tapped(tap, entitlement)
        return True

    def _tapped(self, tap: Tapped, entitlement: Entitlement | None) -> None:
        proof, shown = proof_of(tap), self._inside.stage.newest.shown
        assert proof is not None  # noqa: S101 - a card that answered has told its GUID
        own = shown is not None and entitlement is not None and entitlement.holder == shown.holder
        if own and is_holders(proof, entitlement):
            self._inside.happen(LockPressed())  # leaving asks for nothing, and is owed
            return
        if (reason := self._refused(proof, entitlement)) is not None:
            self._opening.say(refused(reason), Screen.REFUSED)
            return
        now_ms = self._opening.line.now_ms()
        self._inside.signon.shut = Shut(tap, Reason.JOURNAL_FAILED, now_ms)
        self._opening.say(NOT_NOW, Screen.OFFER)

    def _refused(self, proof: Proof, entitlement: Entitlement | None) -> Reason | None:
        """Why this card would open nothing at all; null: it, or break-glass with it, would."""
        if only_says(proof, entitlement):
            return Reason.CARD_KEY_WRONG  # not before its PIN, and no journal can hold that
        custody = self._custody
        facts = (custody.place(), None, custody.freshness(), custody.moment())
        decision = decide(proof, entitlement, *facts, downtime=self._inside.signon.downtime)
        return decision.reason if isinstance(decision, Refuse) else None

    def _colleague(self, tap: Tapped, entitlement: Entitlement | None, *, detached: bool) -> None:
        proof = proof_of(tap)
        assert proof is not None  # noqa: S101 - a card that answered has told its GUID
        if confirms(proof, entitlement, self._custody.freshness().now_ms):
            self._opening.confirmed(replace(tap, entitlement=entitlement))
            return
        custody = self._custody
        facts = (custody.place(), None, custody.freshness(), custody.moment())
        decision = decide(proof, entitlement, *facts)
        turned = isinstance(decision, Refuse | OfferBreakGlass)
        reason = decision.reason if turned else Reason.CARD_UNKNOWN
        if detached:
            self._opening.say(refused(reason), Screen.REFUSED)
        else:
            outcomes = self._inside.signon.outcomes
            outcomes.turned_away(tap, reason, OutcomeResult.REFUSED, None)
