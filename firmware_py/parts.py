"""What a terminal is made of, and the queue to which its parts report."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from contract.signing import Signer
from contract.tap import PinProof
from firmware_py.evidence.journal import Journal
from firmware_py.items import Item
from firmware_py.kiosk.board import Board
from firmware_py.kiosk.commands import Command
from firmware_py.local_api.apps import Apps
from firmware_py.sessions.port import Workspace
from firmware_py.signon.grace import ProvenPins
from firmware_py.signon.positions import Shifts
from firmware_py.signon.recall import DowntimeKnown
from firmware_py.site.link import (
    DowntimeSaid,
    EmergencyHeard,
    HelpHeard,
    MoveHeard,
    PinProofHeard,
)
from firmware_py.trust.custody import Custody, Sound
from firmware_py.trust.heard import DirectoryHeard, HeartbeatHeard
from firmware_py.trust.statements import Keys
from hardware.readers import Readers
from hardware.sensor import PresenceSensor
from runtime.clock import Clock

LOG: Final = logging.getLogger("tapover.terminal")

# A page and a gateway make a few items a second; whoever makes this many floods.
MAX_QUEUED: Final = 10_000
_FROM_OTHERS: Final = (
    Command
    | HeartbeatHeard
    | DirectoryHeard
    | HelpHeard
    | MoveHeard
    | PinProofHeard
    | EmergencyHeard
    | DowntimeSaid
)


@dataclass(frozen=True, slots=True)
class HelpTools:
    """What `firmware_py.help` needs of the world; nothing of it is opened before it is needed."""

    path: Path
    """Where assignments are kept until the gateway has judged them."""
    batch: Signer
    keys: Callable[[], Keys]
    ask: Callable[[str, bytes, int], Awaitable[bytes]]
    """The gateway, of a kind of help. Raises FetchFailed."""
    publish: Callable[[bytes], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class RoamingTools:
    """What `firmware_py.roaming` needs of the world."""

    batch: Signer
    publish: Callable[[bytes], None]
    """On this terminal's own `move` topic, if the link stands."""


@dataclass(frozen=True, slots=True)
class EmergencyTools:
    """What `firmware_py.emergency` needs of the world."""

    folder: Path
    """Where the journal's reserve lies, and the ward's break-glass as it was last known."""
    batch: Signer
    ask: Callable[[str, bytes, int], Awaitable[bytes]]
    """The gateway, of a kind of help. Raises FetchFailed."""
    publish: Callable[[bytes], Awaitable[bool]]
    """On this terminal's own `emergency` topic; whether the broker has it."""


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
    shifts: Shifts = field(default_factory=Shifts)
    """In which position each one works, as the journal has it."""
    sensor: PresenceSensor | None = None
    """Null: nothing says whether somebody stands there."""
    timezone: str = ""
    """As in the settings; empty: the machine's own."""
    apps: Apps | None = None
    """The applications of this terminal; null: there are none."""
    help: HelpTools | None = None
    """What helping at 03:00 needs besides; null: nobody is helped here."""
    emergency: EmergencyTools | None = None
    """Null: break-glass waits for the journal, and nobody else is told of it."""
    downtime: DowntimeKnown = field(default_factory=DowntimeKnown)
    """What the journal has of it."""
    say_downtime: Callable[[bytes], None] = lambda _: None
    """On this terminal's own `downtime` topic, if the link stands."""
    roaming: RoamingTools | None = None
    """Null: nothing moves to or from here."""


class Mailbox:
    """The queue. Belongs to the loop's thread.

    Full, it takes no more from page and site, which say again what matters. What our own parts
    report is never dropped: a visit's end comes once, and there are only so many visits.
    """

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Item] = asyncio.Queue()
        self._flooded = False

    def post(self, item: Item) -> None:
        """Put an item on the queue; one from outside is dropped when it is full."""
        full = self._queue.qsize() >= MAX_QUEUED
        if full and not self._flooded:
            LOG.error("the queue is full", extra={"kind": type(item).__name__})
        self._flooded = full
        if not (full and isinstance(item, _FROM_OTHERS)):
            self._queue.put_nowait(item)

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return self._queue.empty()

    async def next(self) -> Item:
        """The oldest item."""
        return await self._queue.get()
