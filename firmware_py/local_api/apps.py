"""Between the terminal's consumer and the applications on it: who is signed on, and what is asked.

Light, and always there; the door that applications knock at is `door`, loaded with the first knock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from contract.ids import HolderId, PositionId, SessionId
from firmware_py.items import AppAsked, Item
from firmware_py.sessions.machine import Extended, LockPressed, Unsaved

# A record system, a lamp, a telephone, and as many again.
MAX_WATCHERS: Final = 8


class TooManyWatchers(Exception):
    """Nobody needs more streams than ``MAX_WATCHERS``."""


@dataclass(frozen=True, slots=True)
class SignedOn:
    """Whose work is on the glass, as far as the glass itself tells; never a card or a secret."""

    session: SessionId
    holder: HolderId
    name: str
    initials: str
    position: PositionId
    position_name: str
    role: str
    kind: str
    state: str
    """``open``, ``dimmed`` or ``warning``."""
    shared: bool
    """The screen is held: who does what is uncertain."""


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """An application says something of the session it works in; told apart by identity."""

    session: SessionId
    happening: Unsaved | Extended | LockPressed
    answer: Callable[[bool], None] = field(repr=False)
    """Called once: whether that session is on the glass, and the terminal has been told."""


class Apps:
    """Belongs to the event loop's thread."""

    def __init__(self, post: Callable[[Item], None]) -> None:
        """`post` puts an item on the terminal's queue."""
        self.who: Callable[[], SignedOn | None] = lambda: None
        """As it is now; set by the consumer."""
        self._post = post
        self._watchers: set[asyncio.Event] = set()
        self.closing = asyncio.Event()

    def ask(self, about: object) -> None:
        """Put a wish on the queue."""
        self._post(AppAsked(about))

    def changed(self) -> None:
        """Somebody else may be signed on, or nobody any more."""
        for watcher in self._watchers:
            watcher.set()

    def watch(self) -> asyncio.Event:
        """Set whenever `who` may answer otherwise. Raises TooManyWatchers."""
        if len(self._watchers) >= MAX_WATCHERS:
            raise TooManyWatchers(f"more than {MAX_WATCHERS} streams")
        watcher = asyncio.Event()
        self._watchers.add(watcher)
        return watcher

    def leave(self, watcher: asyncio.Event) -> None:
        """Stop watching."""
        self._watchers.discard(watcher)

    def close(self) -> None:
        """End every stream."""
        self.closing.set()
        self.changed()
