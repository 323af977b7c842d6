"""What a terminal believes: signed statements judged one by one (DESIGN §6; the shape is TUF's).

* Trust starts with the SHA-256 of the root's key, from provisioning. A key statement is believed if
  it carries that very root, is signed by it and names this site. A higher epoch replaces what is
  held, the same statement is up to date, another one of the same epoch is FORKED, a lower one
  ROLLED_BACK.
* Everything else must be signed by the statement key of the held key statement, in the envelope of
  its own type: verify, then parse. Any other key is KEY_UNKNOWN, a later key epoch KEYS_OLD (fetch
  the keys anew).
* A change applies if it is exactly the next version (n + 1, or n = 1 of a higher epoch) of the
  keys' own epoch and names the digest of the change held. A later one is a gap; the one held is up
  to date; the same version by another statement, or upon another past, is FORKED (the first of a
  new key epoch upon another past is a gap: a directory from a back-up). An older one is up to date:
  brokers repeat themselves.
* Its bodies must be entries, each of the digest listed for it, in order.
* A heartbeat names the version held and its head, or a later one. An older version in a heartbeat
  issued after the change held here is a rolled-back directory; issued before it, it is only LATE.

Pure: bytes and what is held go in, verdicts come out; no disk, socket or clock.
A whole directory at once (manifest and chunks) is judged by `firmware_py.trust.snapshot`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from contract.directory import (
    MAX_CHANGE_BYTES,
    MAX_ENTRY_BYTES,
    DirectoryChange,
    DirectoryManifest,
    Entitlement,
    Entry,
    EntryKind,
    Key,
    Removed,
    Status,
    UnreadPolicy,
    entry_key,
    read_entry,
)
from contract.ids import Digest, Guid, KeyId, SiteId, Version
from contract.journal import require_bodies, split_lines
from contract.signing import (
    Algorithm,
    Envelope,
    SignatureRefused,
    VerifyKey,
    sha256,
)
from contract.statements import Heartbeat, KeyStatement, RootRefused
from contract.wire import WireError

NOTHING: Final = Version(0, 0)


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
    """Of a key epoch earlier than the one held."""
    KEYS_OLD = "keys-old"
    """Of a key epoch later than the one held: fetch the key statement."""
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

    @classmethod
    def of(cls, line: bytes) -> tuple[Row, Entry | None]:
        """The row of an entry's line, and the entry; null: a policy that cannot be read.

        Raises WireError.
        """
        entry = read_entry(line)
        if isinstance(entry, UnreadPolicy):
            return cls(EntryKind.POLICY, entry.ward, line), None
        kind, id_ = entry_key(entry)
        return cls(kind, id_, None if isinstance(entry, Removed) else line), entry


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
        return frozenset(
            entry.guid
            for entry in self.entries
            if isinstance(entry, Entitlement) and entry.status is Status.LOST
        )


@dataclass(frozen=True, slots=True)
class Apply:
    """The next change: store it, then act on it."""

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
        """Whether somebody should know: all but a late heartbeat and keys to be fetched."""
        return self.fault is not Fault.LATE and not self.of_other_keys

    @property
    def of_other_keys(self) -> bool:
        """Whether the site's keys may be newer than the ones held."""
        return self.fault in {Fault.KEY_UNKNOWN, Fault.KEYS_OLD}


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


def judge_keys(
    data: bytes, fingerprint: KeyId, site: SiteId, held: Keys | None
) -> Replace | UpToDate | Refused:
    """A key statement's envelope. `fingerprint` is the pinned SHA-256 of the root's key."""
    try:
        keys = _open_keys(data, fingerprint)
    except StatementRefused as refused:
        return Refused(refused.fault, sha256(data))
    except (WireError, SignatureRefused):
        return Refused(Fault.MALFORMED, sha256(data))
    fault = _keys_fault(keys, site, held)
    if fault is not None:
        return Refused(fault, sha256(data))
    if held is not None and keys.epoch == held.epoch:
        return UpToDate()
    return Replace(keys)


def judge_change(message: bytes, keys: Keys, held: Held) -> Apply | UpToDate | GapTo | Refused:
    """A `DirectoryChange` envelope and its entry lines (`join_lines`)."""
    try:
        envelope, lines = split_lines(message, MAX_CHANGE_BYTES)
        change = open_statement(DirectoryChange, envelope, keys)
    except StatementRefused as refused:
        return Refused(refused.fault, sha256(message))
    except WireError:
        return Refused(Fault.MALFORMED, sha256(message))
    version = change.version.value
    if version <= held.version:
        fork = version == held.version and envelope.digest != held.head
        return Refused(Fault.FORKED, sha256(message)) if fork else UpToDate()
    if version.epoch != keys.epoch or version.n == 0:
        fault = Fault.KEYS_OLD if version.epoch > keys.epoch else Fault.EPOCH
        return Refused(fault, sha256(message))
    if version != held.version.next_in(version.epoch):
        return GapTo(version)
    if change.previous != held.head:
        # The first of a new key epoch may go on from a back-up: then a snapshot leads there.
        if version.epoch > held.version.epoch:
            return GapTo(version)
        return Refused(Fault.FORKED, sha256(message))
    try:
        require_bodies(lines, change.entries, MAX_ENTRY_BYTES)
        parsed = [Row.of(line) for line in lines]
    except WireError:
        return Refused(Fault.BODY, sha256(message))
    later = Held(version, envelope.digest, change.issued_ms)
    rows, entries = tuple(row for row, _ in parsed), tuple(entry for _, entry in parsed if entry)
    return Apply(Change(later, rows, entries, envelope))


def judge_heartbeat(data: bytes, keys: Keys, held: Held) -> Beat | Refused:
    """A heartbeat's envelope. What it says of the time is `sitetime`'s to judge."""
    try:
        envelope = Envelope.from_bytes(data)
        heartbeat = open_statement(Heartbeat, envelope, keys)
    except StatementRefused as refused:
        return Refused(refused.fault, sha256(data))
    except WireError:
        return Refused(Fault.MALFORMED, sha256(data))
    version = heartbeat.version.value
    if version.epoch > keys.epoch:
        return Refused(Fault.KEYS_OLD, sha256(data))
    if version.n == 0 and held.version == NOTHING:
        return Beat(heartbeat, envelope, Standing.CONFIRMS)
    if version < held.version:
        late = heartbeat.issued_ms <= held.issued_ms
        return Refused(Fault.LATE if late else Fault.ROLLED_BACK, sha256(data))
    if version > held.version:
        return Beat(heartbeat, envelope, Standing.AHEAD)
    if heartbeat.head != held.head:
        return Refused(Fault.FORKED, sha256(data))
    return Beat(heartbeat, envelope, Standing.CONFIRMS)


class StatementRefused(Exception):
    """A statement that is not the site's. Carries the fault."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(fault)


S = TypeVar("S", Heartbeat, DirectoryChange, DirectoryManifest)


def open_statement(kind: type[S], envelope: Envelope, keys: Keys) -> S:
    """The statement, once it is signed by the held statement key and of this site.

    Raises StatementRefused; WireError when signed bytes are no such statement.
    """
    if envelope.key_id != keys.statement_key.key_id:
        raise StatementRefused(Fault.KEY_UNKNOWN)
    try:
        statement = kind.open(envelope, keys.statement_key)
    except SignatureRefused as error:
        raise StatementRefused(Fault.SIGNATURE) from error
    if statement.site != keys.site:
        raise StatementRefused(Fault.WRONG_SITE)
    return statement


def _open_keys(data: bytes, fingerprint: KeyId) -> Keys:
    envelope = Envelope.from_bytes(data)
    try:
        statement = KeyStatement.open_pinned(envelope, fingerprint)
    except RootRefused as error:
        raise StatementRefused(Fault.WRONG_ROOT) from error
    except SignatureRefused as error:
        raise StatementRefused(Fault.SIGNATURE) from error
    root_key = VerifyKey.from_base64(statement.root)
    statement_key = VerifyKey.from_base64(statement.statement_key)
    log_key = VerifyKey.from_base64(statement.log.key)
    kinds = (root_key.algorithm, statement_key.algorithm, log_key.algorithm)
    if kinds != (Algorithm.P256, Algorithm.P256, Algorithm.ED25519):
        raise SignatureRefused("a key of another kind than its use asks for")
    return Keys(statement, envelope, statement_key, log_key)


def _keys_fault(keys: Keys, site: SiteId, held: Keys | None) -> Fault | None:
    if keys.site != site:
        return Fault.WRONG_SITE
    if held is None or keys.epoch > held.epoch:
        return None
    if keys.epoch < held.epoch:
        return Fault.ROLLED_BACK
    return None if keys.envelope.digest == held.envelope.digest else Fault.FORKED
