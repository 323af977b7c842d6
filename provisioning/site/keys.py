"""Keys and certificates as files: made once, private ones readable by their owner alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from contract.certificates import (
    Profile,
    PublicKey,
    Subject,
    Validity,
    build_ca,
    build_crl,
    build_leaf,
)
from provisioning.errors import AlreadyThere, BadInput, DiskFailed, NotThere
from runtime import durable

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

CA_YEARS = timedelta(days=10 * 365)
SERVER_DAYS = timedelta(days=397)
TERMINAL_DAYS = timedelta(days=30)
CARD_DAYS = timedelta(days=3 * 365)
# Far beyond the gateway's renewal: an expired list makes the broker refuse everybody.
CRL_DAYS = timedelta(days=30)
# A key or certificate in PEM is below 8 KiB.
_PEM_CAP = 64 * 1024
# Clocks of a ward differ by a little; a certificate must not be "not yet valid" on the machine
# beside.
_SKEW = timedelta(minutes=5)


def moment(now_ms: int) -> datetime:
    """Unix milliseconds as an aware UTC datetime of whole seconds (RFC 5280 §4.1.2.5)."""
    return datetime.fromtimestamp(now_ms // 1000, UTC)


def validity(now_ms: int, length: timedelta) -> Validity:
    """From a little before now, for `length`."""
    return Validity(moment(now_ms) - _SKEW, moment(now_ms) + length)


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def write_new(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Writes an identity, durably. Raises AlreadyThere, and then nothing was written."""
    try:
        durable.create_new(path, data, mode)
    except durable.AlreadyThere as error:
        raise AlreadyThere(f"{path} exists already; keys are made once") from error
    except durable.StorageError as error:
        raise DiskFailed(str(error)) from error


def write_key(path: Path, key: PrivateKey, passphrase: bytes | None = None) -> None:
    """Writes `key_pem`. Raises AlreadyThere, DiskFailed."""
    write_new(path, key_pem(key, passphrase))


def key_pem(key: PrivateKey, passphrase: bytes | None = None) -> bytes:
    """PKCS#8 PEM, encrypted when there is a passphrase."""
    how: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def write_certificate(path: Path, certificate: x509.Certificate) -> None:
    write_new(path, certificate_pem(certificate), 0o644)


def replace_certificate(path: Path, certificate: x509.Certificate) -> None:
    """A certificate is no identity: a newer one takes its place, whole. Raises DiskFailed."""
    try:
        durable.write_file(path, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    except durable.StorageError as error:
        raise DiskFailed(str(error)) from error


def read_p256(path: Path, passphrase: bytes | None = None) -> ec.EllipticCurvePrivateKey:
    """Raises NotThere or BadInput."""
    try:
        key = serialization.load_pem_private_key(read_pem(path), passphrase)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{path} is no P-256 private key, or its passphrase is another") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadInput(f"{path} is no P-256 private key")
    return key


def read_certificate(path: Path) -> x509.Certificate:
    """Raises NotThere or BadInput."""
    try:
        return x509.load_pem_x509_certificate(read_pem(path))
    except ValueError as error:
        raise BadInput(f"{path} is no PEM certificate") from error


def read_pem(path: Path) -> bytes:
    """A file of PEM as it is. Raises NotThere or BadInput."""
    try:
        return durable.read_capped(path, _PEM_CAP)
    except durable.NotThere as error:
        raise NotThere(f"{path} is missing; is this the site's folder?") from error
    except durable.StorageError as error:
        raise BadInput(str(error)) from error


def hosts_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """DNS names and addresses that a server's certificate is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in names)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


class Authority:
    """A CA that can issue: its certificate and its key."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    @classmethod
    def create(cls, profile: Profile, subject: Subject, now_ms: int) -> Authority:
        """A new self-signed CA, in memory until `save`."""
        key = p256()
        valid = validity(now_ms, CA_YEARS)
        return cls(build_ca(profile, subject, key, x509.random_serial_number(), valid), key)

    @property
    def key(self) -> ec.EllipticCurvePrivateKey:
        """To be written to a file of its own."""
        return self._key

    @classmethod
    def load(cls, folder: Path, name: str) -> Authority:
        """From `name`.crt.pem and `name`.key.pem. Raises NotThere or BadInput."""
        certificate = read_certificate(folder / f"{name}.crt.pem")
        return cls(certificate, read_p256(folder / f"{name}.key.pem"))

    def save(self, folder: Path, name: str) -> None:
        write_key(folder / f"{name}.key.pem", self._key)
        write_certificate(folder / f"{name}.crt.pem", self.certificate)

    def issue(
        self, profile: Profile, subject: Subject, key: PublicKey, now_ms: int, length: timedelta
    ) -> x509.Certificate:
        return build_leaf(
            profile,
            subject,
            key,
            issuer=self.certificate,
            issuer_key=self._key,
            serial=x509.random_serial_number(),
            validity=validity(now_ms, length),
        )

    def revoke(self, serials: list[int], number: int, now_ms: int) -> bytes:
        """A revocation list, PEM."""
        crl = build_crl(
            self.certificate,
            self._key,
            serials,
            number=number,
            issued=moment(now_ms) - _SKEW,
            next_update=moment(now_ms) + CRL_DAYS,
        )
        return crl.public_bytes(serialization.Encoding.PEM)
