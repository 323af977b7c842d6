"""The directory at its source: operators' requests become changes, each making the next version.

- A request is believed when the operator's own key signed it: the key of the TLS certificate by
  which it came, issued by the operator CA.
- Request, change, the gateway's own event, rows and version are one transaction with their leaves.
- The same request sent again (an answer was lost) is answered again and changes nothing.
- What no terminal could use is refused here: a key that is none, a reserved name, a card that is
  already another holder's.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from contract.directory import (
    CATCH_UP_BYTES,
    CATCH_UP_CHANGES,
    MAX_CHANGE_BYTES,
    MAX_ENTRY_BYTES,
    ChangeRequest,
    DirectoryChange,
    Entitlement,
    Entry,
    Key,
    Removed,
    Terminal,
    entry_key,
    parse_entry,
)
from contract.events import DirectoryPublished
from contract.ids import Digest, OperatorId, Version
from contract.journal import join_lines, require_bodies, split_lines
from contract.signing import Algorithm, Envelope, SignatureRefused, VerifyKey
from contract.tap import DirectoryVersion
from contract.topics import GATEWAY, RESERVED
from contract.wire import WireError
from gateway.authority import Authority
from gateway.evidence import Evidence
from gateway.journal import Moment
from gateway.log import Appending
from gateway.register import Register
from gateway.store import ChangeRow, Store, StoreFailed

NO_VERSION = Version(0, 0)


class RequestRefused(Exception):
    """A request that is not to be believed or cannot be carried out. Says why, for the operator."""


class RequestConflicts(RequestRefused):
    """It contradicts what stands: another request under its nonce, or another holder's card."""


class VersionUnknown(Exception):
    """Changes do not lead on from that version: the terminal must take a snapshot."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks, by the certificate of the connection."""

    name: OperatorId
    key: VerifyKey


@dataclass(frozen=True, slots=True)
class Head:
    """The newest version and the digest of the change that made it."""

    version: Version
    digest: Digest | None


@dataclass(frozen=True, slots=True)
class Applied:
    """A committed change, to be published; `is_new` is false for a repeated request."""

    version: Version
    message: bytes
    is_new: bool


@dataclass(frozen=True, slots=True)
class _Asked:
    """A believed request with its entries, as parsed and as bytes."""

    envelope: Envelope
    request: ChangeRequest
    lines: tuple[bytes, ...]
    entries: tuple[Entry, ...]


class Directory:
    """Keeps the register in step. Methods block: call them in a worker thread."""

    def __init__(
        self, store: Store, evidence: Evidence, authority: Authority, register: Register
    ) -> None:
        """Reads what is committed. Raises StoreFailed."""
        self._store = store
        self._evidence = evidence
        self._authority = authority
        self._register = register
        self._turn = threading.Lock()
        self._head = Head(NO_VERSION, None)
        self._is_stale = True
        self._read_again()

    @property
    def head(self) -> Head:
        """Of what is committed."""
        return self._head

    def apply(self, message: bytes, operator: Operator, now: Moment) -> Applied:
        """Carries a request out. Raises RequestRefused, StoreFailed."""
        try:
            asked = self._open(message, operator)
        except (WireError, SignatureRefused) as error:
            raise RequestRefused(str(error)) from error
        with self._turn:
            if self._is_stale:
                self._read_again()
            with self._store.read() as tx:
                known = tx.directory.change_by_nonce(asked.request.nonce)
            if known is not None:
                if known.request != asked.envelope.digest:
                    raise RequestConflicts("another request was made under this nonce")
                return Applied(known.version, known.message, is_new=False)
            try:
                applied, self._head = self._commit(asked, now)
            except StoreFailed:
                # Whether it is on the disk is unknown until it is read again.
                self._is_stale = True
                self._read_again()
                raise
            self._register.apply(asked.entries)
        return applied

    def changes_after(self, version: Version) -> list[bytes]:
        """Messages of the next changes, as many as fit an answer; none when there are none.

        Raises VersionUnknown where only a snapshot helps: also when the next change fits no answer,
        or is of an earlier key epoch, whose statements no terminal believes any more.
        """
        with self._store.read() as tx:
            if version != NO_VERSION and tx.directory.change(version) is None:
                raise VersionUnknown(f"no version {version}")
            later = tx.directory.next_version(version)
            if later is not None and later.epoch != self._authority.keys.epoch:
                raise VersionUnknown(f"the change after {version} is of an earlier key epoch")
            messages: list[bytes] = []
            total = 0
            for message in tx.directory.changes_after(version, CATCH_UP_CHANGES):
                total += len(message)
                if total > CATCH_UP_BYTES:
                    if not messages:
                        raise VersionUnknown(f"the change after {version} is too large")
                    break
                messages.append(message)
            return messages

    def _read_again(self) -> None:
        with self._store.read() as tx:
            head = _head(tx.directory.newest_change())
        self._register.load(self._store)
        self._head, self._is_stale = head, False

    def _open(self, message: bytes, operator: Operator) -> _Asked:
        envelope, lines = split_lines(message, MAX_CHANGE_BYTES)
        request = ChangeRequest.open(envelope, operator.key)
        if request.site != self._authority.site:
            raise RequestRefused(f"the request is for site {request.site!r}")
        if request.operator != operator.name:
            raise RequestRefused("the request names another operator than the certificate")
        require_bodies(lines, request.entries, MAX_ENTRY_BYTES)
        entries = tuple(parse_entry(line) for line in lines)
        for entry in entries:
            _require_usable(entry)
        return _Asked(envelope, request, lines, entries)

    def _commit(self, asked: _Asked, now: Moment) -> tuple[Applied, Head]:
        with self._evidence.log.appending() as work:
            before = _head(work.tx.directory.newest_change())
            _write_entries(work, asked)
            work.add_statement(asked.envelope)
            version = before.version.next_in(self._authority.keys.epoch)
            change = DirectoryChange(
                site=self._authority.site,
                version=DirectoryVersion.of(version),
                previous=before.digest,
                request=asked.envelope.digest,
                issued_ms=now.wall_ms,
                entries=asked.request.entries,
            ).seal(self._authority.statement)
            message = join_lines(change, asked.lines)
            row = ChangeRow(
                version=version,
                digest=change.digest,
                leaf=work.add_statement(change),
                nonce=asked.request.nonce,
                request=asked.envelope.digest,
                message=message,
            )
            work.tx.directory.add_change(row)
            published = DirectoryPublished(
                request=asked.envelope.digest, directory=DirectoryVersion.of(version)
            )
            self._evidence.write_own(work, [published], now)
        return Applied(version, message, is_new=True), Head(version, change.digest)


def _head(newest: ChangeRow | None) -> Head:
    return Head(newest.version, newest.digest) if newest else Head(NO_VERSION, None)


def _require_usable(entry: Entry) -> None:
    match entry:
        case Terminal():
            if entry.terminal in (RESERVED, GATEWAY):
                raise RequestRefused(f"no terminal may be called {entry.terminal!r}")
            if VerifyKey.from_base64(entry.batch_key).algorithm is not Algorithm.P256:
                raise RequestRefused("a batch key is P-256")
        case Entitlement():
            for credential in entry.credentials:
                credential.verify_key()
        case _:
            pass


def _write_entries(work: Appending, asked: _Asked) -> None:
    """Puts the entries in order, the last under a key counting. Raises RequestConflicts."""
    rows = work.tx.directory
    standing = rows.entries({entry_key(entry) for entry in asked.entries})
    removed: set[Key] = set()
    written: dict[Key, bytes] = {}
    for entry, line in zip(asked.entries, asked.lines, strict=True):
        key = entry_key(entry)
        if isinstance(entry, Removed):
            standing.pop(key, None)
            written.pop(key, None)
            removed.add(key)
            continue
        if isinstance(entry, Entitlement) and key in standing:
            _require_same_holder(entry, standing[key])
        standing[key] = written[key] = line
    rows.replace_entries(sorted(removed - set(written)), written)


def _require_same_holder(entry: Entitlement, standing: bytes) -> None:
    before = parse_entry(standing)
    if isinstance(before, Entitlement) and before.holder != entry.holder:
        raise RequestConflicts(
            f"card {entry.guid} is {before.holder!r}'s: remove that entitlement first"
        )
