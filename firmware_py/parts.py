"""What a terminal is made of, and the queue to which its parts report."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contract.tap import PinProof
from firmware_py.custody import Custody, Sound
from firmware_py.grace import ProvenPins
from firmware_py.items import Item
from firmware_py.journal import Journal
from firmware_py.kiosk.board import Board
from firmware_py.workspace import Workspace
from hardware.readers import Readers
from runtime.clock import Clock

LOG: Final = logging.getLogger("tapover.terminal")

# A loopback page, two readers and a gateway make a few items a tap; this many is a flood of ours.
MAX_QUEUED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Parts:
    """What a terminal is made of."""

    clock: Clock
    readers: Readers
    journal: Journal
    custody: Custody
    workspace: Workspace
    board: Board
    sound: Sound
    publish_pin: Callable[[PinProof], None]
    pins: ProvenPins
    card_deadline_s: float


class Mailbox:
    """The queue. Belongs to the loop's thread."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Item] = asyncio.Queue(MAX_QUEUED)

    def post(self, item: Item) -> None:
        """Put an item on the queue."""
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull:
            LOG.error("an item was dropped", extra={"kind": type(item).__name__})  # noqa: TRY400

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return self._queue.empty()

    async def next(self) -> Item:
        """The oldest item."""
        return await self._queue.get()
