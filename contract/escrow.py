"""A card's PUK in safe keeping: sealed to the few keys of a site that may open it (RFC 9180).

- HPKE base mode, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM: one copy a recipient. The
  `info` of each copy names card, generation and recipient, so that no copy passes for another.
- Base mode says nothing of who sealed it: a reader takes an escrow from the authority's own folder,
  or from a signed request, never from a stranger.
- The newest generation is the card's PUK. Whoever replaces it seals the next generation to all the
  same recipients *before* the card is changed; the one before is kept until the card has answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from pydantic import Field

from contract.certificates import spki
from contract.ids import Guid, GuidField, KeyId, KeyIdField
from contract.signing import sha256
from contract.wire import MAX_SAFE_INTEGER, Base64, Part, Record, decode_base64, encode_base64

PUK_BYTES = 8
"""As a card takes it: six to eight digits, filled up with FF (SP 800-73-4 part 2 §2.4.3)."""

# The authority, the gateway, and the next ones of both while keys are changed.
MAX_COPIES = 4
# A point, eight bytes and a tag are 89 bytes, 120 in base64.
_SEALED_CHARS = 120

_SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_DOMAIN = "tapover:puk-escrow:v1"


class EscrowRefused(Exception):
    """Not sealed to this key, or not what was sealed."""


class SealedCopy(Part):
    """The PUK for one recipient."""

    recipient: KeyIdField
    """SHA-256 of the recipient's SubjectPublicKeyInfo."""
    sealed: Annotated[Base64, Field(min_length=_SEALED_CHARS, max_length=_SEALED_CHARS)]
    """Encapsulated key (an uncompressed point), then the ciphertext with its tag."""


class PukEscrow(Record):
    """The PUK of one card, for each who may open it."""

    CAP: ClassVar[int] = 4096

    type: Literal["tapover/puk-escrow/v1"] = "tapover/puk-escrow/v1"
    guid: GuidField
    generation: Annotated[int, Field(ge=1, le=MAX_SAFE_INTEGER)]
    """1 for the first PUK of a card, one more for each that replaced it."""
    copies: Annotated[tuple[SealedCopy, ...], Field(min_length=1, max_length=MAX_COPIES)]

    @classmethod
    def seal(
        cls,
        guid: Guid,
        generation: int,
        puk: bytes,
        recipients: Sequence[ec.EllipticCurvePublicKey],
    ) -> Self:
        """Seal `puk`, of eight bytes, to P-256 keys. Raises ValueError for another length."""
        if len(puk) != PUK_BYTES:
            raise ValueError(f"a PUK has {PUK_BYTES} bytes")
        copies = []
        for recipient in recipients:
            named = key_id(recipient)
            sealed = _SUITE.encrypt(puk, recipient, info=_info(guid, generation, named))
            copies.append(SealedCopy(recipient=named, sealed=encode_base64(sealed)))
        return cls(guid=guid, generation=generation, copies=tuple(copies))

    def open(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        """The eight bytes, by one recipient's key. Raises EscrowRefused."""
        own = key_id(key.public_key())
        copy = next((one for one in self.copies if one.recipient == own), None)
        if copy is None:
            raise EscrowRefused("the PUK is not sealed to this key")
        try:
            puk = _SUITE.decrypt(
                decode_base64(copy.sealed), key, info=_info(self.guid, self.generation, own)
            )
        except (InvalidTag, ValueError) as error:
            raise EscrowRefused("the sealed PUK does not open") from error
        if len(puk) != PUK_BYTES:
            raise EscrowRefused("what was sealed is no PUK")
        return puk


def key_id(key: ec.EllipticCurvePublicKey) -> KeyId:
    """By which a recipient is named."""
    return KeyId(sha256(spki(key)))


def _info(guid: Guid, generation: int, recipient: KeyId) -> bytes:
    return f"{_DOMAIN}\n{guid}\n{generation}\n{recipient}".encode()
