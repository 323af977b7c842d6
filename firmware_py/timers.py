"""Named timers that put an item on the terminal's queue: setting one again moves it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from runtime.clock import Clock

Item = TypeVar("Item")

_NS: Final = 1_000_000_000


class Timers(Generic[Item]):
    """Belongs to the event loop's thread."""

    def __init__(self, clock: Clock, post: Callable[[Item], None]) -> None:
        self._clock = clock
        self._post = post
        self._running: dict[str, asyncio.Task[None]] = {}

    def set(self, name: str, after_s: float, item: Item) -> None:
        """Post ``item`` after so many seconds, unless set again or cancelled before."""
        self.cancel(name)
        at_ns = self._clock.monotonic_ns() + round(after_s * _NS)
        self._running[name] = asyncio.create_task(self._wait(name, at_ns, item))

    def cancel(self, name: str) -> None:
        """Take a timer back; of one not set, nothing is to be done."""
        if task := self._running.pop(name, None):
            task.cancel()

    def close(self) -> None:
        """Take all back."""
        for name in tuple(self._running):
            self.cancel(name)

    async def _wait(self, name: str, at_ns: int, item: Item) -> None:
        await self._clock.sleep_until(at_ns)
        self._running.pop(name, None)
        self._post(item)
