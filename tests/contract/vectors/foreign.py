"""The vector of a foreign card: RSA, as some hospitals' cards are."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from contract import tap
from contract.wire import encode_base64

RSA_KEY: Final = Path(__file__).parent / "generated-rsa2048.pem"


def rsa_card(line: bytes) -> dict[str, str]:
    """Its signature over a tap record's event (PKCS#1 v1.5 is deterministic)."""
    key = serialization.load_pem_private_key(RSA_KEY.read_bytes(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("the vectors' RSA key is none")
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signature = key.sign(tap.card_message(line), padding.PKCS1v15(), hashes.SHA256())
    return {
        "event": line.decode(),
        "key": encode_base64(spki),
        "signature": encode_base64(signature),
    }


def make_key() -> None:
    """Writes the key, where there is none yet."""
    if RSA_KEY.exists():
        return
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    RSA_KEY.write_bytes(b"A generated test key, published here; of no use anywhere.\n" + pem)
