"""Keys, digests and envelopes for the makers of test exports, from docs/evidence.md alone."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from typing import Any, Protocol

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

Fields = dict[str, Any]

START_MS = 1_767_225_600_000  # 2026-01-01
DER = serialization.Encoding.DER
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
RAW = serialization.Encoding.Raw


def digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


class Signer(Protocol):
    algorithm: str
    spki: bytes

    def sign(self, message: bytes) -> bytes: ...


class P256:
    algorithm = "ecdsa-p256-sha256"

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.spki = self._key.public_key().public_bytes(DER, SPKI)

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message, ec.ECDSA(hashes.SHA256()))


class Rsa2048:
    algorithm = "rsa2048-pkcs1-sha256"

    def __init__(self, bits: int = 2048, exponent: int = 65537) -> None:
        self._key = rsa.generate_private_key(exponent, bits)
        self.spki = self._key.public_key().public_bytes(DER, SPKI)

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message, padding.PKCS1v15(), hashes.SHA256())


class Ed25519:
    algorithm = "ed25519"

    def __init__(self) -> None:
        self._key = ed25519.Ed25519PrivateKey.generate()
        self.spki = self._key.public_key().public_bytes(DER, SPKI)
        self.raw = self._key.public_key().public_bytes(RAW, serialization.PublicFormat.Raw)

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


@functools.cache
def one_rsa_key() -> Rsa2048:
    return Rsa2048()


def key_id(signer: Signer) -> str:
    return digest(signer.spki).hex()


def envelope(kind: str, payload: bytes, signer: Signer) -> bytes:
    name = f"application/vnd.tapover.{kind}.v1+json"
    message = b" ".join(
        (b"DSSEv1", b"%d" % len(name), name.encode(), b"%d" % len(payload), payload)
    )
    signature = {"keyid": key_id(signer), "sig": b64(signer.sign(message))}
    return compact({"payloadType": name, "payload": b64(payload), "signatures": [signature]})
