"""The backend of hooks: a program of the site's shows and hides the work (`hooks`).

* One hook at a time, in the order of the calls; `lock` alone overtakes: it ends a `show` that is
  under way, drops those that wait, and runs at once.
* Whatever goes wrong, in any verb, ends locked: first the lock, then the terminal is told.
* A `lock` that fails is tried again until it is done; until then nobody's work is shown.
* The state of a session that came from another terminal is kept as it is, and given on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contract.ids import SessionId
from firmware_py.sessions.port import STATE_CAP, Failed, SessionAbout, WorkspaceFailed
from firmware_py.workspace.hooks import Hooks, Verb
from runtime.clock import Clock

LOG: Final = logging.getLogger("tapover.workspace")

# A tap-over makes three; a program that is so far behind is broken.
MAX_WAITING: Final = 64
AGAIN_S: Final = 0.5
"""A lock that failed is tried again after this, and ever later up to `AGAIN_MOST_S`."""
AGAIN_MOST_S: Final = 30.0
_S: Final = 1_000_000_000
_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class _Job:
    verb: Verb
    about: SessionAbout
    asked_ns: int
    ready: Callable[[], None] = lambda: None


class CommandWorkspace:
    """Locks at once when it is made: a run before this one may have left something on the glass."""

    def __init__(self, hooks: Hooks, clock: Clock, failed: Failed) -> None:
        self._hooks = hooks
        self._clock = clock
        self._failed = failed
        self._abouts: dict[SessionId, SessionAbout] = {}
        self._states: dict[SessionId, bytes] = {}
        self._jobs: deque[_Job] = deque()
        self._shown: SessionId | None = None
        self._hidden = False
        """Whether a lock was done since the last show began."""
        self._stuck = False
        """Whether the newest lock failed."""
        self._worker: asyncio.Task[None] | None = None
        self._locker: asyncio.Task[None] | None = None
        self._showing: asyncio.Task[None] | None = None
        self.lock()

    # --- the port ---------------------------------------------------------------------------

    def create(self, session: SessionId, about: SessionAbout) -> None:
        """Its hook makes what `show` will bring to the glass, or learns that it has changed."""
        self._abouts[session] = about
        self._ask("create", about)

    def show(self, session: SessionId, ready: Callable[[], None]) -> None:
        """Ready when its hook has ended well."""
        if self._shown not in (None, session):
            raise WorkspaceFailed("another session's work is still shown")
        if session not in self._abouts:
            raise WorkspaceFailed("this session has no workspace")
        if self._stuck:
            raise WorkspaceFailed("what was shown before cannot be hidden")
        self._shown = session
        self._ask("show", self._abouts[session], ready)

    def park(self, session: SessionId) -> None:
        """Hidden first, by the lock; then its hook may put it aside."""
        if self._shown == session:
            self.lock()
        if session in self._abouts:
            self._ask("park", self._abouts[session])

    def lock(self) -> None:
        """At once, before anything that waits."""
        self._shown = None
        self._jobs = deque(job for job in self._jobs if job.verb != "show")
        if self._showing is not None:
            self._showing.cancel()
        if self._locker is None and not self._hidden:
            self._locker = asyncio.get_running_loop().create_task(self._lock())

    def dispose(self, session: SessionId) -> None:
        """Its hook ends what `create` made."""
        if self._shown == session:
            self.lock()
        self._states.pop(session, None)
        if (about := self._abouts.pop(session, None)) is not None:
            self._ask("dispose", about)

    def keep(self, session: SessionId) -> bytes | None:
        """What came from another terminal: a hook has no state that we could carry."""
        return self._states.get(session)

    def restore(self, session: SessionId, state: bytes) -> None:
        """Kept for the next terminal."""
        if session not in self._abouts or len(state) > STATE_CAP:
            raise WorkspaceFailed("no state of a session of ours")
        self._states[session] = state

    def forget_state(self, session: SessionId) -> None:
        """What came from another terminal and went on."""
        self._states.pop(session, None)

    async def close(self) -> None:
        """Lock and dispose of everything, in a bounded time; then whatever still runs is killed."""
        self.lock()
        for session in tuple(self._abouts):
            with contextlib.suppress(WorkspaceFailed):
                self.dispose(session)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * self._hooks.limit_s):
                while tasks := {task for task in (self._worker, self._locker) if task is not None}:
                    await asyncio.wait(tasks)
        tasks = {t for t in (self._worker, self._locker, self._showing) if t is not None}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- the hooks --------------------------------------------------------------------------

    def _ask(
        self, verb: Verb, about: SessionAbout, ready: Callable[[], None] = lambda: None
    ) -> None:
        if len(self._jobs) >= MAX_WAITING:
            raise WorkspaceFailed("the program is too far behind")
        self._jobs.append(_Job(verb, about, self._clock.monotonic_ns(), ready))
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        while self._jobs:
            if self._locker is not None:
                await asyncio.wait([self._locker])
                continue
            job = self._jobs.popleft()
            try:
                await (self._show(job) if job.verb == "show" else self._run(job))
            except WorkspaceFailed as failure:
                self.lock()
                self._failed(str(failure))
        self._worker = None

    async def _run(self, job: _Job) -> None:
        await self._hooks.run(job.verb, job.about)

    async def _show(self, job: _Job) -> None:
        self._hidden = False
        self._showing = asyncio.get_running_loop().create_task(self._run(job))
        try:
            await asyncio.wait([self._showing])
            overtaken = self._showing.cancelled() or self._shown != job.about.session
            if not self._showing.cancelled():
                self._showing.result()
        finally:
            self._showing.cancel()
            self._showing = None
        if not overtaken:
            took_ms = (self._clock.monotonic_ns() - job.asked_ns) // _MS
            LOG.info("workspace ready", extra={"took_ms": took_ms})
            job.ready()

    async def _lock(self) -> None:
        again_s = AGAIN_S
        while not self._hidden:
            if self._showing is not None:
                await asyncio.wait([self._showing])
            try:
                await self._hooks.run("lock", None)
            except WorkspaceFailed as failure:
                if not self._stuck:
                    self._failed(str(failure))
                self._stuck = True
                LOG.error("not hidden; tried again", extra={"why": str(failure)})  # noqa: TRY400
                at_ns = self._clock.monotonic_ns() + round(again_s * _S)
                await self._clock.sleep_until(at_ns)
                again_s = min(2 * again_s, AGAIN_MOST_S)
            else:
                self._hidden, self._stuck = True, False
        self._locker = None
