"""What a terminal believes: signed statements judged one by one (DESIGN §6; the shape is TUF's).

* Trust starts with the SHA-256 of the root's key, from provisioning. A key statement is believed if
  it carries that very root, is signed by it and names this site. A higher epoch replaces what is
  held, the same statement is up to date, another one of the same epoch is FORKED, a lower one
  ROLLED_BACK.
* Everything else must be signed by the statement key of the held key statement, in the envelope of its
  own type: verify, then parse. A key that is not held is KEY_UNKNOWN (fetch the keys anew).
* A change applies if it is exactly the next version (n + 1, or n = 1 of a higher epoch that is the
  keys' own) and names the digest of the change held. A later one is a gap; the one held is up to date;
  the same version by another statement, or another past, is FORKED. An older one is up to date: brokers
  repeat themselves.
* Its bodies must be entries, each of the digest listed for it, in order.
* A manifest is taken if its version is later than the one held (the highest ever held, also when the
  database was lost); older is ROLLED_BACK, the same with another head FORKED. Chunks must have
  digest, size and count as listed, entries sorted, none twice and none removed; all are there or none counts.
* A heartbeat names the version held and its head, or a later one. An older version in a heartbeat
  that was issued after the change held here is a rolled-back directory; issued before it, only late.

Pure: bytes and what is held go in, verdicts come out; no disk, socket or clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from contract.directory import ChunkList, DirectoryManifest, Entry, EntryKind, Key
from contract.ids import Digest, Guid, SiteId, Version
from contract.signing import Envelope, VerifyKey
from contract.statements import Heartbeat, KeyStatement

NOTHING = Version(0, 0)


class Fault(StrEnum):
    """Why a statement was refused."""

    MALFORMED = "malformed"
    KEY_UNKNOWN = "key-unknown"
    """Signed by a key that is not the one held: fetch the key statement."""
    SIGNATURE = "signature"
    WRONG_SITE = "wrong-site"
    WRONG_ROOT = "wrong-root"
    ROLLED_BACK = "rolled-back"
    FORKED = "forked"
    EPOCH = "epoch"
    """Of a key epoch other than the one held."""
    BODY = "body"
    """A body that is not what the signed statement lists."""
    LATE = "late"
    """An older heartbeat that was overtaken: no news, and no harm."""


@dataclass(frozen=True, slots=True)
class Keys:
    """A verified key statement, ready for use."""

    statement: KeyStatement
    envelope: Envelope
    statement_key: VerifyKey
    log_key: VerifyKey

    @property
    def site(self) -> SiteId:
        return self.statement.site

    @property
    def epoch(self) -> int:
        return self.statement.epoch


@dataclass(frozen=True, slots=True)
class Held:
    """The directory version held: its change's digest and time. `NOTHING` before the first."""

    version: Version = NOTHING
    head: Digest | None = None
    issued_ms: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One entry as it is stored: its exact line, or null where it is taken away."""

    kind: EntryKind
    id: str
    line: bytes | None

    @property
    def key(self) -> Key:
        return self.kind, self.id


@dataclass(frozen=True, slots=True)
class Change:
    """A verified change: `rows` for the store, `entries` for whoever must act on them."""

    held: Held
    """What is held once it is applied."""
    rows: tuple[Row, ...]
    entries: tuple[Entry, ...]
    envelope: Envelope
    """A leaf of the evidence log: to be asked for by inclusion later."""

    @property
    def lost(self) -> frozenset[Guid]:
        """Cards that are lost, stolen or withdrawn for cause by this change."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Apply:
    change: Change


@dataclass(frozen=True, slots=True)
class UpToDate:
    """Nothing new, nothing wrong."""


@dataclass(frozen=True, slots=True)
class GapTo:
    """Something before it is missing: fetch what leads to this version."""

    version: Version


@dataclass(frozen=True, slots=True)
class Refused:
    """Not believed. `subject` is the SHA-256 of the bytes refused, for the alarm."""

    fault: Fault
    subject: Digest

    @property
    def alarming(self) -> bool:
        """Whether somebody should know: all but a late heartbeat and a key to be fetched."""
        return self.fault not in {Fault.LATE, Fault.KEY_UNKNOWN}


@dataclass(frozen=True, slots=True)
class Replace:
    """A key statement to hold from now on."""

    keys: Keys


class Standing(StrEnum):
    """How a heartbeat's version stands to the one held."""

    CONFIRMS = "confirms"
    """What is held is the newest."""
    AHEAD = "ahead"
    """There is a newer one: fetch the changes."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A verified heartbeat. `envelope.digest` is what a card record names."""

    heartbeat: Heartbeat
    envelope: Envelope
    standing: Standing


@dataclass(frozen=True, slots=True)
class Reading:
    """A snapshot being read: a value; each chunk taken gives the next."""

    manifest: DirectoryManifest
    envelope: Envelope
    held: Held
    """What is held once all of it is stored. (`issued_ms` is the manifest's.)"""
    chunks: ChunkList | None = None
    taken: int = 0
    entries: int = 0
    last: Key | None = None

    @property
    def wanted(self) -> Digest | None:
        """Digest of what to fetch next (`/v1/directory/chunks/{digest}`); null when all is read."""
        raise NotImplementedError

    @property
    def complete(self) -> bool:
        return self.wanted is None


@dataclass(frozen=True, slots=True)
class Taken:
    """Bytes that were wanted: the reading goes on, these rows are to be stored."""

    reading: Reading
    rows: tuple[Row, ...]


def judge_keys(
    data: bytes, fingerprint: Digest, site: SiteId, held: Keys | None
) -> Replace | UpToDate | Refused:
    """A key statement's envelope. `fingerprint` is the pinned SHA-256 of the root's key."""
    raise NotImplementedError


def judge_change(message: bytes, keys: Keys, held: Held) -> Apply | UpToDate | GapTo | Refused:
    """A `DirectoryChange` envelope and its entry lines (`join_lines`)."""
    raise NotImplementedError


def judge_manifest(data: bytes, keys: Keys, held: Held) -> Reading | UpToDate | Refused:
    """A manifest's envelope; a `Reading` says what to fetch.

    `held` is the highest ever held (`store.Memory` keeps it), not what a damaged database still has.
    """
    raise NotImplementedError


def take(reading: Reading, data: bytes) -> Taken | Refused:
    """The bytes that `reading.wanted` names: first the chunk list (no rows), then each chunk."""
    raise NotImplementedError


def judge_heartbeat(data: bytes, keys: Keys, held: Held) -> Beat | Refused:
    """A heartbeat's envelope. What it says of the time is `sitetime`'s to judge."""
    raise NotImplementedError
