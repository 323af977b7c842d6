"""How late this machine runs a process that waits: measured beside, by a process of its own.

A thread of the benchmark would measure the benchmark's own lock. Run as a script, this module is
that process: it sleeps and looks at the clock until its input ends, then writes down its delays.
"""

from __future__ import annotations

import select
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Final

INTERVAL_S: Final = 0.05
"""Twenty samples a second: enough for a p99 of a minute, too few to be a load."""


class DelayProbe:
    """One stretch of measuring: from `start` to `stop`."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None
        self._ticks = (0, 0)

    def start(self) -> None:
        """Begins; does nothing where it has begun."""
        if self._child is None:
            self._ticks = _ticks()
            self._child = subprocess.Popen(
                [sys.executable, "-S", "-E", __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )

    def stop(self) -> tuple[list[float], float]:
        """Delays in milliseconds, and the percentage of time that the host gave to others."""
        if self._child is None:
            return [], 0.0
        words, _ = self._child.communicate()
        self._child = None
        stolen, all_ = (now - then for now, then in zip(_ticks(), self._ticks, strict=True))
        return [float(word) for word in words.split()], 100 * stolen / max(1, all_)


def _ticks(stat: Path = Path("/proc/stat")) -> tuple[int, int]:
    """Stolen and all ticks of all cores, proc(5)."""
    with stat.open(encoding="ascii") as lines:
        numbers = [int(word) for word in lines.readline().split()[1:9]]
    return numbers[7], sum(numbers)


def _delays(stop: IO[str]) -> list[float]:
    delays: list[float] = []
    while True:
        asked = time.monotonic()
        ended, _, _ = select.select([stop], [], [], INTERVAL_S)
        if ended:
            return delays
        delays.append((time.monotonic() - asked - INTERVAL_S) * 1000)


if __name__ == "__main__":
    print(*(f"{delay:.4f}" for delay in _delays(sys.stdin)))
