"""Files that are there after a power cut, whole or not at all: written means fsynced.

Every write goes to a new file beside the old one, is flushed, and is then moved into place, and the
directory is flushed too. An identity (a key, a log) is made by `create_new`, which never replaces.
A `FolderLock` keeps a second process out of a folder of state.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_TEMPORARY: Final = ".tmp"
_LOCK: Final = "lock"
_PID_CAP: Final = 32  # a process number and a line end, with room


class StorageError(Exception):
    """The disk did not do as asked. ``path`` is the file concerned."""

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        super().__init__(f"{path}: {what}")


class DiskFull(StorageError):
    """No space, or no quota, is left; the file is as it was before."""


class AlreadyThere(StorageError):
    """An identity exists and is not replaced."""


class NotThere(StorageError):
    """There is no such file."""


class TooLarge(StorageError):
    """A file is longer than its reader accepts."""


class FolderInUse(StorageError):
    """Another process holds the folder. ``pid`` is its number, if it could be read."""

    def __init__(self, path: Path, pid: int | None) -> None:
        self.pid = pid
        who = "another process" if pid is None else f"process {pid}"
        super().__init__(path, f"{who} uses this folder; two would spoil each other's state")


def write_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Make ``path`` hold ``data``, replacing what was there; after a crash it is old or new.

    Raises DiskFull or StorageError, and then the old file stands.
    """
    temporary = _write_temporary(path, data, mode)
    try:
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _translated(path, error) from error
    flush_folder(path.parent)


def create_new(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Make ``path``, which must not exist. Raises AlreadyThere, DiskFull or StorageError."""
    temporary = _write_temporary(path, data, mode)
    try:
        # A hard link, unlike a rename, fails when the name is taken.
        os.link(temporary, path)
    except OSError as error:
        raise _translated(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    flush_folder(path.parent)


def read_capped(path: Path, cap: int) -> bytes:
    """The whole file, of at most ``cap`` bytes. Raises NotThere, TooLarge or StorageError."""
    try:
        with path.open("rb") as file:
            data = file.read(cap + 1)
    except OSError as error:
        raise _translated(path, error) from error
    if len(data) > cap:
        raise TooLarge(path, f"is longer than {cap} bytes")
    return data


def remove(path: Path) -> None:
    """Remove a file for good. Raises NotThere or StorageError."""
    try:
        path.unlink()
    except OSError as error:
        raise _translated(path, error) from error
    flush_folder(path.parent)


def make_folder(path: Path, mode: int = 0o700) -> None:
    """Make a folder and its missing parents, durably; one that is there is left as it is."""
    if path.is_dir():
        return
    if path.parent != path:
        make_folder(path.parent, mode)
    try:
        path.mkdir(mode, exist_ok=True)
    except OSError as error:
        raise _translated(path, error) from error
    flush_folder(path.parent)


def flush_folder(path: Path) -> None:
    """Flush a directory: only then are the names in it sure to be found. Raises StorageError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _translated(path, error) from error
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise _translated(path, error) from error
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> int:
    """Remove what writes cut off by a power cut have left; how many there were.

    Call it only while holding the folder's lock: another writer's unfinished file looks the same.
    """
    leftovers = [file for file in folder.glob(f".*{_TEMPORARY}") if file.is_file()]
    for file in leftovers:
        file.unlink(missing_ok=True)
    return len(leftovers)


class FolderLock:
    """One process a folder. The kernel frees it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Take the lock at once. Raises FolderInUse or StorageError."""
        path = folder / _LOCK
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _translated(path, error) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # For people who look who it is; the lock itself does not need it.
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            pid = os.pread(self._descriptor, _PID_CAP, 0).strip()
            self.release()
            raise FolderInUse(folder, int(pid) if pid.isdigit() else None) from error
        except OSError as error:
            self.release()
            raise _translated(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let the next one in; releasing twice does no harm."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _write_temporary(path: Path, data: bytes, mode: int) -> Path:
    # A name of its own for each write: two at once must not fill one file.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_TEMPORARY}")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(temporary, flags, 0o600), "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)  # whatever the umask
            os.fsync(file.fileno())
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _translated(path, error) from error
    return temporary


def _translated(path: Path, error: OSError) -> StorageError:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return DiskFull(path, "no space is left on the disk")
        case errno.EEXIST:
            return AlreadyThere(path, "is there already and is not replaced")
        case errno.ENOENT:
            return NotThere(path, "does not exist")
        case _:
            return StorageError(path, error.strerror or type(error).__name__)
