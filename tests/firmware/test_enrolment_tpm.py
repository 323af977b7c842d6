"""The batch key in a TPM (swtpm): made there, signing there, and worth nothing anywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from contract.signing import SignatureRefused, SoftwareSigner
from firmware_py.site.tpm import TpmKey, TpmKeys, opened
from runtime.settings import CertificateError
from tests.firmware.swtpm import Swtpm


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[Swtpm]:
    with Swtpm(tmp_path / "tpm") as tpm:
        yield tpm


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    return tmp_path / "batch.key.pem"


def test_a_key_of_the_tpm_signs_what_the_contract_verifies(tpm: Swtpm, batch: Path) -> None:
    signer = SoftwareSigner(TpmKeys(tpm.tcti).key(batch))
    # A TPM holds three keys at once: none of these may stay in it.
    for message in (b"one", b"two", b"three", b"four", b"five"):
        signer.public.verify(message, signer.sign(message))
        with pytest.raises(SignatureRefused):
            signer.public.verify(b"another", signer.sign(message))


def test_the_key_is_the_same_one_after_the_machine_was_off(tpm: Swtpm, batch: Path) -> None:
    before = SoftwareSigner(TpmKeys(tpm.tcti).key(batch))
    tpm.switch_off()
    tpm.switch_on()
    after = SoftwareSigner(TpmKeys(tpm.tcti).key(batch))
    assert after.public.spki == before.public.spki
    before.public.verify(b"x", after.sign(b"x"))


def test_what_lies_on_the_disk_is_no_key_without_its_tpm(
    tpm: Swtpm, batch: Path, tmp_path: Path
) -> None:
    TpmKeys(tpm.tcti).key(batch)
    assert batch.stat().st_mode & 0o077 == 0
    with pytest.raises(ValueError, match=r"."):
        serialization.load_pem_private_key(batch.read_bytes(), None)
    with Swtpm(tmp_path / "other") as other, pytest.raises(CertificateError, match="another mach"):
        opened(batch, batch.read_bytes(), other.tcti)


def test_a_key_in_the_tpm_is_never_given_away(tpm: Swtpm, batch: Path) -> None:
    key = TpmKeys(tpm.tcti).key(batch)
    assert isinstance(key, TpmKey)
    with pytest.raises(NotImplementedError):
        key.private_numbers()
    with pytest.raises(NotImplementedError):
        key.exchange(ec.ECDH(), key.public_key())


def test_a_tpm_that_is_not_there_is_said_in_our_own_words(batch: Path) -> None:
    with pytest.raises(CertificateError, match="made no key"):
        TpmKeys("swtpm:host=127.0.0.1,port=1").key(batch)
    assert not batch.exists()


def test_the_key_of_the_tls_certificate_stays_a_file(tpm: Swtpm, tmp_path: Path) -> None:
    key = TpmKeys(tpm.tcti).key(tmp_path / "terminal.key.pem")
    assert not isinstance(key, TpmKey)
