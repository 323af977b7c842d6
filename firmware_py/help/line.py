"""Where helping joins the terminal's one queue: takes what is its own, loads the rest when needed.

While somebody is helped, cards and digits belong to that; everything else goes on as always.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from contract.ids import Guid
from firmware_py import items
from firmware_py.card.visits import Purpose
from firmware_py.glass import commands, words
from firmware_py.glass.commands import PinChangeWanted
from firmware_py.help.commands import FindPerson, NewPinWanted, SpareWanted
from firmware_py.inside import Inside, Panel
from firmware_py.items import Item
from firmware_py.sessions.machine import Lost
from firmware_py.site.link import HelpHeard
from hardware.readers import CardArrived

if TYPE_CHECKING:
    from firmware_py.help.desk import HelpDesk

_MS: Final = 1_000_000
_OFFER: Final[Panel] = {
    "kind": "puk",
    "step": "offered",
    "words": words.COLLEAGUE_HELPS,
    "fields": [],
}
"""Answered by the command `newpin`."""


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
        """As `firmware_py.help.screens` has it; an offer, where somebody's PIN is blocked."""
        if self.inside.parts.help is None:
            return None
        drawn = None if self._desk is None else self._desk.panel()
        if drawn is None and self._now_ms() < self.inside.signon.stuck_until_ms:
            return _OFFER
        return drawn

    def _now_ms(self) -> int:
        return self.inside.parts.clock.monotonic_ns() // _MS

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        if self.inside.parts.help is None:
            return False
        match item:
            case SpareWanted() | NewPinWanted():
                self.inside.signon.stuck_until_ms = 0
                self._open().wanted(item)
            case FindPerson():
                self._open().find(item)
            case CardArrived() | commands.Cancelled() if not self._busy:
                self.inside.signon.stuck_until_ms = 0
                return False
            case CardArrived() if self._desk is not None and self._desk.wants_no_card:
                self._desk.drop()  # the form was left open: whoever taps wants to work
                return False
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
            case PinChangeWanted():
                desk.drop()
                return False
            case commands.Cancelled() if desk.busy:
                desk.drop()
                self.inside.signon.outcomes.notice = None
                return True
            case _:
                return False

    @property
    def _busy(self) -> bool:
        return self._desk is not None and self._desk.busy

    def _open(self) -> HelpDesk:
        if self._desk is None:
            from firmware_py.help.desk import HelpDesk  # noqa: PLC0415 - loaded when needed

            self._desk = HelpDesk(self)
        return self._desk
