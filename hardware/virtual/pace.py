"""The card's sense of time, and its waiting. The only clock in this package."""

from __future__ import annotations

import time
from threading import Event
from typing import Protocol


class Pace(Protocol):
    """A monotonic clock that can be waited on."""

    def now_ns(self) -> int:
        """Monotonic nanoseconds."""
        ...

    def wait(self, deadline_ns: int | None, gone: Event) -> bool:
        """Wait until ``deadline_ns`` (None: for ever) or ``gone``; whether it is gone."""
        ...


class RealPace:
    """This machine's clock. Deadlines are absolute, so lateness does not add up."""

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC, which every process of the machine shares."""
        return time.monotonic_ns()

    def wait(self, deadline_ns: int | None, gone: Event) -> bool:
        """Sleep, but leave at once when the card is taken away."""
        if deadline_ns is None:
            return gone.wait()
        left = deadline_ns - self.now_ns()
        return gone.wait(left / 1e9) if left > 0 else gone.is_set()
