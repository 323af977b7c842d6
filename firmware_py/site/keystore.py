"""Where a terminal's private keys are made and kept: on the device, once, never copied off it.

A `KeyStore` makes a key when it is first asked for it and has it durable before it gives it away:
whoever asks again, after a power cut too, gets the same one. `FileKeys` keeps them in files of mode
0600; a TPM stands beside it (`firmware_py.site.tpm`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from runtime.durable import NotThere, StorageError, create_new, read_capped
from runtime.settings import CertificateError

# A PEM P-256 key is 241 bytes, a TPM's blob some 600.
_KEY_CAP: Final = 16 * 1024


class KeyStore(Protocol):
    """Keys by the name of the file that stands for them in the identity folder."""

    def key(self, path: Path) -> ec.EllipticCurvePrivateKey:
        """The P-256 key, made at first asking. Raises CertificateError or StorageError."""
        ...


class FileKeys:
    """Unencrypted PEM (PKCS#8), mode 0600: nobody is there to type a passphrase."""

    def key(self, path: Path) -> ec.EllipticCurvePrivateKey:
        """See `KeyStore`. A file that holds no key is never replaced."""
        try:
            pem = read_capped(path, _KEY_CAP)
        except NotThere:
            return _made(path)
        return _parsed(path, pem)


def _made(path: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    create_new(path, pem)
    return key


def _parsed(path: Path, pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError(
            f"{path}: holds no private key; empty its folder to enrol anew"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise CertificateError(f"{path}: is no P-256 key; empty its folder to enrol anew")
    return key


def forget(path: Path) -> None:
    """A key that never came to a certificate. Raises StorageError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(path, error.strerror or type(error).__name__) from error
