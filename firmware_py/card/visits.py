"""Visits of cards: each in a worker of its own, each ending in an item on the queue."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import Final

from contract.directory import Credential, Entitlement
from contract.events import AlarmCode, Reason
from contract.ids import Guid
from firmware_py.card.tap import CardAnswer, Question, pin_work, tap_work
from firmware_py.evidence.journal import Written
from firmware_py.items import CardAsks, Item, VisitEnded
from firmware_py.trust.custody import Sound
from firmware_py.trust.sitetime import Moment
from hardware.apdu import CardHung, HardwareError
from hardware.piv import Pin
from hardware.readers import CardArrived, CardConnection, Interface, ReaderName, Readers
from runtime.clock import Clock

LOG: Final = logging.getLogger("tapover.visits")


class Purpose(StrEnum):
    """What is wanted of the card."""

    TAP = "tap"
    PIN = "pin"
    UNBLOCK = "unblock"
    """A new PIN by a PUK."""
    CHANGE = "change"
    """A new PIN by the old one."""


@dataclass(slots=True)
class Visit:
    """A card that is being talked to, and what is known of it so far."""

    number: int
    purpose: Purpose
    reader: ReaderName
    interface: Interface
    seen_ns: int
    owner: Entitlement | None = None
    """Whose card alone is given the PIN; null where none is proved."""
    guid: Guid | None = None
    entitlement: Entitlement | None = None
    credential: Credential | None = None
    """The key that is asked to sign."""
    asked_at: Moment | None = None
    """Before its record was written."""
    record: Written | None = None
    failed: Reason | None = None
    """Why the terminal itself could not go on."""


class Visits:
    """Those under way. Belongs to the event loop's thread.

    Whatever was wanted of a card that hung, `sound` hears of it.
    """

    def __init__(
        self,
        readers: Readers,
        clock: Clock,
        deadline_s: float,
        post: Callable[[Item], None],
        sound: Sound,
    ) -> None:
        self._readers = readers
        self._clock = clock
        self._deadline_s = deadline_s
        self._post = post
        self._sound = sound
        self._numbers = count(1)
        self._under_way: dict[int, Visit] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def newest(self) -> Visit | None:
        """The one begun last of those under way."""
        return self._under_way[max(self._under_way)] if self._under_way else None

    def find(self, number: int) -> Visit | None:
        """One under way."""
        return self._under_way.get(number)

    def ended(self, number: int) -> Visit | None:
        """Take one that has ended from the list."""
        return self._under_way.pop(number, None)

    def tap(self, arrived: CardArrived) -> Visit:
        """Begin a tap with the card that has just come."""
        visit = Visit(
            next(self._numbers), Purpose.TAP, arrived.reader, arrived.interface, arrived.seen_ns
        )
        self._begin(visit, tap_work(self._question(visit), self._clock.monotonic_ns))
        return visit

    def prove_pin(
        self,
        card: CardArrived,
        pin: Pin,
        owner: Entitlement,
        *,
        warned: bool = False,
        keeps: int = 1,
    ) -> Visit:
        """Begin a PIN proof by ``owner``'s card, which is there already.

        ``warned``: she was told that this is the last try. ``keeps``: tries that stay to the card.
        """
        now = self._clock.monotonic_ns
        visit = self.work(
            card,
            Purpose.PIN,
            lambda question: pin_work(question, pin, owner, now, warned=warned, keeps=keeps),
        )
        visit.owner = owner
        return visit

    def unblock(self, card: CardArrived, work: Callable[[CardConnection], CardAnswer]) -> Visit:
        """Begin the work by which a blocked card gets a new PIN."""
        return self.work(card, Purpose.UNBLOCK, lambda _: work)

    def work(
        self,
        card: CardArrived,
        purpose: Purpose,
        make: Callable[[Question], Callable[[CardConnection], CardAnswer]],
    ) -> Visit:
        """Begin something with a card that is there already."""
        entered_ns = self._clock.monotonic_ns()
        visit = Visit(next(self._numbers), purpose, card.reader, card.interface, entered_ns)
        self._begin(visit, make(self._question(visit)))
        return visit

    def close(self) -> None:
        """Leave every worker behind."""
        for task in self._tasks:
            task.cancel()

    def _question(self, visit: Visit) -> Question:
        loop = asyncio.get_running_loop()

        def ask(guid: Guid, question: Question) -> None:
            # A closed loop means that the process is on its way out: the deadline ends the worker.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._post, CardAsks(visit.number, guid, question))

        return Question(ask, self._deadline_s)

    def _begin(self, visit: Visit, work: Callable[[CardConnection], CardAnswer]) -> None:
        self._under_way[visit.number] = visit
        task = asyncio.create_task(self._run(visit, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, visit: Visit, work: Callable[[CardConnection], CardAnswer]) -> None:
        end: CardAnswer | HardwareError
        try:
            end = await self._readers.with_card(visit.reader, work, self._deadline_s)
        except HardwareError as error:
            LOG.info("visit ended", extra={"kind": type(error).__name__, "why": str(error)})
            if isinstance(error, CardHung):
                self._sound(AlarmCode.CARD_HUNG, None, str(error))
            end = error
        except Exception as error:
            LOG.exception("visit failed by a bug of ours")
            end = HardwareError(type(error).__name__)
        self._post(VisitEnded(visit.number, end))
