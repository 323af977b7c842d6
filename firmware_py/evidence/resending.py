"""How long a terminal waits for a receipt before it sends everything again (after RFC 6298).

Twice the time that receipts took of late, at least `FIRST_NS`: a site that is late with many is not
asked twice for each. Silence doubles it, up to `MOST_NS`. A receipt of what was sent more than once
says nothing, since nobody knows of which sending it is (Karn's rule): the wait stays as it is.
"""

from __future__ import annotations

from typing import Final

_S: Final = 1_000_000_000
FIRST_NS: Final = 2 * _S
MOST_NS: Final = 60 * _S
_SHARE: Final = 8
"""Of the newest receipt in the smoothed time: one in so many."""


class Patience:
    """Of one terminal with its site. Times in nanoseconds."""

    __slots__ = ("_smoothed_ns", "wait_ns")

    def __init__(self) -> None:
        self._smoothed_ns = 0
        self.wait_ns = FIRST_NS

    def receipted(self, took_ns: int | None) -> None:
        """A receipt came so long after the one sending; None where there were several."""
        if took_ns is None:
            return
        if took_ns > 2 * self._smoothed_ns:  # the first, or suddenly slow: it counts whole
            self._smoothed_ns = took_ns
        else:
            self._smoothed_ns += (took_ns - self._smoothed_ns) // _SHARE
        self.wait_ns = min(max(2 * self._smoothed_ns, FIRST_NS), MOST_NS)

    def silent(self) -> None:
        """No receipt came in that time."""
        self.wait_ns = min(2 * self.wait_ns, MOST_NS)

    def anew(self) -> None:
        """The site is there again: what was before says nothing of it."""
        self._smoothed_ns, self.wait_ns = 0, FIRST_NS
