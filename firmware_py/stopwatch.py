"""Where a tap's time went: from the return of the status wait to the page's word of receipt.

Software time is what is left after the time inside PC/SC and the flush that was waited for. The
card record's flush is not waited for: it runs while the card computes (DESIGN §10).
"""

from __future__ import annotations

from dataclasses import dataclass

from contract.events import TapTiming

_NS_PER_US = 1000


@dataclass(frozen=True, slots=True)
class Lap:
    """A tap whose view is on its way to the page. Nanoseconds, monotonic."""

    record: int
    seen_ns: int
    card_ns: int
    exchanges: int
    flush_ns: int
    view: int
    """Number of the view that shows its outcome."""


class Stopwatch:
    """Laps that wait for the page."""

    def __init__(self) -> None:
        self._laps: dict[int, Lap] = {}

    def start(self, lap: Lap) -> None:
        """Wait for the page's receipt of this lap's view."""
        self._laps[lap.record] = lap

    def received(self, view: int, now_ns: int) -> tuple[TapTiming, ...]:
        """The page has drawn ``view``, and so every one before it."""
        arrived = [lap for lap in self._laps.values() if lap.view <= view]
        return tuple(self._end(lap, now_ns) for lap in arrived)

    def overdue(self, record: int, now_ns: int) -> tuple[TapTiming, ...]:
        """Nobody confirmed: the time until now is what can be said."""
        lap = self._laps.get(record)
        return (self._end(lap, now_ns),) if lap else ()

    def _end(self, lap: Lap, now_ns: int) -> TapTiming:
        del self._laps[lap.record]
        total_ns = max(0, now_ns - lap.seen_ns)
        software_ns = max(0, total_ns - lap.card_ns - lap.flush_ns)
        return TapTiming(
            record=lap.record,
            exchanges=lap.exchanges,
            card_us=lap.card_ns // _NS_PER_US,
            flush_us=lap.flush_ns // _NS_PER_US,
            software_us=software_ns // _NS_PER_US,
            total_us=total_ns // _NS_PER_US,
        )
