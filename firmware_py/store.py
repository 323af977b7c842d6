"""The terminal's directory on disk, and what must survive its loss. The only SQL about rights here.

`directory.sqlite` holds the entries of one version (WAL, synchronous FULL). A change is one
transaction; a snapshot is read into a side table and swapped in by one. What is damaged is said to be
(`DirectoryDamaged`), set aside and fetched anew: an empty directory is never mistaken for one.

`trust.sqlite` is small and not rebuildable from anywhere: key statement, time memory, and the highest
version ever held, so that nobody rolls a terminal back by destroying its directory.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from contract.directory import Entitlement, Terminal
from contract.ids import Guid, TerminalId, WardId
from contract.policy import Policy
from firmware_py import sitetime
from firmware_py.decision import Place
from firmware_py.trust import Change, Held, Row


class DirectoryDamaged(Exception):
    """The database is torn or not ours. `Directory.set_aside`, then take a snapshot."""


class DirectoryFailed(Exception):
    """The disk did not do as asked; what was held before is still held."""


class Directory:
    """Entries of one version. Lookups in the consumer's thread, writing in any one thread at a time."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Opens, or makes an empty one where there is none. Raises DirectoryDamaged, DirectoryFailed."""
        raise NotImplementedError

    @staticmethod
    def set_aside(path: Path) -> Path:
        """Moves a damaged database away (kept for whoever looks into it); returns its new name."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    @property
    def held(self) -> Held:
        """The version held, its head and time; `Held()` when none is."""
        raise NotImplementedError

    def entitlement(self, guid: Guid) -> Entitlement | None:
        """One read. Raises DirectoryDamaged."""
        raise NotImplementedError

    def terminal(self, terminal: TerminalId) -> Terminal | None:
        """Raises DirectoryDamaged."""
        raise NotImplementedError

    def policy(self, ward: WardId) -> Policy | None:
        """Raises DirectoryDamaged."""
        raise NotImplementedError

    def place(self, terminal: TerminalId) -> Place:
        """What `decide` wants of the register and the ward; from memory after the first call."""
        raise NotImplementedError

    def apply(self, change: Change) -> None:
        """One transaction, durable on return. Raises DirectoryFailed; ValueError unless it is next."""
        raise NotImplementedError

    def begin_snapshot(self) -> SnapshotWriter:
        """A fresh side table, on its own connection: may be filled in another thread."""
        raise NotImplementedError


class SnapshotWriter:
    """A snapshot on its way in; nothing of it is seen before `swap`."""

    def add(self, rows: Iterable[Row]) -> None:
        """Raises DirectoryFailed."""
        raise NotImplementedError

    def swap(self, held: Held) -> None:
        """Puts it in place of what was held, in one transaction. Raises DirectoryFailed."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Drops what was added; also what a crash left behind is dropped at the next `open`."""
        raise NotImplementedError


class TrustStore:
    """`trust.sqlite`: small, and identity: made by enrolment, never implicitly."""

    @classmethod
    def create(cls, path: Path, keys: bytes) -> Self:
        """New, with the key statement's envelope from enrolment."""
        raise NotImplementedError

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises DirectoryDamaged when it is torn, NotThere when it was never made."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    @property
    def keys(self) -> bytes:
        """The newest key statement's envelope, to be judged again at each start."""
        raise NotImplementedError

    @property
    def memory(self) -> sitetime.Memory | None:
        raise NotImplementedError

    @property
    def highest(self) -> Held:
        """The highest version ever held here."""
        raise NotImplementedError

    def keep_keys(self, envelope: bytes) -> None:
        raise NotImplementedError

    def keep_memory(self, memory: sitetime.Memory) -> None:
        raise NotImplementedError

    def keep_highest(self, held: Held) -> None:
        """Never lowers it."""
        raise NotImplementedError
