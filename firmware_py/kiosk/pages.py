"""A page that comes or goes while somebody's work is on the glass: it ends locked (DESIGN §5).

A browser that died comes back with whatever the newest view shows, and nobody can say who stands
there by then. So the work of whoever is signed on is locked when a page leaves, and again when one
comes that had not seen it open: a tap opens it. The kiosk has one page, and that page leaves only
when it, its browser or its connection has failed.
"""

from __future__ import annotations

import logging
from typing import Final

from firmware_py.inside import Inside, Panel
from firmware_py.items import Item, PagesChanged
from firmware_py.sessions.machine import SHOWN, Faulted

LOG: Final = logging.getLogger("tapover.kiosk")


class PageDesk:
    """Belongs to the consumer."""

    name = "pages"

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        inside.parts.board.on_pages = lambda: inside.post(PagesChanged())

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        if not isinstance(item, PagesChanged):
            return False
        if self._inside.signon.pad is not None:
            self._inside.signon.abandoned()
            return True
        if self._inside.stage.newest.mode in SHOWN:
            LOG.warning("a page came or went while somebody's work was on the glass: locked")
        self._inside.happen(Faulted())
        return True

    def panel(self) -> Panel | None:
        """Nothing."""
        return None
