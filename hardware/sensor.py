"""A presence sensor before the screen: the port (FIELD 14).

A sensor says only that it sees nobody, or somebody, or that it cannot tell. A paper cup fools it,
so it may bring the warning sooner and never keeps anything from locking: idleness by the clock
stands without it. None is built; a driver belongs beside this file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class NobodySeen:
    """From now on nobody is before the screen."""


@dataclass(frozen=True, slots=True)
class SomebodySeen:
    """Somebody is."""


@dataclass(frozen=True, slots=True)
class SensorBlind:
    """It is unplugged, covered or broken: nothing is known."""


SensorEvent = NobodySeen | SomebodySeen | SensorBlind


class PresenceSensor(Protocol):
    """What watches the place before one screen."""

    def start(self, report: Callable[[SensorEvent], None]) -> None:
        """Begin, and say each change once. ``report`` is called in the event loop's thread."""
        ...

    def stop(self) -> None:
        """Say nothing more. Idempotent; never raises."""
        ...
