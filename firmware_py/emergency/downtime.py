"""Downtime on the terminal's queue: offered, declared, on, over (DESIGN §5).

- Offered where rights as known here open nothing any more, and the ward's policy has it.
- Declared by two people of the policy's roles, each with card and PIN (`declaring`), or by a
  statement of the site (`brought`). It lasts `renew_s`, and is renewed by the same.
- While it is on, the same gesture opens the same positions, but for the roles that it switches off;
  sessions say on what ground they stand. A PIN that was proved counts as it did: nobody is asked
  anew because the ward declared something.
- It ends when rights are known again, when nobody renews it, or when one of them declares so; and
  with the boot: a terminal that starts anew waits for two people again.

What stood on it is locked and kept, and its holder comes back to it by her own rights.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contract.emergency import Declarer, DowntimeDeclared, DowntimeEnd, DowntimeEnded
from contract.ids import Digest
from contract.policy import Downtime
from firmware_py import items
from firmware_py.emergency import commands, words
from firmware_py.glass.notice import Notice
from firmware_py.glass.view import Screen
from firmware_py.inside import Inside, Panel
from firmware_py.items import Item
from firmware_py.sessions.machine import EndAll, Kind
from firmware_py.signon.decision import stale_here

if TYPE_CHECKING:
    from firmware_py.emergency.brought import Brought
    from firmware_py.emergency.declaring import Declaring

LOG: Final = logging.getLogger("tapover.emergency")
_STEP_S: Final = 60
"""The time left is told in steps: the glass need not change each second."""


@dataclass(frozen=True, slots=True)
class On:
    """It is on: whose word it rests on, and until when (monotonic ms)."""

    initials: tuple[str, ...]
    until_ms: int


class DowntimeLine:
    """Belongs to the consumer."""

    name = "downtime"

    def __init__(self, inside: Inside) -> None:
        """Goes on with what the journal says was declared in this boot."""
        self.inside = inside
        self.on: On | None = None
        self._declaring: Declaring | None = None
        self._brought: Brought | None = None
        self._writing: Digest | None = None
        """The statement whose declaration is on its way to the disk, or on."""
        self._over: set[Digest] = set()
        """Statements of which somebody here declared that it is over."""
        event = inside.parts.downtime
        if event is not None and isinstance(event.detail, DowntimeDeclared):
            self._begin(event.detail, event.monotonic_ms)
            self._writing = event.detail.statement

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
            case items.SurroundingsChanged():
                self._look()
                return False
            case _:
                if isinstance(item, items.JournalDown) and self.on is None:
                    self._writing = None
                return self._declaring is not None and self._declaring.takes(item)
        return True

    def _open(self) -> Declaring:
        if self._declaring is None:
            from firmware_py.emergency.declaring import Declaring  # noqa: PLC0415 - when needed

            self._declaring = Declaring(self)
        return self._declaring

    def _look(self) -> None:
        """Once a second. Raises JournalFailed."""
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
        declared = self._brought.look(self.inside.policy().ward, policy)
        if declared is not None and declared.statement not in {self._writing, *self._over}:
            self._writing = declared.statement
            self.inside.stage.commit(None, (declared,), lambda _: self.begin(declared, ()))

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
        self.inside.signon.outcomes.counts.downtimes += 1
        self._begin(declared, self.now_ms(), initials)
        LOG.warning("downtime", extra={"by": [one.holder for one in declared.by]})

    def _begin(
        self, declared: DowntimeDeclared, at_ms: int, initials: tuple[str, ...] = ()
    ) -> None:
        until_ms = at_ms + declared.limit_s * 1000
        if until_ms > self.now_ms():
            self.on = On(initials, until_ms)
            self.inside.signon.downtime = self.policy()

    def end(self, why: DowntimeEnd, by: Declarer | None = None) -> None:
        """It is over; what stood on it is locked and kept. Raises JournalFailed."""
        ward = self.inside.policy().ward
        self.inside.outage.note(DowntimeEnded(ward=ward, why=why, by=by))
        if why is DowntimeEnd.DECLARED and self._writing is not None:
            self._over.add(self._writing)
        self.on = self._writing = self.inside.signon.downtime = None
        self.inside.happen(EndAll(Kind.DOWNTIME))
        self.inside.signon.outcomes.notice = Notice(Screen.NOTICE, words.DOWNTIME_OVER)
        LOG.warning("downtime is over", extra={"why": why})

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
            "words": asks,
            "reference": refused.reference if refused else None,
            "text": now.terms.words() if now else None,
            "attempts": now.attempts if now else None,
        }
