"""The terminal CA at work: terminals' certificates, revocation lists, and the site's word on each.

The CA's key lies in the gateway's identity folder (DESIGN §6): it issues terminals, and the
gateway's own client, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from contract.certificates import Profile, Subject, Validity, build_crl, build_leaf, spki
from contract.ids import SiteId, TerminalId
from contract.signing import VerifyKey
from runtime.durable import StorageError, read_capped
from runtime.settings import CertificateError

TERMINAL_LIFE: Final = timedelta(days=30)
# Only the gateway itself bears one, to end a retired terminal's session at the broker.
TAKEOVER_LIFE: Final = timedelta(minutes=1)
# Renewed daily: an expired list makes the broker refuse everybody, so a month is left to notice.
CRL_LIFE: Final = timedelta(days=30)
# Clocks of a ward differ by a little; a certificate must not be "not yet valid" next door.
_SKEW: Final = timedelta(minutes=5)
_FILE_CAP: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Made:
    """A certificate that was just issued."""

    certificate: x509.Certificate
    der: bytes
    serial: int
    issued_ms: int
    until_ms: int


class Issuer:
    """The terminal CA. `repr` shows no key."""

    def __init__(
        self,
        certificate: x509.Certificate,
        key: ec.EllipticCurvePrivateKey,
        site: SiteId,
        before: Issuer | None = None,
    ) -> None:
        """`before` is the CA that a rotation replaces: it issues nothing, and still revokes."""
        self.certificate = certificate
        self.before = before
        self._key = key
        self._site = site

    def __repr__(self) -> str:
        return f"Issuer({self.certificate.subject.rfc4514_string()})"

    def issue(
        self, terminal: TerminalId, key: bytes, now_ms: int, life: timedelta = TERMINAL_LIFE
    ) -> Made:
        """A terminal's certificate for the P-256 key `key` (SubjectPublicKeyInfo)."""
        VerifyKey.from_spki(key)
        public = serialization.load_der_public_key(key)
        assert isinstance(public, ec.EllipticCurvePublicKey)  # noqa: S101 - checked by the caller
        now = _moment(now_ms)
        certificate = build_leaf(
            Profile.TERMINAL,
            Subject(terminal, self._site),
            public,
            issuer=self.certificate,
            issuer_key=self._key,
            serial=x509.random_serial_number(),
            validity=Validity(now - _SKEW, now + life),
        )
        der = certificate.public_bytes(serialization.Encoding.DER)
        until_ms = int(certificate.not_valid_after_utc.timestamp()) * 1000
        return Made(certificate, der, certificate.serial_number, now_ms, until_ms)

    def revocation_list(self, serials: list[int], number: int, now_ms: int) -> bytes:
        """PEM; while a rotation overlaps, the list of the CA before too, with the same serials."""
        now = _moment(now_ms)
        crl = build_crl(
            self.certificate,
            self._key,
            serials,
            number=number,
            issued=now - _SKEW,
            next_update=now + CRL_LIFE,
        )
        before = self.before.revocation_list(serials, number, now_ms) if self.before else b""
        return crl.public_bytes(serialization.Encoding.PEM) + before


def load_issuer(folder: Path, site: SiteId, before: Sequence[x509.Certificate] = ()) -> Issuer:
    """Out of terminal_ca.crt.pem and terminal_ca.key.pem. Raises CertificateError.

    `before` is the CA that is being replaced, whose key is terminal_ca.before.key.pem.
    """
    certificate_file = folder / "terminal_ca.crt.pem"
    try:
        certificate = x509.load_pem_x509_certificate(read_capped(certificate_file, _FILE_CAP))
    except StorageError as error:
        raise CertificateError(f"{error}; `enrol_port` needs the terminal CA") from error
    except ValueError as error:
        raise CertificateError(f"{certificate_file}: {error}") from error
    replaced = [_issuer(each, folder / "terminal_ca.before.key.pem", site) for each in before]
    issuer = _issuer(certificate, folder / "terminal_ca.key.pem", site)
    issuer.before = replaced[0] if replaced else None
    return issuer


def _issuer(certificate: x509.Certificate, key_file: Path, site: SiteId) -> Issuer:
    try:
        key = serialization.load_pem_private_key(read_capped(key_file, _FILE_CAP), None)
    except StorageError as error:
        raise CertificateError(f"{error}; `enrol_port` needs the terminal CA's key") from error
    except (ValueError, TypeError) as error:
        raise CertificateError(f"{key_file}: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or (
        spki(key.public_key()) != spki(certificate.public_key())
    ):
        raise CertificateError(f"{key_file}: is not the key of its CA's certificate")
    return Issuer(certificate, key, site)


def _moment(now_ms: int) -> datetime:
    return datetime.fromtimestamp(now_ms // 1000, UTC)
