"""The terminal's state folder: opened, or begun where this terminal starts for the first time.

A journal and what is remembered of trust are identities: one without the other is no first start,
and is not silently begun anew where that would forget what protects.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract.ids import TerminalId
from firmware_py.evidence.journal import (
    Journal,
    JournalDamaged,
    JournalFailed,
    JournalMissing,
    Stamp,
    last_known,
    set_aside,
)
from firmware_py.trust.store import Directory, DirectoryFailed
from firmware_py.trust.trust_store import TrustDamaged, TrustStore
from runtime.durable import FolderLock, StorageError, make_folder, remove_leftovers
from runtime.settings import SettingsError, StartError

LOG: Final = logging.getLogger("tapover.stores")

JOURNAL: Final = "journal.sqlite"
TRUST: Final = "trust.json"
DIRECTORY: Final = "directory.sqlite"


@dataclass(frozen=True, slots=True)
class Folder:
    """The state folder, held by this process alone."""

    path: Path
    lock: FolderLock
    trust: TrustStore

    @property
    def directory_path(self) -> Path:
        """Of the directory's database."""
        return self.path / DIRECTORY


def open_folder(path: Path) -> Folder:
    """Raises StartError."""
    try:
        make_folder(path)
        lock = FolderLock(path)
        remove_leftovers(path)
        trust = TrustStore.open(path / TRUST)
    except StorageError as error:
        raise SettingsError(f"state_dir: {error}") from error
    except TrustDamaged as error:
        raise StartError(
            f"{path / TRUST}: is damaged ({error}); have it looked at, then enrol again"
        ) from error
    if (path / JOURNAL).exists() and not (path / TRUST).exists():
        raise StartError(
            f"{path / TRUST}: is gone while {JOURNAL} is there; have it looked at, then enrol again"
        )
    return Folder(path, lock, trust)


def open_directory(folder: Folder) -> Directory:
    """Damaged or missing, it is begun anew and fetched. Raises StartError."""
    try:
        opened = Directory.open_or_replace(folder.directory_path, folder.trust.remembered.highest)
    except DirectoryFailed as error:
        raise StartError(f"{folder.directory_path}: {error}") from error
    if opened.trouble is not None:
        LOG.error("the directory was begun anew", extra={"why": str(opened.trouble)})
    return opened.directory


def open_journal(
    folder: Folder, terminal: TerminalId, software: str, stamp: Callable[[], Stamp]
) -> Journal:
    """Made at the first start; a damaged one is set aside, and named by the one begun then.

    Raises StartError.
    """
    path, known = folder.path / JOURNAL, None
    try:
        try:
            return Journal.open(path, terminal, stamp)
        except JournalMissing:
            pass
        except JournalDamaged as error:
            aside = set_aside(path)
            known = last_known(aside)
            LOG.warning("the journal was damaged", extra={"why": str(error), "kept": aside.name})
        return Journal.create(path, terminal, software, stamp, known)
    except (JournalFailed, sqlite3.Error, OSError) as error:
        raise StartError(f"{path}: {error}") from error
