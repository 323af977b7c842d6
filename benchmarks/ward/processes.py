"""Programs that a ward runs: started, watched, killed and started again, each by its own pid.

A child dies with this process, whatever ends it (PR_SET_PDEATHSIG). Its output goes to a log file,
and a line of it can be awaited. Ready means an event was seen: a line, a port, a socket.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Self

_LAUNCHER: Final = Path(__file__).with_name("launch.py")
# Daemons lie where an ordinary user's PATH may not look.
_SEARCH: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_PROBE_S: Final = 0.005  # between two looks at a port, for which there is no event
_TAIL: Final = 20  # lines of a log that an error shows

# The kernel sends the death signal when the *thread* that forked ends, so one thread, which lives
# as long as the process, starts every child.
_starter: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ward-starter")


class WardError(Exception):
    """A part of the ward is missing, failed to start, or ended unasked."""


class PartMissing(WardError):
    """A program, or a file of a package, is not installed."""

    def __init__(self, what: str, package: str) -> None:
        self.package = package
        super().__init__(
            f"{what} is missing. Install it (as root):\n"
            f"    apt-get update && apt-get install -y --no-install-recommends {package}"
        )


class NotReady(WardError):
    """The awaited event did not come in time, or the process ended before it."""


def program(name: str, package: str) -> str:
    """The full path of a foreign program. Raises PartMissing with its installing command."""
    found = shutil.which(name) or shutil.which(name, path=_SEARCH)
    if found is None:
        raise PartMissing(name, package)
    return found


def unprivileged_user() -> str | None:
    """Whom a foreign server runs as: nobody when we are root, else ourselves (None)."""
    return "nobody" if os.geteuid() == 0 else None


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. ``argv`` carries no secret: everybody on the machine can read it."""

    name: str
    argv: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None


class Process:
    """One child. Not started until `start`; may be killed and started again."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self._child: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def name(self) -> str:
        """What people call it."""
        return self.command.name

    @property
    def pid(self) -> int:
        """Of the running child. Raises WardError when it was never started."""
        if self._child is None:
            raise WardError(f"{self.name} was not started")
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether it runs now."""
        return self._child is not None and self._child.poll() is None

    @property
    def lines(self) -> tuple[str, ...]:
        """What it has written since its latest start."""
        with self._news:
            return tuple(self._lines)

    def start(self, listen: socket.socket | None = None) -> None:
        """Start it, with ``listen`` as its descriptor 3 (sd_listen_fds); the log is continued."""
        if self.alive:
            raise WardError(f"{self.name} runs already (pid {self.pid})")
        self._join_reader()
        with self._news:
            self._lines, self._ended = [], False
        self._child = _starter.submit(self._popen, listen).result()
        if self._child.stdout is None:
            raise WardError(f"{self.name} has no output to read")
        self._reader = threading.Thread(
            target=self._read, args=(self._child.stdout,), name=f"log-{self.name}", daemon=True
        )
        self._reader.start()

    def _popen(self, listen: socket.socket | None) -> subprocess.Popen[bytes]:
        passed = () if listen is None else (listen.fileno(),)
        return subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid())),
                *(self.command.user or "-", str(passed[0]) if passed else "-"),
                *self.command.argv,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.command.environment},
            pass_fds=passed,
            start_new_session=True,  # Ctrl-C reaches the ward, which stops its children in order
        )

    def _read(self, output: BinaryIO) -> None:
        with output, self.command.log.open("ab") as log:
            for line in output:
                log.write(line)
                log.flush()
                with self._news:
                    self._lines.append(line.decode(errors="replace").rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def wait_for_line(self, pattern: str, timeout_s: float = 10.0, after: int = 0) -> re.Match[str]:
        """The first line in which ``pattern`` is found, not counting the first ``after``.

        Raises NotReady.
        """
        wanted, seen, deadline = re.compile(pattern), after, time.monotonic() + timeout_s
        with self._news:
            while True:
                for line in self._lines[seen:]:
                    if found := wanted.search(line):
                        return found
                seen = len(self._lines)
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    break
                self._news.wait(left)
        raise NotReady(self._complaint(f"said nothing like {pattern!r} within {timeout_s:g} s"))

    def wait_for_port(self, port: int, timeout_s: float = 10.0) -> None:
        """Return when something accepts connections on 127.0.0.1:``port``. Raises NotReady.

        Do not use it on a virtual reader's port: there a connection is a card.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            except OSError as error:
                if not self.alive or time.monotonic() > deadline:
                    said = f"port {port} does not answer within {timeout_s:g} s ({error})"
                    raise NotReady(self._complaint(said)) from error
                time.sleep(_PROBE_S)
            else:
                return

    def wait_ended(self, timeout_s: float = 10.0) -> int:
        """The exit status (negative: the signal that ended it). Raises NotReady."""
        if self._child is None:
            raise WardError(f"{self.name} was not started")
        try:
            status = self._child.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise NotReady(self._complaint(f"has not ended within {timeout_s:g} s")) from error
        self._join_reader()
        return status

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, such as SIGHUP, or SIGSTOP and SIGCONT."""
        if not self.alive:
            raise WardError(self._complaint(f"cannot be sent {number.name}: it does not run"))
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
            self.wait_ended()

    def stop(self, timeout_s: float = 5.0) -> int | None:
        """SIGTERM, after ``timeout_s`` SIGKILL. The exit status; None if it was never started."""
        if self._child is None:
            return None
        if self.alive:
            os.kill(self.pid, signal.SIGTERM)
            try:
                return self.wait_ended(timeout_s)
            except NotReady:
                self.kill()
        return self.wait_ended()

    def _join_reader(self) -> None:
        # Bounded: a grandchild may hold the pipe open, and the log thread is a daemon.
        if self._reader is not None:
            self._reader.join(1.0)

    def _complaint(self, what: str) -> str:
        if self._ended and self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(1.0)  # its output ends a moment before it does
        status = self._child.poll() if self._child is not None else None
        ended = "" if status is None else f" (it ended with status {status})"
        tail = "\n".join(f"    {line}" for line in self.lines[-_TAIL:])
        return f"{self.name}: {what}{ended}. Its log, {self.command.log}, ends with:\n{tail}"
