"""A whole directory at once: the manifest, its chunk list and its chunks, judged as they stream in.

* A manifest is taken if its version is later than the highest ever held (also when the database was
  lost since); the very version held is up to date unless what is held here is less; an older one is
  ROLLED_BACK, the same version with another head FORKED.
* The chunk list must be the one the manifest names, and count what the manifest counts.
* A chunk must have the digest, size and count listed; its lines are entries, sorted by (kind, id)
  through all chunks, none twice and none removed. All of it is there, or none of it counts.

Pure, like `statements`: one chunk in memory at a time, whoever calls fetches and stores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from contract.directory import MAX_ENTRY_BYTES, Chunk, ChunkList, DirectoryManifest, Key
from contract.ids import Digest
from contract.signing import Envelope, sha256
from contract.wire import WireError
from firmware_py.trust.statements import (
    Fault,
    Held,
    Keys,
    Refused,
    Row,
    StatementRefused,
    UpToDate,
    open_statement,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A snapshot being read: a value; each body taken gives the next."""

    manifest: DirectoryManifest
    envelope: Envelope
    """A leaf of the evidence log, like a change's."""
    chunks: ChunkList | None = None
    taken: int = 0
    entries: int = 0
    last: Key | None = None

    @property
    def held(self) -> Held:
        """What is held once all of it is stored."""
        manifest = self.manifest
        return Held(manifest.version.value, manifest.head, manifest.issued_ms)

    @property
    def wanted(self) -> Digest | None:
        """Digest of what to fetch next (`/v1/directory/chunks/{digest}`); null when all is read."""
        if self.chunks is None:
            return self.manifest.chunks
        if self.taken < len(self.chunks.chunks):
            return self.chunks.chunks[self.taken].digest
        return None

    @property
    def complete(self) -> bool:
        """Everything is read: the store may swap it in."""
        return self.wanted is None


@dataclass(frozen=True, slots=True)
class Taken:
    """Bytes that were wanted: the reading goes on, these rows are to be stored."""

    reading: Reading
    rows: tuple[Row, ...]


def judge_manifest(
    data: bytes, keys: Keys, highest: Held, held: Held
) -> Reading | UpToDate | Refused:
    """A manifest's envelope; a `Reading` says what to fetch.

    `highest` is the highest version ever held (`trust_store.Remembered`), `held` what the
    database has now: less, when it was damaged and is to be filled again.
    """
    try:
        envelope = Envelope.from_bytes(data)
        manifest = open_statement(DirectoryManifest, envelope, keys)
    except StatementRefused as refused:
        return Refused(refused.fault, sha256(data))
    except WireError:
        return Refused(Fault.MALFORMED, sha256(data))
    version = manifest.version.value
    known = max(highest, held, key=lambda one: one.version)
    if version.epoch > keys.epoch:
        return Refused(Fault.KEYS_OLD, sha256(data))
    if version.n == 0:
        return Refused(Fault.EPOCH, sha256(data))
    if version < known.version:
        return Refused(Fault.ROLLED_BACK, sha256(data))
    if version == known.version and manifest.head != known.head:
        return Refused(Fault.FORKED, sha256(data))
    if version == held.version:
        return UpToDate()
    return Reading(manifest, envelope)


def take(reading: Reading, data: bytes) -> Taken | Refused:
    """The bytes that `reading.wanted` names: first the chunk list (no rows), then each chunk."""
    if reading.wanted is None or sha256(data) != reading.wanted:
        return Refused(Fault.BODY, sha256(data))
    try:
        if reading.chunks is None:
            return Taken(_with_list(reading, data), ())
        return _with_chunk(reading, reading.chunks.chunks[reading.taken], data)
    except WireError:
        return Refused(Fault.BODY, sha256(data))


def _with_list(reading: Reading, data: bytes) -> Reading:
    chunks = ChunkList.from_bytes(data)
    if sum(chunk.entries for chunk in chunks.chunks) != reading.manifest.entries:
        raise WireError("the chunk list does not count what the manifest counts")
    return replace(reading, chunks=chunks)


def _with_chunk(reading: Reading, chunk: Chunk, data: bytes) -> Taken:
    lines = data.split(b"\n")
    if len(data) != chunk.size or lines.pop() != b"" or len(lines) != chunk.entries:
        raise WireError("a chunk is not as it is listed")
    rows, last = [], reading.last
    for line in lines:
        if len(line) > MAX_ENTRY_BYTES:
            raise WireError(f"more than {MAX_ENTRY_BYTES} bytes")
        row, _ = Row.of(line)
        if row.line is None or (last is not None and row.key <= last):
            raise WireError("a snapshot's entries are sorted, none twice and none removed")
        rows.append(row)
        last = row.key
    later = replace(
        reading, taken=reading.taken + 1, entries=reading.entries + len(rows), last=last
    )
    return Taken(later, tuple(rows))
