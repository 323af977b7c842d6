"""Why a PIN is owed: whether one proved before still stands, and if not, why not. Pure.

In this order: no PIN of this card, this key and this holder is known here and in this boot; the
card was put into use again since; the ward's grace is over; that of the role or position is. A card
without a key for taps has no grace, so for it there is one reason alone (`decision`).
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Final

from contract.directory import Entitlement, Position, Slot
from contract.events import ClockTrust
from contract.ids import TerminalId
from contract.policy import GraceScope, Policy
from firmware_py.signon.grace import ProvenPin, remaining_ms
from firmware_py.trust.sitetime import Freshness, Moment


class Because(StrEnum):
    """Why a PIN is owed, for the person who is asked."""

    FIRST = "first"
    """No PIN of this card is known here, this shift."""
    GRACE_OVER = "grace-over"
    SHORT_GRACE = "short-grace"
    """The grace of her role or position is over; the ward's own would last."""
    OFFLINE = "offline"
    """One proved elsewhere on the ward may not have been heard."""
    CLOCK = "clock"
    RESTORED = "restored"
    """The card was put into use again since it was proved."""
    BY_PIN = "by-pin"
    """The card has no key for a tap: it signs on with its PIN, each time."""


UNHEARD_MS: Final = 10_000
"""A directory that nobody confirmed for so long: others' PINs may have gone unheard as well."""


def why_not(
    grace: ProvenPin | None,
    entitlement: Entitlement,
    position: Position,
    policy: Policy,
    terminal: TerminalId,
    site_ms: int,
    now: Moment,
) -> Because | None:
    """Why the PIN proved before does not stand for this position; None: it does.

    ``site_ms`` and ``now`` are the same moment, by the site's time and by this boot's own.
    """
    pin_key = entitlement.credential(Slot.PIV_AUTHENTICATION)
    if grace is None or pin_key is None:
        return Because.FIRST
    if (grace.guid, grace.key) != (entitlement.guid, pin_key.key_id):
        return Because.FIRST
    if grace.holder not in (None, entitlement.holder):
        return Because.FIRST
    passed_ms = now.monotonic_ms - grace.at.monotonic_ms
    if grace.at.boot != now.boot or passed_ms < 0:
        return Because.FIRST
    if site_ms - passed_ms < entitlement.not_before_ms:
        return Because.RESTORED
    if remaining_ms(grace, policy, position.role, terminal, now, position.id) > 0:
        return None
    if passed_ms >= policy.grace_s * 1000:
        return Because.GRACE_OVER
    if passed_ms >= policy.grace_for(position.role, position.id) * 1000:
        return Because.SHORT_GRACE
    return Because.FIRST  # proved where it does not count here


def why_asked(reasons: Collection[Because], policy: Policy, freshness: Freshness) -> Because:
    """What to say to somebody of whose positions none stands, for these ``reasons``."""
    if freshness.clock is ClockTrust.UNCONFIRMED:
        return Because.CLOCK
    if Because.FIRST not in reasons:
        return next((one for one in _LIGHTEST if one in reasons), Because.FIRST)
    unheard = freshness.age_ms is None or freshness.age_ms > UNHEARD_MS
    return Because.OFFLINE if unheard and policy.grace_scope is GraceScope.WARD else Because.FIRST


_LIGHTEST: Final = (Because.SHORT_GRACE, Because.GRACE_OVER, Because.RESTORED)
