"""Enrolment: how a device becomes a terminal of the site, and how its certificate is renewed.

- An operator's *grant* names terminals, their wards and the SHA-256 of a one-time token each; it
  is a leaf. The token itself goes to the device alone, by the boot partition.
- A device sends an *order*: a PKCS#10 request (RFC 2986) and an *enrolment request*, a statement
  that names the PKCS#10 by digest. At first its own batch key signs it, at a renewal the key of the
  certificate that it still holds. The statement is a leaf, and so is the gateway's `Enrolment` with
  the certificate that came of it.
- Without a token that serves, an operator compares eight letters, computed on both sides from the
  keys themselves, and signs an `Approval` of the statement's digest.
"""

from __future__ import annotations

import base64
import hashlib
import re
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from pydantic import Field, model_validator

from contract.certificates import spki, subject_name
from contract.ids import (
    Digest,
    DigestField,
    Nonce,
    OperatorIdField,
    SiteIdField,
    TerminalId,
    TerminalIdField,
    WardIdField,
)
from contract.signing import (
    Algorithm,
    Envelope,
    PayloadType,
    SignatureRefused,
    Statement,
    VerifyKey,
    sha256,
)
from contract.tap import DirectoryVersion
from contract.wire import Base64, Count, Part, Record, UnixMs, decode_base64

# 200 lines with the longest names are 40 KB, and 53 KB in the envelope of a leaf's 65,535 bytes.
MAX_GRANT_TERMINALS: Final = 200
# From the desk to the ward over a weekend; a token that lay longer ends in an operator's approval.
GRANT_MS: Final = 72 * 3600 * 1000
# A P-256 request with a name is some 300 bytes; a TPM's attestation is not carried in it.
MAX_CSR_BYTES: Final = 4096
TOKEN_BYTES: Final = 32

CODE_LETTERS: Final = 8
_CODE_DOMAIN: Final = b"tapover:enrolment-code:v1\n"
# Eight letters are 40 bits, which a stranger could search through for keys of his own with the
# same letters while an operator walks to the ward. So each try is made this much dearer.
_CODE_ROUNDS: Final = 20_000
_CODE: Final = re.compile(r"[A-Z2-7]{8}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class Refusal(StrEnum):
    """Why the gateway issues nothing: the word in its answer, on the glass and in the log."""

    MALFORMED = "malformed"
    TOO_LARGE = "too-large"
    TOO_MANY = "too-many"
    TOKEN_UNKNOWN = "token-unknown"  # noqa: S105 - a reason, no secret
    TOKEN_EXPIRED = "token-expired"  # noqa: S105
    TOKEN_USED = "token-used"  # noqa: S105
    NAME_MISMATCH = "name-mismatch"
    OTHER_SITE = "other-site"
    KEY_REFUSED = "key-refused"
    SIGNATURE_REFUSED = "signature-refused"
    TERMINAL_UNKNOWN = "terminal-unknown"
    TERMINAL_RETIRED = "terminal-retired"
    CERTIFICATE_REFUSED = "certificate-refused"
    STORE_FAILED = "store-failed"


REFUSALS: Final[dict[Refusal, tuple[int, int]]] = {
    Refusal.MALFORMED: (240, 400),
    Refusal.TOO_LARGE: (241, 413),
    Refusal.TOO_MANY: (242, 429),
    Refusal.TOKEN_UNKNOWN: (243, 401),
    Refusal.TOKEN_EXPIRED: (244, 403),
    Refusal.TOKEN_USED: (245, 403),
    Refusal.NAME_MISMATCH: (246, 403),
    Refusal.OTHER_SITE: (247, 403),
    Refusal.KEY_REFUSED: (248, 403),
    Refusal.SIGNATURE_REFUSED: (249, 403),
    Refusal.TERMINAL_UNKNOWN: (250, 403),
    Refusal.TERMINAL_RETIRED: (251, 403),
    Refusal.CERTIFICATE_REFUSED: (252, 403),
    Refusal.STORE_FAILED: (253, 503),
}
"""The stable number and the HTTP status of each; docs/errors.md lists them."""


class EnrolmentRefused(Exception):
    """Nothing was issued. Carries the reason; the words are for the person who reads them."""

    def __init__(self, reason: Refusal, words: str) -> None:
        self.reason = reason
        self.words = words
        super().__init__(f"{reason}: {words}")


class Granted(Part):
    """One terminal that may enrol, once, with the token of this SHA-256."""

    terminal: TerminalIdField
    ward: WardIdField
    token: DigestField
    """SHA-256 of the token's 32 bytes."""


class Grant(Statement):
    """An operator's word that these terminals may enrol until `until_ms`."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.GRANT

    type: Literal["tapover/grant/v1"] = "tapover/grant/v1"
    site: SiteIdField
    operator: OperatorIdField
    nonce: Nonce
    issued_ms: UnixMs
    until_ms: UnixMs
    terminals: Annotated[tuple[Granted, ...], Field(min_length=1, max_length=MAX_GRANT_TERMINALS)]

    @model_validator(mode="after")
    def _sound(self) -> Grant:
        if not self.issued_ms < self.until_ms <= self.issued_ms + GRANT_MS:
            raise ValueError("a grant holds for 72 hours at most")
        if len({one.terminal for one in self.terminals}) != len(self.terminals):
            raise ValueError("a terminal stands twice")
        if len({one.token for one in self.terminals}) != len(self.terminals):
            raise ValueError("a token stands twice")
        return self


class EnrolmentRequest(Statement):
    """A device's wish for a certificate: signed by its batch key, at a renewal by the old key."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.ENROLMENT_REQUEST

    type: Literal["tapover/enrolment-request/v1"] = "tapover/enrolment-request/v1"
    site: SiteIdField
    terminal: TerminalIdField
    csr: DigestField
    """SHA-256 of the PKCS#10 request's DER."""
    batch_key: Base64
    """DER SubjectPublicKeyInfo, P-256."""
    issued_ms: UnixMs
    """The device's clock, which nobody believes."""


class Order(Record):
    """POST /v1/enrolment and /v1/renewal."""

    CAP: ClassVar[int] = 16 * 1024

    type: Literal["tapover/order/v1"] = "tapover/order/v1"
    csr: Annotated[Base64, Field(max_length=MAX_CSR_BYTES * 4 // 3 + 4)]
    """DER PKCS#10."""
    request: Annotated[Base64, Field(max_length=8192)]
    """The bytes of the `EnrolmentRequest` envelope."""


class Issued(Record):
    """The answer to an order that was carried out."""

    type: Literal["tapover/issued/v1"] = "tapover/issued/v1"
    certificate: Base64
    """DER; the terminal CA issued it."""
    directory: DirectoryVersion
    """The version from which on the register knows the batch key."""


class Pending(Record):
    """The answer to an order that waits for an operator: 202, ask again after `retry_s`."""

    type: Literal["tapover/pending/v1"] = "tapover/pending/v1"
    code: Annotated[str, Field(pattern=r"^[A-Z2-7]{8}$")]
    retry_s: Annotated[int, Field(ge=1, le=3600)]


class RefusalAnswer(Record):
    """The answer to an order that is refused."""

    type: Literal["tapover/refusal/v1"] = "tapover/refusal/v1"
    error: Refusal
    code: Annotated[int, Field(ge=200, le=299)]
    detail: Annotated[str, Field(max_length=300)]


class EnrolmentFile(Record):
    """What the boot partition tells a device; the token is its only secret."""

    CAP: ClassVar[int] = 8192

    type: Literal["tapover/enrolment-file/v1"] = "tapover/enrolment-file/v1"
    site: SiteIdField
    terminal: TerminalIdField
    ward: WardIdField
    root_fingerprint: DigestField
    enrol_url: Annotated[str, Field(pattern=r"^https://[^\s/]{1,255}$")]
    gateway_url: Annotated[str, Field(pattern=r"^https://[^\s/]{1,255}$")]
    broker_host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]
    broker_port: Annotated[int, Field(ge=1, le=65535)]
    token: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
    until_ms: UnixMs

    def __repr__(self) -> str:
        return f"EnrolmentFile({self.terminal}, …)"

    __str__ = __repr__


class TerminalEnrolled(Part):
    """Gateway's journal: a certificate was issued."""

    kind: Literal["terminal.enrolled"] = "terminal.enrolled"
    terminal: TerminalIdField
    by: Literal["token", "approval", "renewal"]
    enrolment: DigestField
    """Digest of the `Enrolment` leaf."""
    request: DigestField | None = None
    """Digest of the device's `EnrolmentRequest` leaf; null for a plain EST client."""
    word: DigestField | None = None
    """Digest of the grant or approval that let it in; null for a renewal."""


class TerminalRetired(Part):
    """Gateway's journal: certificates revoked, and by when the broker knew no session of it."""

    kind: Literal["terminal.retired"] = "terminal.retired"
    terminal: TerminalIdField
    step: Literal["revoked", "session-ended"]
    certificates: Count = 0


class BatchKeptApart(Part):
    """Gateway's journal: a batch that came from a terminal after it was retired."""

    kind: Literal["batch.kept-apart"] = "batch.kept-apart"
    terminal: TerminalIdField
    batch: DigestField


def spell_token(token: bytes) -> str:
    """43 letters (base64url without padding), as file and HTTP carry it."""
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode("ascii")


def token_digest(text: str) -> Digest:
    """By which a grant names a token. Raises EnrolmentRefused for what is none."""
    if not _TOKEN.fullmatch(text):
        raise EnrolmentRefused(Refusal.TOKEN_UNKNOWN, "no such token was granted")
    raw = base64.urlsafe_b64decode(text + "=")
    if spell_token(raw) != text:
        raise EnrolmentRefused(Refusal.TOKEN_UNKNOWN, "no such token was granted")
    return sha256(raw)


def enrolment_code(terminal: TerminalId, csr_key: bytes, batch_key: bytes) -> str:
    """The eight letters, from both public keys (DER SubjectPublicKeyInfo); about 10 ms."""
    material = terminal.encode() + hashlib.sha256(csr_key).digest()
    material += hashlib.sha256(batch_key).digest()
    raw = hashlib.pbkdf2_hmac("sha256", material, _CODE_DOMAIN, _CODE_ROUNDS, dklen=5)
    return base64.b32encode(raw).decode("ascii")


def is_code(text: str) -> bool:
    return _CODE.fullmatch(text) is not None


class CheckedOrder:
    """An order whose two signatures hold and whose parts belong together."""

    __slots__ = ("batch_key", "csr", "envelope", "key", "request")

    def __init__(
        self,
        csr: x509.CertificateSigningRequest,
        key: bytes,
        request: EnrolmentRequest,
        envelope: Envelope,
    ) -> None:
        self.csr = csr
        self.key = key
        """DER SubjectPublicKeyInfo that the certificate is to name."""
        self.request = request
        self.envelope = envelope
        self.batch_key = decode_base64(request.batch_key)

    @property
    def code(self) -> str:
        return enrolment_code(self.request.terminal, self.key, self.batch_key)


# What the library raises for bytes that are none.
_NOT_A_CSR: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InvalidSignature,
    x509.InvalidVersion,
)


def check_csr(der: bytes) -> tuple[x509.CertificateSigningRequest, TerminalId, bytes]:
    """A PKCS#10 request, the name in it and its key. Raises EnrolmentRefused.

    The key is P-256 and signed the request. Whatever extensions are asked for, nobody reads: the
    profile says what a terminal's certificate holds.
    """
    if len(der) > MAX_CSR_BYTES:
        raise EnrolmentRefused(Refusal.TOO_LARGE, f"a PKCS#10 request of over {MAX_CSR_BYTES} B")
    try:
        csr = x509.load_der_x509_csr(der)
        if csr.public_bytes(serialization.Encoding.DER) != der:
            raise EnrolmentRefused(Refusal.MALFORMED, "the PKCS#10 request has a second spelling")
        name, key = subject_name(csr.subject), spki(csr.public_key())
        held = csr.is_signature_valid
    except _NOT_A_CSR as error:
        raise EnrolmentRefused(Refusal.MALFORMED, "not a PKCS#10 request") from error
    try:
        algorithm = VerifyKey.from_spki(key).algorithm
    except SignatureRefused as error:
        raise EnrolmentRefused(Refusal.KEY_REFUSED, "a terminal's key is P-256") from error
    if algorithm is not Algorithm.P256:
        raise EnrolmentRefused(Refusal.KEY_REFUSED, "a terminal's key is P-256")
    if not held:
        raise EnrolmentRefused(Refusal.SIGNATURE_REFUSED, "the PKCS#10 signature does not hold")
    return csr, TerminalId(name), key


def check_order(order: Order, site: str, old_key: VerifyKey | None) -> CheckedOrder:
    """Both parts of an order, verified. Raises EnrolmentRefused, WireError.

    `old_key` is the key of the certificate by which a renewal came; a first order is signed by the
    batch key that it names.
    """
    der = decode_base64(order.csr)
    csr, name, key = check_csr(der)
    envelope = Envelope.from_bytes(decode_base64(order.request))
    # Its own key stands inside what it signs: that proves its possession and nothing more.
    unverified = EnrolmentRequest.from_bytes(decode_base64(envelope.payload))
    try:
        batch = VerifyKey.from_base64(unverified.batch_key)
    except SignatureRefused as error:
        raise EnrolmentRefused(Refusal.KEY_REFUSED, "a batch key is P-256") from error
    if batch.algorithm is not Algorithm.P256:
        raise EnrolmentRefused(Refusal.KEY_REFUSED, "a batch key is P-256")
    try:
        request = EnrolmentRequest.open(envelope, old_key or batch)
    except SignatureRefused as error:
        raise EnrolmentRefused(Refusal.SIGNATURE_REFUSED, str(error)) from error
    if request.site != site:
        raise EnrolmentRefused(Refusal.OTHER_SITE, f"the request is for site {request.site!r}")
    if request.csr != sha256(der):
        raise EnrolmentRefused(Refusal.MALFORMED, "the statement names another PKCS#10 request")
    if request.terminal != name:
        raise EnrolmentRefused(Refusal.NAME_MISMATCH, "statement and PKCS#10 name two terminals")
    return CheckedOrder(csr, key, request, envelope)
