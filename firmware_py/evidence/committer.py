"""The thread that owns a SQLite connection and makes things durable, several at a time.

- What is waiting when the thread turns round goes into one transaction, in the order in which it
  came: one commit, one flush (WAL, `synchronous=FULL`). While it flushes, the caller's thread
  computes on.
- A job is a function of the connection. Its future is done once the commit that holds it is
  durable.
- A *lazy* job may be lost without harm: it rides with the next commit and costs a flush of its own
  only after `LAZY_S` of silence.
- A disk that refuses ends everything: every job waiting or coming after fails with `CommitFailed`,
  and nobody knows what is durable until the database has been opened and read anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Connection = sqlite3.Connection

# How long a lazy job may wait for company: longer than a tap, shorter than anybody's patience with
# a kill.
LAZY_S = 1.0
# SQLite would fold its log into the database inside the thousandth page's commit: half a second on
# an SD card, and somebody's tap would wait for it. We fold a little at a time, when nothing
# happens; only a log that has grown beyond `FOLD_AT_ONCE_BYTES` in a busy hour does not wait for
# quiet.
FOLD_BYTES = 256 * 1024
FOLD_AT_ONCE_BYTES = 16 * 1024 * 1024
QUIET_S = 3.0
_JOIN_S = 30.0
_BUSY_MS = 5000
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "wal_autocheckpoint=0",
    "cell_size_check=ON",
    "trusted_schema=OFF",
    "cache_size=-256",  # KiB: what is appended is not read again; the default keeps 2 MiB of it
)


class CommitFailed(Exception):
    """The disk refused. What is durable is known only after opening anew."""


class Unreadable(CommitFailed):
    """The file is no database, or a damaged one."""


def connect(path: Path, *, create: bool = False) -> Connection:
    """A connection whose commits are durable when they return. Raises CommitFailed."""
    mode = "rwc" if create else "rw"
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=_BUSY_MS / 1000,
        )
    except sqlite3.Error as error:
        raise CommitFailed(f"{path.name}: {error}") from error
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchone()
    except sqlite3.Error as error:
        connection.close()
        of_the_disk = isinstance(error, sqlite3.OperationalError)
        kind = CommitFailed if of_the_disk else Unreadable
        raise kind(f"{path.name}: {error}") from error
    return connection


def fold(connection: Connection) -> None:
    """Writes the log into the database, flushed, and empties it. Raises sqlite3.Error."""
    # Fetched to its end: a pragma half read counts as a statement in progress, and commits fail.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


@dataclass(slots=True)
class _Job(Generic[T]):
    run: Callable[[Connection], T]
    done: asyncio.Future[T]
    vital: bool
    result: T | None = None
    refusal: Exception | None = None

    def settle(self, failure: Exception | None) -> None:
        """In the loop's thread."""
        if self.done.done():
            return
        error = failure or self.refusal
        if error is None:
            self.done.set_result(self.result)  # type: ignore[arg-type]  # T may itself be None
        else:
            self.done.set_exception(error)
            self.done.exception()  # seen: a caller who does not wait is told by `on_failed`


class Committer:
    """Runs jobs on `connection` in one thread. Made and called in the loop's thread.

    `on_failed` is called once, in the loop, when the disk has refused.
    """

    def __init__(
        self,
        connection: Connection,
        wal: Path,
        on_failed: Callable[[CommitFailed], None] = lambda _failure: None,
    ) -> None:
        self.flushes: int = 0
        """Commits that wrote something, each one flush."""
        self._connection = connection
        self._wal = wal
        self._on_failed = on_failed
        self._failure: CommitFailed | None = None
        self._jobs: list[_Job[Any]] = []
        self._urgent = False
        self._wake = threading.Condition()
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._work, name="committer", daemon=True)

    @property
    def failure(self) -> CommitFailed | None:
        return self._failure

    def submit(
        self, run: Callable[[Connection], T], *, lazy: bool = False, vital: bool = False
    ) -> asyncio.Future[T]:
        """Queues `run`; the future is done when its effect is durable.

        An error of our own that `run` raises undoes that job alone and reaches its future; if the
        job is `vital` (others build on it) or the error is the disk's, the committer fails. Raises
        CommitFailed at once when it already has.
        """
        loop = asyncio.get_running_loop()
        job = _Job(run, loop.create_future(), vital)
        with self._wake:
            if self._failure is not None:
                raise CommitFailed(str(self._failure))
            if self._stopping:
                raise CommitFailed("closed")
            self._loop = loop
            self._jobs.append(job)
            self._urgent = self._urgent or not lazy
            if not self._thread.is_alive():
                self._thread.start()
            self._wake.notify()
        return job.done

    def close(self) -> None:
        """Commits what waits, folds the log and closes the connection.

        Blocks; call it in a thread.
        """
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)
        if self._failure is None:
            with contextlib.suppress(
                sqlite3.Error
            ):  # the log stays and is read at the next opening
                fold(self._connection)
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    # --- in the thread ----------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            log_bytes = self._log_bytes()
            if log_bytes >= FOLD_AT_ONCE_BYTES:
                self._fold()
            jobs = self._next(QUIET_S if log_bytes >= FOLD_BYTES else None)
            if jobs is None:
                return
            if not jobs:
                self._fold()
                continue
            failure = self._commit(jobs)
            self._settle(jobs, failure)
            if failure is not None:
                return

    def _next(self, quiet_s: float | None) -> list[_Job[Any]] | None:
        """What to commit together; nothing after `quiet_s` of quiet; None at the end."""
        with self._wake:
            while not self._urgent and not self._stopping:
                if not self._wake.wait(LAZY_S if self._jobs else quiet_s):
                    break
            jobs, self._jobs, self._urgent = self._jobs, [], False
            return None if self._stopping and not jobs else jobs

    def _commit(self, jobs: list[_Job[Any]]) -> CommitFailed | None:
        connection = self._connection
        before = connection.total_changes
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                self._run(job)
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it was: not durable
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            return CommitFailed(f"{type(error).__name__}: {error}")
        self.flushes += connection.total_changes > before
        return None

    def _run(self, job: _Job[Any]) -> None:
        self._connection.execute("SAVEPOINT job")
        try:
            job.result = job.run(self._connection)
        except (sqlite3.Error, OSError, MemoryError):
            raise
        except Exception as error:
            if job.vital:
                raise
            job.refusal = error
            self._connection.execute("ROLLBACK TO job")
        self._connection.execute("RELEASE job")

    def _settle(self, jobs: list[_Job[Any]], failure: CommitFailed | None) -> None:
        if failure is not None:
            with self._wake:
                self._failure = failure
                jobs, self._jobs = jobs + self._jobs, []
        assert self._loop is not None  # noqa: S101 - there is no job before submit
        with contextlib.suppress(RuntimeError):  # the loop has ended, nobody waits any more
            self._loop.call_soon_threadsafe(self._tell, jobs, failure)

    def _tell(self, jobs: list[_Job[Any]], failure: CommitFailed | None) -> None:
        for job in jobs:
            job.settle(failure)
        if failure is not None:
            self._on_failed(failure)

    def _log_bytes(self) -> int:
        try:
            return self._wal.stat().st_size
        except OSError:
            return 0

    def _fold(self) -> None:
        execute = self._connection.execute
        with contextlib.suppress(sqlite3.Error):  # folded later, then; commits are safe in the log
            execute("PRAGMA busy_timeout=0")  # somebody who reads is not waited for
            try:
                fold(self._connection)
            finally:
                execute(f"PRAGMA busy_timeout={_BUSY_MS}")
            # The first commit into an empty log flushes twice: let it not be a tap's.
            (version,) = execute("PRAGMA user_version").fetchone()
            execute(f"PRAGMA user_version={version}")
