"""Outcomes: what came of a card is journalled with what it does to sessions, as one, and then acts.

Refusals and notices reach the glass when they are durable, with a reference that finds them in the
log; the reason itself stays in the log (DESIGN §9). What is not about the card whose turn it is
stays there altogether (see `turn`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from contract.directory import Entitlement
from contract.events import CardOutcome, ClockTrust, Detail, OutcomeResult, Reason
from contract.ids import Guid
from contract.pinning import PinContactless
from firmware_py.card.records import Rights, SignedRecord, outcome
from firmware_py.card.visits import Visit
from firmware_py.evidence.journal import Journal
from firmware_py.glass import words
from firmware_py.glass.notice import Notice
from firmware_py.glass.view import Screen
from firmware_py.sessions.machine import Session, Transition
from firmware_py.sessions.stage import Acted, Stage
from firmware_py.signon.pad import Pad, Tapped
from firmware_py.signon.turn import Turn, Visitor
from hardware.readers import Interface, ReaderName

LOG: Final = logging.getLogger("tapover.signon")


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
    break_glass: int = 0
    """Each is somebody whom the system did not let in."""
    unrecorded: int = 0
    """Of these, what nothing could take yet."""
    downtimes: int = 0
    """Declared here, or at another screen and heard of."""


class Outcomes:
    """Belongs to the consumer. Every method that journals raises JournalFailed."""

    def __init__(self, journal: Journal, rights: Rights, stage: Stage) -> None:
        self.notice: Notice | None = None
        """What stands on the glass in passing."""
        self.timed: list[Timed] = []
        self.counts = Counts()
        self._journal = journal
        self._rights = rights
        self._stage = stage
        self.on_session: Callable[[Tapped, OutcomeResult, Session], None] = lambda *_: None
        """Called when a tap's step of a session has acted: what it came to, and whose session."""
        self.beside: Callable[[Tapped], Sequence[Detail]] = lambda _: ()
        """What is to be noted in the same commit as what came of a tap."""
        self._at: dict[ReaderName, Tapped] = {}
        self._last_timed: int | None = None
        self._unwritten = 0
        self._turn = Turn()

    def tapped(self, visitor: Visitor) -> None:
        """A card has come: what was said before is over, and the glass is its holder's."""
        self.notice = None
        self._turn.take(visitor, self._rights.moment().monotonic_ms)

    def read(self, tap: Tapped) -> None:
        """A card's answer, or that it gave none."""
        self._at[tap.reader] = tap

    def newest_at(self, reader: ReaderName) -> Tapped | None:
        """What the newest card at a reader came to."""
        return self._at.get(reader)

    def opened(
        self,
        tap: Tapped,
        reason: Reason,
        transition: Transition,
        before: Sequence[Detail] = (),
        pin_record: int | None = None,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """A tap did something to a session; its result is the transition's."""
        assert transition.result is not None  # noqa: S101 - Granted and OwnTap have one
        done = self.event(
            transition.result,
            reason,
            tap.guid,
            signed=tap.signed,
            entitlement=tap.entitlement,
            session=transition.session,
            pin_record=pin_record,
        )
        result, session = transition.result, transition.session

        def acted() -> None:
            then()
            if session is not None and result is not OutcomeResult.JOINED:
                self.on_session(tap, result, session)

        self._commit(tap, transition, (*before, done), acted, asked=False)

    def asked(
        self,
        tap: Tapped,
        reason: Reason,
        transition: Transition,
        before: Sequence[Detail] = (),
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """A PIN or a choice is owed. The signature is kept for what may rest on it later."""
        asked = self.event(
            OutcomeResult.ASKED,
            reason,
            tap.guid,
            record=tap.record,
            entitlement=tap.entitlement if tap.signed else None,
        )
        self._commit(tap, transition, (*before, asked), then, asked=True)

    def unsigned(self, tap: Tapped, transition: Transition | None) -> None:
        """A tap that no key signed has locked its holder's work, or nothing. It claims nothing.

        The PIN that is owed is asked for at the next one.
        """
        refused = self.event(OutcomeResult.REFUSED, Reason.PIN_NEEDED, tap.guid)
        self._stage.commit(transition, (refused, *self.beside(tap)))

    def offered(self, tap: Tapped, transition: Transition) -> None:
        """At a held screen: to join, or to take over. As `asked`."""
        offered = self.event(
            OutcomeResult.OFFERED,
            Reason.SHARED,
            tap.guid,
            record=tap.record,
            entitlement=tap.entitlement,
        )
        self._commit(tap, transition, (offered,), lambda: None, asked=True)

    def lapsed(self, tap: Tapped, reason: Reason, transition: Transition) -> None:
        """What was offered came to nothing; the glass goes on without a word."""
        lapsed = self.event(
            OutcomeResult.REFUSED,
            reason,
            tap.guid,
            signed=tap.signed,
            entitlement=tap.entitlement,
        )
        self._stage.commit(transition, (lapsed,))

    def turned_away(
        self,
        tap: Tapped,
        reason: Reason,
        result: OutcomeResult,
        transition: Transition | None,
        before: Sequence[Detail] = (),
    ) -> None:
        """Refused, or offered something else: whoever is on the glass stays there."""
        turned = self.event(
            result,
            reason,
            tap.guid,
            signed=tap.signed,
            record=tap.record,
            entitlement=tap.entitlement if tap.signed else None,
        )
        screen = Screen.OFFER if result is OutcomeResult.OFFERED else Screen.REFUSED
        self._announce(
            reason, transition, (*before, turned), screen, tap, lambda acted: self._time(tap, acted)
        )

    def refuse(self, told: CardOutcome, sentence: str, before: Sequence[Detail] = ()) -> None:
        """What somebody wanted of a desk is not done, whoever's turn the glass is."""
        details = (*before, told)
        self._announce(told.reason, None, details, Screen.REFUSED, None, lambda _: None, sentence)

    def unwritten(self, sentence: str, screen: Screen = Screen.REFUSED) -> None:
        """As `refuse`, where no journal takes anything: the reference leads to the daemon's log."""
        self._unwritten += 1
        reference = words.unwritten_reference(self._journal.id, self._unwritten)
        LOG.warning("refused, in this log alone", extra={"reference": reference, "said": sentence})
        self.notice = Notice(screen, sentence, reference)

    def mute(self, thing: Visitor) -> None:
        """Something that does not answer was put to a reader."""
        self._unread(Reason.CARD_ERROR, Screen.REFUSED, thing)

    def event(
        self,
        result: OutcomeResult,
        reason: Reason,
        guid: Guid | None,
        *,
        signed: SignedRecord | None = None,
        record: int | None = None,
        entitlement: Entitlement | None = None,
        session: Session | None = None,
        pin_record: int | None = None,
        attempts: int | None = None,
    ) -> CardOutcome:
        """What came of a card here and now, for any desk's commit.

        While the screen is held it says so: nothing there has a certain author.
        """
        return outcome(
            result,
            reason,
            guid,
            self._rights.freshness().clock,
            signed=signed,
            record=record,
            entitlement=entitlement,
            session=session,
            pin_record=pin_record,
            attempts=attempts,
            shared=self._stage.newest.hold is not None,
        )

    def _unread(self, reason: Reason, screen: Screen, about: Visitor | None) -> None:
        refused = self.event(OutcomeResult.REFUSED, reason, None)
        self._announce(reason, None, (refused,), screen, about, lambda _: None)

    def at_pad(
        self,
        pad: Pad,
        reason: Reason,
        transition: Transition | None,
        *,
        signed: SignedRecord | None = None,
        record: int | None = None,
        attempts: int | None = None,
        announced: bool = False,
        sentence: str | None = None,
    ) -> None:
        """Something at the pad came to nothing; `announced` when the pad ends with it.

        `sentence`: what the glass says, where it is not what it says to the reason.
        """
        refused = self.event(
            OutcomeResult.REFUSED,
            reason,
            pad.entitlement.guid,
            signed=signed,
            record=record,
            entitlement=pad.entitlement if signed or pad.tapped.signed else None,
            attempts=attempts,
        )
        if announced:
            self._announce(
                *(reason, transition, (refused,), Screen.REFUSED, pad.tapped),
                lambda _: None,
                sentence,
            )
        else:
            self._stage.commit(transition, (refused,))

    def too_late(
        self,
        owner: Entitlement,
        reason: Reason,
        signed: SignedRecord | None,
        record: int | None,
        attempts: int | None,
    ) -> None:
        """What a card answered to a PIN whose pad had gone: nothing rests on it."""
        refused = self.event(
            OutcomeResult.REFUSED,
            reason,
            owner.guid,
            signed=signed,
            record=record,
            entitlement=owner,
            attempts=attempts,
        )
        self._stage.commit(None, (refused,))

    def _announce(
        self,
        reason: Reason,
        transition: Transition | None,
        details: Sequence[Detail],
        screen: Screen,
        about: Visitor | None,
        then: Callable[[Acted], None],
        sentence: str | None = None,
    ) -> None:
        sequence = self._journal.next_sequence + len(details) - 1
        reference = words.reference(self._journal.id, sequence)
        self.counts.refused += 1

        def act(acted: Acted) -> None:
            now_ms = self._rights.moment().monotonic_ms
            if about is None or not self._turn.is_anothers(about, now_ms):
                self.notice = Notice(screen, sentence or words.refused(reason), reference)
            then(acted)

        LOG.info("refused", extra={"reason": reason, "reference": reference})
        self._stage.commit(transition, details, act)

    def _commit(
        self,
        tap: Tapped,
        transition: Transition,
        details: Sequence[Detail],
        then: Callable[[], None],
        *,
        asked: bool,
    ) -> None:
        def act(acted: Acted) -> None:
            then()
            self._turn.take(tap, self._rights.moment().monotonic_ms, asked=asked)
            self._time(tap, acted)

        self._stage.commit(transition, (*details, *self.beside(tap)), act)

    def _time(self, tap: Tapped, acted: Acted) -> None:
        """Once a tap: what a person does at the pad afterwards is not the software's time."""
        if tap.record is not None and tap.record != self._last_timed:
            self._last_timed = tap.record
            self.timed.append(Timed(tap, tap.record, acted.flush_ns))


def proved_by(
    visit: Visit,
    entitlement: Entitlement,
    signed: SignedRecord,
    clock: ClockTrust,
    *,
    shared: bool = False,
) -> tuple[Detail, ...]:
    """A PIN was proved: stands before what rests on it, marked where no contact was needed."""
    proved = outcome(
        OutcomeResult.PROVED,
        Reason.GRANTED,
        entitlement.guid,
        clock,
        signed=signed,
        entitlement=entitlement,
        shared=shared,
    )
    if visit.interface is Interface.CONTACT:
        return (proved,)
    return (PinContactless(record=signed.sequence, guid=entitlement.guid), proved)
