"""How a change set, or a request that stopped, stands: read out of its rows, papers opened."""

from __future__ import annotations

from dataclasses import dataclass

from contract.administration import Approval, ChangeSet, Findings
from contract.directory import Key, entry_key, parse_entry
from contract.governing import Denial
from contract.ids import Digest
from contract.signing import Envelope, SignatureRefused
from contract.wire import WireError, decode_base64
from gateway.directory.requests import Asked, Operator, RequestConflicts, RequestRefused
from gateway.directory.source import Applied
from gateway.evidence.journal import Moment
from gateway.store import HeldKind, HeldRow, HeldState, Transaction

# Others' changes since a set's base that are looked through before it must be made anew.
MOST_BETWEEN = 1_000


class NothingWaits(RequestRefused):
    """Nothing of that digest is here (any more)."""

    def __init__(self, words: str = "nothing of this digest is here") -> None:
        super().__init__(words, Denial.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a set, or a request that waits, stands. `applied` is what this step published."""

    row: HeldRow
    requests: int
    missing: tuple[int, ...]
    """Places of requests that have not come in."""
    left: int
    """Requests that are still to be carried out."""
    applied: Applied | None = None

    @property
    def findings(self) -> Findings:
        return Findings.from_bytes(self.row.findings)


def is_overtaken(tx: Transaction, row: HeldRow) -> bool:
    """Whether somebody else changed, since its base, what this would change."""
    own = set(requests_of(row))
    between = tx.directory.requests_after(row.base, MOST_BETWEEN)
    if len(between) == MOST_BETWEEN:
        return True
    for version, request in between:
        change = None if request in own else tx.directory.change(version)
        if change and tx.held.named(row.subject, _keys_of(change.message)):
            return True
    return False


def _keys_of(message: bytes) -> set[Key]:
    return {entry_key(parse_entry(line)) for line in message.split(b"\n")[1:]}


def find_standing(tx: Transaction, subject: Digest) -> Standing:
    """Raises NothingWaits."""
    row = tx.held.get(subject)
    if row is None:
        raise NothingWaits
    return standing_of(tx, row)


def standing_of(tx: Transaction, row: HeldRow) -> Standing:
    """How it stands now."""
    requests = len(requests_of(row)) or 1
    places = tx.held.places(row.subject)
    is_open = row.state is HeldState.OPEN
    missing = tuple(place for place in range(requests) if place not in places) if is_open else ()
    return Standing(row, requests, missing, requests if is_open else len(places))


def requests_of(row: HeldRow) -> tuple[Digest, ...]:
    """Of a set, as its envelope names them; its signature held when it came."""
    if row.kind is HeldKind.REQUEST:
        return ()
    payload = decode_base64(Envelope.from_bytes(row.envelope).payload)
    return ChangeSet.from_bytes(payload).requests


def require_live(tx: Transaction, subject: Digest, now: Moment) -> HeldRow:
    """Raises NothingWaits, RequestConflicts."""
    row = tx.held.get(subject)
    if row is None:
        raise NothingWaits
    if row.until_ms <= now.wall_ms:
        raise RequestConflicts("it is too old: make the difference anew")
    return row


def require_once(tx: Transaction, subject: Digest, asked: Asked) -> set[Key]:
    """The keys of its entries, none of them named elsewhere in the set."""
    keys = set(asked.final)
    if len(keys) != len(asked.entries) or tx.held.named(subject, keys):
        raise RequestRefused("a set names each entry once")
    return keys


def is_same_person(row: HeldRow, operator: Operator) -> bool:
    """By name, or by key: either is enough to be the one who asked."""
    key = Envelope.from_bytes(row.envelope).key_id
    return row.operator == operator.name or key == operator.key.key_id


def open_set(message: bytes, operator: Operator) -> tuple[Envelope, ChangeSet]:
    """Verify, then parse. Raises RequestRefused."""
    envelope = _envelope(message)
    try:
        return envelope, ChangeSet.open(envelope, operator.key)
    except (WireError, SignatureRefused) as error:
        raise RequestRefused(str(error), Denial.NOT_BELIEVED) from error


def open_approval(message: bytes, operator: Operator) -> tuple[Envelope, Approval]:
    """Verify, then parse. Raises RequestRefused."""
    envelope = _envelope(message)
    try:
        return envelope, Approval.open(envelope, operator.key)
    except (WireError, SignatureRefused) as error:
        raise RequestRefused(str(error), Denial.NOT_BELIEVED) from error


def _envelope(message: bytes) -> Envelope:
    try:
        return Envelope.from_bytes(message)
    except WireError as error:
        raise RequestRefused(str(error), Denial.MALFORMED) from error
