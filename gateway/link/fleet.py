"""How the terminals say they are: the newest status of each, kept, and its questions answered.

A status is unsigned: nothing decides by it. Writing is gathered, one transaction for many.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contract.ids import TerminalId
from contract.serving import Interface
from contract.statements import TerminalStatus
from contract.wire import WireError
from gateway.directory.register import Register
from gateway.store import Store, StoreFailed
from runtime.clock import Clock
from runtime.logs import Trouble

_log: Final = logging.getLogger(__name__)
_NS: Final = 1_000_000_000
SAVE_EVERY_S: Final = 1
# A terminal asks at each connect and every ten minutes. One that asks all the time must not crowd
# the site's heartbeats out of the link: its newest question is answered once in this time.
ANSWER_EVERY_MS: Final = 1_000
# More than any site has; a broker with a faulty rule must not fill our memory.
_MOST_TERMINALS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A status and when it came."""

    seen_ms: int
    status: TerminalStatus


@dataclass(frozen=True, slots=True)
class FleetRow:
    """A terminal as operators see it: what the register says, what it says itself, its forks."""

    terminal: TerminalId
    ward: str | None
    state: str | None
    """In the register; None for one that the directory does not know (yet)."""
    seen: Seen | None
    forks: int
    unserved: bool
    """Its readers cannot serve its ward's policy any more."""


class Fleet:
    """Lives in the event loop; `load` and `rows` read the store and block."""

    def __init__(
        self,
        store: Store,
        register: Register,
        clock: Clock,
        answer: Callable[[TerminalId, str], None],
    ) -> None:
        self._store = store
        self._register = register
        self._clock = clock
        self._answer = answer
        self._seen: dict[TerminalId, Seen] = {}
        self._unsaved: dict[TerminalId, tuple[int, bytes]] = {}
        self._answer_due_ms: dict[TerminalId, int] = {}
        self._questions: dict[TerminalId, str] = {}
        self.unserved: Callable[[TerminalId], bool] = lambda _: False
        """Asked of each row."""
        self._bad = Trouble(_log, "reading a terminal's status")
        self._saving = Trouble(_log, "saving the fleet's status")

    def load(self) -> None:
        """What was saved by earlier runs. Raises StoreFailed.

        A status that this version does not read is passed over: the terminal soon says another.
        """
        with self._store.read() as tx:
            for terminal, (seen_ms, data) in tx.fleet.all().items():
                try:
                    self._seen[terminal] = Seen(seen_ms, TerminalStatus.from_bytes(data))
                except WireError as error:
                    self._bad.failed(f"{terminal}, saved earlier: {error}")

    def take(self, terminal: TerminalId, payload: bytes) -> None:
        """A message on a terminal's status topic; a bad one is logged and dropped."""
        try:
            status = _status_of(terminal, payload)
        except WireError as error:
            self._bad.failed(f"{terminal}: {error}")
            return
        if terminal not in self._seen and len(self._seen) >= _MOST_TERMINALS:
            self._bad.failed("too many terminals")
            return
        now_ms = self._clock.wall_ms()
        self._seen[terminal] = Seen(now_ms, status)
        self._unsaved[terminal] = (now_ms, payload)
        if status.question is not None:
            self._questions[terminal] = status.question
            if self._answer_due_ms.get(terminal, 0) <= self._monotonic_ms():
                self._answer_newest(terminal)

    def _answer_newest(self, terminal: TerminalId) -> None:
        self._answer_due_ms[terminal] = self._monotonic_ms() + ANSWER_EVERY_MS
        self._answer(terminal, self._questions.pop(terminal))

    def _monotonic_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000

    def rows(self) -> list[FleetRow]:
        """Every terminal of the register, and every other that was heard. Raises StoreFailed."""
        with self._store.read() as tx:
            forks = tx.journals.forks_by_terminal()
        registered = {each.terminal: each for each in self._register.all()}
        return [
            FleetRow(
                terminal=terminal,
                ward=known.ward if (known := registered.get(terminal)) else None,
                state=known.state if known else None,
                seen=self._seen.get(terminal),
                forks=forks.get(terminal, 0),
                unserved=self.unserved(terminal),
            )
            for terminal in sorted({*registered, *self._seen})
        ]

    def interfaces(self) -> dict[TerminalId, frozenset[Interface]]:
        """What the terminals' readers are, of those that have said so and have some."""
        return {
            terminal: frozenset(seen.status.interfaces)
            for terminal, seen in tuple(self._seen.items())
            if seen.status.interfaces
        }

    async def run(self) -> None:
        """Once a second, for ever: answers who asked too soon, saves what is new.

        Saves once more at the end.
        """
        try:
            while True:
                await self._clock.sleep_until(self._clock.monotonic_ns() + SAVE_EVERY_S * _NS)
                for terminal in tuple(self._questions):
                    self._answer_newest(terminal)
                await asyncio.to_thread(self.save)
        finally:
            self.save()

    def save(self) -> None:
        unsaved, self._unsaved = self._unsaved, {}
        if not unsaved:
            return
        try:
            with self._store.write() as tx:
                tx.fleet.put(unsaved)
        except StoreFailed as error:
            # The next status of each terminal comes within half a minute.
            self._saving.failed(str(error))
        else:
            self._saving.over()


def _status_of(terminal: TerminalId, payload: bytes) -> TerminalStatus:
    status = TerminalStatus.from_bytes(payload)
    if status.terminal != terminal:
        raise WireError("the status names another terminal than its topic")
    return status
