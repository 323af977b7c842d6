"""Where changing a PIN joins the terminal's queue; the rest is loaded when somebody wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.events import OutcomeResult, Reason
from firmware_py.glass.commands import PinChangeWanted
from firmware_py.inside import Inside, Panel
from firmware_py.items import Item
from firmware_py.pin.commands import NewPinEntered

if TYPE_CHECKING:
    from firmware_py.pin.desk import PinDesk


class PinLine:
    """Belongs to the consumer. Implements `firmware_py.inside.Desk`."""

    name = "pin"

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._desk: PinDesk | None = None

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        if isinstance(item, PinChangeWanted):
            self._begin()
            return False  # who was being helped has gone: her desk hears of it as well
        desk = self._open()
        if desk is None:
            return isinstance(item, NewPinEntered)
        return desk.takes(item)

    def panel(self) -> Panel | None:
        """What the page draws of it; see `PinDesk.panel`."""
        desk = self._open()
        return None if desk is None else desk.panel()

    def _begin(self) -> None:
        from firmware_py.pin import words  # noqa: PLC0415 - loaded when needed
        from firmware_py.pin.desk import PinDesk  # noqa: PLC0415 - as well

        if self._open() is None and (session := self._inside.stage.visible) is not None:
            self._desk = PinDesk.begin(self._inside, session)
            if self._desk is None:
                outcomes = self._inside.signon.outcomes
                told = outcomes.event(OutcomeResult.REFUSED, Reason.NOT_DONE, session.guid)
                outcomes.refuse(told, words.NOT_HERE)

    def _open(self) -> PinDesk | None:
        if self._desk is not None and self._desk.over:
            self._desk = None
        return self._desk
