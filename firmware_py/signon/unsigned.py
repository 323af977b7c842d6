"""A tap that no key signs: of a card that signs on by its PIN alone (`decision.only_says`). Pure.

What such a card says at its tap is easily copied, so the tap opens, wakes, unlocks and ends nothing
(ADR 0024). The first rule that fits says what it does:

* A held screen stays as it is, and so does one in nobody's name, which would end if it gave way.
* Its holder's work is on the glass: it is locked, and stays hers. Not within the seconds in which a
  card is often seen twice.
* Somebody else is being asked for a PIN: the pad stays hers, so that no digit reaches another card.
* Else it is judged, and the PIN is asked for; whoever was on the glass is parked, as at any tap.
"""

from __future__ import annotations

from enum import Enum, auto

from contract.directory import Entitlement
from contract.policy import Policy
from firmware_py.sessions.machine import Sessions


class Does(Enum):
    """What the tap comes to."""

    NOTHING = auto()
    STAY = auto()
    """It was seen twice."""
    LOCK = auto()
    ASK = auto()


def judge_unsigned(state: Sessions, entitlement: Entitlement, policy: Policy, now_ms: int) -> Does:
    """By the sessions as they are now (``now_ms`` monotonic)."""
    present = state.present
    if state.hold is not None or (present is not None and not present.session.keeps):
        return Does.NOTHING
    shown = state.shown
    if present is not None and shown is not None and shown.holder == entitlement.holder:
        fresh = now_ms - present.signed_ms <= policy.still_you_s * 1000
        return Does.STAY if fresh else Does.LOCK
    if state.asked is not None and state.asked.guid != entitlement.guid:
        return Does.NOTHING
    return Does.ASK
