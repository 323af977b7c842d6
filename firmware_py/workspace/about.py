"""What a workspace is told of a session: opaque ids, its role, and initials for a title."""

from __future__ import annotations

from typing import Final

from firmware_py.card.records import Rights
from firmware_py.sessions.port import SessionAbout
from firmware_py.sessions.values import Kind, Session

_EMERGENCY: Final = (Kind.BREAK_GLASS, Kind.EMERGENCY_VIEW)


def about_of(rights: Rights, session: Session) -> SessionAbout:
    """As the directory has it; a holder whom it does not name has no initials."""
    entitlement = rights.entitlement(session.guid) if session.guid is not None else None
    positions = entitlement.positions if entitlement else ()
    role = next((p.role for p in positions if p.id == session.position), "")
    if session.kind in _EMERGENCY:
        role = rights.place().policy.emergency_role(session.position)
    return SessionAbout(
        session=session.id,
        holder=session.holder,
        position=session.position,
        role=role,
        kind=session.kind,
        initials=entitlement.name.initials if entitlement else "",
    )
