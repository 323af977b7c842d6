"""The workspace's place at the consumer: notes that somebody types, and a backend that broke.

Text reaches a session only while its work is seen: not from the moment that another card is in the
field, nor from a page that still shows somebody else's.
"""

from __future__ import annotations

import logging
from typing import Final

from firmware_py.inside import Inside, Panel
from firmware_py.items import Item, WorkspaceBroke
from firmware_py.sessions.machine import Activity, Kind
from firmware_py.workspace.commands import Typed
from firmware_py.workspace.screen import ScreenWorkspace

LOG: Final = logging.getLogger("tapover.workspace")


class WorkspaceDesk:
    """Belongs to the consumer."""

    name = "screen"

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        workspace = inside.parts.workspace
        self._screen = workspace if isinstance(workspace, ScreenWorkspace) else None

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        match item:
            case Typed(ticket, text):
                self._typed(ticket, text)
            case WorkspaceBroke(why):
                LOG.error("the workspace broke", extra={"why": why})
                self._inside.stage.workspace_broke()
            case _:
                return False
        return True

    def panel(self) -> Panel | None:
        """The notes of whoever's work is on the glass; a covered view drops them."""
        visible = self._inside.stage.visible
        if self._screen is None or visible is None or self._screen.shown != visible.id:
            return None
        if visible.kind is Kind.EMERGENCY_VIEW:
            return None  # nobody is known to stand there: to read only
        return {"ticket": self._screen.ticket, "text": self._screen.notes}

    def _typed(self, ticket: str, text: str) -> None:
        if self._screen is None:
            return
        # What is seen now is the view before this item: a card that came since has covered it.
        covered = self._inside.parts.board.view.covered
        if covered or self.panel() is None:
            self._screen.discarded += 1
        elif self._screen.type(ticket, text):
            self._inside.happen(Activity())
