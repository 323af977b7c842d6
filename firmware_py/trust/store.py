"""The terminal's directory on disk: the only SQL about rights here.

* One database holds the entries of one version (WAL, synchronous FULL), a row each, exact bytes.
* A change is one transaction. A snapshot is written into a side table, chunk by chunk, and put in
  place by one transaction: nothing of it is seen before, all of it after. What a crash left of one
  is dropped at the next start.
* Every row carries a checksum, and a row that does not fit it, or no longer parses, is damage like
  a torn page: `DirectoryDamaged`. So is a version behind the highest ever held here (`highest`):
  an old file put back is no directory. A damaged one is set aside and fetched anew; an empty one
  is a new one that says so (`held.version` 0.0, no directory), never a damaged one in disguise.
* A tap reads one row, twice: before its card signs, and anew when it has. What every tap asks for
  (register, policy) is kept until the next version.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, Self, TypeVar

from contract.directory import Entitlement, EntryKind, Spare, Terminal
from contract.ids import Digest, Guid, TerminalId, Version, WardId
from contract.policy import Policy
from contract.wire import Record, WireError
from firmware_py.trust.here import Place, default_policy
from firmware_py.trust.statements import NOTHING, Change, Held, Row
from runtime.durable import StorageError, flush_folder

APPLICATION_ID: Final = 0x74617064  # "tapd"
SCHEMA_VERSION: Final = 1
BUSY_S: Final = 10.0
"""A writer waits this long for the other one: a swap drops the table of the version before."""

WAL_BYTES: Final = 16 * 1024 * 1024
"""What a log that grew while a snapshot was loaded is cut back to."""

# In the order in which a snapshot's entries are sorted, so that loading one only ever appends; but
# for the few spares, which came later and take the next number.
KIND: Final = {
    EntryKind.ENTITLEMENT: 1,
    EntryKind.POLICY: 2,
    EntryKind.TERMINAL: 3,
    EntryKind.SPARE: 4,
}
_CHECK_BYTES: Final = 8

_ENTRIES: Final = """
CREATE TABLE {name} (
    kind INTEGER NOT NULL,
    id TEXT NOT NULL,
    line BLOB NOT NULL,
    fits BLOB NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID
"""
_HELD: Final = """
CREATE TABLE held (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    n INTEGER NOT NULL,
    head TEXT,
    issued_ms INTEGER NOT NULL
) STRICT
"""
_SET_HELD: Final = "INSERT OR REPLACE INTO held VALUES (1, ?, ?, ?, ?)"
_PUT: Final = "INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?)"
_ADD: Final = "INSERT INTO entry_next VALUES (?, ?, ?, ?)"
_DELETE: Final = "DELETE FROM entry WHERE kind = ? AND id = ?"
_LOOK_UP: Final = "SELECT line, fits FROM entry WHERE kind = ? AND id = ?"

R = TypeVar("R", bound=Record)


class DirectoryDamaged(Exception):
    """The database is torn, of older rights than were held, or not ours."""


class DirectoryFailed(Exception):
    """The disk did not do as asked; what was held before is still held."""


class PolicyUnread(Exception):
    """A ward's policy is whole, and this software cannot read it."""


class OutOfOrder(Exception):
    """A version that does not follow the one held (now): nothing changed."""


class Opened(NamedTuple):
    """A directory to go on with; `trouble` says why it had to be begun anew, for the log."""

    directory: Directory
    trouble: DirectoryDamaged | None


class Directory:
    """Entries of one version. Look-ups in one thread; a change or a snapshot may be in another."""

    def __init__(self, path: Path) -> None:
        """Use `open` or `open_or_replace`."""
        self._path = path
        self._connection = _connect(path)
        try:
            self._held = _read_held(self._connection)
        except BaseException:
            self._connection.close()
            raise
        self._places: dict[TerminalId, Place] = {}
        self._writing = threading.Lock()

    @classmethod
    def open(cls, path: Path, highest: Held) -> Self:
        """An existing one. Raises DirectoryDamaged (also if there is none), DirectoryFailed."""
        with _translated():
            if not path.is_file() or path.stat().st_size == 0:
                raise DirectoryDamaged("there is no directory")
            directory = cls(path)
        if directory.held.version < highest.version:
            directory.close()
            raise DirectoryDamaged(f"{directory.held.version} is older than {highest.version}")
        return directory

    @classmethod
    def open_or_replace(cls, path: Path, highest: Held) -> Opened:
        """As a daemon starts. Raises DirectoryFailed only.

        A missing file is no trouble where no version was ever held; whatever else is wrong is
        reported, the file moved aside for whoever looks into it, and an empty one made.
        """
        try:
            return Opened(cls.open(path, highest), None)
        except DirectoryDamaged as error:
            first = not path.exists() and highest.version == NOTHING
            trouble = None if first else error
        with _translated():
            set_aside(path)
            _create(path)
            return Opened(cls(path), trouble)

    def close(self) -> None:
        """No look-up afterwards."""
        self._connection.close()

    @property
    def held(self) -> Held:
        """The version held, its head and time; `Held()` when none is."""
        return self._held

    def entitlement(self, guid: Guid) -> Entitlement | None:
        """One read. Raises DirectoryDamaged, DirectoryFailed."""
        return self._look_up(EntryKind.ENTITLEMENT, guid, Entitlement)

    def spare(self, guid: Guid) -> Spare | None:
        """One read. Raises DirectoryDamaged, DirectoryFailed."""
        return self._look_up(EntryKind.SPARE, guid, Spare)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own, for who reads much of it in a thread (`people`).

        Raises DirectoryDamaged, DirectoryFailed.
        """
        with _translated(), contextlib.closing(_connect(self._path)) as connection:
            yield connection

    def terminal(self, terminal: TerminalId) -> Terminal | None:
        """Raises DirectoryDamaged, DirectoryFailed."""
        return self._look_up(EntryKind.TERMINAL, terminal, Terminal)

    def policy(self, ward: WardId) -> Policy | None:
        """Raises PolicyUnread, DirectoryDamaged, DirectoryFailed."""
        return self._look_up(EntryKind.POLICY, ward, Policy)

    def place(self, terminal: TerminalId) -> Place:
        """What `decide` wants of register and ward: from memory until the next version."""
        place = self._places.get(terminal)
        if place is None:
            places = self._places
            place = places[terminal] = self._find_place(terminal)
        return place

    def apply(self, change: Change) -> None:
        """One transaction, durable on return.

        Raises OutOfOrder, DirectoryFailed, DirectoryDamaged.
        """
        with self._writing, _translated(), contextlib.closing(_connect(self._path)) as connection:
            version, before = change.held.version, _read_held(connection).version
            if version <= before or version != before.next_in(version.epoch):
                raise OutOfOrder(f"{change.held.version} does not follow {self._held.version}")
            with _transaction(connection):
                for row in change.rows:
                    if row.line is None:
                        connection.execute(_DELETE, (KIND[row.kind], row.id))
                    else:
                        connection.execute(_PUT, _bound(row, row.line))
                connection.execute(_SET_HELD, _held_row(change.held))
            self._now_held(change.held)

    def begin_snapshot(self) -> SnapshotWriter:
        """An empty side table, on its own connection. Raises DirectoryFailed, DirectoryDamaged."""
        with self._writing, _translated():
            return SnapshotWriter(self, self._path)

    def swapped(self, writer: SnapshotWriter, held: Held) -> None:
        """For `SnapshotWriter.swap`."""
        with self._writing, _translated():
            connection = writer.connection
            if held.version <= _read_held(connection).version:
                raise OutOfOrder(f"{held.version} is not later than {self._held.version}")
            with _transaction(connection):
                connection.execute("ALTER TABLE entry RENAME TO entry_old")
                connection.execute("ALTER TABLE entry_next RENAME TO entry")
                connection.execute(_SET_HELD, _held_row(held))
            self._now_held(held)
            connection.execute("DROP TABLE entry_old")

    def _now_held(self, held: Held) -> None:
        self._held = held
        self._places = {}

    def _look_up(self, kind: EntryKind, id_: str, record: type[R]) -> R | None:
        with _translated():
            found = self._connection.execute(_LOOK_UP, (KIND[kind], id_)).fetchone()
            if found is None:
                return None
            line, fits = found
            if _fits(kind, id_, line) != fits:
                raise DirectoryDamaged("an entry does not fit its checksum")
            try:
                return record.from_bytes(line)
            except WireError as error:
                if kind is EntryKind.POLICY:
                    raise PolicyUnread(str(error)) from error
                raise

    def _find_place(self, terminal: TerminalId) -> Place:
        version = None if self._held.version == NOTHING else self._held.version
        entry = self.terminal(terminal)
        if entry is None:
            return Place(version, None, default_policy())
        try:
            policy = self.policy(entry.ward)
        except PolicyUnread as error:
            return Place(version, entry, default_policy(entry.ward), str(error))
        return Place(version, entry, policy or default_policy(entry.ward))


class SnapshotWriter:
    """A snapshot on its way in; nothing of it is seen before `swap`. One call at a time."""

    def __init__(self, directory: Directory, path: Path) -> None:
        """Use `Directory.begin_snapshot`."""
        self._directory = directory
        # A load that is cancelled is abandoned while its last `add` still runs in another thread.
        self._one = threading.Lock()
        self.connection = _connect(path)
        _drop_leftovers(self.connection)
        self.connection.execute(_ENTRIES.format(name="entry_next"))

    def add(self, rows: Iterable[Row]) -> None:
        """A chunk's rows. Raises DirectoryFailed, DirectoryDamaged."""
        with self._one, _translated(), _transaction(self.connection):
            self.connection.executemany(
                _ADD, (_bound(row, row.line) for row in rows if row.line is not None)
            )

    def swap(self, held: Held) -> None:
        """Puts all of it in place of what was held, durable on return, and ends.

        Raises OutOfOrder when something as late came to be held meanwhile; DirectoryFailed.
        """
        with self._one:
            self._directory.swapped(self, held)
            self.connection.close()

    def abandon(self) -> None:
        """Drops what was added. Raises DirectoryFailed, DirectoryDamaged."""
        with self._one:
            with _translated():
                _drop_leftovers(self.connection)
            self.connection.close()


def set_aside(path: Path) -> None:
    """Moves a damaged database away, the one set aside before it gone. Nothing if there is none.

    Raises DirectoryFailed.
    """
    with _translated():
        for suffix in ("", "-wal", "-shm"):
            one = path.with_name(path.name + suffix)
            if one.exists():
                one.replace(path.with_name(f"{path.name}.damaged{suffix}"))
        flush_folder(path.parent)


def _create(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        with _transaction(connection):
            connection.execute(_ENTRIES.format(name="entry"))
            connection.execute(_HELD)
            connection.execute(_SET_HELD, _held_row(Held()))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    flush_folder(path.parent)


def _connect(path: Path) -> sqlite3.Connection:
    """Raises DirectoryDamaged when the file is not ours."""
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA synchronous = FULL")
        # Else dropping the version before writes all of it once more, as zeroes; its pages are
        # filled again by the snapshot after, on a disk that holds the same people's names anyway.
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        # KiB. The upper levels of its one index; a lookup reads a page or two besides.
        connection.execute("PRAGMA cache_size = -512")
        _require_ours(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _require_ours(connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    if (application, schema) != (APPLICATION_ID, SCHEMA_VERSION):
        raise DirectoryDamaged("not a directory of this version")


def _drop_leftovers(connection: sqlite3.Connection) -> None:
    for name in ("entry_next", "entry_old"):
        connection.execute(f"DROP TABLE IF EXISTS {name}")


def _read_held(connection: sqlite3.Connection) -> Held:
    row = connection.execute("SELECT epoch, n, head, issued_ms FROM held").fetchone()
    if row is None:
        raise DirectoryDamaged("no version is written down")
    epoch, n, head, issued_ms = row
    return Held(Version(epoch, n), None if head is None else Digest(head), issued_ms)


def _held_row(held: Held) -> tuple[int, int, str | None, int]:
    return held.version.epoch, held.version.n, held.head, held.issued_ms


def _bound(row: Row, line: bytes) -> tuple[int, str, bytes, bytes]:
    return KIND[row.kind], row.id, line, _fits(row.kind, row.id, line)


def _fits(kind: EntryKind, id_: str, line: bytes) -> bytes:
    """A row's checksum: against decay, not against an attacker, who could write it as well."""
    return hashlib.sha256(b"%d %s\n%s" % (KIND[kind], id_.encode(), line)).digest()[:_CHECK_BYTES]


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """SQLite's, the disk's and the parser's errors, as ours."""
    try:
        yield
    except sqlite3.OperationalError as error:
        damaged = error.sqlite_errorcode == sqlite3.SQLITE_ERROR  # a table is missing
        raise (DirectoryDamaged if damaged else DirectoryFailed)(str(error)) from error
    except sqlite3.DatabaseError as error:
        raise DirectoryDamaged(str(error)) from error
    except WireError as error:
        raise DirectoryDamaged(f"an entry that is none: {error}") from error
    except (OSError, StorageError) as error:
        raise DirectoryFailed(str(error)) from error
