"""Whose word counts for downtime, at whatever terminal of the ward she gives it (DESIGN §5)."""

from __future__ import annotations

from contract.directory import Entitlement, Slot, Status
from contract.events import Reason
from contract.policy import Downtime
from firmware_py.signon.decision import allowed_here
from firmware_py.trust.custody import Custody


def why_not(card: Entitlement, policy: Downtime, custody: Custody) -> Reason | None:
    """Why her card cannot declare it here; null: it can. What the directory knew must do."""
    if card.status is not Status.ACTIVE or custody.spare(card.guid) is not None:
        return Reason.ROLE_NOT_ALLOWED
    if not card.not_before_ms <= custody.freshness().now_ms < card.not_after_ms:
        return Reason.EXPIRED
    key = card.credential(Slot.PIV_AUTHENTICATION)
    if key is None or not key.pin_gated:
        return Reason.PIN_UNGATED
    held = allowed_here(card, custody.place())
    fits = any(position.role in policy.roles for position in held)
    return None if fits else Reason.ROLE_NOT_ALLOWED
