"""What somebody sees who waits for a run: where it is, and how long it will still take."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console

from benchmarks.harness.delay import DelayProbe
from benchmarks.harness.record import StepRecord, delay_figure
from benchmarks.harness.workload import Phase, Step

_SAY_EVERY_S: Final = 30.0  # in a log; on a terminal one line is drawn over


@dataclass(frozen=True, slots=True)
class Planned:
    """A step with the workload that wants it."""

    workload: str
    step: Step


class Remaining:
    """How long the rest of a plan will take: what was expected, less what is done."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._after = [step.expected_s for step in steps]

    def seconds(self, at: int, fraction: float, spent_s: float) -> float:
        """While step ``at`` stands at ``fraction`` after ``spent_s``.

        A step is believed once a tenth of it is done; until then its own estimate counts.
        """
        expected = self._after[at]
        left = max(0.0, expected - spent_s)
        if fraction >= 0.1:
            left = spent_s * (1 - fraction) / fraction
        return left + sum(self._after[at + 1 :])


def in_words(seconds: float) -> str:
    """``3 min`` or ``40 s``, no more exact than an estimate may be."""
    if seconds >= 90:
        return f"{round(seconds / 60)} min"
    return f"{max(10, round(seconds / 10) * 10)} s"


class Watch:
    """The Progress of the step that runs; one for a whole run."""

    def __init__(self, steps: Sequence[Planned], console: Console) -> None:
        self._steps = steps
        self._remaining = Remaining([one.step for one in steps])
        self._console = console
        self._lock = threading.Lock()
        self._said_s = float("-inf")
        self._begin(0)

    def _begin(self, at: int) -> None:
        self._at = at
        self._fraction = 0.0
        self._phase = Phase.SET_UP
        self._seconds: dict[Phase, float] = dict.fromkeys(Phase, 0.0)
        self._began_s = self._phase_s = time.monotonic()
        self._delays: list[float] = []
        self._stolen: list[float] = []
        self._probe = DelayProbe()

    def begin(self, at: int) -> None:
        """Step ``at`` of the plan begins, in its set-up."""
        with self._lock:
            self._begin(at)
            self._show(always=True)

    def end(self, failed: str = "") -> StepRecord:
        """The step is over; what is known of how it went."""
        with self._lock:
            self._leave_phase()
            one = self._steps[self._at]
            return StepRecord(
                workload=one.workload,
                title=one.step.title,
                seconds={str(phase): seconds for phase, seconds in self._seconds.items()},
                scheduling=delay_figure(self._delays),
                steal_percent=max(self._stolen, default=0.0),
                failed=failed,
            )

    def phase(self, phase: Phase) -> None:
        """See Progress."""
        with self._lock:
            self._leave_phase()
            self._phase = phase
            if phase is Phase.MEASURED:
                self._probe.start()
            self._show()

    def done(self, count: int, of: int) -> None:
        """See Progress."""
        with self._lock:
            self._fraction = min(1.0, count / max(1, of))
            self._show()

    def say(self, words: str) -> None:
        """See Progress."""
        with self._lock:
            self._console.print(f"    {words}", markup=False, soft_wrap=True)

    def _leave_phase(self) -> None:
        now_s = time.monotonic()
        self._seconds[self._phase] += now_s - self._phase_s
        self._phase_s = now_s
        if self._phase is Phase.MEASURED:
            delays, stolen = self._probe.stop()
            self._delays += delays
            self._stolen.append(stolen)

    def _show(self, *, always: bool = False) -> None:
        now_s = time.monotonic()
        if not (always or self._console.is_terminal or now_s - self._said_s > _SAY_EVERY_S):
            return
        self._said_s = now_s
        one, spent_s = self._steps[self._at], now_s - self._began_s
        left = in_words(self._remaining.seconds(self._at, self._fraction, spent_s))
        line = (
            f"[{self._at + 1}/{len(self._steps)}] {one.workload}: {one.step.title} · "
            f"{self._phase} {self._fraction:.0%} · about {left} remain"
        )
        if self._console.is_terminal and not always:
            room = self._console.width - 1
            self._console.print(line[:room].ljust(room), end="\r", markup=False)
        else:
            self._console.print(line, markup=False, soft_wrap=True)
