"""Keep something up that may fail: an object with named states; and run the parts of a daemon.

What is true in each state of a `Supervisor`:

========== ==========================================================================
DOWN       nobody tries: before `run`, and after it ended
CONNECTING a try is under way; nothing can be relied on
UP         the try said that it stands
WAITING    the last try failed, for `reason`; the next begins at the end of the delay
========== ==========================================================================

Delays have full jitter: uniform between nothing and a ceiling that doubles with each failure in a
row, so that a ward of terminals does not come back in one moment. (Exponential Backoff And Jitter,
AWS Architecture Blog, 2015.) The row ends only when UP has lasted: a link that falls at once again
must not be tried at full speed for ever.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from runtime.clock import Clock
from runtime.logs import Trouble

_log: Final = logging.getLogger(__name__)
_NS: Final = 1_000_000_000
_MOST_DOUBLINGS: Final = 20  # keeps the power small; the ceiling is reached long before


class State(StrEnum):
    """Of what is supervised."""

    DOWN = "down"
    CONNECTING = "connecting"
    UP = "up"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Change:
    """A new state. ``reason`` says why it is not UP, ``delay_s`` how long WAITING will last."""

    state: State
    reason: str = ""
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait: at most ``first_s`` after one failure, doubling up to ``most_s``.

    ``settled_s`` of UP end the row of failures.
    """

    first_s: float = 0.5
    most_s: float = 30.0
    settled_s: float = 10.0

    def delay_s(self, failures: int, chance: random.Random) -> float:
        """The wait after so many failures in a row (at least one)."""
        doublings = min(failures - 1, _MOST_DOUBLINGS)
        return chance.uniform(0.0, min(self.most_s, self.first_s * 2**doublings))


Session = Callable[[Callable[[], None]], Awaitable[None]]
"""One try: connect, call the argument when it stands, and go on until it falls."""


class Supervisor:
    """Keeps one session going until `run` is cancelled."""

    def __init__(
        self,
        name: str,
        session: Session,
        expected: tuple[type[Exception], ...],
        clock: Clock,
        chance: random.Random,
        backoff: Backoff | None = None,
    ) -> None:
        """``expected`` are the world's failures; any other exception is our bug and ends `run`."""
        self._name = name
        self._session = session
        self._expected = expected
        self._clock = clock
        self._chance = chance
        self._backoff = backoff or Backoff()
        self._trouble = Trouble(_log, name)
        self._listeners: list[Callable[[Change], None]] = []
        self._change = Change(State.DOWN)
        self._failures = 0
        self._up_since_ns: int | None = None
        self._mended = asyncio.Event()

    @property
    def now(self) -> Change:
        """The present state."""
        return self._change

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Call ``listener`` at every change, in the event loop; it must neither block nor raise."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Try, and try again, until cancelled. Raises what is not ``expected``, after logging."""
        try:
            while True:
                await self._wait(await self._try())
        finally:
            self._enter(Change(State.DOWN))

    def hurry(self) -> None:
        """What made it fail is mended: a wait ends soon, and the row of failures at once."""
        self._mended.set()

    async def _try(self) -> str:
        self._up_since_ns = None
        self._mended.clear()
        self._enter(Change(State.CONNECTING, self._change.reason))
        try:
            await self._session(self._stands)
        except self._expected as error:
            reason = str(error) or type(error).__name__
        except Exception:
            _log.exception("%s failed by a bug of ours", self._name)
            raise
        else:
            reason = "ended by the other side"
        return reason

    def _stands(self) -> None:
        self._up_since_ns = self._clock.monotonic_ns()
        self._trouble.over()
        self._enter(Change(State.UP))

    async def _wait(self, reason: str) -> None:
        self._trouble.failed(reason)
        self._failures = 1 if self._had_settled() else self._failures + 1
        delay_s = self._backoff.delay_s(self._failures, self._chance)
        self._enter(Change(State.WAITING, reason, delay_s))
        await first_of(self._mended.wait(), self._sleep(delay_s))
        if self._mended.is_set():
            self._failures = 0
            await self._sleep(self._backoff.delay_s(1, self._chance))

    async def _sleep(self, delay_s: float) -> None:
        await self._clock.sleep_until(self._clock.monotonic_ns() + round(delay_s * _NS))

    def _had_settled(self) -> bool:
        if self._up_since_ns is None:
            return False
        lasted_ns = self._clock.monotonic_ns() - self._up_since_ns
        return lasted_ns >= self._backoff.settled_s * _NS

    def _enter(self, change: Change) -> None:
        self._change = change
        for listener in self._listeners:
            listener(change)


async def first_of(*waits: Coroutine[object, object, object]) -> None:
    """Return when the first of them ends, raising what it raised; the others are cancelled."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _cancel(tasks)
    for task in done:
        task.result()


async def run_all(
    parts: Mapping[str, Coroutine[object, object, object]],
    signals: Iterable[signal.Signals] = (signal.SIGTERM, signal.SIGINT),
) -> None:
    """Run the named parts of a daemon until a signal, and stop them in reverse order, one by one.

    Each may clean up in peace while those begun before it still run. A part that fails stops the
    others, and its exception is raised; a part that returns has done its work.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    signals = tuple(signals)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    tasks = [asyncio.create_task(part, name=name) for name, part in parts.items()]
    waiting = asyncio.create_task(stop.wait())
    try:
        await _until_stopped(tasks, waiting)
    finally:
        for task in (waiting, *reversed(tasks)):
            await _cancel([task])
        for number in signals:
            loop.remove_signal_handler(number)
    for task in tasks:
        # A failure while stopping counts too.
        if not task.cancelled() and (error := task.exception()):
            raise error


async def _until_stopped(tasks: list[asyncio.Task[object]], stop: asyncio.Task[bool]) -> None:
    pending: set[asyncio.Task[object]] = set(tasks)
    while pending and not stop.done():
        done, rest = await asyncio.wait({*pending, stop}, return_when=asyncio.FIRST_COMPLETED)
        if any(task.cancelled() or task.exception() for task in done if task is not stop):
            return
        pending = {task for task in pending if task in rest}


async def _cancel(tasks: Iterable[asyncio.Task[object]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
