"""Operators' requests, opened and checked: who is believed, and what no terminal could use.

- A request is believed when the operator's own key signed it: the key of the TLS certificate by
  which it came, issued by the operator CA.
- Refused are a key that is none, a reserved name, a card that is already another holder's, and a
  card that was revoked or lost and would serve again.
"""

from __future__ import annotations

from dataclasses import dataclass

from contract.administration import FINAL, is_lock
from contract.directory import (
    MAX_CHANGE_BYTES,
    MAX_ENTRY_BYTES,
    ChangeRequest,
    DirectoryChange,
    Entitlement,
    Entry,
    EntryKind,
    Key,
    Removed,
    Spare,
    Terminal,
    entry_key,
    parse_entry,
)
from contract.governing import Denial
from contract.ids import OperatorId, SiteId
from contract.journal import join_lines, require_bodies, split_lines
from contract.signing import Algorithm, Envelope, SignatureRefused, VerifyKey
from contract.topics import GATEWAY, RESERVED
from contract.wire import WireError, decode_base64
from gateway.directory import guard
from gateway.directory.taking import Taken, taken_by
from gateway.store import Claim, Transaction


class RequestRefused(Exception):
    """A request that is not to be believed or cannot be carried out. Says why, for the operator."""

    def __init__(self, words: str, denial: Denial = Denial.UNUSABLE) -> None:
        super().__init__(words)
        self.denial = denial


class RequestConflicts(RequestRefused):
    """It contradicts what stands: another request under its nonce, another holder's card, ..."""

    def __init__(self, words: str) -> None:
        super().__init__(words, Denial.CONFLICT)


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks, by the certificate of the connection."""

    name: OperatorId
    key: VerifyKey


@dataclass(frozen=True, slots=True)
class Asked:
    """A believed request with its entries, as parsed and as bytes."""

    envelope: Envelope
    request: ChangeRequest
    lines: tuple[bytes, ...]
    entries: tuple[Entry, ...]

    def to_bytes(self) -> bytes:
        """As it came."""
        return join_lines(self.envelope, self.lines)

    @property
    def final(self) -> dict[Key, tuple[Entry, bytes]]:
        """What stands under each key afterwards: the last entry counts."""
        pairs = zip(self.entries, self.lines, strict=True)
        return {entry_key(entry): (entry, line) for entry, line in pairs}


@dataclass(frozen=True, slots=True)
class Difference:
    """What a request makes of the directory as it stands."""

    removed: tuple[Key, ...]
    written: dict[Key, bytes]
    cards: tuple[str, ...]
    """GUIDs of the entitlements among them, ..."""
    claims: tuple[Claim, ...]
    """... what these give afterwards, ..."""
    withdrawn: tuple[str, ...]
    """... and which of them never serve again."""
    taken: Taken
    """... and what it takes besides people."""
    takes: bool
    """Whether somebody may have less than before: the guard must count."""
    lock: bool
    """One card's suspension or loss, and nothing else."""


def open_request(message: bytes, operator: Operator, site: SiteId) -> Asked:
    """Verify, then parse. Raises RequestRefused."""
    try:
        envelope, lines = split_lines(message, MAX_CHANGE_BYTES)
    except WireError as error:
        raise RequestRefused(str(error), Denial.MALFORMED) from error
    try:
        request = ChangeRequest.open(envelope, operator.key)
    except (WireError, SignatureRefused) as error:
        raise RequestRefused(str(error), Denial.NOT_BELIEVED) from error
    require_own(request.site, request.operator, site, operator)
    asked = _with_entries(envelope, request, lines)
    for entry in asked.entries:
        _require_usable(entry)
    return asked


def reopen(message: bytes) -> Asked:
    """A request out of our own database, where it came only after `open_request`."""
    envelope, lines = split_lines(message, MAX_CHANGE_BYTES)
    request = ChangeRequest.from_bytes(decode_base64(envelope.payload))
    return _with_entries(envelope, request, lines)


def reopen_change(message: bytes) -> DirectoryChange:
    """A change of our own, out of our own database."""
    envelope = Envelope.from_bytes(message.partition(b"\n")[0])
    return DirectoryChange.from_bytes(decode_base64(envelope.payload))


def require_own(site: SiteId, name: OperatorId, ours: SiteId, operator: Operator) -> None:
    """A statement of this site, by whom the certificate names. Raises RequestRefused."""
    if site != ours:
        raise RequestRefused(f"the request is for site {site!r}", Denial.NOT_BELIEVED)
    if name != operator.name:
        words = "the request names another operator than the certificate"
        raise RequestRefused(words, Denial.NOT_BELIEVED)


def _with_entries(envelope: Envelope, request: ChangeRequest, lines: tuple[bytes, ...]) -> Asked:
    try:
        require_bodies(lines, request.entries, MAX_ENTRY_BYTES)
        entries = tuple(parse_entry(line) for line in lines)
    except WireError as error:
        raise RequestRefused(str(error), Denial.MALFORMED) from error
    return Asked(envelope, request, lines, entries)


def _require_usable(entry: Entry) -> None:
    try:
        match entry:
            case Terminal():
                if entry.terminal in (RESERVED, GATEWAY):
                    raise RequestRefused(f"no terminal may be called {entry.terminal!r}")
                if VerifyKey.from_base64(entry.batch_key).algorithm is not Algorithm.P256:
                    raise RequestRefused("a batch key is P-256")
            case Entitlement() | Spare():
                for credential in entry.credentials:
                    credential.verify_key()
            case _:
                pass
    except SignatureRefused as error:
        raise RequestRefused(str(error)) from error


def compare(tx: Transaction, asked: Asked) -> Difference:
    """What it makes of what stands, the last entry under a key counting.

    Raises RequestConflicts.
    """
    keys = {entry_key(entry) for entry in asked.entries}
    standing = tx.directory.entries(keys)
    cards = tuple(sorted(name for kind, name in keys if kind is EntryKind.ENTITLEMENT))
    before = [found for guid in cards if (found := _entitlement(standing, guid))]
    withdrawn = _follow(asked, standing, tx.claims.withdrawn(cards) if cards else set())
    final = asked.final
    after = [entry for entry, _ in final.values() if isinstance(entry, Entitlement)]
    given = [claim for each in after for claim in guard.claims_of(each)]
    one = len(asked.entries) == len(before) == len(after) == 1
    taken = taken_by(standing, (entry for entry, _ in final.values()))
    ends = guard.may_end((c for each in before for c in guard.claims_of(each)), given)
    return Difference(
        removed=tuple(sorted(k for k, (entry, _) in final.items() if isinstance(entry, Removed))),
        written={k: line for k, (entry, line) in final.items() if not isinstance(entry, Removed)},
        cards=cards,
        claims=tuple(given),
        withdrawn=tuple(sorted(withdrawn)),
        taken=taken,
        takes=ends or bool(taken),
        lock=one and is_lock(before[0], after[0]),
    )


def _follow(asked: Asked, standing: dict[Key, bytes], withdrawn: set[str]) -> set[str]:
    """Goes through the entries in order; returns the cards that never serve again by them."""
    held: dict[str, str] = {}
    fresh: set[str] = set()
    for entry in asked.entries:
        if isinstance(entry, Removed) and entry.kind is EntryKind.ENTITLEMENT:
            held[entry.id] = ""
        if not isinstance(entry, Entitlement):
            continue
        guid = entry.guid
        if guid not in held:
            before = _entitlement(standing, guid)
            held[guid] = before.holder if before else ""
        if held[guid] not in ("", entry.holder):
            raise RequestConflicts(
                f"card {guid} is {held[guid]!r}'s: remove that entitlement first"
            )
        if entry.status in FINAL:
            fresh.add(guid)
        elif guid in withdrawn | fresh:
            raise RequestConflicts(
                f"card {guid} was revoked or lost; only a suspension is lifted: give another card"
            )
        held[guid] = entry.holder
    return fresh - withdrawn


def _entitlement(standing: dict[Key, bytes], guid: str) -> Entitlement | None:
    line = standing.get((EntryKind.ENTITLEMENT, guid))
    entry = parse_entry(line) if line else None
    return entry if isinstance(entry, Entitlement) else None
