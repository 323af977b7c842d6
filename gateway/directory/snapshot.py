"""The directory in one piece, for a terminal that has none or is too far behind.

A manifest is signed on demand for the newest version, and is a leaf of the log. Its chunks are
files under `state_dir/chunks`, named by their digest: streamed out of the database one at a time,
so that memory does not grow with the site. They can be made again at any time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract.directory import MAX_CHUNK_BYTES, MAX_CHUNKS, Chunk, ChunkList, DirectoryManifest
from contract.ids import Digest
from contract.signing import Envelope, sha256
from contract.tap import DirectoryVersion
from gateway.authority import Authority
from gateway.evidence.keeping import Evidence
from gateway.store import ManifestRow, Store
from runtime.durable import NotThere, make_folder, read_capped, remove, write_file

_log: Final = logging.getLogger(__name__)
# A terminal that is half-way through an older snapshot may finish it.
_KEPT_MANIFESTS: Final = 3


class NoSnapshot(Exception):
    """There is no version yet, or no chunk of that name (any more)."""


class TooManyEntries(Exception):
    """The directory does not fit a manifest (8 GiB): a site is far smaller."""


@dataclass(frozen=True, slots=True)
class _Made:
    manifest: ManifestRow
    files: frozenset[Digest]


class Snapshots:
    """Methods block: call them in a worker thread."""

    def __init__(
        self, store: Store, evidence: Evidence, authority: Authority, folder: Path
    ) -> None:
        """Raises StorageError."""
        self._store = store
        self._evidence = evidence
        self._authority = authority
        self._folder = folder
        self._turn = threading.Lock()
        self._made: list[_Made] = []
        make_folder(folder)

    def manifest(self, now_ms: int) -> bytes:
        """The envelope for the newest version. Raises NoSnapshot, StoreFailed, StorageError."""
        with self._turn:
            with self._store.read() as tx:
                newest = tx.directory.newest()
            if newest is None:
                raise NoSnapshot("the directory is empty")
            if not self._made or self._made[-1].manifest.version != newest[0]:
                self._made.append(self._make(now_ms))
                self._forget()
            return self._made[-1].manifest.envelope

    def chunk(self, digest: Digest) -> bytes:
        """A chunk or a chunk list. Raises NoSnapshot, StorageError."""
        try:
            return read_capped(self._folder / digest, MAX_CHUNK_BYTES)
        except NotThere as error:
            raise NoSnapshot("no such chunk") from error

    def _make(self, now_ms: int) -> _Made:
        with self._store.read() as tx:
            newest = tx.directory.newest()
            if newest is None:
                raise NoSnapshot("the directory is empty")
            version, head = newest
            chunks = [self._keep(data) for data in cut(tx.directory.all_entries())]
            known = tx.directory.manifest(version)
        if len(chunks) > MAX_CHUNKS:
            raise TooManyEntries(f"{len(chunks)} chunks")
        listing = ChunkList(chunks=tuple(chunks)).to_bytes()
        self._keep(listing)
        files = frozenset({sha256(listing), *(chunk.digest for chunk in chunks)})
        if known is not None and known.chunk_list == listing and self._is_ours(known):
            return _Made(known, files)
        envelope = DirectoryManifest(
            site=self._authority.site,
            version=DirectoryVersion.of(version),
            head=head,
            issued_ms=now_ms,
            entries=sum(chunk.entries for chunk in chunks),
            chunks=sha256(listing),
        ).seal(self._authority.statement)
        with self._evidence.log.appending() as work:
            leaf = work.add_statement(envelope)
            row = ManifestRow(version, leaf, envelope.to_bytes(), listing)
            work.tx.directory.put_manifest(row)
        _log.info("snapshot made", extra={"version": str(version), "chunks": len(chunks)})
        return _Made(row, files)

    def _is_ours(self, manifest: ManifestRow) -> bool:
        """Whether the present statement key signed it: nobody believes another one's."""
        key = Envelope.from_bytes(manifest.envelope).key_id
        return key == self._authority.statement.public.key_id

    def _keep(self, data: bytes) -> Chunk:
        digest = sha256(data)
        path = self._folder / digest
        if not path.is_file():
            write_file(path, data)
        return Chunk(digest=digest, size=len(data), entries=data.count(b"\n"))

    def _forget(self) -> None:
        """Removes files that belong to none of the newest snapshots, also those of earlier runs."""
        self._made = self._made[-_KEPT_MANIFESTS:]
        wanted = {name for made in self._made for name in made.files}
        for path in self._folder.iterdir():
            if path.name not in wanted:
                remove(path)


def cut(entries: Iterable[bytes]) -> Iterator[bytes]:
    """Entries, a line each, in pieces of at most MAX_CHUNK_BYTES."""
    piece: list[bytes] = []
    size = 0
    for line in entries:
        if piece and size + len(line) + 1 > MAX_CHUNK_BYTES:
            yield b"".join(piece)
            piece, size = [], 0
        piece.append(line + b"\n")
        size += len(line) + 1
    if piece:
        yield b"".join(piece)
