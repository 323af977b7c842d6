"""The directory: entitlements, terminals and policies of a site under one version (DESIGN §6).

- An entry is one JSON line with its own salt, named by its `Key`; a later entry under the same
  key replaces it, and `Removed` takes it away.
- Every version is made by exactly one *change*: a signed statement with the digests of its
  entries, which travel behind it a line each. A change carries the digest of the change before
  it; the first carries null.
- A *manifest* lets somebody catch up: the digest of a list of chunks that hold every entry at a
  version, and the digest of the change that made this version, with which the chain goes on.
- A change names the operator's *request* by digest; requests, changes and manifests are leaves of
  the evidence log.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from contract.ids import (
    NIL_GUID,
    DigestField,
    GuidField,
    HolderIdField,
    KeyId,
    Nonce,
    OperatorIdField,
    PositionIdField,
    Salt,
    SiteIdField,
    TerminalIdField,
    WardId,
    WardIdField,
    is_name,
)
from contract.policy import Policy, RoleCode
from contract.signing import (
    CardAlgorithm,
    PayloadType,
    SignatureRefused,
    Statement,
    VerifyKey,
    sha256,
)
from contract.tap import DirectoryVersion
from contract.wire import (
    Base64,
    Count,
    Part,
    Record,
    UnixMs,
    WireError,
    check_i_json,
    decode_base64,
)

# An entitlement with two RSA keys and sixteen positions stays below 4 KiB; twice that is the bound.
MAX_ENTRY_BYTES = 8192
# A leaf of the log is at most 65,535 bytes (C2SP tlog-tiles): 500 digests in base64 fill 45,000.
MAX_CHANGE_ENTRIES = 500
# Chunks are streamed: one is held in memory at a time.
MAX_CHUNK_BYTES = 1024 * 1024
MAX_CHUNKS = 8192
# A change travels as one MQTT packet, and the broker's limit is 1 MiB.
MAX_CHANGE_BYTES = 960 * 1024
# Of the change messages in one answer to a terminal that catches up: 2 MiB as base64, which is what
# it holds in memory. Beyond either it asks again.
CATCH_UP_CHANGES = 50
CATCH_UP_BYTES = 3 * 512 * 1024

_Words = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Status(StrEnum):
    """Whether an entitlement serves; suspension alone can be lifted."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    LOST = "lost"
    """Lost, stolen or for cause: also locks an open session."""


class Slot(StrEnum):
    """PIV key references (SP 800-73-4 Part 1, Table 4b)."""

    PIV_AUTHENTICATION = "9A"
    CARD_AUTHENTICATION = "9E"


class Name(Part):
    """What the glass may show; never part of an event."""

    full: _Words
    short: _Words
    initials: Annotated[str, Field(min_length=1, max_length=4, pattern=r"^[^\x00-\x20\x7f]+$")]


class Credential(Part):
    """A key pair on the card, by its public half."""

    slot: Slot
    algorithm: CardAlgorithm
    key: Base64
    """DER SubjectPublicKeyInfo."""
    pin_gated: bool = False
    """Whether enrolment saw this key refuse to sign before VERIFY."""

    @property
    def key_id(self) -> KeyId:
        """SHA-256 of the SubjectPublicKeyInfo."""
        return KeyId(sha256(decode_base64(self.key)))

    def verify_key(self) -> VerifyKey:
        """Raises SignatureRefused when key and algorithm do not fit."""
        key = VerifyKey.from_base64(self.key)
        if key.algorithm is not self.algorithm:
            raise SignatureRefused("the key is not of the algorithm it is listed with")
        return key


class Position(Part):
    """A role held in the organisation."""

    id: PositionIdField
    role: RoleCode
    name: _Words
    areas: Annotated[tuple[WardIdField, ...], Field(max_length=64)] = ()
    """Wards in which it may be held; empty means all."""


class Entitlement(Record):
    """This card's holder, keys and positions, as the site vouches for them."""

    CAP: ClassVar[int] = MAX_ENTRY_BYTES

    type: Literal["tapover/entitlement/v1"] = "tapover/entitlement/v1"
    guid: GuidField
    holder: HolderIdField
    name: Name
    credentials: Annotated[tuple[Credential, ...], Field(min_length=1, max_length=2)]
    positions: Annotated[tuple[Position, ...], Field(max_length=16)]
    status: Status
    not_before_ms: UnixMs
    not_after_ms: UnixMs
    salt: Salt

    @model_validator(mode="after")
    def _sound(self) -> Entitlement:
        if self.guid == NIL_GUID:
            raise ValueError("the nil GUID names no card")
        if len({c.slot for c in self.credentials}) != len(self.credentials):
            raise ValueError("a slot stands twice")
        if len({c.key for c in self.credentials}) != len(self.credentials):
            raise ValueError("9A and 9E hold the same key: 9A would prove no PIN")
        return self

    def credential(self, slot: Slot) -> Credential | None:
        return next((c for c in self.credentials if c.slot is slot), None)

    @property
    def by_pin_alone(self) -> bool:
        """Whether the card has no key for a tap, so that only its PIN proves anything of it."""
        nine_a = self.credential(Slot.PIV_AUTHENTICATION)
        gated = nine_a is not None and nine_a.pin_gated
        return gated and self.credential(Slot.CARD_AUTHENTICATION) is None


class TerminalState(StrEnum):
    """Whether a terminal's word counts."""

    ACTIVE = "active"
    RETIRED = "retired"


class Terminal(Record):
    """A terminal in the register, checked by its peers on every message."""

    CAP: ClassVar[int] = MAX_ENTRY_BYTES

    type: Literal["tapover/terminal/v1"] = "tapover/terminal/v1"
    terminal: TerminalIdField
    ward: WardIdField
    batch_key: Base64
    """DER SubjectPublicKeyInfo, P-256: signs its batches."""
    state: TerminalState
    salt: Salt


class Spare(Record):
    """A card that is ready and nobody's: a ward lead assigns it for a night (`contract.help`).

    It opens nothing by itself. Assigned, its keys stand in an `Entitlement` under the same GUID;
    from then on it is used, until the authority makes it a spare again.
    """

    CAP: ClassVar[int] = MAX_ENTRY_BYTES

    type: Literal["tapover/spare/v1"] = "tapover/spare/v1"
    guid: GuidField
    credentials: Annotated[tuple[Credential, ...], Field(min_length=1, max_length=2)]
    wards: Annotated[tuple[WardIdField, ...], Field(max_length=64)] = ()
    """Where it may be assigned; empty means everywhere."""
    guest: Position | None = None
    """What somebody may do with it who is not in the directory; null: it is not for guests."""
    status: Status
    not_after_ms: UnixMs
    salt: Salt

    @model_validator(mode="after")
    def _sound(self) -> Spare:
        if self.guid == NIL_GUID:
            raise ValueError("the nil GUID names no card")
        if len({c.slot for c in self.credentials}) != len(self.credentials):
            raise ValueError("a slot stands twice")
        if len({c.key for c in self.credentials}) != len(self.credentials):
            raise ValueError("9A and 9E hold the same key: 9A would prove no PIN")
        return self

    def credential(self, slot: Slot) -> Credential | None:
        return next((c for c in self.credentials if c.slot is slot), None)


class EntryKind(StrEnum):
    """The kinds of things that a directory holds."""

    ENTITLEMENT = "entitlement"
    TERMINAL = "terminal"
    POLICY = "policy"
    SPARE = "spare"


class Removed(Record):
    """Takes away the entry under (kind, id)."""

    CAP: ClassVar[int] = MAX_ENTRY_BYTES

    type: Literal["tapover/removed/v1"] = "tapover/removed/v1"
    kind: EntryKind
    id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,48}$")]
    salt: Salt


Entry = Entitlement | Terminal | Policy | Spare | Removed
Key = tuple[EntryKind, str]

_ENTRY: TypeAdapter[Entry] = TypeAdapter(Annotated[Entry, Field(discriminator="type")])


def parse_entry(line: bytes) -> Entry:
    """The entry in one line of a change or chunk. Raises WireError."""
    check_i_json(line, MAX_ENTRY_BYTES)
    try:
        return _ENTRY.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "entry"
        raise WireError(f"entry: {where}: {first['type']}") from error


@dataclass(frozen=True, slots=True)
class UnreadPolicy:
    """A ward's policy that this reader cannot read: beyond a ceiling, or newer than the reader."""

    ward: WardId


def read_entry(line: bytes) -> Entry | UnreadPolicy:
    """As `parse_entry`, but that a policy may be one that cannot be read. Raises WireError.

    For terminals: what the site signed must not keep later revocations from them. Their ward then
    has the contract's defaults.
    """
    try:
        return parse_entry(line)
    except WireError:
        found = check_i_json(line, MAX_ENTRY_BYTES)
        if isinstance(found, dict) and str(found.get("type")).startswith(_ANY_POLICY):
            ward = found.get("ward")
            if isinstance(ward, str) and is_name(ward):
                return UnreadPolicy(WardId(ward))
        raise


_ANY_POLICY = "tapover/policy/"


def entry_key(entry: Entry) -> Key:
    """Under which name an entry stands; for `Removed`, what it removes."""
    match entry:
        case Entitlement():
            return EntryKind.ENTITLEMENT, entry.guid
        case Terminal():
            return EntryKind.TERMINAL, entry.terminal
        case Policy():
            return EntryKind.POLICY, entry.ward
        case Spare():
            return EntryKind.SPARE, entry.guid
        case Removed():
            return entry.kind, entry.id


class ChangeRequest(Statement):
    """An operator's signed wish; the same entries follow it a line each."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.CHANGE_REQUEST

    type: Literal["tapover/change-request/v1"] = "tapover/change-request/v1"
    site: SiteIdField
    operator: OperatorIdField
    nonce: Nonce
    issued_ms: UnixMs
    entries: Annotated[tuple[DigestField, ...], Field(min_length=1, max_length=MAX_CHANGE_ENTRIES)]


class DirectoryChange(Statement):
    """Makes version `version` out of the one before it."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.CHANGE
    type: Literal["tapover/directory-change/v1"] = "tapover/directory-change/v1"
    site: SiteIdField
    version: DirectoryVersion
    previous: DigestField | None
    """Digest of the envelope of the change before it; null for the first of the site."""
    request: DigestField | None
    """Digest of the operator's request envelope, or of a ward lead's assignment of a spare.

    Null where the gateway itself acts (a terminal enrols).
    """
    issued_ms: UnixMs
    entries: Annotated[tuple[DigestField, ...], Field(min_length=1, max_length=MAX_CHANGE_ENTRIES)]


class Chunk(Part):
    """A piece of a snapshot, small enough to be held in memory."""

    digest: DigestField
    size: Annotated[int, Field(ge=1, le=MAX_CHUNK_BYTES)]
    entries: Count


class ChunkList(Record):
    """The chunks of one manifest, in order: a body named by the manifest's `chunks`."""

    CAP: ClassVar[int] = 1024 * 1024

    type: Literal["tapover/chunk-list/v1"] = "tapover/chunk-list/v1"
    chunks: Annotated[tuple[Chunk, ...], Field(max_length=MAX_CHUNKS)]


class DirectoryManifest(Statement):
    """Everything at one version, in chunks of entries.

    Entries stand a line each (a newline after every one), ordered by (kind, id), nothing removed
    among them.
    """

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.MANIFEST

    type: Literal["tapover/directory-manifest/v1"] = "tapover/directory-manifest/v1"
    site: SiteIdField
    version: DirectoryVersion
    head: DigestField
    """Digest of the envelope of the change that made this version."""
    issued_ms: UnixMs
    entries: Count
    chunks: DigestField
    """Digest of the chunk list's bytes."""
