"""The gateway's keys and certificates: loaded and checked, or not started.

Everything is anchored in one setting, the root's fingerprint. While a CA is being replaced, the key
statement that named the one before lies beside, signed by the same root
(`terminal_ca.before.dsse`, `operator_ca.before.dsse`); taking the file away ends the overlap. What
is wrong is said in one line, with the file (CertificateError, exit 3). The terminal CA's key is
read only where terminals enrol (`gateway.certificates.issuing`).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from contract.certificates import common_name
from contract.ids import Digest, KeyId, SiteId
from contract.restoration import Restoration
from contract.signing import (
    Algorithm,
    Envelope,
    SignatureRefused,
    SoftwareSigner,
)
from contract.statements import KeyStatement
from contract.succession import follow, split_line
from contract.topics import GATEWAY
from contract.wire import WireError, decode_base64, encode_base64
from runtime.durable import StorageError, read_capped
from runtime.settings import CertificateError

# A chain of certificates or a key in PEM is a few kilobytes.
_FILE_CAP: Final = 64 * 1024
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Tls:
    """Whom a TLS context of ours shows and whom it believes."""

    certificate: Path
    key: Path
    authority: Path
    """The one CA whose certificates are believed."""
    before: tuple[x509.Certificate, ...] = ()
    """Believed beside it while a rotation overlaps: the CA that it replaces."""


@dataclass(frozen=True, slots=True)
class Authority:
    """What the gateway signs with and is known by."""

    keys: KeyStatement
    keys_envelope: Envelope
    roots: tuple[KeyId, ...]
    """Of the site, one after another; the last one signed `keys`."""
    successions: tuple[Envelope, ...]
    """By which each root declared the next."""
    statement: SoftwareSigner
    """Directory, heartbeat, the gateway's own batches."""
    log: SoftwareSigner
    """Checkpoints, receipts."""
    terminals: Tls
    """The listener for terminals."""
    operators: Tls
    """The listener for operators."""
    broker: Tls
    """The gateway as the broker's client."""
    restoration: tuple[Restoration, Envelope] | None = None
    """By which the root had the log go on from a back-up."""

    @property
    def site(self) -> SiteId:
        return self.keys.site


def load(folder: Path, site: SiteId, root: Digest, now_ms: int) -> Authority:
    """Everything in `folder`, checked. Raises CertificateError."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    roots, successions = _roots(folder / "roots.dsse", site, KeyId(root))
    keys, envelope = _key_statement(folder / "keys.dsse", site, roots[-1:])
    terminal_file, operator_file = folder / "terminal_ca.crt.pem", folder / "operator_ca.crt.pem"
    terminal_ca = _authority(terminal_file, keys.terminal_ca, "terminal CA")
    operator_ca = _authority(operator_file, keys.operator_ca, "operator CA")
    server, server_key = folder / "server.crt.pem", folder / "server.key.pem"
    client, client_key = folder / "gateway.crt.pem", folder / "gateway.key.pem"
    _pair(server, server_key, operator_ca, now)
    if (name := common_name(_pair(client, client_key, terminal_ca, now))) != GATEWAY:
        raise CertificateError(f"{client}: names {name!r}, but the broker expects {GATEWAY!r}")
    return Authority(
        keys=keys,
        keys_envelope=envelope,
        roots=roots,
        successions=successions,
        statement=_signer(
            folder / "statement.key.pem", keys.statement_key, Algorithm.P256, "statement key"
        ),
        log=_signer(folder / "log.key.pem", keys.log.key, Algorithm.ED25519, "log key"),
        terminals=Tls(
            server, server_key, terminal_file, _before(folder, "terminal_ca", keys, roots)
        ),
        operators=Tls(
            server, server_key, operator_file, _before(folder, "operator_ca", keys, roots)
        ),
        broker=Tls(client, client_key, operator_file),
        restoration=_restoration(folder / "restoration.dsse", site, roots),
    )


def open_key_statement(data: bytes, roots: Sequence[KeyId]) -> tuple[KeyStatement, Envelope]:
    """The key statement in an envelope, once the signature of one of the site's roots held.

    Raises WireError or SignatureRefused.
    """
    envelope = Envelope.from_bytes(data)
    root = envelope.key_id if envelope.key_id in roots else roots[-1]
    return KeyStatement.open_pinned(envelope, root), envelope


def server_context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.3 only, and nobody without a certificate of the one CA, or the one it replaces."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(tls.certificate, tls.key)
    context.load_verify_locations(tls.authority)
    for before in tls.before:
        context.load_verify_locations(cadata=before.public_bytes(serialization.Encoding.DER))
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def open_context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.3 only, for whoever has no certificate yet: none is asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(tls.certificate, tls.key)
    return context


def _read(path: Path) -> bytes:
    try:
        return read_capped(path, _FILE_CAP)
    except StorageError as error:
        raise CertificateError(f"{error}; `tapover` provisioning makes this file") from error


def _parsed(path: Path, parse: Callable[[bytes], _T]) -> _T:
    try:
        return parse(_read(path))
    except (WireError, SignatureRefused, ValueError) as error:
        raise CertificateError(f"{path}: {error}") from error


def _roots(
    path: Path, site: SiteId, pinned: KeyId
) -> tuple[tuple[KeyId, ...], tuple[Envelope, ...]]:
    """The site's roots, and the declarations between them; the pinned one alone without a file."""
    if not path.exists():
        return (pinned,), ()
    line = _parsed(path, split_line)
    roots = _parsed(path, lambda _: follow(line[0].key_id, site, line))
    if pinned not in roots:
        raise CertificateError(f"{path}: does not name the root of `root_fingerprint`")
    return roots, line


def _key_statement(
    path: Path, site: SiteId, roots: Sequence[KeyId]
) -> tuple[KeyStatement, Envelope]:
    keys, envelope = _parsed(path, lambda data: open_key_statement(data.removesuffix(b"\n"), roots))
    if keys.site != site:
        raise CertificateError(f"{path}: is of site {keys.site!r}, not of {site!r}")
    return keys, envelope


def _restoration(
    path: Path, site: SiteId, roots: Sequence[KeyId]
) -> tuple[Restoration, Envelope] | None:
    if not path.exists():
        return None
    envelope = _parsed(path, lambda data: Envelope.from_bytes(data.removesuffix(b"\n")))
    root = envelope.key_id if envelope.key_id in roots else roots[-1]
    declared = _parsed(path, lambda _: Restoration.open_pinned(envelope, root))
    if declared.site != site:
        raise CertificateError(f"{path}: is of site {declared.site!r}, not of {site!r}")
    return declared, envelope


def _signer(path: Path, named: str, algorithm: Algorithm, what: str) -> SoftwareSigner:
    signer = _parsed(path, SoftwareSigner.from_pem)
    if signer.public.algorithm is not algorithm or signer.public.to_base64() != named:
        raise CertificateError(f"{path}: is not the {what} of the site's key statement")
    return signer


def _authority(path: Path, named: str, what: str) -> x509.Certificate:
    certificate = _parsed(path, x509.load_pem_x509_certificate)
    if encode_base64(certificate.public_bytes(serialization.Encoding.DER)) != named:
        raise CertificateError(f"{path}: is not the {what} of the site's key statement")
    return certificate


def _before(
    folder: Path, name: str, keys: KeyStatement, roots: Sequence[KeyId]
) -> tuple[x509.Certificate, ...]:
    """The CA that is being replaced, as an earlier key statement of the same root names it."""
    path = folder / f"{name}.before.dsse"
    if not path.exists():
        return ()
    earlier, _ = _key_statement(path, keys.site, roots)
    if earlier.epoch >= keys.epoch:
        raise CertificateError(f"{path}: is not from before the site's key statement; remove it")
    named = {"terminal_ca": earlier.terminal_ca, "operator_ca": earlier.operator_ca}[name]
    return (_parsed(path, lambda _: x509.load_der_x509_certificate(decode_base64(named))),)


def _pair(path: Path, key_path: Path, issuer: x509.Certificate, now: datetime) -> x509.Certificate:
    certificate = _parsed(path, x509.load_pem_x509_certificate)
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature) as error:
        who = common_name(issuer)
        raise CertificateError(f"{path}: was not issued by {who!r}, the CA of the site") from error
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        until = certificate.not_valid_after_utc.isoformat()
        raise CertificateError(f"{path}: is not valid now (it ends {until}); renew it")
    key = _parsed(key_path, lambda pem: serialization.load_pem_private_key(pem, password=None))
    spki = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*spki) != certificate.public_key().public_bytes(*spki):
        raise CertificateError(f"{key_path}: is not the key of {path.name}")
    return certificate
