"""Where helping joins the terminal's one queue: takes what is its own, loads the rest when needed.

While somebody is helped, cards and digits belong to that; everything else goes on as always.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.ids import Guid
from firmware_py import items
from firmware_py.card.visits import Purpose
from firmware_py.inside import Inside, Panel
from firmware_py.items import Item
from firmware_py.kiosk import commands
from firmware_py.sessions.machine import Lost
from firmware_py.site.link import HelpHeard

if TYPE_CHECKING:
    from firmware_py.help.desk import HelpDesk


class HelpLine:
    """Belongs to the consumer."""

    name = "help"

    def __init__(self, inside: Inside) -> None:
        """Loads what was kept, where something was."""
        self.inside = inside
        self._desk: HelpDesk | None = None
        if inside.parts.help is not None and inside.parts.help.path.exists():
            self._open()

    def lock(self, guid: Guid) -> None:
        """Locks what a card has opened."""
        self.inside.happen(Lost(guid))

    def panel(self) -> Panel | None:
        """Words stand in the view itself."""
        return None

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        if self.inside.parts.help is None:
            return False
        match item:
            case commands.SpareWanted() | commands.NewPinWanted():
                self._open().wanted(item)
            case HelpHeard():
                self._open().heard(item)
            case items.HelpNews():
                self._open().news(item.about)
            case items.DirectoryChanged() if self._desk is not None:
                self._desk.directory_changed()
                return False
            case _:
                return self._desk is not None and self._taken_at(self._desk, item)
        return True

    def _taken_at(self, desk: HelpDesk, item: Item) -> bool:
        match item:
            case items.CardAsks() if (visit := self.inside.visits.find(item.visit)) is not None:
                return desk.asks(item, visit)
            case items.VisitEnded() if (visit := self.inside.visits.find(item.visit)) is not None:
                if not desk.busy and visit.purpose is not Purpose.UNBLOCK:
                    return False
                self.inside.visits.ended(item.visit)
                desk.ended(visit, item.end)
                return True
            case commands.PinEntered(pin):
                return desk.pin(pin)
            case commands.Cancelled() if desk.busy:
                desk.drop()
                return True
            case _:
                return False

    def _open(self) -> HelpDesk:
        if self._desk is None:
            from firmware_py.help.desk import HelpDesk  # noqa: PLC0415 - loaded when needed

            self._desk = HelpDesk(self)
        return self._desk
