"""The board: the newest view, and everybody who watches it.

Each watcher hears every view in order; one who falls behind loses the oldest, never the newest.
So a slow page costs a bounded amount of memory and still ends at the truth.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

from firmware_py.glass.view import View

# A tap makes four views; a page that is sixteen taps behind needs only the last.
MAX_BEHIND: Final = 64
# One page, one information page, a test beside them; each costs a connection and a deque.
MAX_WATCHERS: Final = 8


class TooManyWatchers(Exception):
    """Nobody needs more state streams than ``MAX_WATCHERS``."""


class Watcher:
    """One reader of the board."""

    def __init__(self, newest: tuple[int, bytes]) -> None:
        self._waiting: deque[tuple[int, bytes]] = deque((newest,), maxlen=MAX_BEHIND)
        self._changed = asyncio.Event()
        self._changed.set()
        self.closed = False

    def tell(self, message: tuple[int, bytes]) -> None:
        """Hand over a view."""
        self._waiting.append(message)
        self._changed.set()

    def close(self) -> None:
        """End the stream after what is waiting."""
        self.closed = True
        self._changed.set()

    async def messages(self, silence_s: float) -> AsyncIterator[tuple[int, bytes] | None]:
        """Views as they come; None after each ``silence_s`` without one."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self.closed:
                return
            self._changed.clear()
            try:
                async with asyncio.timeout(silence_s):
                    await self._changed.wait()
            except TimeoutError:
                yield None


class Board:
    """Holds the newest view; belongs to the event loop's thread."""

    def __init__(self, first: View) -> None:
        self._seq = 1
        self._view = first
        self._watchers: set[Watcher] = set()
        self.on_pages: Callable[[], None] = lambda: None
        """Called when somebody has begun to watch, or has left."""

    @property
    def view(self) -> View:
        """What is on the glass."""
        return self._view

    @property
    def seq(self) -> int:
        """Its number."""
        return self._seq

    def publish(self, view: View) -> int:
        """Put ``view`` on the glass; returns its number. An equal view is not repeated."""
        if view != self._view:
            self._seq += 1
            self._view = view
            message = (self._seq, view.to_json(self._seq))
            for watcher in self._watchers:
                watcher.tell(message)
        return self._seq

    def watch(self) -> Watcher:
        """Begin to watch, with the newest view first. Raises TooManyWatchers."""
        if len(self._watchers) >= MAX_WATCHERS:
            raise TooManyWatchers(f"more than {MAX_WATCHERS} state streams")
        watcher = Watcher((self._seq, self._view.to_json(self._seq)))
        self._watchers.add(watcher)
        self.on_pages()
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Stop watching."""
        self._watchers.discard(watcher)
        self.on_pages()

    def close(self) -> None:
        """End every stream."""
        for watcher in self._watchers:
            watcher.close()
