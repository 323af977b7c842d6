"""Certificate profiles (RFC 5280): one builder, one row a profile; pure, times are arguments.

- Each CA is self-signed, path length 0, and issues its own profiles only: a broker that trusts
  the terminal CA can meet nothing but terminals and the gateway's client.
- Card certificates serve foreign software; sign-on of ours never reads them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

PIV_CARD_AUTHENTICATION = ObjectIdentifier("2.16.840.1.101.3.6.8")

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class _Row:
    label: str
    """Keeps two profiles of equal extensions apart.

    Equal values would make one an alias of the other.
    """
    is_ca: bool
    usages: tuple[ObjectIdentifier, ...]
    critical_usage: bool = False


class Profile(Enum):
    """What a certificate is for; the values are its extensions."""

    TERMINAL_CA = _Row("terminal_ca", is_ca=True, usages=())
    OPERATOR_CA = _Row(
        "operator_ca",
        is_ca=True,
        usages=(ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH),
    )
    CARD_CA = _Row(
        "card_ca", is_ca=True, usages=(PIV_CARD_AUTHENTICATION, ExtendedKeyUsageOID.CLIENT_AUTH)
    )
    TERMINAL = _Row("terminal", is_ca=False, usages=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    GATEWAY_CLIENT = _Row("gateway_client", is_ca=False, usages=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    GATEWAY_SERVER = _Row("gateway_server", is_ca=False, usages=(ExtendedKeyUsageOID.SERVER_AUTH,))
    OPERATOR = _Row(
        "operator",
        is_ca=False,
        usages=(ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION),
    )
    CARD_AUTHENTICATION = _Row(
        "card_authentication", is_ca=False, usages=(PIV_CARD_AUTHENTICATION,), critical_usage=True
    )
    PIV_AUTHENTICATION = _Row(
        "piv_authentication", is_ca=False, usages=(ExtendedKeyUsageOID.CLIENT_AUTH,)
    )


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a certificate names. `hosts` are DNS names and IP addresses, for a server.

    `urn` is a card's: `urn:uuid:` and its GUID (SP 800-73-4 part 1 §3.1.2, §4.2.2).
    """

    common_name: str
    organisation: str
    hosts: tuple[str, ...] = ()
    urn: str = ""

    @property
    def name(self) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.organisation),
                x509.NameAttribute(NameOID.COMMON_NAME, self.common_name),
            ]
        )


@dataclass(frozen=True, slots=True)
class Validity:
    """From and until, both aware UTC datetimes."""

    not_before: datetime
    not_after: datetime


def build_ca(
    profile: Profile,
    subject: Subject,
    key: ec.EllipticCurvePrivateKey,
    serial: int,
    validity: Validity,
) -> x509.Certificate:
    """A self-signed CA of `profile`."""
    if not profile.value.is_ca:
        raise ValueError(f"{profile.name} is not a CA")
    builder = _builder(profile, subject, key.public_key(), serial, validity).issuer_name(
        subject.name
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(ca=True), critical=True)
    return builder.sign(key, hashes.SHA256())


def build_leaf(
    profile: Profile,
    subject: Subject,
    public_key: PublicKey,
    *,
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    serial: int,
    validity: Validity,
) -> x509.Certificate:
    """An end-entity certificate of `profile`, issued by `issuer`."""
    if profile.value.is_ca:
        raise ValueError(f"{profile.name} is a CA")
    builder = _builder(profile, subject, public_key, serial, validity).issuer_name(issuer.subject)
    builder = builder.add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    builder = builder.add_extension(_key_usage(ca=False), critical=True)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = builder.add_extension(authority, critical=False)
    names = [_general_name(host) for host in subject.hosts]
    if subject.urn:
        names.append(x509.UniformResourceIdentifier(subject.urn))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def build_crl(
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    serials: Sequence[int],
    *,
    number: int,
    issued: datetime,
    next_update: datetime,
) -> x509.CertificateRevocationList:
    """The CA's revocation list; every serial is listed as revoked at `issued`."""
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=issuer.subject, last_update=issued, next_update=next_update
    )
    for serial in sorted(set(serials)):
        revoked = x509.RevokedCertificateBuilder(serial_number=serial, revocation_date=issued)
        builder = builder.add_revoked_certificate(revoked.build())
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = builder.add_extension(authority, critical=False)
    builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def common_name(certificate: x509.Certificate) -> str:
    """The CN: for a terminal its id, which is also its MQTT user name and client id."""
    return subject_name(certificate.subject)


def subject_name(subject: x509.Name) -> str:
    """The one CN in a subject; empty where there is none, or more than one."""
    values = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(values[0].value) if len(values) == 1 else ""


def spki(key: CertificatePublicKeyTypes) -> bytes:
    """DER SubjectPublicKeyInfo of whatever key a certificate names."""
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _builder(
    profile: Profile, subject: Subject, public_key: PublicKey, serial: int, validity: Validity
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject.name)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(validity.not_before)
        .not_valid_after(validity.not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
    usages = profile.value.usages
    if usages:
        extension = x509.ExtendedKeyUsage(usages)
        builder = builder.add_extension(extension, critical=profile.value.critical_usage)
    return builder


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
