"""How often the page may say what, so that a broken or hostile one does not keep the terminal busy.

A command takes its class's limit, in a bucket of its own: a crowd of one keeps none of the others
out. No hand meets a limit, in gloves or with a key held down, and no typist or scanner.

* Digits, lock and break-glass come through whatever else is said, and however often a hand can say
  them. More often than that they have been heard already.
* Of input (`activity`) a few a second are enough: more are taken and count for nothing.
* What begins something, is searched for or written into the journal, as often as a person does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from firmware_py.loopback.pace import Pace


@dataclass(frozen=True, slots=True)
class Limit:
    """So many a second, after so many at once. `merges`: what is above it is taken and dropped."""

    rate: float
    burst: int
    merges: bool = False


# A key held down on a button repeats thirty times a second.
_URGENT: Final = Limit(40, 120)
# Fifty keys a second and a scanner's burst between them; the page sends one at a time.
_FLOWS: Final = Limit(200, 400)
# Each opens the ward's emergency position, or asks a colleague to: an event, and somebody's alarm.
_EMERGENCY: Final = Limit(2, 20)
# Letter by letter; the terminal looks for the newest alone.
_SEARCHES: Final = Limit(20, 60)
# Each reads the directory, which may be a nation's.
_READS: Final = Limit(0.5, 10)
# Idleness is counted in seconds.
_INPUT: Final = Limit(10, 20, merges=True)
# A person who presses buttons as fast as she can.
_ACTS: Final = Limit(2, 40)

_CLASSES: Final = {
    "pin": _URGENT,
    "cancel": _URGENT,
    "lock": _URGENT,
    "new_pin": _URGENT,
    "breakglass": _EMERGENCY,
    "breakglass_colleague": _EMERGENCY,
    "breakglass_alone": _EMERGENCY,
    "typed": _FLOWS,
    "received": _FLOWS,
    "activity": _INPUT,
    "find_person": _SEARCHES,
    "spare": _READS,
}
"""Everything else is an act."""


class Paces:
    """A bucket for each of the names."""

    def __init__(self, names: Iterable[str], now_ns: Callable[[], int]) -> None:
        self._limits = {name: _CLASSES.get(name, _ACTS) for name in names}
        self._paces = {name: Pace(one.rate, one.burst) for name, one in self._limits.items()}
        self._now_ns = now_ns

    def lets(self, name: str) -> bool:
        """Whether one more of this name may pass now."""
        return self._paces[name].lets(self._now_ns())

    def merges(self, name: str) -> bool:
        """Whether one that may not pass is taken all the same, and dropped."""
        return self._limits[name].merges

    def wait_s(self, name: str) -> int:
        """After how many seconds the next one passes."""
        return self._paces[name].wait_s
