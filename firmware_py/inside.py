"""What the terminal's consumer is made of, for the desks that stand beside sign-on.

A desk is one more thing that a person can do at a screen (be helped, break the glass, hold it open,
countersign, change a PIN). It belongs to the consumer, takes the items that are its own, and says
in a panel what the page is to draw of it. The terminal asks its desks in their order before it
looks itself: whoever takes an item has dealt with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from contract.policy import Policy
from firmware_py.card.presence import Presence
from firmware_py.card.visits import Visits
from firmware_py.items import Item
from firmware_py.outage import Outage
from firmware_py.parts import Parts
from firmware_py.sessions.machine import Happening
from firmware_py.sessions.stage import Stage
from firmware_py.signon.signon import SignOn
from firmware_py.timers import Timers

Panel = Mapping[str, object]
"""What the page draws of a desk: plain JSON values, and nothing that the glass may not show."""


@dataclass(frozen=True, slots=True)
class Inside:
    """The consumer's own parts. Everything here is called in the loop's thread and never waits."""

    parts: Parts
    stage: Stage
    visits: Visits
    presence: Presence
    signon: SignOn
    timers: Timers[Item]
    post: Callable[[Item], None]
    happen: Callable[[Happening], None]
    """A step of the sessions, where the table has it. Raises JournalFailed."""
    policy: Callable[[], Policy]
    outage: Outage


class Desk(Protocol):
    """One more thing that a person can do here."""

    @property
    def name(self) -> str:
        """Under which its panel stands in a view."""
        ...

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        ...

    def panel(self) -> Panel | None:
        """What the page draws of it; null: nothing."""
        ...
