"""A PUK for a blocked PIN: asked for by two cards, sealed to one terminal, replaced when used.

- The request shows the holder's tap, whose record's `seal` is the digest of a fresh key of the
  terminal, and a colleague's countersign under the terms (FIELD 11). Envelopes are leaves.
- The release is sealed to that key (HPKE, RFC 9180, as `contract.escrow`); its `info` names request
  and card: it opens there, and for that request alone.
- The next PUK is sealed for safe keeping before the release is signed. Until a report says which
  one the card holds, it may be either, and the next release names both.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from pydantic import Field

from contract.escrow import PUK_BYTES
from contract.help import HelpRefused, Signed
from contract.helping import HelpReason
from contract.ids import (
    Digest,
    DigestField,
    Guid,
    GuidField,
    Nonce,
    OperatorIdField,
    SiteIdField,
    TerminalIdField,
    WardIdField,
)
from contract.signing import PayloadType, Statement
from contract.wire import Base64, Count, Record, UnixMs, decode_base64, encode_base64

# An envelope has room for so many digests; a deposit is one a card, a few hundred at a time.
MAX_ESCROWS: Final = 500
MAX_ESCROWS_BYTES: Final = 960 * 1024
_SUITE: Final = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_DOMAIN: Final = "tapover:puk-release:v1"


class PukTerms(Record):
    """Which card, tapped where; `key` is SHA-256 of the key that the PUK is sealed to."""

    CAP: ClassVar[int] = 1024

    type: Literal["tapover/puk-terms/v1"] = "tapover/puk-terms/v1"
    site: SiteIdField
    terminal: TerminalIdField
    ward: WardIdField
    guid: GuidField
    tap: DigestField
    """Of the holder's tap record."""
    key: DigestField
    nonce: Nonce

    def words(self) -> str:
        """What the kiosk shows, and the colleague agrees to."""
        return f"A new PIN for card {self.guid[:8]} on {self.ward}."


class PukRequest(Statement):
    """By the terminal's batch key."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.PUK_REQUEST

    type: Literal["tapover/puk-request/v1"] = "tapover/puk-request/v1"
    site: SiteIdField
    terminal: TerminalIdField
    terms: Base64
    """The exact bytes of `PukTerms`."""
    tap: Signed
    """The holder's card, 9E; the record's `seal` is the digest of `key`."""
    proof: Signed
    """The colleague's countersign."""
    key: Base64
    """DER SubjectPublicKeyInfo, P-256, fresh."""


class PukRelease(Statement):
    """By the statement key; behind it a line: the escrow of the PUK that is to be next.

    `sealed` opens to eight bytes each: first the next PUK, then the one or two that the card may
    hold, the likelier one first.
    """

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.PUK_RELEASE

    type: Literal["tapover/puk-release/v1"] = "tapover/puk-release/v1"
    site: SiteIdField
    request: DigestField
    """Of the request's envelope."""
    guid: GuidField
    generation: Count
    """Of the next one."""
    sealed: Base64
    escrow: DigestField


class PukResult(StrEnum):
    """What a card holds after a release was used."""

    REPLACED = "replaced"
    """The next one."""
    KEPT = "kept"
    """The one by which the PIN was set: the card refused the next one."""
    REFUSED = "refused"
    """Neither fits: somebody changed it elsewhere."""


class PukReport(Statement):
    """By the terminal's batch key. What is never reported stays in doubt."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.PUK_REPORT

    type: Literal["tapover/puk-report/v1"] = "tapover/puk-report/v1"
    site: SiteIdField
    terminal: TerminalIdField
    request: DigestField
    guid: GuidField
    result: PukResult
    used: Annotated[int, Field(ge=0, le=1)] = 0
    """Which of those that the card might hold it was."""


class Escrows(Statement):
    """An operator's deposit: PUKs sealed to the gateway; behind it an escrow a line."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.ESCROWS

    type: Literal["tapover/escrows/v1"] = "tapover/escrows/v1"
    site: SiteIdField
    operator: OperatorIdField
    nonce: Nonce
    issued_ms: UnixMs
    authority: Base64
    """The authority's own PUK key, DER SubjectPublicKeyInfo: the next PUKs are sealed to it too."""
    escrows: Annotated[tuple[DigestField, ...], Field(min_length=1, max_length=MAX_ESCROWS)]


def seal_puks(
    request: Digest, guid: Guid, key: ec.EllipticCurvePublicKey, puks: Sequence[bytes]
) -> str:
    """Base64: the next PUK and then the one or two that the card may hold."""
    sealed = _SUITE.encrypt(b"".join(puks), key, info=_info(request, guid))
    return encode_base64(sealed)


def open_puks(
    release: PukRelease, request: Digest, key: ec.EllipticCurvePrivateKey
) -> tuple[bytes, list[bytes]]:
    """The next PUK, and those that the card may hold. Raises HelpRefused."""
    try:
        opened = _SUITE.decrypt(
            decode_base64(release.sealed), key, info=_info(request, release.guid)
        )
    except (InvalidTag, ValueError) as error:
        words = "the release was not sealed to this key, for this request"
        raise HelpRefused(HelpReason.NOT_BELIEVED, words) from error
    parts = [opened[at : at + PUK_BYTES] for at in range(0, len(opened), PUK_BYTES)]
    if len(opened) not in (2 * PUK_BYTES, 3 * PUK_BYTES):
        raise HelpRefused(HelpReason.MALFORMED, "not two or three PUKs")
    return parts[0], parts[1:]


def _info(request: Digest, guid: Guid) -> bytes:
    return f"{_DOMAIN}\n{request}\n{guid}".encode()
