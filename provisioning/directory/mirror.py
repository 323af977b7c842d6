"""The site's directory with its whole history, on the operator's machine: what a difference is of.

A copy of the gateway's changes, each checked as it comes: the chain of digests from the first, the
site's signature on those of the present key epoch (what is older is vouched for by the chain), the
digest of every entry. It can be thrown away at any time, and is fetched again. Memory stays small
however large the site is: everything is in SQLite, and what is asked for is streamed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from contract.directory import (
    MAX_CHANGE_BYTES,
    MAX_ENTRY_BYTES,
    ChangeRequest,
    DirectoryChange,
    Entitlement,
    EntryKind,
    Key,
    Removed,
    entry_key,
    parse_entry,
)
from contract.ids import Digest, KeyId, Version
from contract.journal import require_bodies, split_lines
from contract.signing import Envelope, PayloadType, SignatureRefused, VerifyKey
from contract.statements import KeyStatement
from contract.wire import WireError, decode_base64
from provisioning.directory.administration import Administration
from provisioning.errors import BadInput, GatewayRefused, NotThere, ProvisioningError
from provisioning.site.folder import SiteFolder
from runtime import durable

NO_VERSION: Final = Version(0, 0)
_SCHEMA: Final = 1
_KEYS_CAP: Final = 64 * 1024
_TABLES: Final = """
CREATE TABLE version (
    ordinal INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, n INTEGER NOT NULL, digest TEXT NOT NULL,
    issued_ms INTEGER NOT NULL, operator TEXT, entries INTEGER NOT NULL, UNIQUE (epoch, n)
) STRICT;
CREATE TABLE entry (
    kind TEXT NOT NULL, id TEXT NOT NULL, ordinal INTEGER NOT NULL, line BLOB,
    PRIMARY KEY (kind, id, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_ordinal ON entry (ordinal);
CREATE TABLE card (holder TEXT NOT NULL, guid TEXT NOT NULL, PRIMARY KEY (holder, guid))
    STRICT, WITHOUT ROWID;
CREATE TABLE guid (guid TEXT PRIMARY KEY, holder TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""
_AT: Final = """
SELECT line FROM entry WHERE kind = ? AND id = ? AND ordinal <= ? ORDER BY ordinal DESC LIMIT 1
"""


class VersionUnknown(ProvisioningError):
    """The directory never had that version."""

    code = 404
    exit_status = 2
    remedy = "Look at: tapover directory history."


@dataclass(frozen=True, slots=True)
class Past:
    """One version: when, by whose request (null: the gateway's own act), how many entries."""

    version: Version
    issued_ms: int
    operator: str | None
    entries: int


@dataclass(frozen=True, slots=True)
class Changed:
    """An entry in two versions; null where it does not stand."""

    key: Key
    before: bytes | None
    after: bytes | None


class Mirror:
    """One operator's copy. A context manager; raises ProvisioningError and sqlite3.Error."""

    def __init__(self, path: Path, keys: KeyStatement) -> None:
        """Use `open`."""
        self._keys = keys
        self._statement = VerifyKey.from_base64(keys.statement_key)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")

    @classmethod
    def open(cls, folder: SiteFolder) -> Self:
        """The copy in a site's folder, begun when there is none. Raises NotThere, BadInput."""
        return cls.at(folder, folder.authority / "directory.sqlite")

    @classmethod
    def at(cls, folder: SiteFolder, path: Path) -> Self:
        """The copy at another place. Raises NotThere, BadInput."""
        keys = _keys(folder)
        if path.exists() and not _is_ours(path):
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        fresh = not path.exists()
        mirror = cls(path, keys)
        path.chmod(0o600)
        if fresh:
            mirror._connection.executescript(f"{_TABLES} PRAGMA user_version = {_SCHEMA};")
        return mirror

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    # --- following the gateway ----------------------------------------------------------------

    def sync(
        self, administration: Administration, advance: Callable[[Version], None] | None = None
    ) -> Version:
        """Fetches what is new; returns the newest version. A gateway set back is refused."""
        while True:
            head = self.head
            path = f"/v1/directory/changes?epoch={head.epoch}&after={head.n}"
            found = administration.get(path).json()
            messages, requests = found.get("changes"), found.get("requests")
            if not isinstance(messages, list) or not isinstance(requests, list):
                raise GatewayRefused("the gateway's answer holds no changes; look at its log")
            if not messages:
                return head
            for message, request in zip(messages, requests, strict=True):
                try:
                    self._take(decode_base64(str(message)), request)
                except (WireError, SignatureRefused) as error:
                    words = f"the gateway's change after {self.head} is not the site's: {error}"
                    raise GatewayRefused(words) from error
            if advance is not None:
                advance(self.head)

    def _take(self, message: bytes, request: object) -> None:
        envelope, lines = split_lines(message, MAX_CHANGE_BYTES)
        change = DirectoryChange.from_bytes(decode_base64(envelope.payload))
        version, head = change.version.value, self.head
        if version.epoch == self._keys.epoch:
            change = DirectoryChange.open(envelope, self._statement)
        if version.epoch > self._keys.epoch:
            raise SignatureRefused("it is of a later key epoch than keys.dsse")
        if version != head.next_in(version.epoch) or change.previous != self._digest:
            raise SignatureRefused("it does not follow the one before")
        require_bodies(lines, change.entries, MAX_ENTRY_BYTES)
        ordinal = self._ordinal(head) + 1
        operator = _operator(request, change.request)
        with self._transaction():
            row = (ordinal, *(version.epoch, version.n), envelope.digest, change.issued_ms)
            self._connection.execute(
                "INSERT INTO version VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, operator, len(lines))
            )
            for line in lines:
                self._put(ordinal, line)

    def _put(self, ordinal: int, line: bytes) -> None:
        entry = parse_entry(line)
        kind, name = entry_key(entry)
        kept = None if isinstance(entry, Removed) else line
        execute = self._connection.execute
        execute("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?)", (kind, name, ordinal, kept))
        if kind is EntryKind.ENTITLEMENT:
            execute(
                "DELETE FROM card WHERE holder = (SELECT holder FROM guid WHERE guid = ?1)"
                " AND guid = ?1",
                (name,),
            )
            execute("DELETE FROM guid WHERE guid = ?", (name,))
        if isinstance(entry, Entitlement):
            execute("INSERT INTO card VALUES (?, ?)", (entry.holder, name))
            execute("INSERT INTO guid VALUES (?, ?)", (name, entry.holder))

    # --- reading ------------------------------------------------------------------------------

    @property
    def head(self) -> Version:
        """The newest version here."""
        row = self._connection.execute(
            "SELECT epoch, n FROM version ORDER BY ordinal DESC LIMIT 1"
        ).fetchone()
        return NO_VERSION if row is None else Version(*row)

    def parse_version(self, text: str) -> Version:
        """`7`, or `2.7` with its key epoch. Raises VersionUnknown."""
        epoch, _, n = text.rpartition(".")
        if not n.isdigit() or (epoch and not epoch.isdigit()):
            raise VersionUnknown(f"'{text}' is no version: write 7, or 1.7")
        query = "SELECT epoch, n FROM version WHERE n = ? AND epoch = coalesce(?, epoch)"
        found = self._connection.execute(
            f"{query} ORDER BY epoch DESC LIMIT 1", (int(n), int(epoch) if epoch else None)
        ).fetchone()
        if found is None:
            raise VersionUnknown(f"the directory never had version {text}")
        return Version(*found)

    def history(self, most: int) -> list[Past]:
        """The newest versions, the newest first."""
        rows = self._connection.execute(
            "SELECT epoch, n, issued_ms, operator, entries FROM version"
            " ORDER BY ordinal DESC LIMIT ?",
            (most,),
        )
        return [Past(Version(epoch, n), *rest) for epoch, n, *rest in rows]

    def entry(self, key: Key, at: Version | None = None) -> bytes | None:
        """The line under a key, now or in a version."""
        ordinal = self._ordinal(self.head if at is None else at)
        row = self._connection.execute(_AT, (*key, ordinal)).fetchone()
        return None if row is None else row[0]

    def lines(self, key: Key) -> Iterator[bytes]:
        """Every line that ever stood under a key, the oldest first."""
        rows = self._connection.cursor().execute(
            "SELECT line FROM entry WHERE kind = ? AND id = ? AND line IS NOT NULL"
            " ORDER BY ordinal",
            key,
        )
        return (line for (line,) in rows)

    def entries(self, at: Version | None = None, kind: EntryKind | None = None) -> Iterator[bytes]:
        """Every line of a version, ordered by (kind, id), streamed."""
        ordinal = self._ordinal(self.head if at is None else at)
        keys = self._connection.cursor().execute(
            "SELECT DISTINCT kind, id FROM entry WHERE kind = coalesce(?, kind) ORDER BY kind, id",
            (kind,),
        )
        for key in keys:
            row = self._connection.execute(_AT, (*key, ordinal)).fetchone()
            if row is not None and row[0] is not None:
                yield row[0]

    def difference(self, old: Version, new: Version) -> Iterator[Changed]:
        """What stands otherwise in `new` than in `old`, streamed."""
        first, last = sorted((self._ordinal(old), self._ordinal(new)))
        keys = self._connection.cursor().execute(
            "SELECT DISTINCT kind, id FROM entry WHERE ordinal > ? AND ordinal <= ?"
            " ORDER BY kind, id",
            (first, last),
        )
        for kind, name in keys:
            key = (EntryKind(kind), name)
            before, after = self.entry(key, old), self.entry(key, new)
            if before != after:
                yield Changed(key, before, after)

    def cards_of(self, holder: str) -> list[Entitlement]:
        """A person's entitlements as they stand."""
        rows = self._connection.execute("SELECT guid FROM card WHERE holder = ?", (holder,))
        return [entry for (guid,) in rows.fetchall() if (entry := self.entitlement(guid))]

    def entitlement(self, guid: str) -> Entitlement | None:
        line = self.entry((EntryKind.ENTITLEMENT, guid))
        found = parse_entry(line) if line else None
        return found if isinstance(found, Entitlement) else None

    def holders(self) -> Iterator[str]:
        """Everybody with an entitlement, by id, streamed."""
        rows = self._connection.cursor().execute("SELECT DISTINCT holder FROM card ORDER BY holder")
        return (holder for (holder,) in rows)

    def _ordinal(self, version: Version) -> int:
        if version == NO_VERSION:
            return 0
        found = self._connection.execute(
            "SELECT ordinal FROM version WHERE epoch = ? AND n = ?", (version.epoch, version.n)
        ).fetchone()
        if found is None:
            raise VersionUnknown(f"the directory never had version {version}")
        ordinal: int = found[0]
        return ordinal

    @property
    def _digest(self) -> Digest | None:
        row = self._connection.execute(
            "SELECT digest FROM version ORDER BY ordinal DESC LIMIT 1"
        ).fetchone()
        return None if row is None else Digest(row[0])

    def _transaction(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN")
        return self._connection


def _is_ours(path: Path) -> bool:
    connection = sqlite3.connect(path)
    try:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()
    return bool(found == _SCHEMA)


def statement_key(folder: SiteFolder) -> VerifyKey:
    """By which the gateway signs. Raises NotThere or BadInput."""
    return VerifyKey.from_base64(_keys(folder).statement_key)


def _keys(folder: SiteFolder) -> KeyStatement:
    path = folder.authority / "keys.dsse"
    try:
        envelope = Envelope.from_bytes(durable.read_capped(path, _KEYS_CAP).removesuffix(b"\n"))
        return KeyStatement.open_pinned(envelope, KeyId(folder.root_fingerprint))
    except durable.NotThere as error:
        raise NotThere(f"{path} is missing: it says whose word the directory is") from error
    except (durable.StorageError, WireError, SignatureRefused) as error:
        raise BadInput(f"{path}: {error}") from error


def _operator(request: object, digest: Digest | None) -> str | None:
    """Which operator asked, by the envelope that the change names; none for a ward lead's spare."""
    if digest is None or not isinstance(request, str):
        return None
    envelope = Envelope.from_bytes(decode_base64(request))
    if envelope.digest != digest:
        raise WireError("another request than the change names")
    if envelope.payloadType is PayloadType.SPARE_ASSIGNMENT:
        return None
    return ChangeRequest.from_bytes(decode_base64(envelope.payload)).operator
