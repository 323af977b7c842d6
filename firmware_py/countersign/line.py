"""Where countersigning joins the terminal's one queue: light, the desk is loaded when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware_py.countersign.values import Wanted
from firmware_py.inside import Inside, Panel
from firmware_py.items import AppAsked, Item

if TYPE_CHECKING:
    from firmware_py.countersign.desk import CountersignDesk


class CountersignLine:
    """Belongs to the consumer."""

    name = "countersign"

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._desk: CountersignDesk | None = None

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        if self._desk is not None:
            return self._desk.takes(item)
        if not isinstance(item, AppAsked) or not isinstance(item.about, Wanted):
            return False
        from firmware_py.countersign.desk import CountersignDesk  # noqa: PLC0415 - when needed

        self._desk = CountersignDesk(self._inside)
        return self._desk.takes(item)

    def panel(self) -> Panel | None:
        """The text and what is waited for; null while nobody is asked."""
        return self._desk.panel() if self._desk else None
