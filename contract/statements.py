"""The site's other statements: key statement, heartbeat, enrolment; and the unsigned status.

Trust starts with one thing a terminal holds from its provisioning: the SHA-256 of the root's
public key.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from contract.ids import (
    BootIdField,
    DigestField,
    JournalIdField,
    KeyId,
    Nonce,
    SiteIdField,
    TerminalIdField,
)
from contract.journal import Holds
from contract.serving import Interface
from contract.signing import (
    Envelope,
    PayloadType,
    SignatureRefused,
    Statement,
    VerifyKey,
)
from contract.tap import DirectoryVersion
from contract.wire import Base64, Count, Part, Record, UnixMs, decode_base64


class RootRefused(SignatureRefused):
    """A key statement of another root than the one that was pinned at provisioning."""


class LogKey(Part):
    """The key of the evidence log, and which life of the log it signs."""

    epoch: Count
    """The log epoch: a restored gateway opens a new one (DESIGN §7.5)."""
    key: Base64
    """DER SubjectPublicKeyInfo, Ed25519."""
    first: DigestField | None = None
    """Root of the last known checkpoint of the epoch before; null for the first epoch."""


class KeyStatement(Statement):
    """Signed by the offline root: everything a site's parts may believe, under one key epoch."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.KEYS

    type: Literal["tapover/keys/v1"] = "tapover/keys/v1"
    site: SiteIdField
    epoch: Annotated[int, Field(ge=1, le=2**31)]
    issued_ms: UnixMs
    root: Base64
    """The root's own SubjectPublicKeyInfo, whose digest a terminal pins."""
    statement_key: Base64
    """P-256: signs changes, manifests and heartbeats."""
    log: LogKey
    terminal_ca: Base64
    """DER certificate; the only CA that the broker trusts."""
    operator_ca: Base64
    """DER certificate: operators and the gateway's own server certificate."""
    card_ca: Base64
    """DER certificate; trusted by no listener of ours."""

    @classmethod
    def open_pinned(cls, envelope: Envelope, fingerprint: KeyId) -> Self:
        """The statement, once it is signed by the root whose key has this SHA-256.

        The root's key stands inside what it signs: that its digest is pinned is what lets it be
        read from bytes that nobody has vouched for yet. Raises RootRefused, SignatureRefused or
        WireError.
        """
        if envelope.key_id != fingerprint:
            raise RootRefused("signed by another root than the one pinned")
        unverified = cls.from_bytes(decode_base64(envelope.payload))
        root = VerifyKey.from_base64(unverified.root)
        if root.key_id != fingerprint:
            raise RootRefused("it names another root than the one pinned")
        return cls.open(envelope, root)


class Heartbeat(Statement):
    """Twice a second, never retained. `nonce` answers one terminal's question.

    Null in a broadcast.
    """

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.HEARTBEAT

    type: Literal["tapover/heartbeat/v1"] = "tapover/heartbeat/v1"
    site: SiteIdField
    version: DirectoryVersion
    head: DigestField | None
    """Digest of the envelope of the change that made `version`; null before the first."""
    checkpoint: Holds | None
    issued_ms: UnixMs
    nonce: Nonce | None = None


class Enrolment(Statement):
    """A certificate as it was issued, and the batch key that the register holds with it.

    Signed by the statement key; the terminal's own word is its `EnrolmentRequest`
    (`contract.enrolment`).
    """

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.ENROLMENT

    type: Literal["tapover/enrolment/v1"] = "tapover/enrolment/v1"
    site: SiteIdField
    terminal: TerminalIdField
    certificate: Base64
    batch_key: Base64
    issued_ms: UnixMs


class TerminalCounts(Part):
    """Counts since the daemon started; terminals open no port, so this is their metric."""

    taps: Count = 0
    refused: Count = 0
    unshipped: Count = 0
    """Journal events not yet receipted."""
    alarms: Count = 0
    break_glass: Count = 0
    """Faults of the system: each is somebody whom it did not let in."""
    unrecorded: Count = 0
    """Break-glass that nothing could take yet."""
    downtimes: Count = 0
    """Declared at this terminal; counted apart."""

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        fields: dict[str, object] = write(self)
        later = ("break_glass", "unrecorded", "downtimes")
        return {name: count for name, count in fields.items() if count or name not in later}


class TerminalStatus(Record):
    """Retained birth and will. Unsigned.

    Its truth is the broker's topic rule, and nothing decides by it.
    """

    CAP: ClassVar[int] = 4096

    type: Literal["tapover/status/v1"] = "tapover/status/v1"
    terminal: TerminalIdField
    state: Literal["online", "offline"]
    software: Annotated[str, Field(pattern=r"^[0-9A-Za-z.+-]{1,40}$")]
    boot: BootIdField
    journal: JournalIdField | None
    directory: DirectoryVersion
    counts: TerminalCounts
    question: Nonce | None = None
    """A nonce that the gateway answers with a heartbeat in this terminal's inbox (DESIGN §6)."""
    readers: Count | None = None
    """Card readers that answer now."""
    rtc: bool | None = None
    """Whether its clock chip was found right while online: it may be offline after a boot."""
    interfaces: Annotated[tuple[Interface, ...], Field(max_length=2)] | None = None
    """Of those readers, each kind once: what a policy may ask of them (`contract.serving`)."""

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        fields = dict(write(self))
        if self.interfaces is None:
            del fields["interfaces"]
        return fields
