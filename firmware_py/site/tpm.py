"""The batch key in a TPM 2.0 (TCG TPM 2.0 Library, parts 1 and 3), through tpm2-pytss.

The key is made in the TPM and never leaves it. What stands in the identity folder is the TPM's own
wrapping of it under the owner's storage key, in the form that OpenSSL's TPM providers read too (PEM
"TSS2 PRIVATE KEY"): worth nothing without this very TPM, lost with its owner's seed.

The key of the TLS certificate stays in a file: see `TpmKeys`.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from tpm2_pytss import (
    ESAPI,
    TPM2_ALG,
    TPM2_RH,
    TPM2_ST,
    TPM2B_DIGEST,
    TPMS_SCHEME_HASH,
    TPMT_SIG_SCHEME,
    TPMT_TK_HASHCHECK,
    TPMU_SIG_SCHEME,
    TSS2_Exception,
)
from tpm2_pytss.tsskey import TSSPrivKey

from firmware_py.site.keystore import FileKeys
from firmware_py.site.place import BATCH_KEY, IN_TPM
from runtime.durable import NotThere, create_new, read_capped
from runtime.settings import CertificateError

if TYPE_CHECKING:
    from typing_extensions import Buffer  # in collections.abc from Python 3.12 on

_KEY_CAP: Final = 16 * 1024
_P256_BITS: Final = 256


class TpmKeys:
    """`KeyStore`: the batch key in the TPM, the TLS keys in files.

    Python's ssl takes a TPM's key only through an OpenSSL provider, and the one of Debian 12
    (tpm2-openssl 1.1.1 beside OpenSSL 3.0) did not come through a TLS 1.3 handshake. What a stolen
    TLS key can do ends with its certificate, or when the terminal is retired; what a stolen batch
    key could do is to write history, so that is the one in here.
    """

    def __init__(self, tcti: str) -> None:
        """`tcti` is how the TPM is reached, such as ``device:/dev/tpmrm0``."""
        self._tcti = tcti
        self._files = FileKeys()

    def key(self, path: Path) -> ec.EllipticCurvePrivateKey:
        """See `KeyStore`."""
        if path.name != BATCH_KEY:
            return self._files.key(path)
        try:
            pem = read_capped(path, _KEY_CAP)
        except NotThere:
            pem = _made(path, self._tcti)
            create_new(path, pem)
        return opened(path, pem, self._tcti) if IN_TPM in pem else self._files.key(path)


def opened(path: Path, pem: bytes, tcti: str) -> TpmKey:
    """The key that a file stands for. Raises CertificateError."""
    try:
        wrapped = TSSPrivKey.from_pem(pem)
        public = serialization.load_pem_public_key(wrapped.public.to_pem())
    except (ValueError, TypeError, TSS2_Exception) as error:
        raise CertificateError(f"{path}: holds no TPM key; enrol this terminal again") from error
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.key_size != _P256_BITS:
        raise CertificateError(f"{path}: is no P-256 key; enrol this terminal again")
    key = TpmKey(wrapped, public, tcti)
    try:
        key.sign(b"", ec.ECDSA(hashes.SHA256()))
    except TSS2_Exception as error:
        raise CertificateError(
            f"{path}: the TPM ({tcti}) does not take this key ({error}); is it another machine's?"
        ) from error
    return key


def _made(path: Path, tcti: str) -> bytes:
    try:
        with ESAPI(tcti) as tpm:
            return bytes(TSSPrivKey.create_ecc(tpm).to_pem())
    except (TSS2_Exception, RuntimeError) as error:
        raise CertificateError(f"{path}: the TPM ({tcti}) made no key: {error}") from error


class TpmKey(ec.EllipticCurvePrivateKey):
    """A P-256 key that signs in the TPM. For any thread; `repr` shows nothing of it."""

    def __init__(self, wrapped: TSSPrivKey, public: ec.EllipticCurvePublicKey, tcti: str) -> None:
        self._wrapped = wrapped
        self._public = public
        self._tcti = tcti
        self._turn = threading.Lock()

    def sign(
        self,
        data: Buffer,
        signature_algorithm: ec.EllipticCurveSignatureAlgorithm,
    ) -> bytes:
        """ECDSA over SHA-256 of `data`, DER. Raises TSS2_Exception.

        Loaded for each signature: a TPM has room for three keys, and others use it too.
        """
        del signature_algorithm  # the contract knows one for P-256
        digest = TPM2B_DIGEST(hashlib.sha256(data).digest())
        scheme = TPMT_SIG_SCHEME(
            scheme=TPM2_ALG.ECDSA,
            details=TPMU_SIG_SCHEME(any=TPMS_SCHEME_HASH(hashAlg=TPM2_ALG.SHA256)),
        )
        # Data from outside the TPM, which this key may sign.
        ticket = TPMT_TK_HASHCHECK(tag=TPM2_ST.HASHCHECK, hierarchy=TPM2_RH.NULL)
        with self._turn, ESAPI(self._tcti) as tpm:
            handle = self._wrapped.load(tpm)
            try:
                # Its parts point into it: it must live until they are read.
                signed = tpm.sign(handle, digest, scheme, ticket)
                r = int.from_bytes(bytes(signed.signature.ecdsa.signatureR))
                s = int.from_bytes(bytes(signed.signature.ecdsa.signatureS))
            finally:
                tpm.flush_context(handle)
        return utils.encode_dss_signature(r, s)

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self._public

    @property
    def curve(self) -> ec.EllipticCurve:
        """P-256."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """In bits."""
        return self._public.key_size

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        """It signs, and does nothing else."""
        del algorithm, peer_public_key
        self._never()

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        """They are in the TPM."""
        self._never()

    def private_bytes(
        self,
        encoding: serialization.Encoding,
        format: serialization.PrivateFormat,  # noqa: A002 - the library's name
        encryption_algorithm: serialization.KeySerializationEncryption,
    ) -> bytes:
        """They are in the TPM."""
        del encoding, format, encryption_algorithm
        self._never()

    def __copy__(self) -> TpmKey:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> TpmKey:
        return self

    def _never(self) -> NoReturn:
        raise NotImplementedError("this key signs in the TPM and never leaves it")
