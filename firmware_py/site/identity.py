"""The terminal's identity: what provisioning left in `identity_dir`, checked before the start.

`terminal.key.pem` and `terminal.crt.pem` (mutual TLS; the certificate's name is the terminal's
id), `batch.key.pem` (signs its batches), `keys.dsse` (the site's key statement), `roots.dsse`
(where another root followed the pinned one before enrolment). Whatever does not fit is said in one
line, and the daemon does not start: nobody could mend it by waiting.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from contract.certificates import common_name, spki
from contract.ids import KeyId
from contract.signing import Algorithm, SignatureRefused, SoftwareSigner
from contract.succession import follow, split_line
from contract.wire import WireError, decode_base64
from firmware_py.settings import Settings
from firmware_py.site import place
from firmware_py.trust import statements as trust
from runtime.durable import StorageError, read_capped, write_file
from runtime.mqtt import client_context
from runtime.settings import CertificateError

# A certificate or key is some hundred bytes, an envelope at most 65,535.
MAX_FILE_BYTES: Final = 128 * 1024
OPERATOR_CA: Final = "operator-ca.pem"
"""In the state folder."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Checked and ready for use."""

    keys: trust.Keys
    batch: SoftwareSigner
    tls: Callable[[], ssl.SSLContext]
    """A fresh context for each connection, from the files as they are then."""
    tls_to_anybody: Callable[[], ssl.SSLContext]
    """The same, believing any peer: only for what the root's signature vouches for."""
    follow: Callable[[trust.Keys], None]
    """Believe the operator CA of newer keys from the next connection on. Raises CertificateError.

    Blocks.
    """


def load_identity(
    settings: Settings,
    remembered: bytes | None,
    roots: Sequence[KeyId],
    wall_ms: Callable[[], int],
    floor_ms: int,
) -> Identity:
    """Raises CertificateError.

    `remembered` is the newest key statement that this terminal has kept; of it and the file's the
    later one is believed. The operator CA, the only one a peer is believed by, is written beside
    the state for the TLS library. While this machine's clock is behind `floor_ms` or the key
    statement, it is wrong for certain, and no peer's certificate is held against it.
    """
    folder = settings.identity_dir
    try:
        place.settle(folder)
    except StorageError as error:
        raise CertificateError(f"{error}; let this user write there") from error
    enrolled = _enrolled(settings, roots, folder / place.KEYS)
    later = open_keys(settings, roots, remembered)
    keys = later if later is not None and later.epoch > enrolled.epoch else enrolled
    certificate, key = folder / place.CERTIFICATE, folder / place.KEY
    _check_certificate(settings, (keys, enrolled), certificate, key)
    authority = settings.state_dir / OPERATOR_CA

    def follow(newer: trust.Keys) -> None:
        _write_authority(newer, authority)

    follow(keys)

    past_ms = max(floor_ms, keys.statement.issued_ms)

    def tls() -> ssl.SSLContext:
        tells = wall_ms() >= past_ms
        return client_context(authority, certificate, key, clock_tells=tells)

    def tls_to_anybody() -> ssl.SSLContext:
        context = tls()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    tls()
    batch = _batch_key(settings, folder / place.BATCH_KEY)
    return Identity(keys, batch, tls, tls_to_anybody, follow)


def roots_of(settings: Settings, line: bytes | None) -> tuple[KeyId, ...]:
    """The roots from the pinned one on; `line` is what this terminal has kept of them.

    Enrolment may have kept a longer one, or a shorter. Raises CertificateError.
    """
    pinned, path = KeyId(settings.root_fingerprint), settings.identity_dir / place.ROOTS
    lines = (line or b"", _read(path) if path.exists() else b"")
    try:
        return max((follow(pinned, settings.site_id, split_line(one)) for one in lines), key=len)
    except (SignatureRefused, WireError) as error:
        raise CertificateError(f"the roots kept here do not hold ({error}); enrol again") from error


def open_keys(settings: Settings, roots: Sequence[KeyId], data: bytes | None) -> trust.Keys | None:
    """A key statement of one of this site's roots; None where there is none."""
    for root in roots:
        match None if data is None else trust.judge_keys(data, root, settings.site_id, None):
            case trust.Replace(keys):
                return keys
            case _:
                pass
    return None


def _enrolled(settings: Settings, roots: Sequence[KeyId], path: Path) -> trust.Keys:
    if (keys := open_keys(settings, roots, data := _read(path))) is not None:
        return keys
    judged = trust.judge_keys(data, roots[0], settings.site_id, None)
    why = judged.fault if isinstance(judged, trust.Refused) else "nothing"
    raise CertificateError(
        f"{path}: is not this site's key statement ({why}); enrol this terminal again"
    )


def _check_certificate(
    settings: Settings, believed: tuple[trust.Keys, ...], certificate: Path, key: Path
) -> None:
    """The terminal CA may have been replaced since enrolment: either one will do until renewal."""
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
    authorities = [_authority(keys.statement.terminal_ca, "terminal CA") for keys in believed]
    if not any(place.is_issued_by(parsed, authority) for authority in authorities):
        raise CertificateError(f"{certificate}: was not issued by the site's terminal CA; {again}")


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


def _batch_key(settings: Settings, path: Path) -> SoftwareSigner:
    pem = _read(path)
    if place.IN_TPM in pem:
        from firmware_py.site.tpm import opened  # noqa: PLC0415 - 8 MB, where there is one

        return SoftwareSigner(opened(path, pem, settings.tpm))
    try:
        signer = SoftwareSigner.from_pem(pem)
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
