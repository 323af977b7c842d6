"""Break-glass as it is opened: written down first where anything can take it (DESIGN §5, §7).

- By the journal, like every sign-on: event, the card's outcome and the session in one commit.
- A journal that cannot be written: another way (`keeping`). Whatever goes wrong with that, the
  workspace is shown; where nothing has taken it, the glass says so until something has.
- What went another way is journalled as soon as the journal takes events, and before anything that
  rests on it; only then is the reserve emptied.
- The ward's other terminals and the gateway are told in any case, for the nurse in charge; nobody
  waits for that, but where nothing has taken it.
- In her own name it is a tap like any: what she has open elsewhere gives way to it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from contract.emergency import BreakGlassOpened, Emergency, Kept
from contract.events import AlarmCode, Cause, OutcomeResult, Reason
from contract.ids import HolderId, SessionId
from contract.policy import BreakGlass, BreakGlassState
from firmware_py.emergency import words
from firmware_py.emergency.claims import BARRED, Claim, judge_card, judge_nobody
from firmware_py.emergency.detached import card_proof
from firmware_py.emergency.guests import Guests, proof_of
from firmware_py.emergency.keeping import Keeping
from firmware_py.emergency.owed import Owed
from firmware_py.emergency.telling import Reach, Telling
from firmware_py.evidence.journal import JournalFailed
from firmware_py.glass.notice import REFUSALS, Notice
from firmware_py.glass.view import Screen
from firmware_py.items import EmergencyNews
from firmware_py.sessions.machine import Changed, Granted, Kind, Lost, Session, Transition
from firmware_py.sessions.values import UNIDENTIFIED
from firmware_py.signon.pad import Tapped

if TYPE_CHECKING:
    from firmware_py.emergency.line import BreakGlassLine

LOG: Final = logging.getLogger("tapover.emergency")
MOST_TELLINGS: Final = 16
"""Told for hours, each: a ward's worst night. Who presses on at a screen drowns no other's word."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Break-glass as somebody may have it."""

    claim: Claim
    glass: BreakGlass
    """As the ward had it when it was judged."""
    reason: str
    tap: Tapped | None = None
    colleague: Tapped | None = None
    read_only: bool = False
    session: SessionId = field(default_factory=lambda: SessionId(secrets.token_hex(16)))


class Opening:
    """Belongs to the consumer."""

    def __init__(self, line: BreakGlassLine) -> None:
        self.line = line
        self.inside = line.inside
        self.custody = line.inside.parts.custody
        self._journal = line.inside.parts.journal
        self.guests = Guests(self)
        self._telling = Telling(line.inside.parts)
        self._keeping = Keeping(
            line.reserve, self._telling, self._emergency, lambda: self.line.link_up
        )
        self._tasks: set[asyncio.Future[None]] = set()
        self._tellings: list[asyncio.Future[None]] = []
        self._committing: Wish | None = None
        """Appended, and not on the disk yet."""
        self._busy = False
        """Something else than the journal is asked to take one."""
        self.owed = Owed(line, self._recorded)

    # --- what somebody wants ------------------------------------------------------------------

    def by_card(self, state: BreakGlassState, tap: Tapped, reason: str) -> None:
        """After a tap, from `state`: what the card may claim is judged anew."""
        claim, policy = None, self.inside.policy()
        if (proof := proof_of(tap)) is not None:
            entitlement = self.custody.entitlement(proof.guid)
            claim = judge_card(state, proof, entitlement, policy)
            same = entitlement and tap.entitlement and entitlement.holder == tap.entitlement.holder
            if claim and claim.holder and not same:
                claim = None  # a spare that is another's by now
        if claim is None or policy.break_glass is None:
            self.inside.signon.shut = None
            self.say(words.NOT_OFFERED, Screen.REFUSED)
            return
        self.open(Wish(claim, policy.break_glass, reason, tap=tap))

    def alone(self, reason: str) -> None:
        """Without a card, and nobody to confirm it."""
        self._without_card(reason, None)

    def _without_card(self, reason: str, colleague: Tapped | None) -> None:
        policy = self.inside.policy()
        claim = judge_nobody(policy, self._journal.terminal)
        if claim is not None and policy.break_glass is not None:
            alone = colleague is None
            self.open(Wish(claim, policy.break_glass, reason, colleague=colleague, read_only=alone))

    # --- opening ------------------------------------------------------------------------------

    def open(self, wish: Wish) -> None:
        """Into the journal, or another way."""
        if self._committing is not None or self._busy:
            return
        if not self.inside.outage.down and not self._journal.failed:
            try:
                self._by_journal(wish)
            except JournalFailed as error:
                LOG.warning("break-glass goes another way", extra={"why": str(error)})
            else:
                return
        self._another_way(wish)

    def _by_journal(self, wish: Wish) -> None:
        transition = self._transition(wish)
        opened = self._opened(wish, transition, Kept.JOURNAL)
        self._committing = wish
        signon, tap = self.inside.signon, wish.tap
        signon.greeting = words.EMERGENCY

        def then() -> None:
            self._committing = None
            self._is_open(wish, opened)

        def by_a_tap_of_no_journal(_: object) -> None:
            then()
            self._moves(wish, transition)

        try:
            if tap is not None and wish.claim.holder is not None and opened.record is not None:
                before = (opened,)
                signon.outcomes.opened(tap, Reason.BREAK_GLASS, transition, before, None, then)
            else:
                self.inside.stage.commit(transition, (opened,), by_a_tap_of_no_journal)
        except JournalFailed:
            self._committing = None
            raise
        self._settled()

    def _settled(self) -> None:
        """Nobody is asked for anything else."""
        signon = self.inside.signon
        signon.pad = signon.shut = self.line.waiting = None
        signon.outcomes.notice = None

    def _transition(self, wish: Wish) -> Transition:
        glass, holder = wish.glass, wish.claim.holder
        limit_s = glass.alone_s if wish.read_only else glass.limit_s
        session = Session(
            wish.session,
            holder or UNIDENTIFIED,
            glass.position,
            wish.claim.guid if holder else None,
            Kind.EMERGENCY_VIEW if wish.read_only else Kind.BREAK_GLASS,
            self.line.now_ms() + limit_s * 1000,
        )
        return _for_emergency(self.inside.stage.consider(Granted(session)))

    def _opened(self, wish: Wish, transition: Transition, kept: Kept) -> BreakGlassOpened:
        session, tap = transition.session, wish.tap
        assert session is not None  # noqa: S101 - what Granted comes to
        ends_ms = session.ends_ms or self.line.now_ms()
        by_journal = kept is Kept.JOURNAL and tap is not None and tap.record is not None
        # A failed journal may give a record's place to another event.
        proven = tap.signed if tap and wish.claim.holder and not by_journal else None
        colleague = wish.colleague
        return BreakGlassOpened(
            session=session.id,
            position=session.position,
            reason=wish.reason,
            state=wish.claim.state,
            read_only=wish.read_only,
            holder=wish.claim.holder,
            guid=wish.claim.guid,
            record=tap.record if tap and by_journal else None,
            proof=card_proof(proven) if proven else None,
            colleague=_holder_of(colleague),
            colleague_record=colleague.record if colleague and kept is Kept.JOURNAL else None,
            begins_ms=self.custody.freshness().now_ms,
            limit_s=max(0, ends_ms - self.line.now_ms()) // 1000,
            kept=kept,
        )

    def _is_open(self, wish: Wish, opened: BreakGlassOpened) -> None:
        line = self.line
        self.inside.signon.outcomes.counts.break_glass += 1
        standing = {session.id for session in self.inside.stage.newest.standing}
        line.active = {id_: one for id_, one in line.active.items() if id_ in standing}
        line.unheard &= standing
        unrecorded = opened.kept is Kept.LATER
        line.active[opened.session] = opened.reason
        LOG.warning(
            "break-glass",
            extra={"session": opened.session, "state": opened.state, "kept": opened.kept},
        )
        if wish.claim.holder is None:
            self.inside.parts.sound(AlarmCode.NOT_IDENTIFIED, None, opened.session)
        if unrecorded:
            line.unrecorded.add(opened.session)
            self._count()
            self.inside.parts.sound(AlarmCode.NOT_RECORDED, None, opened.session)
        self._tell(opened)

    # --- without the journal ------------------------------------------------------------------

    def journal_failed(self) -> None:
        """What had been appended is on no disk: once the sessions have heard of it, again."""
        if (wish := self._committing) is not None:
            self._committing = None
            self.inside.post(EmergencyNews(lambda: self._another_way(wish)))

    def _another_way(self, wish: Wish) -> None:
        opened = self._opened(wish, self._transition(wish), Kept.RESERVE)
        self._busy = True
        self.say(words.ONE_MOMENT)
        self._start(self._keep(wish, opened))

    async def _keep(self, wish: Wish, opened: BreakGlassOpened) -> None:
        kept = Kept.LATER
        try:
            kept = await self._keeping.keep(opened)
        finally:  # it is kept, or nothing can keep it: she works in either case
            as_kept = opened.model_copy(update={"kept": kept})
            self.inside.post(EmergencyNews(lambda: self._show(wish, as_kept)))

    def _show(self, wish: Wish, opened: BreakGlassOpened) -> None:
        self._busy = False
        transition = self._transition(wish)
        session = transition.session
        if session is None or session.id != opened.session:  # what she had here ended meanwhile
            opened = self._opened(wish, transition, opened.kept)
        self.inside.signon.greeting = words.EMERGENCY
        self._settled()
        self.owed.add(opened)

        def then(_: object) -> None:
            self._is_open(wish, opened)
            self._moves(wish, transition)

        self.inside.stage.commit_owed(transition, (), then)
        if not self.inside.outage.down and not self._journal.failed:  # it is back by now
            self.owed.journal_back()
            self.inside.stage.pay()
        card = self.custody.entitlement(wish.claim.guid) if wish.claim.guid else None
        if wish.claim.holder and card is not None and card.status in BARRED:
            self.inside.happen(Lost(card.guid))  # since somebody began to wait for it

    def _moves(self, wish: Wish, transition: Transition) -> None:
        """Her tap here closes there: also one that no journal could record."""
        tap, result, session = wish.tap, transition.result, transition.session
        if tap is not None and wish.claim.holder is not None and result and session:
            self.inside.signon.outcomes.on_session(tap, result, session)

    # --- others -------------------------------------------------------------------------------

    def _recorded(self, session: SessionId) -> None:
        self.line.unrecorded.discard(session)
        self._count()

    def _count(self) -> None:
        self.inside.signon.outcomes.counts.unrecorded = len(self.line.unrecorded)

    def _emergency(self, opened: BreakGlassOpened) -> Emergency:
        return Emergency(
            site=self.custody.kept.keys.site,
            terminal=self._journal.terminal,
            ward=self.inside.policy().ward,
            opened=opened,
        )

    def _tell(self, opened: BreakGlassOpened) -> None:
        emergency = self._emergency(opened)
        self.line.on_opened(emergency)
        if opened.kept is Kept.GATEWAY:
            return
        telling = self._start(self._tell_until_told(emergency))
        self._tellings = [*(one for one in self._tellings if not one.done()), telling]
        for one in self._tellings[:-MOST_TELLINGS]:
            LOG.warning("break-glass is told to nobody any more: there is too much of it")
            one.cancel()

    async def _tell_until_told(self, emergency: Emergency) -> None:
        session = emergency.opened.session

        def reached(reach: Reach) -> None:
            self.inside.post(EmergencyNews(lambda: self._reached(session, reach)))

        if await self._telling.tell_in_time(emergency, reached):
            self.inside.post(EmergencyNews(lambda: self._recorded(session)))

    def _reached(self, session: SessionId, reach: Reach) -> None:
        if reach is Reach.SOMEBODY:
            self.line.unheard.discard(session)
        elif session in self.line.active:
            self.line.unheard.add(session)

    def confirmed(self, colleague: Tapped) -> None:
        """A colleague stands behind somebody without a card. Raises JournalFailed."""
        if (waiting := self.line.waiting) is None:
            return
        if colleague.record is not None:
            told = self.inside.signon.outcomes.event(
                OutcomeResult.OFFERED,
                Reason.BREAK_GLASS,
                colleague.guid,
                signed=colleague.signed,
                entitlement=colleague.entitlement,
            )
            self.inside.stage.commit(None, (told,))
        self._without_card(waiting.reason, colleague)

    def say(self, sentence: str, screen: Screen = Screen.NOTICE) -> None:
        """On the glass in passing; a refusal has its reference, also where nothing is written."""
        outcomes = self.inside.signon.outcomes
        if screen not in REFUSALS:
            outcomes.notice = Notice(screen, sentence)
        elif self.inside.outage.down or self._journal.failed:
            outcomes.unwritten(sentence, screen)
        else:
            told = outcomes.event(OutcomeResult.REFUSED, Reason.NOT_DONE, None)
            outcomes.refuse(told, sentence)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Future[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.error("break-glass goes on without this", exc_info=error)


def _for_emergency(transition: Transition) -> Transition:
    """The session says why it opened: not by a right of its holder's."""
    session = transition.session
    effects = tuple(
        replace(one, cause=Cause.BREAK_GLASS)
        if isinstance(one, Changed) and session and one.session.id == session.id
        else one
        for one in transition.effects
    )
    return replace(transition, effects=effects)


def _holder_of(colleague: Tapped | None) -> HolderId | None:
    return colleague.entitlement.holder if colleague and colleague.entitlement else None
