"""Folders and files that change whole or not at all, whenever power goes or the disk is full.

A folder is made beside its place and then renamed into it (`make_whole`).

Several files are replaced as one (`replace_together`): what is to be is written into
`change.unfinished/`; renaming that to `change/` is the moment from which it counts; then each file
is renamed into its place, which takes no room on the disk. Whoever works on the folder next calls
`finish`, which ends what was cut off: by going on after that moment, by dropping it before.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provisioning.errors import (
    AlreadyThere,
    BadInput,
    DiskFailed,
    FolderBusy,
    ProvisioningError,
)
from runtime import durable

_UNFINISHED: Final = "change.unfinished"
_CHANGE: Final = "change"
_DONE: Final = "change.done."
_PLAN: Final = "plan.json"
# Some hundred files of a few kilobytes; a plan names each in a line.
_PLAN_CAP: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Replacement:
    """One file's new content, or none: it goes. `path` is relative to the folder. Never repr'd."""

    path: str
    data: bytes | None
    mode: int = 0o600

    def __repr__(self) -> str:
        return f"Replacement({self.path!r}, …)"


@contextmanager
def working_on(folder: Path) -> Iterator[None]:
    """Nobody else changes the folder meanwhile. Raises FolderBusy, DiskFailed."""
    try:
        lock = durable.FolderLock(folder)
    except durable.FolderInUse as error:
        raise FolderBusy(str(error)) from error
    except durable.StorageError as error:
        raise DiskFailed(str(error)) from error
    with lock:
        yield


def make_whole(path: Path, make: Callable[[Path], None], undo: Callable[[Path], None]) -> None:
    """Makes the folder `path` by `make`, which is given another one to fill.

    What an earlier call left unfinished is given to `undo` and removed first; so is what this one
    leaves when it fails. Raises AlreadyThere when `path` holds anything; and what `make` raises.
    """
    path = path.absolute()
    require_free(path)
    unfinished = path.with_name(f".{path.name}.unfinished")
    with _as_ours():
        durable.make_folder(unfinished)
    with working_on(unfinished):
        require_free(path)
        _clear(unfinished, undo)
        try:
            make(unfinished)
            with _as_ours():
                unfinished.rename(path)
        except BaseException:
            # What cannot be taken back now is taken back by the next call, which finds it here.
            with suppress(ProvisioningError):
                _clear(unfinished, undo)
                shutil.rmtree(unfinished, ignore_errors=True)
            raise
    with _as_ours():
        durable.flush_folder(path.parent)


def replace_together(folder: Path, what: str, files: Sequence[Replacement]) -> None:
    """Replaces `files` as one; `what` names the change for `finish`, in a word. Raises DiskFailed.

    The caller holds the folder (`working_on`) and has called `finish`.
    """
    unfinished = folder / _UNFINISHED
    try:
        with _as_ours():
            durable.make_folder(unfinished)
            for number, file in enumerate(files):
                if file.data is not None:
                    durable.create_new(unfinished / str(number), file.data, file.mode)
            plan = {"what": what, "files": [[file.path, file.data is None] for file in files]}
            durable.create_new(unfinished / _PLAN, json.dumps(plan).encode())
            unfinished.rename(folder / _CHANGE)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    with _as_ours():
        durable.flush_folder(folder)
    finish(folder)


def is_cut_off(folder: Path) -> bool:
    """Whether a change counts whose files are not all in their places yet."""
    return (folder / _CHANGE).exists()


def finish(folder: Path) -> str | None:
    """Ends a change that was cut off: `what` it was where it counts, else nothing changed.

    Also where all of it was done and nobody was told. Raises DiskFailed, BadInput.
    """
    with _as_ours():
        if (folder / _UNFINISHED).exists():
            shutil.rmtree(folder / _UNFINISHED)
        for done in folder.glob(f"{_DONE}*"):
            shutil.rmtree(done)
            return done.name.removeprefix(_DONE)
        change = folder / _CHANGE
        if not change.exists():
            return None
        what, files = _read_plan(change / _PLAN)
        for number, (name, gone) in enumerate(files):
            target = folder / name
            durable.make_folder(target.parent)
            if gone:
                target.unlink(missing_ok=True)
            else:
                # Gone from here, it is in its place: an earlier try came so far.
                with suppress(FileNotFoundError):
                    (change / str(number)).rename(target)
            durable.flush_folder(target.parent)
        done = change.rename(folder / f"{_DONE}{what}")
        durable.flush_folder(folder)
        shutil.rmtree(done)
    return what


def _read_plan(path: Path) -> tuple[str, list[tuple[str, bool]]]:
    try:
        plan = json.loads(durable.read_capped(path, _PLAN_CAP))
        return str(plan["what"]), [(str(name), bool(gone)) for name, gone in plan["files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: is damaged; restore the site's folder from a back-up") from error


def require_free(path: Path) -> None:
    """Raises AlreadyThere unless `path` is an empty folder, or nothing."""
    with _as_ours():
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise AlreadyThere(f"{path} is not empty; a site is made in a folder of its own")


def _clear(folder: Path, undo: Callable[[Path], None]) -> None:
    undo(folder)
    with _as_ours():
        for each in folder.iterdir():
            if each.is_dir():
                shutil.rmtree(each)
            elif each.name != "lock":
                each.unlink()


@contextmanager
def _as_ours() -> Iterator[None]:
    try:
        yield
    except (durable.StorageError, OSError) as error:
        raise DiskFailed(str(error)) from error
