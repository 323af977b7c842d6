"""Where helping joins the terminal's one queue: takes what is its own, loads the rest when needed.

While somebody is helped, cards and digits belong to that; everything else goes on as always.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from contract.ids import Guid
from firmware_py import items
from firmware_py.card.presence import Presence
from firmware_py.card.visits import Purpose, Visits
from firmware_py.items import Item
from firmware_py.kiosk import commands
from firmware_py.parts import Parts
from firmware_py.sessions.stage import Stage
from firmware_py.signon.signon import SignOn
from firmware_py.site.link import HelpHeard

if TYPE_CHECKING:
    from firmware_py.help.desk import HelpDesk


class HelpLine:
    """Belongs to the consumer."""

    def __init__(
        self,
        parts: Parts,
        stage: Stage,
        visits: Visits,
        presence: Presence,
        signon: SignOn,
        post: Callable[[Item], None],
        lock: Callable[[Guid], None],
    ) -> None:
        """`lock` locks what a card has opened. Loads what was kept, where something was."""
        self.parts, self.stage, self.visits = parts, stage, visits
        self.presence, self.signon, self.post, self.lock = presence, signon, post, lock
        self._desk: HelpDesk | None = None
        if parts.help is not None and parts.help.path.exists():
            self._open()

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        if self.parts.help is None:
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
            case items.CardAsks() if (visit := self.visits.find(item.visit)) is not None:
                return desk.asks(item, visit)
            case items.VisitEnded() if (visit := self.visits.find(item.visit)) is not None:
                if not desk.busy and visit.purpose is not Purpose.UNBLOCK:
                    return False
                self.visits.ended(item.visit)
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
