"""The directory's rows: entries as they are now, changes as they were published, manifests."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from contract.directory import EntryKind, Key
from contract.ids import Digest, Version
from gateway.store import schema
from gateway.store.rows import Rows


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A change: `message` as it was published, `nonce` that of the operator's request."""

    version: Version
    digest: Digest
    leaf: int
    nonce: str | None
    request: Digest | None
    message: bytes


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """Everything at one version; the chunks themselves are files, made again when they are gone."""

    version: Version
    leaf: int
    envelope: bytes
    chunk_list: bytes


class DirectoryRows(Rows):
    """Entries, changes, manifests."""

    def newest(self) -> tuple[Version, Digest] | None:
        """The newest version and the digest of its change."""
        table = schema.changes
        order = (table.c.epoch.desc(), table.c.n.desc())
        query = sa.select(table.c.epoch, table.c.n, table.c.digest).order_by(*order).limit(1)
        row = self._connection.execute(query).one_or_none()
        return (Version(row.epoch, row.n), row.digest) if row else None

    def change_by_nonce(self, nonce: str) -> ChangeRow | None:
        return self._change(sa.select(schema.changes).where(schema.changes.c.nonce == nonce))

    def change(self, version: Version) -> ChangeRow | None:
        table = schema.changes
        at = (table.c.epoch == version.epoch) & (table.c.n == version.n)
        return self._change(sa.select(table).where(at))

    def next_version(self, version: Version) -> Version | None:
        """Of the change that follows a version; None when none does."""
        table = schema.changes
        query = sa.select(table.c.epoch, table.c.n).where(_later(version))
        row = self._connection.execute(query.order_by(table.c.epoch, table.c.n).limit(1)).first()
        return None if row is None else Version(row.epoch, row.n)

    def changes_after(self, version: Version, most: int) -> Iterator[bytes]:
        """Messages of the next changes after a version, in order."""
        table = schema.changes
        query = sa.select(table.c.message).where(_later(version))
        query = query.order_by(table.c.epoch, table.c.n)
        rows = self._connection.execute(query.limit(most))
        return (row.message for row in rows)

    def requests_after(self, version: Version, most: int) -> list[tuple[Version, Digest | None]]:
        """The next versions after one, and the operators' requests that made them."""
        table = schema.changes
        columns = (table.c.epoch, table.c.n, table.c.request)
        query = sa.select(*columns).where(_later(version)).order_by(table.c.epoch, table.c.n)
        rows = self._connection.execute(query.limit(most))
        return [(Version(row.epoch, row.n), row.request) for row in rows]

    def changes_in(self, size: int) -> Iterator[bytes]:
        """Messages of the changes among the first `size` leaves, in order."""
        table = schema.changes
        query = sa.select(table.c.message).where(table.c.leaf < size)
        return (row.message for row in self._stream(query.order_by(table.c.epoch, table.c.n)))

    def add_change(self, change: ChangeRow) -> None:
        row = {
            "epoch": change.version.epoch,
            "n": change.version.n,
            "digest": change.digest,
            "leaf": change.leaf,
            "nonce": change.nonce,
            "request": change.request,
            "message": change.message,
        }
        self._insert(schema.changes, [row])

    def entries(self, keys: Collection[Key]) -> dict[Key, bytes]:
        """The entries that stand under these keys."""
        table = schema.entries
        found: dict[Key, bytes] = {}
        for kind in sorted({kind for kind, _ in keys}):
            names = {name for of, name in keys if of is kind}
            # With the kind it is a look-up by the whole key; without, every entry would be read.
            query = sa.select(table.c.id, table.c.line)
            query = query.where(table.c.kind == kind.value, table.c.id.in_(names))
            found |= {(kind, row.id): row.line for row in self._connection.execute(query)}
        return found

    def all_entries(self, kind: EntryKind | None = None) -> Iterator[bytes]:
        """Every entry (of a kind), ordered by (kind, id), streamed."""
        table = schema.entries
        query = sa.select(table.c.line).order_by(table.c.kind, table.c.id)
        if kind is not None:
            query = query.where(table.c.kind == kind.value)
        return (row.line for row in self._stream(query))

    def replace_entries(self, removed: Sequence[Key], written: dict[Key, bytes]) -> None:
        """Takes `removed` away, then puts `written`, whatever stood there."""
        table = schema.entries
        gone = [{"of_kind": kind.value, "of_id": name} for kind, name in (*removed, *written)]
        at = (table.c.kind == sa.bindparam("of_kind")) & (table.c.id == sa.bindparam("of_id"))
        self._connection.execute(sa.delete(table).where(at), gone)
        rows = [
            {"kind": kind.value, "id": name, "line": line} for (kind, name), line in written.items()
        ]
        self._insert(table, rows)

    def manifest(self, version: Version) -> ManifestRow | None:
        table = schema.manifests
        at = (table.c.epoch == version.epoch) & (table.c.n == version.n)
        row = self._connection.execute(sa.select(table).where(at)).one_or_none()
        if row is None:
            return None
        return ManifestRow(version, row.leaf, row.envelope, row.chunk_list)

    def put_manifest(self, manifest: ManifestRow) -> None:
        """The one of its version, in the place of another."""
        table = schema.manifests
        version = manifest.version
        at = (table.c.epoch == version.epoch) & (table.c.n == version.n)
        self._connection.execute(sa.delete(table).where(at))
        row = {
            "epoch": manifest.version.epoch,
            "n": manifest.version.n,
            "leaf": manifest.leaf,
            "envelope": manifest.envelope,
            "chunk_list": manifest.chunk_list,
        }
        self._insert(schema.manifests, [row])

    def _change(self, query: sa.Select[Any]) -> ChangeRow | None:
        row = self._connection.execute(query).one_or_none()
        if row is None:
            return None
        version = Version(row.epoch, row.n)
        return ChangeRow(version, row.digest, row.leaf, row.nonce, row.request, row.message)


def _later(version: Version) -> sa.ColumnElement[bool]:
    table = schema.changes
    return (table.c.epoch > version.epoch) | (
        (table.c.epoch == version.epoch) & (table.c.n > version.n)
    )
