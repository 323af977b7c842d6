"""The desk of a held screen: who keeps it open, who stands there, and what a newcomer is offered.

A newcomer's card is read and judged as at any tap, and nothing is decided for the people before
the screen: she is offered *Join* (where her tap alone would have opened something) or *Take over*,
which ends the hold and lets her tap come to what it would have come to. Meanwhile their work is
covered.

Whoever wants to begin a hold where its one touch is spent is told what it takes: a tap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contract.events import OutcomeResult, Reason
from contract.ids import HolderId
from firmware_py.glass import commands, words
from firmware_py.glass.notice import Notice
from firmware_py.glass.view import Screen
from firmware_py.inside import Inside, Panel
from firmware_py.items import Item, TimePassed
from firmware_py.sessions.commands import HoldOver, HoldWanted, JoinWanted, TakeOverWanted
from firmware_py.sessions.machine import Declined, HoldEnded, HoldPressed, Joined, TakenOver
from firmware_py.signon.decision import ChoosePosition, Decision, OfferBreakGlass, Open, Refuse
from firmware_py.signon.pad import Offer

_MS: Final = 1_000_000
_MINUTE_S: Final = 60
_COARSE_S: Final = 10


@dataclass(frozen=True, slots=True)
class _Standing:
    initials: str
    role: str

    def to_panel(self) -> dict[str, str]:
        return {"initials": self.initials, "role": self.role}


class HoldDesk:
    """Belongs to the consumer."""

    name = "hold"

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._people: dict[HolderId, _Standing] = {}

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        match item:
            case HoldWanted():
                self._hold()
            case HoldOver():
                self._inside.happen(HoldEnded())
            case JoinWanted():
                self._join()
            case TakeOverWanted():
                self._take_over()
            case commands.Cancelled() if self._offer is not None:
                self._decline()
            case TimePassed() if self._offer is not None and self._is_over():
                self._decline()
                return False
            case _:
                return False
        return True

    def panel(self) -> Panel | None:
        """The touch that holds, how long it lasts, who stands there, who asks."""
        newest, acted, offer = self._inside.stage.newest, self._inside.stage.acted, self._offer
        offer = offer if acted.offered else None  # not before it is durable
        if newest.hold is None:
            self._people.clear()
        visible = self._inside.stage.visible
        may = self._inside.policy().hold_s > 0 and visible is not None and visible.can_be_held
        if not may and newest.hold is None:
            return None
        joined = acted.hold.joined if acted.hold else ()
        asks = {**_of(offer).to_panel(), "may_join": offer.may_join} if offer else None
        return {
            "allowed": may,
            "left_s": self._left_s(newest.hold.until_ms) if newest.hold else None,
            "joined": [self._people[one].to_panel() for one in joined if one in self._people],
            "asks": asks,
        }

    @property
    def _offer(self) -> Offer | None:
        """It stands only as long as the sessions know of it."""
        signon, offered = self._inside.signon, self._inside.stage.newest.offered
        stands = offered and signon.offer and signon.offer.entitlement.guid == offered.guid
        if not stands:
            signon.offer = None
        return signon.offer

    def _hold(self) -> None:
        stage = self._inside.stage
        if stage.visible is None:
            return
        present, held = stage.newest.present, stage.newest.hold
        self._inside.happen(HoldPressed())
        spent = present is not None and not present.may_hold and held is None
        if spent and self._inside.policy().hold_s:
            self._inside.signon.outcomes.notice = Notice(Screen.NOTICE, words.TAP_TO_HOLD)

    def _is_over(self) -> bool:
        offered = self._inside.stage.newest.offered
        return offered is not None and offered.until_ms <= self._now_ms()

    def _now_ms(self) -> int:
        return self._inside.parts.clock.monotonic_ns() // _MS

    def _left_s(self, until_ms: int) -> int:
        """In steps: the glass need not change each second."""
        left_s = max(0, until_ms - self._now_ms()) / 1000
        step_s = _MINUTE_S if left_s > _MINUTE_S else _COARSE_S
        return int(-(-left_s // step_s) * step_s)

    def _decided_now(self, offer: Offer) -> Decision:
        """Anew: time has passed, and perhaps the directory has changed."""
        entitlement = self._inside.parts.custody.entitlement(offer.entitlement.guid)
        return self._inside.signon.decide(offer.proof, entitlement)

    def _join(self) -> None:
        offer, signon, stage = self._offer, self._inside.signon, self._inside.stage
        if offer is None or not offer.may_join:
            return
        decision = self._decided_now(offer)
        if not isinstance(decision, Open | ChoosePosition):
            self._refuse(offer, decision.reason)
            return
        signon.offer = None
        self._people[offer.entitlement.holder] = _of(offer)
        signon.outcomes.opened(offer.tapped, Reason.SHARED, stage.consider(Joined()))

    def _take_over(self) -> None:
        offer, stage = self._offer, self._inside.stage
        if offer is None:
            return
        decision = self._decided_now(offer)
        if isinstance(decision, Refuse | OfferBreakGlass):
            self._refuse(offer, decision.reason)
            return
        self._inside.signon.offer = None
        stage.commit(stage.consider(TakenOver()))
        self._inside.signon.decided(offer.tapped, offer.proof, decision)

    def _refuse(self, offer: Offer, reason: Reason) -> None:
        signon, stage = self._inside.signon, self._inside.stage
        signon.offer = None
        declined = stage.consider(Declined())
        signon.outcomes.turned_away(offer.tapped, reason, OutcomeResult.REFUSED, declined)

    def _decline(self) -> None:
        offer, signon, stage = self._offer, self._inside.signon, self._inside.stage
        if offer is not None:
            signon.offer = None
            signon.outcomes.lapsed(offer.tapped, Reason.OFFER_ABANDONED, stage.consider(Declined()))


def _of(offer: Offer) -> _Standing:
    return _Standing(offer.entitlement.name.initials, offer.role)
