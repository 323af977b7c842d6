"""The watch over readers: one thread for the list, one for each reader, for as long as pcscd lives.

Each thread has a status source (a PC/SC context) of its own and waits in bounded steps, so that it
sees the stop flag. States of the list thread, and what is true in each:

* SEEKING: pcscd is away. No reader thread lives. New attempts with back-off and full jitter.
* FOLLOWING: pcscd answers. Each reader of ours in its list has a thread; one that ended (unplugged,
  or failed) is begun anew while the list still names the reader.

When pcscd goes, reader threads report their readers detached and end; then ServiceLost is told.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import Final, Protocol

from hardware.apdu import CardTransportError, ServiceError
from hardware.readers import (
    Interface,
    ReaderEvent,
    ReaderName,
    ReaderRules,
    ReaderState,
    ServiceLost,
    ServiceRestored,
    detach,
    first_look,
    observe,
    still_mute,
)

LOG: Final = logging.getLogger("tapover.hardware.watch")

WAIT_S: Final = 1.0
"""Longest single wait: how late a stop is seen, and how late a change that PC/SC lost."""

BACK_OFF_FIRST_S: Final = 0.1
BACK_OFF_MOST_S: Final = 2.0
JOIN_S: Final = 5.0
"""How long reader threads are given to notice that pcscd went: they need a millisecond."""

MAX_READERS: Final = 16
"""Most readers watched, each a thread and a context: a terminal has two, pcscd takes 16."""

SETTLE_S: Final = 0.8
"""How long a new reader is looked at before it is told of. pcscd lists a reader before it has
given power to the card in it (a contact card: 0.3 s; vpcd: its next poll, 0.45 s), and such a card
was there already: it must not pass for a tap."""

UNAWARE: Final = 0
"""The state to compare with when nothing is known yet: the wait returns at once."""


class StatusSource(Protocol):
    """One connection to the service, for one thread."""

    def list_readers(self) -> tuple[ReaderName, ...]:
        """Names now. Raises ServiceError."""
        ...

    def wait_list(self, timeout_s: float) -> None:
        """Return when the list has changed, or after ``timeout_s``. Raises ServiceError."""
        ...

    def wait_reader(
        self, reader: ReaderName, known: int, timeout_s: float
    ) -> tuple[int, bytes] | None:
        """DwEventState and ATR once it differs from ``known``; None after ``timeout_s``.

        Raises ServiceError, ReaderError.
        """
        ...

    def close(self) -> None:
        """Let the connection go; never raises."""
        ...


class Watch:
    """Turns what the service says into reader events, until stopped."""

    def __init__(
        self,
        rules: ReaderRules,
        connect: Callable[[], StatusSource],
        monotonic_ns: Callable[[], int],
        post: Callable[[ReaderEvent], None],
    ) -> None:
        """``connect`` raises ServiceError while the service is away; ``post`` takes any thread."""
        self._rules = rules
        self._connect = connect
        self._monotonic_ns = monotonic_ns
        self._post = post
        self._stopped = threading.Event()
        self._threads: dict[ReaderName, threading.Thread] = {}

    def start(self) -> None:
        """Begin; every thread is a daemon."""
        threading.Thread(target=self._list_thread, name="readers", daemon=True).start()

    def stop(self) -> None:
        """Ask the threads to end; they do within WAIT_S."""
        self._stopped.set()

    def _list_thread(self) -> None:
        told_lost = False
        pause_s = BACK_OFF_FIRST_S
        while not self._stopped.is_set():
            try:
                self._follow()
            except _ServiceEnded as ended:
                told_lost, pause_s = False, BACK_OFF_FIRST_S
                reason = ended.reason
            except ServiceError as error:
                reason = str(error)
            except Exception as error:
                LOG.exception("reader list watch failed")
                reason = f"internal error: {type(error).__name__}"
            else:
                return
            self._join_readers()
            if not told_lost:
                told_lost = True
                self._post(ServiceLost(reason, self._monotonic_ns()))
            self._stopped.wait(random.uniform(0, pause_s))
            pause_s = min(2 * pause_s, BACK_OFF_MOST_S)

    def _follow(self) -> None:
        """FOLLOWING until stopped. Raises ServiceError if it never began, else _ServiceEnded."""
        source = self._connect()
        try:
            names = source.list_readers()
            self._post(ServiceRestored(self._monotonic_ns()))
            try:
                while not self._stopped.is_set():
                    self._begin_threads(names)
                    source.wait_list(WAIT_S)
                    names = source.list_readers()
            except ServiceError as error:
                raise _ServiceEnded(str(error)) from error
        finally:
            source.close()

    def _begin_threads(self, names: tuple[ReaderName, ...]) -> None:
        # Readers begun together are told of together: nobody may take the first for all.
        settled_ns = self._monotonic_ns() + round(SETTLE_S * 1e9)
        for name in names[:MAX_READERS]:
            interface = self._rules.classify(name)
            running = self._threads.get(name)
            if interface is None or (running is not None and running.is_alive()):
                continue
            thread = threading.Thread(
                target=self._reader_thread,
                args=(name, interface, settled_ns),
                name=f"reader {name}",
                daemon=True,
            )
            self._threads[name] = thread
            thread.start()

    def _join_readers(self) -> None:
        for thread in self._threads.values():
            thread.join(JOIN_S)
        self._threads.clear()

    def _reader_thread(self, reader: ReaderName, interface: Interface, settled_ns: int) -> None:
        states: list[ReaderState] = []
        try:
            self._watch_reader(reader, interface, settled_ns, states)
        except CardTransportError as error:
            LOG.info("reader watch ended", extra={"reader": reader, "reason": str(error)})
        except Exception:
            LOG.exception("reader watch failed", extra={"reader": reader})
        if states:
            self._post_all(detach(states[-1], self._monotonic_ns())[1])

    def _watch_reader(
        self, reader: ReaderName, interface: Interface, settled_ns: int, states: list[ReaderState]
    ) -> None:
        """Post events until stopped or the reader is gone, keeping the last state in ``states``."""
        source = self._connect()
        try:
            known, atr = self._settle(source, reader, settled_ns)
            state, events = first_look(reader, interface, known, atr, self._monotonic_ns())
            states[:] = [state]
            self._post_all(events)
            while not (state.gone or self._stopped.is_set()):
                seen = source.wait_reader(reader, known, self._patience_s(state))
                now_ns = self._monotonic_ns()
                if seen is None:
                    state, events = still_mute(state, now_ns)
                else:
                    known, atr = seen
                    state, events = observe(state, known, atr, now_ns)
                states[:] = [state]
                self._post_all(events)
        finally:
            source.close()

    def _patience_s(self, state: ReaderState) -> float:
        """How long to wait for a change: not beyond the moment when a mute thing is told of."""
        if state.mute_due_ns is None:
            return WAIT_S
        return min(WAIT_S, max(0.0, (state.mute_due_ns - self._monotonic_ns()) / 1e9))

    def _settle(
        self, source: StatusSource, reader: ReaderName, settled_ns: int
    ) -> tuple[int, bytes]:
        """What is in a new reader once pcscd has had the time to find out."""
        known, atr = source.wait_reader(reader, UNAWARE, SETTLE_S) or (UNAWARE, b"")
        while (left_ns := settled_ns - self._monotonic_ns()) > 0 and not self._stopped.is_set():
            known, atr = source.wait_reader(reader, known, left_ns / 1e9) or (known, atr)
        return known, atr

    def _post_all(self, events: tuple[ReaderEvent, ...]) -> None:
        for event in events:
            self._post(event)


class _ServiceEnded(Exception):
    """The service was there and has gone."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
