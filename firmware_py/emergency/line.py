"""Where break-glass joins the terminal's one queue: what is offered now, and to whom (DESIGN §5).

Offered beside a PIN pad, after a tap that came to nothing from a state that the ward's policy lists
(for as long as a pad would wait), and at the terminals that the policy names without any card. What
a person takes of it is `opening`'s, which is loaded when it is first needed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contract.emergency import Emergency
from contract.ids import SessionId
from contract.policy import BreakGlassState
from firmware_py import items
from firmware_py.card.visits import Purpose
from firmware_py.emergency import commands, words
from firmware_py.emergency.claims import judge_nobody, offered
from firmware_py.emergency.reserve import Reserve, ReserveFull
from firmware_py.emergency.wards_own import WardsOwn
from firmware_py.glass.commands import Cancelled, LockPressed
from firmware_py.inside import Inside, Panel
from firmware_py.items import Item
from firmware_py.sessions.values import UNIDENTIFIED
from firmware_py.signon.decision import NeedsPin, break_glass_from
from firmware_py.signon.pad import Tapped
from firmware_py.site.link import LinkChanged
from hardware.readers import CardArrived
from runtime.durable import StorageError

if TYPE_CHECKING:
    from firmware_py.emergency.opening import Opening

LOG: Final = logging.getLogger("tapover.emergency")
HOLD_MS: Final = 1500
"""How long the page waits for a finger to stay before it says anything."""
COLLEAGUE_MS: Final = 60_000
"""To fetch a colleague from the next bay."""
TAP_MS: Final = 300_000
"""So long a tap may stand behind break-glass from a pad: a PIN that does not come to mind."""
_STEP_S: Final = 10
"""The time left is told in steps: the glass need not change each second."""


@dataclass(frozen=True, slots=True)
class Ground:
    """From where it is offered; `tap` is null without a card."""

    state: BreakGlassState
    tap: Tapped | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody without a card has said why, and a colleague may confirm it until then."""

    reason: str
    until_ms: int


class BreakGlassLine:
    """Belongs to the consumer."""

    name = "breakglass"

    def __init__(self, inside: Inside) -> None:
        """Takes the reserve's space, where there is a place for it."""
        self.inside = inside
        self.active: dict[SessionId, str] = {}
        """The reason of each emergency session that stands."""
        self.unrecorded: set[SessionId] = set()
        """Those that nothing could take yet."""
        self.unheard: set[SessionId] = set()
        """Those of which neither another terminal nor the gateway can have heard yet."""
        self.waiting: Waiting | None = None
        self.link_up = False
        self.reserve: Reserve | None = None
        self._opening: Opening | None = None
        self.on_opened: Callable[[Emergency], None] = lambda _: None
        """Called with each, for the nurse in charge."""
        self._own: set[int] = set()
        """Visits that no journal can record."""
        self._wards_own: WardsOwn | None = None
        if (tools := inside.parts.emergency) is not None:
            self.reserve = Reserve(tools.folder / "journal.reserve")
            self._wards_own = WardsOwn(tools.folder / "break-glass.json", inside.parts.custody)
            self._prepare(self.reserve)

    def _prepare(self, reserve: Reserve) -> None:
        try:
            reserve.prepare()
            left = bool(reserve.records())
        except (StorageError, OSError, ReserveFull) as error:
            LOG.error("no reserve for the journal", extra={"why": str(error)})  # noqa: TRY400
        else:
            if left:
                self.opening.owed.replay()

    @property
    def opening(self) -> Opening:
        """Loaded when it is first needed."""
        if self._opening is None:
            from firmware_py.emergency.opening import Opening  # noqa: PLC0415 - when needed

            self._opening = Opening(self)
        return self._opening

    def now_ms(self) -> int:
        """Monotonic."""
        return self.inside.parts.clock.monotonic_ns() // 1_000_000

    # --- what happens -------------------------------------------------------------------------

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        match item:
            case commands.BreakGlass(reason):
                self._wanted(reason)
            case commands.BreakGlassColleague():
                if (waiting := self.waits()) is not None:
                    self._wait(waiting.reason)
            case commands.BreakGlassAlone():
                if (waiting := self.waits()) is not None:
                    self.opening.alone(waiting.reason)
            case items.EmergencyNews(then):
                then()
            case items.CardAsks() if item.visit in self._own:
                self.opening.guests.asks(item)
            case items.VisitEnded() if item.visit in self._own or self._is_colleagues(item):
                detached = item.visit in self._own
                self._own.discard(item.visit)
                return self.opening.guests.ended(item, detached=detached)
            case items.VisitEnded():
                return self._begun_anew(item)
            case _:
                self._notes(item)
                return False
        return True

    def _notes(self, item: Item) -> None:
        """What others deal with, and we want to know of. Raises JournalFailed."""
        match item:
            case CardArrived() if not item.at_start:
                self._card_came(item)
            case Cancelled() | LockPressed():
                self.waiting = self.inside.signon.shut = None
            case items.JournalDown() if self._opening is not None:
                self._opening.journal_failed()
            case items.JournalBack() if self._opening is not None:
                self._opening.owed.journal_back()
            case LinkChanged():
                self.link_up = item.up
            case items.DirectoryChanged() if self._wards_own is not None:
                self._wards_own.changed()

    def _wanted(self, reason: str) -> None:
        ground, glass = self.ground(), self.inside.policy().break_glass
        if ground is None or glass is None or reason not in glass.reasons:
            return
        if ground.tap is None:
            self._wait(reason)
        else:
            self.opening.by_card(ground.state, ground.tap, reason)

    def _wait(self, reason: str) -> None:
        self.waiting = Waiting(reason, self.now_ms() + COLLEAGUE_MS)
        self.inside.timers.set("colleague", COLLEAGUE_MS / 1000, items.SurroundingsChanged())

    def waits(self) -> Waiting | None:
        """Whether a colleague's card is waited for."""
        if self.waiting is not None and self.waiting.until_ms <= self.now_ms():
            self.waiting = None
        return self.waiting

    def _is_colleagues(self, item: items.VisitEnded) -> bool:
        visit = self.inside.visits.find(item.visit)
        return self.waits() is not None and visit is not None and visit.purpose is Purpose.TAP

    def _card_came(self, card: CardArrived) -> None:
        """No journal can hold a tap's record: the card signs one that stands for itself.

        One that has only just failed is found out by the tap: then the card is asked again.
        """
        if self.inside.outage.down and self._detached():
            self._own.add(self.inside.visits.tap(card).number)

    def _detached(self) -> bool:
        failed = self.inside.outage.down or self.inside.parts.journal.failed
        wanted = self.waits() or offered(self.inside.policy(), BreakGlassState.JOURNAL_FAILED)
        return bool(failed and wanted)

    def _begun_anew(self, item: items.VisitEnded) -> bool:
        """The journal failed under a tap: while the card is still there, it is asked again."""
        visit = self.inside.visits.find(item.visit)
        if visit is None or visit.purpose is not Purpose.TAP or not self._detached():
            return False
        card = self.inside.presence.for_pin(visit.reader, contactless=True)
        if card is None or (card.reader, card.seen_ns) != (visit.reader, visit.seen_ns):
            return False
        self.inside.visits.ended(item.visit)
        self._card_came(card)
        return True

    # --- what is offered ----------------------------------------------------------------------

    def ground(self) -> Ground | None:
        """From where it is offered to whoever stands there; null: it is not."""
        signon, policy, stage = self.inside.signon, self.inside.policy(), self.inside.stage
        if policy.break_glass is None:
            return None
        pad, shut = signon.pad, signon.shut
        if pad is not None and isinstance(pad.asks, NeedsPin):
            # By a touch a pad stays, and one for another position begins long after her tap: she
            # may have gone.
            hers = not pad.repositions and self._is_recent(pad.tapped)
            owed = hers and offered(policy, BreakGlassState.PIN_OWED)
            return Ground(BreakGlassState.PIN_OWED, pad.tapped) if owed else None
        if shut is not None and self.now_ms() < shut.at_ms + policy.pin_pad_s * 1000:
            state = break_glass_from(shut.reason, policy)
            return Ground(state, shut.tapped) if state else None
        nobodys = judge_nobody(policy, self.inside.parts.journal.terminal)
        looked_at = self.inside.visits.newest is not None or not stage.settled
        free = stage.newest.shown is None and pad is None and not looked_at
        return Ground(BreakGlassState.NO_CARD, None) if nobodys and free else None

    def _is_recent(self, tap: Tapped) -> bool:
        return self.now_ms() - tap.seen_ns // 1_000_000 < TAP_MS

    def panel(self) -> Panel | None:
        """What the page draws of it; null: nothing."""
        visible = self.inside.stage.visible
        active = self.active.get(visible.id) if visible else None
        unrecorded = visible is not None and visible.id in self.unrecorded
        unheard = visible is not None and visible.id in self.unheard
        ground = self.ground() if active is None else None
        waits = self.waits() is not None
        if active is None and ground is None and not waits:
            return None
        glass = self.inside.policy().break_glass
        reasons = glass.reasons if glass and ground else ()
        left_s = None
        if visible and visible.ends_ms is not None:
            left_s = max(0, -((self.now_ms() - visible.ends_ms) // (1000 * _STEP_S)) * _STEP_S)
        return {
            "offered": ground is not None,
            "reasons": [{"code": code, "words": words.reason(code)} for code in reasons],
            "hold_ms": HOLD_MS,
            "active": {"left_s": left_s, "reason": words.reason(active)} if active else None,
            "unidentified": bool(active and visible and visible.holder == UNIDENTIFIED),
            "unrecorded": unrecorded,
            "unheard": words.UNHEARD if unheard else None,
            "waits_for_colleague": waits,
            "words": words.UNRECORDED if unrecorded else words.COLLEAGUE if waits else None,
        }
