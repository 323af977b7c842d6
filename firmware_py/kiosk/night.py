"""Night on the ward: when the glass is dim and silent, by the local day.

The ward's policy says from which minute to which; where the day begins is the terminal's time zone.
The day is taken from the same wall time as the journal's, which is the site's once it is known.
"""

from __future__ import annotations

from contract.policy import Night
from runtime.clock import LocalDay


class Nights:
    """Answers each time the glass is drawn; belongs to the consumer."""

    def __init__(self, zone: str = "") -> None:
        """`zone` as in the settings: an IANA name; empty: the machine's own."""
        self._day = LocalDay(zone)

    def is_night(self, night: Night | None, wall_ms: int) -> bool:
        """Whether it is, by a policy's hours; equal hours are none."""
        return night is not None and within(night, self._day.minute(wall_ms))


def within(night: Night, minute: int) -> bool:
    """Whether a minute of the day lies in it; its end does not. It may go over midnight."""
    begins, ends = night.begins_min, night.ends_min
    if begins <= ends:
        return begins <= minute < ends
    return minute >= begins or minute < ends
