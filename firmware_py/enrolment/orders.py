"""What a device asks for, and whether what it is given is that (`contract.enrolment`). Pure.

- The order is signed by the batch key at first, at a renewal by the key of the old certificate.
- A certificate is taken if the site's terminal CA issued it, for this name and this key.
- Its times are not held against this machine's clock, which may be wrong by years: they only must
  not lie before what is known to be past.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from contract.certificates import common_name, spki
from contract.enrolment import EnrolmentRequest, Issued, Order, enrolment_code
from contract.ids import SiteId, TerminalId
from contract.signing import SoftwareSigner, sha256
from contract.wire import WireError, decode_base64, encode_base64

# A version that is none (x509.InvalidVersion) is no ValueError to the library.
_UNREADABLE: Final = (
    *(ValueError, TypeError, WireError),
    *(InvalidSignature, UnsupportedAlgorithm, x509.InvalidVersion),
)


class NotOurs(Exception):
    """The other side answered with something that is not what this device may take."""


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who asks, with the keys that the certificate and the register are to name."""

    site: SiteId
    terminal: TerminalId
    key: ec.EllipticCurvePrivateKey
    batch: ec.EllipticCurvePrivateKey

    @property
    def code(self) -> str:
        """The eight letters that an operator compares."""
        return enrolment_code(
            self.terminal, spki(self.key.public_key()), spki(self.batch.public_key())
        )

    def __repr__(self) -> str:
        return f"Applicant({self.terminal})"


def make_order(
    applicant: Applicant, now_ms: int, old_key: ec.EllipticCurvePrivateKey | None = None
) -> Order:
    """Signed by `old_key` at a renewal, else by the batch key. `now_ms` is believed by nobody."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, applicant.terminal)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name)
    der = csr.sign(applicant.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    request = EnrolmentRequest(
        site=applicant.site,
        terminal=applicant.terminal,
        csr=sha256(der),
        batch_key=encode_base64(spki(applicant.batch.public_key())),
        issued_ms=max(0, now_ms),
    )
    envelope = request.seal(SoftwareSigner(old_key or applicant.batch))
    return Order(csr=encode_base64(der), request=encode_base64(envelope.to_bytes()))


def certificate_of(
    issued: Issued, applicant: Applicant, authority: x509.Certificate, floor_ms: int
) -> bytes:
    """PEM of what was issued. Raises NotOurs."""
    try:
        certificate = x509.load_der_x509_certificate(decode_base64(issued.certificate))
        certificate.verify_directly_issued_by(authority)
    except _UNREADABLE as error:
        raise NotOurs("the certificate is not of the site's terminal CA") from error
    if common_name(certificate) != applicant.terminal:
        raise NotOurs("the certificate names another terminal")
    if spki(certificate.public_key()) != spki(applicant.key.public_key()):
        raise NotOurs("the certificate is for another key")
    if certificate.not_valid_after_utc <= _moment(floor_ms):
        raise NotOurs("the certificate has lapsed already")
    return certificate.public_bytes(serialization.Encoding.PEM)


def require_authority(body: bytes, authority: x509.Certificate) -> None:
    """That EST's `/cacerts` hands out the CA that the key statement names. Raises NotOurs."""
    try:
        held = pkcs7.load_der_pkcs7_certificates(body)
    except _UNREADABLE as error:
        raise NotOurs("not a list of certificates") from error
    if held != [authority]:
        raise NotOurs("another terminal CA than the site's key statement names")


def require_unlapsed(peer: bytes, floor_ms: int) -> None:
    """That a server's certificate had not lapsed before what is known to be past. Raises NotOurs.

    For a clock that cannot tell: one that lags behind the site's own statements.
    """
    try:
        lapsed = x509.load_der_x509_certificate(peer).not_valid_after_utc <= _moment(floor_ms)
    except _UNREADABLE as error:
        raise NotOurs("the gateway's certificate cannot be read") from error
    if lapsed:
        raise NotOurs("the gateway's certificate has lapsed")


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
