"""In which language somebody wants the glass: hers while she is on it, then the screen's again.

What she chose is remembered here until the daemon ends, by holder, and no longer. The language of a
screen on which nobody is signed on is the page's own affair.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from contract.ids import HolderId
from firmware_py.glass.commands import Language, LanguageChosen
from firmware_py.inside import Inside, Panel
from firmware_py.items import Item

MAX_PEOPLE: Final = 256
"""More than a ward's staff; whoever chose first is forgotten first."""


class Tongue:
    """Belongs to the consumer."""

    name = "language"

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._chosen: OrderedDict[HolderId, Language] = OrderedDict()

    def takes(self, item: Item) -> bool:
        """Whether somebody chose; nothing else is ours."""
        if not isinstance(item, LanguageChosen):
            return False
        if (holder := self._holder()) is not None:
            self._chosen[holder] = item.language
            self._chosen.move_to_end(holder)
            if len(self._chosen) > MAX_PEOPLE:
                self._chosen.popitem(last=False)
        return True

    def panel(self) -> Panel | None:
        """The language of whoever is on the glass, where she chose one."""
        holder = self._holder()
        chosen = None if holder is None else self._chosen.get(holder)
        return None if chosen is None else {"code": chosen}

    def _holder(self) -> HolderId | None:
        visible = self._inside.stage.visible
        return None if visible is None else visible.holder
