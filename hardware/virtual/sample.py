"""Cards that are personalised already, for tests and benchmarks that begin after enrolment.

Made directly, without a reader or management key; the product's own way, through PC/SC, is
``hardware.personalise``. Keys and certificates are generated test material.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hardware.tlv import Tlv
from hardware.virtual.card import DEFAULT_PIN, Card, Reference, padded
from hardware.virtual.keys import CardKey, PublicKey
from hardware.virtual.names import (
    CERTIFICATE_OF,
    STANDARD_PIN_POLICY,
    Algorithm,
    ObjectTag,
    PinPolicy,
    Slot,
)

# A FASC-N of zeros and a date beyond every test: neither is read by anything of ours.
_FASC_N: Final = bytes(25)
_EXPIRES: Final = b"20491231"
_NOT_BEFORE: Final = datetime(2020, 1, 1, tzinfo=UTC)
_NOT_AFTER: Final = datetime(2049, 12, 31, tzinfo=UTC)

SIGN_ON_SLOTS: Final = (Slot.AUTHENTICATION, Slot.CARD_AUTHENTICATION)


def personalised(
    *,
    guid: bytes | None = None,
    pin: bytes = DEFAULT_PIN,
    algorithm: Algorithm = Algorithm.ECC_P256,
    slots: Iterable[Slot] = SIGN_ON_SLOTS,
    certificates: bool = False,
    ungated_9a: bool = False,
    path: Path | None = None,
) -> Card:
    """A card with a CHUID and fresh keys in ``slots``, optionally with certificates for them.

    Random GUID unless given (16 bytes). With ``path`` it is a new file. Raises CardFileError.
    """
    card = Card(pin=Reference(padded(pin)))
    card.objects[ObjectTag.CHUID] = chuid(guid or secrets.token_bytes(16))
    for slot in slots:
        ungated = ungated_9a and slot is Slot.AUTHENTICATION
        policy = PinPolicy.NEVER if ungated else STANDARD_PIN_POLICY[slot]
        key = CardKey.generate(algorithm, policy)
        card.keys[slot] = key
        if certificates:
            card.objects[CERTIFICATE_OF[slot]] = certificate_object(certificate(key.public))
    if path is not None:
        card.keep_in(path)
    return card


def chuid(guid: bytes) -> bytes:
    """A CHUID without issuer signature (part 1 table 9): what lies inside tag 53."""
    return b"".join(
        (
            Tlv(0x30, _FASC_N),
            Tlv(0x34, guid),
            Tlv(0x35, _EXPIRES),
            Tlv(0x3E),
            Tlv(0xFE),
        )
    )


def certificate_object(der: bytes) -> bytes:
    """A certificate as a PIV object, uncompressed (part 1 table 10): what lies inside tag 53."""
    return b"".join((Tlv(0x70, der), Tlv(0x71, b"\0"), Tlv(0xFE)))


def certificate(key: PublicKey, name: str = "Generated test card") -> bytes:
    """A certificate (DER) for ``key``, which foreign software wants, by an authority of nobody."""
    authority = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Generated test authority")])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .sign(authority, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.DER)
