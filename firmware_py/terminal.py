"""The terminal: one queue, one consumer (DESIGN §3).

Whatever happens outside (a card, a step of a visit, a command of the kiosk, a statement, a timer,
the disk's word) is an item on the queue, and only the consumer changes state. Nothing is waited
for: a flush, a card and a fetch each come back as an item of their own.

Feedback first: a card that arrives covers the glass before anything is known of it. Audit first,
then act: see `stage`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from contract.policy import Policy
from firmware_py import items
from firmware_py.card.presence import Presence
from firmware_py.card.tap import OPEN_SCREEN_KEEPS
from firmware_py.card.visits import Purpose, Visits
from firmware_py.desks import desks_of
from firmware_py.evidence.journal import JournalFailed
from firmware_py.glass import commands, words
from firmware_py.inside import Desk, Inside
from firmware_py.items import Item
from firmware_py.kiosk.presenting import compose
from firmware_py.kiosk.scenery import Scenery
from firmware_py.outage import Outage
from firmware_py.pacing import Pacing
from firmware_py.parts import Mailbox, Parts
from firmware_py.sessions.machine import (
    Activity,
    Happening,
    LockPressed,
    Passed,
    ShuttingDown,
    due_ms,
)
from firmware_py.sessions.stage import Stage
from firmware_py.signon.signon import SignOn
from firmware_py.surroundings import Around
from firmware_py.timers import Timers
from firmware_py.workspace.about import about_of
from hardware import readers

LOG: Final = logging.getLogger("tapover.terminal")

_MS: Final = 1_000_000
_S: Final = 1_000_000_000
_CHECKING: Final = {
    Purpose.TAP: words.CHECKING,
    Purpose.PIN: words.PIN_CHECKING,
    Purpose.UNBLOCK: words.PIN_CHECKING,
    Purpose.CHANGE: words.PIN_CHECKING,
}


class Terminal:
    """Made in the event loop's thread; `run` is its task."""

    def __init__(self, parts: Parts, mailbox: Mailbox) -> None:
        """`mailbox` is the queue to which the parts report."""
        self._mailbox = mailbox
        self._parts = made = parts
        self._clock = made.clock
        self._custody = made.custody
        about = partial(about_of, made.custody)
        self._stage = Stage(
            made.journal, made.workspace, made.clock, self._policy, mailbox.post, about
        )
        self._visits = Visits(
            made.readers, made.clock, made.card_deadline_s, mailbox.post, made.sound
        )
        self._signon = SignOn(
            made.journal, made.custody, self._stage, made.pins, made.shifts, made.publish_pin
        )
        timers: Timers[Item] = Timers(made.clock, mailbox.post)
        self._pacing = Pacing(made.clock, timers)
        self.outage = Outage(made.journal, self._stage, self._signon, self._pacing)
        self._presence = Presence()
        made.custody.served.interfaces = lambda: self._presence.interfaces
        self._scenery = Scenery(
            *(made.custody, self._stage, self._presence, made.clock), made.timezone
        )
        inside = Inside(
            parts=made,
            stage=self._stage,
            visits=self._visits,
            presence=self._presence,
            signon=self._signon,
            timers=timers,
            post=mailbox.post,
            happen=self._happen,
            policy=self._policy,
            outage=self.outage,
        )
        self._around = Around(inside, self._scenery, self._pacing, self._tell_news)
        self._desks: tuple[Desk, ...] = desks_of(inside)
        self._card_seen_ns: int | None = None
        """Of the card to which the view is an answer; null where something else led to it."""
        self._deciding: Purpose | None = None
        self._answered = 0
        self._turned_ns = made.clock.monotonic_ns()
        self.on_news: Callable[[], None] = lambda: None
        """Called when counts or directory have changed."""
        self.on_missing: Callable[[tuple[str, ...]], None] = lambda _: None
        """Called with what is waited for, when that has changed."""
        self._missing: tuple[str, ...] | None = None

    @property
    def signon(self) -> SignOn:
        """For its counts."""
        return self._signon

    @property
    def reader_count(self) -> int:
        """Card readers that answer."""
        return self._presence.readers

    async def run(self) -> None:
        """Watch the readers and consume, until cancelled; then every session ends."""
        self._parts.readers.start(self._mailbox.post)
        if self._parts.sensor is not None:
            self._parts.sensor.start(self._mailbox.post)
        self._pacing.look_again()
        try:
            while True:
                self.handle(await self._mailbox.next())
        finally:
            self._stop()

    def _tell_news(self) -> None:
        self.on_news()

    def turns(self, within_s: float) -> bool:
        """Whether the consumer has taken an item lately: it has one a second at least."""
        return self._clock.monotonic_ns() - self._turned_ns <= within_s * _S

    @property
    def at_rest(self) -> bool:
        """Nothing waits on the queue, for a card or for the disk."""
        return self._mailbox.empty and self._visits.newest is None and self._stage.settled

    def handle(self, item: Item) -> None:
        """Take one item, and show what it came to."""
        self._turned_ns = self._clock.monotonic_ns()
        try:
            self._dispatch(item)
            self._cover()
        except JournalFailed as error:
            self.outage.lost(str(error))
        self._show()

    # --- what happened ----------------------------------------------------------------------

    def _dispatch(self, item: Item) -> None:
        if any(desk.takes(item) for desk in self._desks):
            return
        match item:
            case readers.CardArrived():
                self._card_arrived(item)
            case items.CardAsks():
                if (visit := self._visits.find(item.visit)) is None:
                    item.question.answer(None)
                else:
                    self._signon.asks(item, visit)
            case items.VisitEnded():
                self._visit_ended(item)
            case items.Durable():
                self._stage.durable()
            case commands.Received(seq):
                self.outage.note(*self._pacing.received(seq))
            case _:
                self._dispatch_rest(item)

    def _dispatch_rest(self, item: Item) -> None:
        match item:
            case commands.PinEntered():
                self._signon.outcomes.notice = None
                self._pin_entered(item)
            case commands.PositionChosen(position):
                self._signon.chosen(position)
            case commands.Activity():
                self._signon.outcomes.notice = None
                self._happen(Activity())
            case commands.LockPressed():
                self._leave(LockPressed())
            case commands.Cancelled():
                self._signon.abandoned()
            case items.TimePassed():
                self._leave(Passed())
            case items.NoticeOver():
                self._signon.outcomes.notice = None
            case items.TimingDue(record):
                self.outage.note(*self._pacing.overdue(record))
            case items.JournalForked():
                self.outage.forked(at_rest=self.at_rest)
            case _:
                self._around.takes(item)

    def _card_arrived(self, item: readers.CardArrived) -> None:
        self._presence.arrived(item)
        if item.at_start:
            return
        self._pacing.card_came(item, self._policy().left_card_s)
        self._card_seen_ns = item.seen_ns
        if self.outage.down:
            self._signon.outcomes.unwritten(words.NOT_NOW)
            return
        self._signon.outcomes.tapped(item)
        # Covered before anything is asked of the card: the worker starts when this item is done.
        self._visits.tap(item)

    def _visit_ended(self, item: items.VisitEnded) -> None:
        visit = self._visits.ended(item.visit)
        if visit is None:
            return
        self._deciding, self._answered = visit.purpose, max(self._answered, visit.number)
        if self.outage.down:
            self._signon.outcomes.unwritten(words.NOT_NOW)
        elif visit.purpose is Purpose.PIN:
            self._signon.proved(visit, item.end)
        else:
            self._signon.tapped(visit, item.end)

    def _pin_entered(self, item: commands.PinEntered) -> None:
        pad = self._signon.pad
        newest = self._visits.newest
        if pad is None or not pad.takes_pin or newest is not None or self.outage.down:
            return
        contactless = self._policy().pin_contactless
        card = self._presence.for_pin(pad.tapped.reader, contactless=contactless)
        if card is None:
            pad.why = words.CARD_BACK
            return
        self._happen(Activity())
        warned = pad.attempts == 1 and not pad.repositions
        keeps = OPEN_SCREEN_KEEPS if pad.repositions else 1
        self._visits.prove_pin(card, item.pin, pad.entitlement, warned=warned, keeps=keeps)

    def _leave(self, happening: LockPressed | Passed) -> None:
        """What may end a pad or lock; the pad's end is journalled as such."""
        asked = self._stage.newest.asked
        now_ms = self._clock.monotonic_ns() // _MS
        over = isinstance(happening, LockPressed) or (asked and asked.until_ms <= now_ms)
        if self._signon.pad is not None and over:
            self._signon.abandoned()
        else:
            self._happen(happening)

    def _happen(self, happening: Happening) -> None:
        """A step of the sessions, where the table has it."""
        if not self._stage.takes(type(happening)):
            return
        before = self._stage.newest
        transition = self._stage.consider(happening)
        if transition.state != before or transition.effects:
            if not isinstance(happening, Activity):
                self._card_seen_ns = None
            self._stage.commit(transition)
        if self._stage.newest.asked is None:
            self._signon.pad = None

    def _stop(self) -> None:
        self._parts.readers.stop()
        if self._parts.sensor is not None:
            self._parts.sensor.stop()
        self._pacing.close()
        self._visits.close()
        if self._stage.takes(ShuttingDown) and not self.outage.down:
            try:
                self._stage.commit(self._stage.consider(ShuttingDown()))
            except JournalFailed:
                LOG.exception("sessions could not be closed in the journal")

    # --- the glass --------------------------------------------------------------------------

    def _policy(self) -> Policy:
        return self._custody.place().policy

    def _cover(self) -> None:
        """While a card is looked at, or joining is offered, no input reaches any work.

        Raises JournalFailed.
        """
        for why, covers in (
            ("offer", self._stage.offering),
            ("card", self._checking() is not None),
        ):
            if covers:
                self._stage.cover(why)
            else:
                self._stage.uncover(why)

    def _show(self) -> None:
        scene = self._scenery.scene(
            started=self._around.started,
            checking=self._checking(),
            pad=self._signon.pad,
            notice=self._signon.outcomes.notice,
            greeting=self._signon.greeting,
            seen_ns=self._card_seen_ns,
            panels={desk.name: panel for desk in self._desks if (panel := desk.panel())},
        )
        view = self._parts.board.publish(compose(scene))
        if timed := self._signon.outcomes.timed:
            self._pacing.begin_laps(timed, view)
            timed.clear()
            self.on_news()
        notice = None if self.outage.down else self._signon.outcomes.notice
        self._pacing.keep(due_ms(self._stage.newest, self._policy()), notice)
        missing = scene.around.waits_for
        if self._around.started and missing != self._missing:
            self._missing = missing
            self.on_missing(missing)

    def _checking(self) -> str | None:
        """What to say while a card is looked at, and until what came of it is durable.

        A card that still has not answered when a later one was has no claim to the glass any more.
        """
        if self._stage.settled:
            self._deciding = None
        visit = self._visits.newest
        if visit is not None and visit.number > self._answered:
            return _CHECKING[visit.purpose]
        return None if self._deciding is None else _CHECKING[self._deciding]
