"""Work on a card in a thread that can be left behind.

A card that hangs blocks its PC/SC call without end, and nothing can end that call. So each piece of
work has a daemon thread of its own, a deadline, and a lease: at the deadline the lease is taken
back, the caller goes on, and the thread can do no exchange any more should it ever wake.

The result is handed over before the card is given back, so nobody waits for the closing reset; the
next work on the same reader waits for it instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import count
from typing import Any, Final, Generic, Protocol, TypeVar

from hardware.apdu import CardHung, HardwareError
from hardware.readers import CardConnection, ReaderName

T = TypeVar("T")

_NUMBERS: Final = count(1)


class Lease:
    """Leave to use a card, until it is taken back."""

    def __init__(self) -> None:
        """A lease begins valid."""
        self._ended = threading.Event()

    def end(self) -> None:
        """Take it back, from any thread."""
        self._ended.set()

    def check(self) -> None:
        """Raise CardHung once it has been taken back."""
        if self._ended.is_set():
            raise CardHung("deadline passed; the work was abandoned")


class Connect(Protocol):
    """Takes the card in a reader under a lease that each exchange must check."""

    def __call__(self, reader: ReaderName, lease: Lease) -> AbstractContextManager[CardConnection]:
        """Blocking. Raises CardTransportError or CardMisbehaved."""
        ...


class CardWorkers:
    """Runs work on cards, one at a time a reader, each in a fresh daemon thread."""

    def __init__(self, connect: Connect) -> None:
        """Take cards with ``connect``."""
        self._connect = connect
        self._turns: defaultdict[ReaderName, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()
        self._running: set[Lease] = set()
        self._abandoned: set[Lease] = set()

    @property
    def abandoned(self) -> int:
        """Threads left behind that are still stuck at this moment: for the status page."""
        with self._guard:
            return len(self._abandoned)

    async def run(
        self, reader: ReaderName, work: Callable[[CardConnection], T], deadline_s: float
    ) -> T:
        """Result of ``work`` on the card in ``reader``.

        Raises what ``work`` or connecting raise; CardHung after ``deadline_s``. A caller that is
        cancelled ends the lease too.
        """
        result = _Result[T](asyncio.get_running_loop())
        lease = Lease()
        with self._guard:
            self._running.add(lease)
        threading.Thread(
            target=self._body,
            args=(reader, work, deadline_s, lease, result),
            name=f"card-{next(_NUMBERS)}",
            daemon=True,
        ).start()
        try:
            async with asyncio.timeout(deadline_s):
                return await result.future
        except TimeoutError:
            self._abandon(lease)
            raise CardHung(f"no end after {deadline_s} s") from None
        except asyncio.CancelledError:
            self._abandon(lease)
            raise

    def _abandon(self, lease: Lease) -> None:
        lease.end()
        with self._guard:
            if lease in self._running:
                self._abandoned.add(lease)

    def _body(
        self,
        reader: ReaderName,
        work: Callable[[CardConnection], T],
        deadline_s: float,
        lease: Lease,
        result: _Result[T],
    ) -> None:
        """The worker's thread: wait for the reader's turn, take the card, work, hand over."""
        try:
            with self._turn(reader, deadline_s), self._connect(reader, lease) as connection:
                lease.check()
                result.give(work(connection))
        except BaseException as error:  # noqa: BLE001 - raised again where the result is awaited
            result.fail(error)
        finally:
            with self._guard:
                self._running.discard(lease)
                self._abandoned.discard(lease)

    def turn(self, reader: ReaderName) -> threading.Lock:
        """Held by whoever uses the card in ``reader``, until it has been reset and let go."""
        with self._guard:
            return self._turns[reader]

    @contextlib.contextmanager
    def _turn(self, reader: ReaderName, deadline_s: float) -> Iterator[None]:
        turn = self.turn(reader)
        if not turn.acquire(timeout=deadline_s):
            raise CardHung("the reader is held by a card that hangs")
        try:
            yield
        finally:
            turn.release()


class _Result(Generic[T]):
    """A future that another thread settles; the first to settle wins."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.future: asyncio.Future[T] = loop.create_future()

    def give(self, value: T) -> None:
        self._post(self._settle, value)

    def fail(self, error: BaseException) -> None:
        self._post(self._refuse, error)

    def _post(self, call: Callable[[Any], None], argument: object) -> None:
        # A closed loop means that the process is on its way out: nobody is left to tell.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, argument)

    def _settle(self, value: T) -> None:
        if not self.future.done():
            self.future.set_result(value)

    def _refuse(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)
        elif not isinstance(error, HardwareError):  # our own bug, after the deadline
            self._loop.call_exception_handler({"message": "card worker", "exception": error})
