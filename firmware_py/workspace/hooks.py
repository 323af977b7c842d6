"""One program of the site's, run for each verb: what it is told, its time limit, and its end.

It reads one JSON object on stdin (`verb`, `session`, `initials`, `position`, `role`, `kind`; for
`lock` all but the verb are null: whatever is shown is meant) and says by its exit status whether it
was done. What it leaves running after success is its own affair; when it fails or overruns, its
whole process group is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from firmware_py.sessions.port import SessionAbout, WorkspaceFailed
from runtime.clock import Clock

LOG: Final = logging.getLogger("tapover.workspace")

Verb = Literal["create", "show", "park", "lock", "dispose"]
_MS: Final = 1_000_000
# What a program under a display needs; nothing that the daemon was told (credentials, sockets).
_PASSED: Final = (
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "HOME",
    "LANG",
    "PATH",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
)


class Hooks:
    """Runs the program. Belongs to the event loop's thread, and never holds it up."""

    def __init__(
        self, program: Path, limit_s: float, clock: Clock, environment: Mapping[str, str]
    ) -> None:
        self._program = program
        self._clock = clock
        self._environment = {k: environment[k] for k in _PASSED if k in environment}
        self.limit_s = limit_s

    async def run(self, verb: Verb, about: SessionAbout | None) -> None:
        """Until it was done; cancelled, it is killed as on overrun. Raises WorkspaceFailed."""
        began_ns = self._clock.monotonic_ns()
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                self._program,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                cwd="/",
                env=self._environment,
                start_new_session=True,
            )
        )
        try:
            process = await asyncio.shield(starting)
        except OSError as error:
            raise WorkspaceFailed(f"{verb}: cannot be run: {error.strerror}") from error
        except asyncio.CancelledError:
            with contextlib.suppress(OSError):  # in the midst of its start: its group ends, too
                await _end(await starting)
            raise
        try:
            async with asyncio.timeout(self.limit_s):
                status = await _told(process, _message(verb, about))
        except TimeoutError:
            raise WorkspaceFailed(f"{verb}: took more than {self.limit_s:g} s") from None
        finally:
            await _end(process)
        took_ms = (self._clock.monotonic_ns() - began_ns) // _MS
        LOG.info("hook", extra={"verb": verb, "status": status, "took_ms": took_ms})
        if status != 0:
            _kill(process)
            raise WorkspaceFailed(f"{verb}: ended with status {status}")


async def _told(process: asyncio.subprocess.Process, message: bytes) -> int:
    assert process.stdin is not None  # noqa: S101 - asked for above
    # One that does not read is judged by its status alone.
    with contextlib.suppress(ConnectionError):
        process.stdin.write(message)
        await process.stdin.drain()
    process.stdin.close()
    return await process.wait()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Its group is its own, for it began a session; not reaped yet, it still has that number."""
    if process.returncode is None:
        _kill(process)
        await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    """Whatever of its group is left: a number stays taken as long as a group has it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _message(verb: Verb, about: SessionAbout | None) -> bytes:
    said = {
        "verb": verb,
        "session": about and about.session,
        "initials": about and about.initials,
        "position": about and about.position,
        "role": about and about.role,
        "kind": about and about.kind,
    }
    return json.dumps(said).encode() + b"\n"
