"""The terminal's timers, as its state asks for them, and the times of its taps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from contract.events import TapTiming
from firmware_py import items
from firmware_py.glass.notice import Notice
from firmware_py.items import Item
from firmware_py.signon.outcomes import Timed
from firmware_py.signon.turn import NOTICE_S
from firmware_py.stopwatch import Lap, Stopwatch
from firmware_py.timers import Timers
from hardware.readers import CardArrived, ReaderName
from runtime.clock import Clock

_MS: Final = 1_000_000
RECEIPT_S: Final = 1.0
"""How long a tap's timing waits for the page."""
LOOK_S: Final = 1.0
"""How often the link's silence and the age of the rights are looked at."""


class Pacing:
    """Belongs to the consumer."""

    def __init__(self, clock: Clock, timers: Timers[Item]) -> None:
        self._clock = clock
        self._timers = timers
        self._stopwatch = Stopwatch()
        self._due_ms: int | None = None
        self._noticed: Notice | None = None

    def look_again(self) -> None:
        """Look at the surroundings in a second."""
        self._timers.set("look", LOOK_S, items.SurroundingsChanged())

    def fork_again(self) -> None:
        """A fork could not be answered now."""
        self._timers.set("fork", LOOK_S, items.JournalForked())

    def card_came(self, card: CardArrived, limit_s: float) -> None:
        """It may rest so long."""
        rests = items.CardRests(card.reader, card.seen_ns)
        self._timers.set(f"rests {card.reader}", limit_s, rests)

    def card_went(self, reader: ReaderName) -> None:
        """In time."""
        self._timers.cancel(f"rests {reader}")

    def keep(self, due_at_ms: int | None, notice: Notice | None) -> None:
        """The sessions' next deadline (monotonic ms), and what stands in passing."""
        if due_at_ms != self._due_ms:
            self._due_ms = due_at_ms
            self._timers.cancel("due")
            if due_at_ms is not None:
                after_ms = max(0, due_at_ms - self._clock.monotonic_ns() // _MS)
                self._timers.set("due", after_ms / 1000, items.TimePassed())
        if notice is not self._noticed:
            self._noticed = notice
            self._timers.cancel("notice")
            if notice is not None:
                self._timers.set("notice", NOTICE_S, items.NoticeOver())

    def due_again(self) -> None:
        """A deadline passed while nothing could be journalled: it counts again."""
        self._due_ms = None

    def begin_laps(self, taps: Sequence[Timed], view: int) -> None:
        """View number ``view`` shows what came of these taps."""
        for timed in taps:
            tap = timed.tapped
            lap = Lap(timed.record, tap.seen_ns, tap.card_ns, tap.exchanges, timed.flush_ns, view)
            self._stopwatch.start(lap)
            self._timers.set(f"lap {timed.record}", RECEIPT_S, items.TimingDue(timed.record))

    def received(self, view: int) -> tuple[TapTiming, ...]:
        """The page has drawn it."""
        timings = self._stopwatch.received(view, self._clock.monotonic_ns())
        for timing in timings:
            self._timers.cancel(f"lap {timing.record}")
        return timings

    def overdue(self, record: int) -> tuple[TapTiming, ...]:
        """No page said so."""
        return self._stopwatch.overdue(record, self._clock.monotonic_ns())

    def close(self) -> None:
        """Take every timer back."""
        self._timers.close()
