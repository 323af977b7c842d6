"""The vectors of what stands beside taps: a hold, a left card, and sessions on other grounds."""

from __future__ import annotations

from collections.abc import Callable

from contract import bedside, events
from contract.ids import Guid, HolderId, PositionId, SessionId

SESSION, POSITION = SessionId("50" * 16), PositionId("emergency")
AMAL, BEA = HolderId("h-amal"), HolderId("h-bea")


def vectors(event: Callable[[int, events.Detail], bytes]) -> dict[str, bytes]:
    """One of each, with its bytes."""
    told: dict[str, events.Detail] = {
        "session-held": bedside.SessionHeld(
            session=SESSION, change=bedside.HoldChange.BEGUN, limit_s=1800
        ),
        "session-joined": bedside.SessionHeld(
            session=SESSION, change=bedside.HoldChange.JOINED, holder=BEA
        ),
        "card-left": bedside.CardLeft(
            reader=1,
            interface="contact",
            state=bedside.LeftState.TAPPED_OVER,
            guid=Guid("6a" * 16),
            holder=AMAL,
            by=Guid("6b" * 16),
        ),
        "session-limited": events.SessionChanged(
            session=SESSION,
            holder=AMAL,
            position=POSITION,
            change=events.SessionChange.CLOSED,
            cause=events.Cause.LIMIT,
            ground=bedside.SessionKind.BREAK_GLASS,
        ),
        "session-shared": events.SessionChanged(
            session=SESSION,
            holder=AMAL,
            position=POSITION,
            change=events.SessionChange.LOCKED,
            cause=events.Cause.BUTTON,
            shared=True,
        ),
        "outcome-joined": events.CardOutcome(
            record=None,
            guid=Guid("6b" * 16),
            result=events.OutcomeResult.JOINED,
            reason=events.Reason.SHARED,
            holder=BEA,
            position=POSITION,
            session=SESSION,
            shared=True,
        ),
    }
    return {f"event-{name}": event(n, detail) for n, (name, detail) in enumerate(told.items())}
