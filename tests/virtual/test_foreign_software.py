"""OpenSC and yubico-piv-tool, as Debian ships them, take the virtual card for a PIV card."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from benchmarks.ward.pcscd import Pcscd
from hardware.virtual.behaviour import ATR, Behaviour
from hardware.virtual.card import Card
from hardware.virtual.names import Access, Algorithm, Slot
from hardware.virtual.sample import certificate, personalised
from hardware.virtual.vpcd import VirtualReader
from tests import parts
from tests.virtual.pcsc_talk import PRESENT, await_state

PKCS11 = ("--module", "opensc-pkcs11.so")
# The well-known PIN of a generated card. These foreign programs take it on their command line.
PIN = "123456"


@dataclass(frozen=True)
class Desk:
    """One reader, and foreign software that uses it."""

    pcscd: Pcscd
    reader: VirtualReader
    name: str
    home: Path

    def insert(self, card: Card, behaviour: Behaviour | None = None) -> None:
        self.reader.insert(card, behaviour)
        await_state(self.name, PRESENT)

    def run(self, program: str, *arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            [parts.program(program), *arguments],
            env={**os.environ, **self.pcscd.environment, "HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == status, said
        return said

    def yubico(self, *arguments: str, status: int = 0) -> str:
        return self.run("yubico-piv-tool", "-r", self.name, *arguments, status=status)


@pytest.fixture
def desk(pcscd: Pcscd, reader: VirtualReader, name: str, tmp_path: Path) -> Desk:
    return Desk(pcscd, reader, name, tmp_path)


@pytest.fixture
def mixed_card() -> Card:
    """P-256 in 9A, 9D and 9E, RSA-2048 in 9C, as foreign cards come."""
    card = personalised(
        slots=[Slot.AUTHENTICATION, Slot.KEY_MANAGEMENT, Slot.CARD_AUTHENTICATION],
        certificates=True,
    )
    other = personalised(algorithm=Algorithm.RSA_2048, slots=[Slot.SIGNATURE], certificates=True)
    card.keys |= other.keys
    card.objects = other.objects | card.objects
    return card


def test_opensc_lists_the_reader_and_names_the_card(desk: Desk, blank: Card) -> None:
    desk.insert(blank)
    assert desk.name in desk.run("opensc-tool", "-l")
    assert ATR.hex(":") in desk.run("opensc-tool", "-a")
    assert "Personal Identity Verification Card" in desk.run("opensc-tool", "-n")


def test_opensc_reads_keys_certificates_and_objects(desk: Desk, mixed_card: Card) -> None:
    desk.insert(mixed_card)
    said = desk.run("pkcs15-tool", "-D")
    for label in ("PIV AUTH key", "SIGN key", "KEY MAN key", "CARD AUTH key"):
        assert f"Private EC Key [{label}]" in said or f"Private RSA Key [{label}]" in said
    assert said.count("X.509 Certificate [") == 4
    said = desk.run("pkcs11-tool", *PKCS11, "-O")
    assert said.count("Certificate Object; type = X.509 cert") == 4
    assert said.count("Public Key Object; EC") == 3
    assert said.count("Public Key Object; RSA 2048 bits") == 1


def test_opensc_signs_with_9a_after_the_pin(desk: Desk, mixed_card: Card) -> None:
    desk.insert(mixed_card)
    digest, signature = desk.home / "digest", desk.home / "signature"
    digest.write_bytes(bytes(range(32)))
    desk.run(
        *("pkcs11-tool", *PKCS11, "--login", "--pin", PIN, "--sign", "--id", "01"),
        *("-m", "ECDSA", "--signature-format", "openssl"),
        *("-i", str(digest), "-o", str(signature)),
    )
    (signed,) = mixed_card.record.signatures
    assert (signed.slot, signed.prepared) == (0x9A, digest.read_bytes())
    public = desk.home / "public.pem"
    public.write_bytes(_pem(mixed_card, Slot.AUTHENTICATION))
    said = desk.run(
        *("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public)),
        *("-in", str(digest), "-sigfile", str(signature)),
    )
    assert "Signature Verified Successfully" in said


def test_opensc_signs_with_an_rsa_key(desk: Desk, mixed_card: Card) -> None:
    desk.insert(mixed_card)
    data, signature = desk.home / "data", desk.home / "signature"
    data.write_bytes(b"generated")
    desk.run(
        *("pkcs11-tool", *PKCS11, "--login", "--pin", PIN, "--sign", "--id", "02"),
        *("-m", "SHA256-RSA-PKCS", "-i", str(data), "-o", str(signature)),
    )
    key = mixed_card.keys[Slot.SIGNATURE].public
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(signature.read_bytes(), b"generated", padding.PKCS1v15(), hashes.SHA256())


def test_opensc_is_refused_with_a_wrong_pin(desk: Desk, mixed_card: Card) -> None:
    desk.insert(mixed_card)
    data = desk.home / "data"
    data.write_bytes(bytes(32))
    said = desk.run(
        *("pkcs11-tool", *PKCS11, "--login", "--pin", "000000", "--sign", "--id", "01"),
        *("-m", "ECDSA", "-i", str(data)),
        status=1,
    )
    assert "CKR_PIN_INCORRECT" in said
    assert mixed_card.pin.left == 2
    assert not mixed_card.record.signatures


def test_opensc_runs_its_own_test_of_the_token(desk: Desk, mixed_card: Card) -> None:
    desk.insert(mixed_card)
    said = desk.run("pkcs11-tool", *PKCS11, "--login", "--pin", PIN, "--test")
    assert "No errors" in said
    assert "C_GenerateRandom():\n  seeding (C_SeedRandom) not supported\n  seems to be OK" in said


def test_opensc_sees_nothing_of_9a_on_a_strict_card_over_contactless(
    desk: Desk, mixed_card: Card
) -> None:
    desk.insert(mixed_card, Behaviour(Access.CONTACTLESS_STRICT))
    said = desk.run("pkcs15-tool", "--list-certificates")
    assert "Certificate for Card Authentication" in said
    assert "Certificate for PIV Authentication" not in said


def test_yubico_personalises_a_blank_card(desk: Desk, blank: Card) -> None:
    desk.insert(blank)
    assert "PIN tries left:\t3" in desk.yubico("-a", "status")
    desk.yubico("-a", "set-chuid", "-a", "set-ccc")
    assert blank.guid is not None
    for slot, algorithm, kind in (("9a", "ECCP256", ec), ("9c", "RSA2048", rsa)):
        public, certified = desk.home / f"{slot}.pub", desk.home / f"{slot}.crt"
        desk.yubico("-a", "generate", "-s", slot, "-A", algorithm, "-o", str(public))
        key = serialization.load_pem_public_key(public.read_bytes())
        assert isinstance(key, getattr(kind, _PUBLIC[algorithm]))
        assert key == blank.keys[int(slot, 16)].public
        certified.write_bytes(_pem_certificate(certificate(key)))
        desk.yubico("-a", "import-certificate", "-s", slot, "-i", str(certified))
        said = desk.yubico(
            *("-a", "verify-pin", "-P", PIN, "-a", "test-signature", "-s", slot),
            *("-i", str(certified)),
        )
        assert "verification" in said
        assert "Successful" in said
    said = desk.yubico("-a", "status")
    assert "Algorithm:\tECCP256" in said
    assert "Algorithm:\tRSA2048" in said


_PUBLIC = {"ECCP256": "EllipticCurvePublicKey", "RSA2048": "RSAPublicKey"}


def test_yubico_signs_and_agrees_on_keys(desk: Desk, mixed_card: Card) -> None:
    desk.insert(mixed_card)
    certified = desk.home / "9d.crt"
    key = mixed_card.keys[Slot.KEY_MANAGEMENT].public
    certified.write_bytes(_pem_certificate(certificate(key)))
    said = desk.yubico(
        *("-a", "verify-pin", "-P", PIN, "-a", "test-decipher", "-s", "9d"),
        *("-i", str(certified)),
    )
    assert "Successfully performed ECDH exchange" in said


def test_yubico_counts_down_blocks_and_unblocks(desk: Desk, blank: Card) -> None:
    desk.insert(blank)
    assert "2 tries left" in desk.yubico("-a", "verify-pin", "-P", "000000", status=1)
    assert "Successfully verified PIN" in desk.yubico("-a", "verify-pin", "-P", PIN)
    for _ in range(3):
        desk.yubico("-a", "verify-pin", "-P", "000000", status=1)
    assert "blocked" in desk.yubico("-a", "verify-pin", "-P", PIN, status=1).lower()
    desk.yubico("-a", "unblock-pin", "-P", "12345678", "-N", "654321")
    desk.yubico("-a", "change-pin", "-P", "654321", "-N", PIN)
    desk.yubico("-a", "change-puk", "-P", "12345678", "-N", "87654321")
    assert "Successfully verified PIN" in desk.yubico("-a", "verify-pin", "-P", PIN)


def test_yubico_manages_a_card(desk: Desk, blank: Card) -> None:
    desk.insert(blank)
    desk.yubico("-a", "verify-pin", "-P", PIN, "-a", "pin-retries", *_RETRIES)
    assert "PIN tries left:\t5" in desk.yubico("-a", "status")
    new_key = "0102030405060708090A0B0C0D0E0F101112131415161718"
    desk.yubico("-a", "set-mgm-key", "-n", new_key)
    desk.yubico(f"--key={new_key}", "-a", "set-chuid")
    assert blank.guid is not None
    desk.yubico("-a", "set-chuid", status=1)
    assert str(blank.serial) in desk.yubico("-a", "status")
    assert "5.2.7" in desk.yubico("-a", "version")


_RETRIES = ("--pin-retries", "5", "--puk-retries", "6")


def test_yubico_imports_keys(desk: Desk, blank: Card) -> None:
    desk.insert(blank)
    makers: list[Callable[[], ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]] = [
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: rsa.generate_private_key(65_537, 2048),
    ]
    for make in makers:
        private = make()
        pem = desk.home / "key.pem"
        pem.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        desk.yubico("-a", "import-key", "-s", "9e", "-i", str(pem))
        assert blank.keys[0x9E].public == private.public_key()


def test_yubico_resets_a_card_that_is_blocked(desk: Desk, mixed_card: Card) -> None:
    desk.insert(mixed_card)
    desk.yubico("-a", "reset", status=1)
    for _ in range(3):
        desk.yubico("-a", "verify-pin", "-P", "000000", status=1)
        desk.yubico("-a", "unblock-pin", "-P", "00000000", "-N", "654321", status=1)
    desk.yubico("-a", "reset")
    assert (mixed_card.guid, mixed_card.keys) == (None, {})


def _pem(card: Card, slot: Slot) -> bytes:
    return card.keys[slot].public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _pem_certificate(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
