"""Downtime on the terminal's queue: offered, declared, on, over (DESIGN §5).

- Offered where rights as known here open nothing any more, and the ward's policy has it.
- Declared by two people of the policy's roles, each with card and PIN (`declaring`), here or at
  another screen of the ward (`spreading`), or by a statement of the site (`brought`). It lasts
  `renew_s`, and is renewed by the same.
- While it is on, the same gesture opens the same positions, but for the roles that it switches off;
  sessions say on what ground they stand. A PIN that was proved counts as it did: nobody is asked
  anew because the ward declared something.
- It ends when rights are known again, when nobody renews it, or when one of them declares so, here
  or elsewhere; and with the boot: a terminal that starts anew waits to be told again.
- What was declared over stays over: whatever began before that, it comes from an earlier time, and
  neither a file that lies there nor a restart begins it again.

What stood on it is locked and kept, and its holder comes back to it by her own rights.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contract.emergency import (
    Declarer,
    DowntimeDeclared,
    DowntimeEnd,
    DowntimeEnded,
    DowntimeHeard,
    DowntimeTerms,
)
from contract.events import Detail, Event, HeartbeatHeld
from contract.ids import Digest
from contract.policy import Downtime
from contract.signing import Envelope, sha256
from contract.wire import decode_base64, encode_base64
from firmware_py import items
from firmware_py.emergency import commands, words
from firmware_py.glass.notice import Notice
from firmware_py.glass.view import Screen
from firmware_py.inside import Inside, Panel
from firmware_py.items import Item
from firmware_py.sessions.machine import EndAll, Kind
from firmware_py.signon.decision import stale_here
from firmware_py.site.link import DowntimeSaid

if TYPE_CHECKING:
    from firmware_py.emergency.brought import Brought
    from firmware_py.emergency.declaring import Declaring
    from firmware_py.emergency.spreading import Spreading

LOG: Final = logging.getLogger("tapover.emergency")
SAID: Final = "downtime.said"
"""In the state folder: what this terminal says to the ward's others, while it stands."""
_STEP_S: Final = 60
"""The time left is told in steps: the glass need not change each second."""


@dataclass(frozen=True, slots=True)
class On:
    """It is on: whose word it rests on, and until when (monotonic ms)."""

    initials: tuple[str, ...]
    until_ms: int
    begins_ms: int = 0
    """Site time; 0: a statement's, which is over with whatever is over now."""
    terms: Digest | None = None
    """Of those that two people signed."""


class DowntimeLine:
    """Belongs to the consumer."""

    name = "downtime"

    def __init__(self, inside: Inside) -> None:
        """Goes on with what the journal says was declared in this boot."""
        self.inside = inside
        self.on: On | None = None
        self._declaring: Declaring | None = None
        self._brought: Brought | None = None
        self._spreading: Spreading | None = None
        self._writing: Digest | None = None
        """The statement whose declaration is on its way to the disk, or on."""
        known = inside.parts.downtime
        self.over_ms = known.over_ms
        """What began until then was declared over (site time)."""
        self._resumes = True
        """Something may have been said before this start that is to be said again."""
        if known.event is not None:
            detail = known.event.detail
            assert isinstance(detail, DowntimeDeclared | DowntimeHeard)  # noqa: S101 - by `recall`
            self._begin(detail, known.event.monotonic_ms)
            self._writing = detail.statement if isinstance(detail, DowntimeDeclared) else None

    def now_ms(self) -> int:
        """Monotonic."""
        return self.inside.parts.clock.monotonic_ns() // 1_000_000

    # --- what happens -------------------------------------------------------------------------

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        match item:
            case commands.DowntimeWanted():
                if self.offered() or self.on is not None:
                    self._open().begin(ends=False)
            case commands.DowntimeOver():
                if self.on is not None:
                    self._open().begin(ends=True)
            case DowntimeSaid():
                if (spreading := self.spreading()) is not None:
                    spreading.heard(item)
            case items.SurroundingsChanged():
                self._look()
                return False
            case _:
                if isinstance(item, items.JournalDown):
                    self._journal_down()
                return self._declaring is not None and self._declaring.takes(item)
        return True

    def _journal_down(self) -> None:
        if self.on is None:
            self._writing = None
        if self._spreading is not None:
            self._spreading.journal_down()

    def _open(self) -> Declaring:
        if self._declaring is None:
            from firmware_py.emergency.declaring import Declaring  # noqa: PLC0415 - when needed

            self._declaring = Declaring(self)
        return self._declaring

    def spreading(self) -> Spreading | None:
        """To say and to hear; null where nothing is kept."""
        tools = self.inside.parts.emergency
        if self._spreading is None and tools is not None:
            from firmware_py.emergency.spreading import Spreading  # noqa: PLC0415 - when needed

            self._spreading, self._resumes = Spreading(self, tools.folder), False
        return self._spreading

    def _say_again(self) -> None:
        tools, resumes = self.inside.parts.emergency, self._resumes
        self._resumes = False
        if resumes and tools is not None and (tools.folder / SAID).exists():
            self.spreading()
        if self._spreading is not None:
            self._spreading.again()

    def _look(self) -> None:
        """Once a second. Raises JournalFailed."""
        self._say_again()
        if self.on is None:
            self._look_for_statement()
            return
        if self.policy() is None or self.stale() is False:
            self.end(DowntimeEnd.GATEWAY)
        elif self.now_ms() >= self.on.until_ms:
            self.end(DowntimeEnd.LAPSED)

    def _look_for_statement(self) -> None:
        policy, tools = self.policy(), self.inside.parts.emergency
        if policy is None or tools is None or self.inside.outage.down or not self.offered():
            return
        if self._brought is None:
            from firmware_py.emergency.brought import Brought  # noqa: PLC0415 - when needed

            self._brought = Brought(self.inside.parts, tools.folder)
        declared = self._brought.look(self.inside.policy().ward, policy, self.over_ms)
        if declared is not None and declared.statement != self._writing:
            self._writing = declared.statement
            self.inside.stage.commit(None, (declared,), lambda _: self.begin(declared, ()))

    def heartbeat_before(self) -> Envelope | None:
        """The newest of which the journal knew when this daemon started."""
        data = self.inside.parts.downtime.beat
        detail = Event.from_bytes(data).detail if data is not None else None
        if not isinstance(detail, HeartbeatHeld):
            return None
        return Envelope.from_bytes(decode_base64(detail.envelope))

    # --- what is true -------------------------------------------------------------------------

    def policy(self) -> Downtime | None:
        """The ward's; null: not on this ward."""
        return self.inside.policy().downtime

    def stale(self) -> bool:
        """Whether rights as known here open nothing by themselves."""
        custody = self.inside.parts.custody
        return custody.has_directory and (
            stale_here(self.inside.policy(), custody.freshness()) is not None
        )

    def offered(self) -> bool:
        """Whether two people may declare it now."""
        return self.on is None and self.policy() is not None and self.stale()

    def begin(self, declared: DowntimeDeclared, initials: tuple[str, ...]) -> None:
        """It was declared here, and that is durable."""
        self._counted(declared, initials)
        LOG.warning("downtime", extra={"by": [one.holder for one in declared.by]})

    def join(self, heard: DowntimeHeard, initials: tuple[str, ...]) -> None:
        """It was declared at another screen, and that is durable here."""
        self._counted(heard, initials)
        by = [one.holder for one in heard.by]
        LOG.warning("downtime", extra={"by": by, "declared_at": heard.terminal})

    def _counted(self, event: DowntimeDeclared | DowntimeHeard, initials: tuple[str, ...]) -> None:
        if self._begin(event, self.now_ms(), initials):
            self.inside.signon.outcomes.counts.downtimes += 1

    def _begin(
        self,
        event: DowntimeDeclared | DowntimeHeard,
        at_ms: int,
        initials: tuple[str, ...] = (),
    ) -> bool:
        line = decode_base64(event.terms) if event.terms is not None else None
        begins_ms = DowntimeTerms.from_bytes(line).begins_ms if line is not None else 0
        until_ms = at_ms + event.limit_s * 1000
        over = line is not None and begins_ms <= self.over_ms
        if over or until_ms <= self.now_ms():
            return False
        self.on = On(initials, until_ms, begins_ms, sha256(line) if line is not None else None)
        self.inside.signon.downtime = self.policy()
        return True

    def end(self, why: DowntimeEnd) -> None:
        """It is over; what stood on it is locked and kept. Raises JournalFailed."""
        self.inside.outage.note(DowntimeEnded(ward=self.inside.policy().ward, why=why))
        self._over_now(why)
        self._say_over()

    def end_declared(
        self,
        by: Declarer,
        terms: DowntimeTerms,
        told: tuple[Detail, ...],
        then: Callable[[], None],
    ) -> None:
        """One person has declared so here: at once, and said when it is durable.

        Raises JournalFailed.
        """

        def durable(_: object) -> None:
            self._say_over()
            then()

        ended = DowntimeEnded(
            ward=terms.ward,
            why=DowntimeEnd.DECLARED,
            by=by,
            terms=encode_base64(terms.to_bytes()),
        )
        self.over_ms = max(self.over_ms, terms.begins_ms)
        try:
            self.inside.stage.commit(None, (*told, ended), durable)
        finally:
            self._over_now(DowntimeEnd.DECLARED)

    def end_elsewhere(self, heard: DowntimeHeard, terms: DowntimeTerms) -> None:
        """Somebody has declared so at another screen. Raises JournalFailed."""
        self.over_ms = max(self.over_ms, terms.begins_ms)
        if self.on is None or self.on.begins_ms > self.over_ms:
            self.inside.stage.commit(None, (heard,))
            return
        ended = DowntimeEnded(ward=terms.ward, why=DowntimeEnd.ELSEWHERE)
        try:
            self.inside.stage.commit(None, (heard, ended), lambda _: self._say_over())
        finally:
            self._over_now(DowntimeEnd.ELSEWHERE)

    def _over_now(self, why: DowntimeEnd) -> None:
        self.on = self._writing = self.inside.signon.downtime = None
        self.inside.happen(EndAll(Kind.DOWNTIME))
        LOG.warning("downtime is over", extra={"why": why})

    def _say_over(self) -> None:
        self.inside.signon.outcomes.notice = Notice(Screen.NOTICE, words.DOWNTIME_OVER)

    def panel(self) -> Panel | None:
        """What the page draws of it; null: nothing."""
        now = self._declaring.now if self._declaring is not None else None
        if now is None and self.on is None and not self.offered():
            return None
        left_s = None
        if self.on is not None:
            left_s = max(0, -((self.now_ms() - self.on.until_ms) // (1000 * _STEP_S)) * _STEP_S)
        state = "declaring" if now else "on" if self.on else "offered"
        sentence = words.DOWNTIME_ON if self.on else words.DOWNTIME_OFFERED
        notice = self.inside.signon.outcomes.notice
        refused = notice if now and notice and notice.screen is Screen.REFUSED else None
        asks = refused.words if refused else now.said if now else sentence
        return {
            "state": state,
            "by": list(now.initials if now else self.on.initials if self.on else ()),
            "left_s": left_s,
            "step": now.step.value if now else None,
            "ends": now.terms.ends if now else False,
            "words": asks,
            "reference": refused.reference if refused else None,
            "text": now.terms.words() if now else None,
            "attempts": now.attempts if now else None,
        }
