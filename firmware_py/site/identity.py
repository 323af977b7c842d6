"""The terminal's identity: what provisioning left in `identity_dir`, checked before the start.

`terminal.key.pem` and `terminal.crt.pem` (mutual TLS; the certificate's name is the terminal's
id), `batch.key.pem` (signs its batches), `keys.dsse` (the site's key statement). Whatever does not
fit is said in one line, and the daemon does not start: nobody could mend it by waiting.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from contract.certificates import common_name, spki
from contract.ids import KeyId
from contract.signing import Algorithm, SignatureRefused, SoftwareSigner
from contract.wire import WireError, decode_base64
from firmware_py.settings import Settings
from firmware_py.trust import statements as trust
from runtime.durable import StorageError, read_capped, write_file
from runtime.mqtt import client_context
from runtime.settings import CertificateError

# A certificate or key is some hundred bytes, an envelope at most 65,535.
MAX_FILE_BYTES: Final = 128 * 1024


@dataclass(frozen=True, slots=True)
class Identity:
    """Checked and ready for use."""

    keys: trust.Keys
    batch: SoftwareSigner
    tls: Callable[[], ssl.SSLContext]
    """A fresh context for each connection, from the files as they are then."""


def load_identity(settings: Settings, remembered: bytes | None) -> Identity:
    """Raises CertificateError.

    `remembered` is the newest key statement that this terminal has kept; of it and the file's the
    later one is believed. The operator CA, the only one a peer is believed by, is written beside
    the state for the TLS library.
    """
    folder = settings.identity_dir
    keys = _keys(settings, folder / "keys.dsse", remembered)
    certificate, key = folder / "terminal.crt.pem", folder / "terminal.key.pem"
    _check_certificate(settings, keys, certificate, key)
    authority = settings.state_dir / "operator-ca.pem"
    _write_authority(keys, authority)

    def tls() -> ssl.SSLContext:
        return client_context(authority, certificate, key)

    tls()
    return Identity(keys, _batch_key(folder / "batch.key.pem"), tls)


def _keys(settings: Settings, path: Path, remembered: bytes | None) -> trust.Keys:
    fingerprint = KeyId(settings.root_fingerprint)
    match trust.judge_keys(_read(path), fingerprint, settings.site_id, None):
        case trust.Replace(keys):
            pass
        case judged:
            why = judged.fault if isinstance(judged, trust.Refused) else "nothing"
            raise CertificateError(
                f"{path}: is not this site's key statement ({why}); enrol this terminal again"
            )
    if remembered is not None:
        match trust.judge_keys(remembered, fingerprint, settings.site_id, keys):
            case trust.Replace(later):
                return later
            case _:
                pass  # the file's is as new, or newer
    return keys


def _check_certificate(settings: Settings, keys: trust.Keys, certificate: Path, key: Path) -> None:
    again = "enrol this terminal again"
    try:
        parsed = x509.load_pem_x509_certificate(_read(certificate))
        own = SoftwareSigner.from_pem(_read(key))
    except (ValueError, SignatureRefused) as error:
        raise CertificateError(f"{certificate} or {key}: {error}; {again}") from error
    if common_name(parsed) != settings.terminal:
        raise CertificateError(f"{certificate}: is not of terminal {settings.terminal}; {again}")
    if spki(parsed.public_key()) != own.public.spki:
        raise CertificateError(f"{certificate}: does not belong to {key}; {again}")
    authority = _authority(keys.statement.terminal_ca, "terminal CA")
    try:
        parsed.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise CertificateError(
            f"{certificate}: was not issued by the site's terminal CA; {again}"
        ) from error


def _authority(der: str, which: str) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(decode_base64(der))
    except (ValueError, WireError) as error:
        raise CertificateError(f"keys.dsse: holds no {which} ({error}); enrol again") from error


def _write_authority(keys: trust.Keys, path: Path) -> None:
    pem = _authority(keys.statement.operator_ca, "operator CA").public_bytes(Encoding.PEM)
    try:
        if not path.exists() or _read(path) != pem:
            write_file(path, pem)
    except StorageError as error:
        raise CertificateError(f"{error}; let this user write there") from error


def _batch_key(path: Path) -> SoftwareSigner:
    try:
        signer = SoftwareSigner.from_pem(_read(path))
    except SignatureRefused as error:
        raise CertificateError(f"{path}: {error}; enrol this terminal again") from error
    if signer.public.algorithm is not Algorithm.P256:
        raise CertificateError(f"{path}: is no P-256 key; enrol this terminal again")
    return signer


def _read(path: Path) -> bytes:
    try:
        return read_capped(path, MAX_FILE_BYTES)
    except StorageError as error:
        raise CertificateError(f"{error}; enrol this terminal, or let this user read it") from error
