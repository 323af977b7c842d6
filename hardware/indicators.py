"""Light and sound at a reader: a port, and the implementation that has neither.

A reader's LED and buzzer are driven by vendor commands over SCardControl, which most drivers
refuse until somebody allows them (``DRIVER_OPTION_CCID_EXCHANGE_AUTHORIZED``). So an indicator is
never part of a tap's outcome: what the person needs to know is on the screen.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from hardware.readers import ReaderName


class Sign(StrEnum):
    """What a reader can tell a person who looks at it, not at the screen."""

    IDLE = "idle"
    HOLD = "hold"  # the card is being read: leave it there
    DONE = "done"
    REFUSED = "refused"


class Indicators(Protocol):
    """The lights and buzzers of a terminal's readers."""

    def show(self, reader: ReaderName, sign: Sign) -> None:
        """Show ``sign`` at ``reader`` if it can. Returns at once and never raises."""
        ...


class NoIndicators:
    """Readers without a light, or whose driver does not let us at it."""

    def show(self, reader: ReaderName, sign: Sign) -> None:
        """Nothing to show it with."""
