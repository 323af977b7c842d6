"""What a person is told of her own unsaved work: where it is and until when, or that it is gone.

An application that holds what is not saved says so (`Unsaved`). Such work gives way last; where it
must, its holder's next tap here says it.
"""

from __future__ import annotations

from typing import Final

from firmware_py.glass import words
from firmware_py.inside import Inside, Panel
from firmware_py.items import Item
from firmware_py.sessions.values import Session

_MS: Final = 1_000_000
_MINUTE_MS: Final = 60_000


class UnsavedDesk:
    """Belongs to the consumer; takes nothing, and tells."""

    name = "unsaved"

    def __init__(self, inside: Inside) -> None:
        self._inside = inside

    def takes(self, item: Item) -> bool:
        """Nothing is."""
        del item
        return False

    def panel(self) -> Panel | None:
        """To whoever is signed on, of her own work alone."""
        newest, visible = self._inside.stage.newest, self._inside.stage.visible
        if visible is None or not (newest.ended or newest.unsaved):
            return None
        now_ms = self._inside.parts.clock.monotonic_ns() // _MS
        for one in newest.ended:
            if one.session.holder == visible.holder and visible.keeps:
                minutes = max(1, (now_ms - one.at_ms) // _MINUTE_MS)
                role = self._role(one.session)
                said = words.UNSAVED_GONE.format(role=role, minutes=minutes)
                return {"words": said, "kept": False, "until_s": None}
        age_ms = self._inside.policy().parked_age_s * 1000
        for parked in newest.parked:
            session = parked.session
            if session.holder == visible.holder and session.id in newest.unsaved:
                minutes = max(1, -(-(parked.since_ms + age_ms - now_ms) // _MINUTE_MS))
                said = words.UNSAVED_HERE.format(role=self._role(session), minutes=minutes)
                return {"words": said, "kept": True, "until_s": minutes * 60}
        return None

    def _role(self, session: Session) -> str:
        custody = self._inside.parts.custody
        entitlement = custody.entitlement(session.guid) if session.guid else None
        positions = entitlement.positions if entitlement else ()
        return next((one.name for one in positions if one.id == session.position), session.position)
