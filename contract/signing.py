"""Signatures: DSSE envelopes (secure-systems-lab, protocol v1) over bytes as they are.

- One payload type a statement; a new algorithm is a new payload type, so no key is ever asked to
  judge a choice.
- Verify, then parse: `Envelope.verify` returns the payload only after the signature held.
- An envelope has one spelling: compact JSON, fields in DSSE's order, canonical base64, DER
  signatures re-encoded and compared, of an ECDSA signature's two forms the one with the lower s.
  So the hash of an envelope names it, and nobody but the signer can make another one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Protocol, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from pydantic import Field

from contract.ids import Digest, KeyId, KeyIdField
from contract.wire import Base64, Part, Record, WireError, decode_base64, encode_base64

RSA_BITS = 2048
RSA_EXPONENT = 65_537
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class SignatureRefused(Exception):
    """A signature, key or payload type that does not fit. Carries the reason in `str`."""


class Algorithm(StrEnum):
    """What a key signs with; fixed by the key, never by the message."""

    P256 = "ecdsa-p256-sha256"
    RSA2048 = "rsa2048-pkcs1-sha256"
    ED25519 = "ed25519"


class PayloadType(StrEnum):
    """DSSE payload types: one a statement, signed by one kind of key (DESIGN §6)."""

    KEYS = "application/vnd.tapover.keys.v1+json"
    CHANGE_REQUEST = "application/vnd.tapover.change-request.v1+json"
    CHANGE = "application/vnd.tapover.directory-change.v1+json"
    MANIFEST = "application/vnd.tapover.directory-manifest.v1+json"
    HEARTBEAT = "application/vnd.tapover.heartbeat.v1+json"
    BATCH = "application/vnd.tapover.batch.v1+json"
    RECEIPT = "application/vnd.tapover.receipt.v1+json"
    ENROLMENT = "application/vnd.tapover.enrolment.v1+json"
    CHANGE_SET = "application/vnd.tapover.change-set.v1+json"
    APPROVAL = "application/vnd.tapover.approval.v1+json"
    GRANT = "application/vnd.tapover.grant.v1+json"
    ENROLMENT_REQUEST = "application/vnd.tapover.enrolment-request.v1+json"
    SPARE_ASSIGNMENT = "application/vnd.tapover.spare-assignment.v1+json"
    PUK_REQUEST = "application/vnd.tapover.puk-request.v1+json"
    PUK_RELEASE = "application/vnd.tapover.puk-release.v1+json"
    PUK_REPORT = "application/vnd.tapover.puk-report.v1+json"
    ESCROWS = "application/vnd.tapover.escrows.v1+json"
    ROOT = "application/vnd.tapover.root-succession.v1+json"
    RESTORATION = "application/vnd.tapover.restoration.v1+json"
    SESSION_HANDOVER = "application/vnd.tapover.session-handover.v1+json"
    STATE_TAKEN = "application/vnd.tapover.state-taken.v1+json"
    EMERGENCY = "application/vnd.tapover.emergency.v1+json"
    DOWNTIME = "application/vnd.tapover.downtime.v1+json"


def sha256(data: bytes) -> Digest:
    """SHA-256 as 64 hexadecimal digits."""
    return Digest(hashlib.sha256(data).hexdigest())


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what the key really signs."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _is_rsa_2048(key: rsa.RSAPublicKey) -> bool:
    return key.key_size == RSA_BITS and key.public_numbers().e == RSA_EXPONENT


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """A public key that knows its algorithm. `spki` is the DER SubjectPublicKeyInfo."""

    spki: bytes
    algorithm: Algorithm
    _key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey = field(
        repr=False, compare=False
    )

    @classmethod
    def from_spki(cls, spki: bytes) -> Self:
        """Raises SignatureRefused unless `spki` is P-256, RSA-2048 (e = 65537) or Ed25519."""
        try:
            key = serialization.load_der_public_key(spki)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise SignatureRefused("not a public key") from error
        canonical = key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if canonical != spki:
            raise SignatureRefused("public key is not in its one spelling")
        match key:
            case ec.EllipticCurvePublicKey() if key.curve.name == "secp256r1":
                return cls(spki, Algorithm.P256, key)
            case rsa.RSAPublicKey() if _is_rsa_2048(key):
                return cls(spki, Algorithm.RSA2048, key)
            case ed25519.Ed25519PublicKey():
                return cls(spki, Algorithm.ED25519, key)
            case _:
                raise SignatureRefused("a kind of key that the contract does not name")

    @classmethod
    def from_base64(cls, text: str) -> Self:
        try:
            return cls.from_spki(decode_base64(text))
        except WireError as error:
            raise SignatureRefused(str(error)) from error

    @property
    def key_id(self) -> KeyId:
        """SHA-256 of the SubjectPublicKeyInfo."""
        return KeyId(sha256(self.spki))

    def to_base64(self) -> str:
        return encode_base64(self.spki)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Raises SignatureRefused unless `signature` is this key's over `message`.

        P-256 and RSA hash the message with SHA-256; Ed25519 takes it as it is.
        """
        try:
            match self._key:
                case ec.EllipticCurvePublicKey() as key:
                    r, s = utils.decode_dss_signature(signature)
                    if utils.encode_dss_signature(r, s) != signature:
                        raise SignatureRefused("signature is not in its one DER spelling")
                    key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
                case rsa.RSAPublicKey() as key:
                    key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
                case key:
                    key.verify(signature, message)
        except (InvalidSignature, ValueError) as error:
            raise SignatureRefused("signature does not hold") from error


class Signer(Protocol):
    """A private key, wherever it lives (file, TPM, token)."""

    @property
    def public(self) -> VerifyKey: ...

    def sign(self, message: bytes) -> bytes:
        """The signature over `message`; hashing is the signer's part."""
        ...


class SoftwareSigner:
    """A P-256 or Ed25519 private key in this process. `repr` shows the public half only."""

    def __init__(self, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> None:
        self._key = key
        self._public = VerifyKey.from_spki(
            key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    def __repr__(self) -> str:
        return f"SoftwareSigner({self._public.key_id[:16]})"

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Raises SignatureRefused when `pem` holds no plain P-256 or Ed25519 private key."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SignatureRefused("not an unencrypted PEM private key") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
            raise SignatureRefused("a kind of key that the contract does not name")
        return cls(key)

    @property
    def public(self) -> VerifyKey:
        return self._public

    def sign(self, message: bytes) -> bytes:
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self._key.sign(message, ec.ECDSA(hashes.SHA256()))
        return self._key.sign(message)


class EnvelopeSignature(Part):
    """DSSE's own field names."""

    keyid: KeyIdField
    sig: Base64


class Envelope(Record):
    """A DSSE envelope with exactly one signature; `to_bytes` is its one spelling."""

    # Every envelope may become a leaf, and C2SP tlog-tiles gives a leaf's length 16 bits.
    CAP: ClassVar[int] = 65_535

    payloadType: PayloadType  # noqa: N815 - DSSE spells it so
    payload: Base64
    signatures: Annotated[tuple[EnvelopeSignature, ...], Field(min_length=1, max_length=1)]

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raises WireError unless `data` is an envelope in its one spelling."""
        envelope = super().from_bytes(data)
        if envelope.to_bytes() != data:
            raise WireError("envelope is not in its one spelling")
        return envelope

    @property
    def key_id(self) -> KeyId:
        return self.signatures[0].keyid

    @cached_property
    def digest(self) -> Digest:
        """SHA-256 of the envelope's bytes: the name by which one statement refers to another."""
        return sha256(self.to_bytes())

    def verify(self, payload_type: PayloadType, key: VerifyKey) -> bytes:
        """The payload's exact bytes, once type, key id and signature hold.

        Raises SignatureRefused.
        """
        if self.payloadType is not payload_type:
            raise SignatureRefused(f"payload type is {self.payloadType}, expected {payload_type}")
        if self.key_id != key.key_id:
            raise SignatureRefused("signed by another key")
        payload, signature = decode_base64(self.payload), decode_base64(self.signatures[0].sig)
        key.verify(pae(payload_type, payload), signature)
        if _one_form(key, signature) != signature:
            raise SignatureRefused("signature is the other form of one that holds")
        return payload


def seal(payload_type: PayloadType, payload: bytes, signer: Signer) -> Envelope:
    """Signs `payload` as it is."""
    signature = _one_form(signer.public, signer.sign(pae(payload_type, payload)))
    return Envelope(
        payloadType=payload_type,
        payload=encode_base64(payload),
        signatures=(EnvelopeSignature(keyid=signer.public.key_id, sig=encode_base64(signature)),),
    )


def _one_form(key: VerifyKey, signature: bytes) -> bytes:
    """Whoever sees an ECDSA signature (r, s) can write (r, n - s), which holds as well."""
    if key.algorithm is not Algorithm.P256:
        return signature
    r, s = utils.decode_dss_signature(signature)
    return utils.encode_dss_signature(r, min(s, _P256_ORDER - s))


class Statement(Record):
    """A record that is only ever believed inside an envelope of its own payload type."""

    PAYLOAD_TYPE: ClassVar[PayloadType]

    def seal(self, signer: Signer) -> Envelope:
        return seal(self.PAYLOAD_TYPE, self.to_bytes(), signer)

    @classmethod
    def open(cls, envelope: Envelope, key: VerifyKey) -> Self:
        """Verify, then parse. Raises SignatureRefused or WireError."""
        return cls.from_bytes(envelope.verify(cls.PAYLOAD_TYPE, key))


CardAlgorithm = Literal[Algorithm.P256, Algorithm.RSA2048]
"""What a card's key may be: Ed25519 cards are not PIV cards yet."""
