"""OpenSC, yubico-piv-tool and ykman's yubikit read a card that `tapover` issued, and use it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from smartcard.System import readers as pcsc_readers
from ykman.pcsc import ScardSmartCardConnection
from yubikit.core import InvalidPinError
from yubikit.core.smartcard import ApduError
from yubikit.piv import KEY_TYPE, MANAGEMENT_KEY_TYPE, OBJECT_ID, SLOT, PivSession

from benchmarks.ward.pcscd import Pcscd
from benchmarks.ward.ports import PortBlock
from contract.ids import SiteId
from hardware.piv import Pin
from hardware.virtual.card import Card
from hardware.virtual.vpcd import VirtualReader
from provisioning.cards.desk import Desk
from provisioning.cards.journal import CardRecord
from provisioning.cards.making import issue_at
from provisioning.site.folder import SiteFolder, init_site
from runtime.clock import SystemClock
from tests import parts
from tests.provisioning.torn import HOLDER, PIN, held
from tests.virtual.pcsc_talk import PRESENT, await_state

PKCS11 = ("--module", "opensc-pkcs11.so")


@dataclass(frozen=True)
class Eyes:
    """An issued card in a reader, and others' software looking at it."""

    pcscd: Pcscd
    reader: str
    card: Card
    record: CardRecord
    ca: Path
    home: Path

    def run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [parts.program(program), *arguments],
            env={**os.environ, **self.pcscd.environment, "HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def openssl_accepts(self, certificate: Path, *options: str) -> bool:
        return "OK" in self.run(
            "openssl", "verify", *options, "-CAfile", str(self.ca), str(certificate)
        )


@pytest.fixture(scope="module")
def eyes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eyes]:
    home = tmp_path_factory.mktemp("eyes")
    folder, clock, card = SiteFolder(home / "site"), SystemClock(), Card()
    init_site(folder, SiteId("st-elsewhere"), ("127.0.0.1",), None, clock.wall_ms())
    desk = Desk.open(folder, clock)
    issued = issue_at(desk, held(card), HOLDER, Pin(PIN))
    record = desk.book.recall(issued.guid)
    assert record is not None
    with PortBlock() as ports, Pcscd(ports, ("Eyes",)) as pcscd:
        pcscd.use_here()
        with VirtualReader(pcscd.readers[0].port) as reader:
            reader.insert(card)
            name = pcscd.readers[0].name
            await_state(name, PRESENT)
            ca = folder.authority / "card_ca.crt.pem"
            yield Eyes(pcscd, name, card, record, ca, home)


def test_opensc_lists_both_keys_and_openssl_accepts_their_certificates(eyes: Eyes) -> None:
    said = eyes.run("pkcs15-tool", "--reader", "0", "-D")
    assert "PIV AUTH key" in said
    assert "CARD AUTH key" in said
    for number, usage in (("01", "sslclient"), ("04", "any")):
        path = eyes.home / f"{number}.pem"
        path.write_text(eyes.run("pkcs15-tool", "--read-certificate", number).strip() + "\n")
        assert eyes.openssl_accepts(path, "-purpose", usage)
    text = eyes.run("openssl", "x509", "-in", str(eyes.home / "04.pem"), "-noout", "-text")
    assert "2.16.840.1.101.3.6.8" in text
    assert "URI:urn:uuid:" in text
    assert HOLDER in text


def test_opensc_signs_with_9a_after_the_holders_pin(eyes: Eyes) -> None:
    digest, signature = eyes.home / "digest", eyes.home / "signature"
    digest.write_bytes(bytes(range(32)))
    eyes.run(
        *("pkcs11-tool", *PKCS11, "--login", "--pin", PIN, "--sign", "--id", "01"),
        *("-m", "ECDSA", "--signature-format", "openssl", "-i", str(digest), "-o", str(signature)),
    )
    public = eyes.home / "public.pem"
    key = eyes.card.keys[SLOT.AUTHENTICATION].public
    public.write_bytes(
        key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    said = eyes.run(
        *("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public)),
        *("-in", str(digest), "-sigfile", str(signature)),
    )
    assert "Signature Verified Successfully" in said


def test_yubico_piv_tool_reads_its_status_and_tests_its_keys(eyes: Eyes) -> None:
    said = eyes.run("yubico-piv-tool", "-r", eyes.reader, "-a", "status")
    assert eyes.record.guid in said.lower()
    assert "Slot 9a" in said
    assert "Slot 9e" in said
    assert said.count("Algorithm:\tECCP256") == 2
    assert HOLDER in said
    for slot in ("9a", "9e"):
        certificate = eyes.home / f"{slot}.pem"
        reader = ("-r", eyes.reader)
        eyes.run(
            *("yubico-piv-tool", *reader, "-a", "read-certificate", "-s", slot),
            *("-o", str(certificate)),
        )
        said = eyes.run(
            *("yubico-piv-tool", *reader, "-a", "verify-pin", "-P", PIN),
            *("-a", "test-signature", "-s", slot, "-i", str(certificate)),
        )
        assert "Successful" in said


@pytest.fixture
def session(eyes: Eyes) -> Iterator[PivSession]:
    """Yubikit's own session, over ykman's own connection."""
    (reader,) = (one for one in pcsc_readers() if one.name == eyes.reader)
    connection = ScardSmartCardConnection(reader.createConnection())  # type: ignore[no-untyped-call]
    try:
        yield PivSession(connection)
    finally:
        connection.close()  # type: ignore[no-untyped-call]


def test_yubikit_reads_its_objects_and_uses_its_keys(eyes: Eyes, session: PivSession) -> None:
    ca = x509.load_pem_x509_certificate(eyes.ca.read_bytes())
    assert bytes.fromhex(eyes.record.guid) in session.get_object(OBJECT_ID.CHUID)
    assert session.get_object(OBJECT_ID.CAPABILITY)
    assert session.get_pin_attempts() == 3
    message = b"generated"
    for slot, pin in ((SLOT.CARD_AUTH, None), (SLOT.AUTHENTICATION, PIN)):
        certificate = session.get_certificate(slot)
        certificate.verify_directly_issued_by(ca)
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        if pin is not None:
            with pytest.raises(ApduError):
                session.sign(slot, KEY_TYPE.ECCP256, message, hashes.SHA256())
            session.verify_pin(pin)
        signature = session.sign(slot, KEY_TYPE.ECCP256, message, hashes.SHA256())
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))


def test_the_factorys_secrets_open_nothing_any_more(eyes: Eyes, session: PivSession) -> None:
    with pytest.raises(ApduError):
        session.authenticate(bytes(range(1, 9)) * 3)
    with pytest.raises(InvalidPinError):
        session.unblock_pin("12345678", "471903")
    assert session.management_key_type is MANAGEMENT_KEY_TYPE.TDES  # as old as this card's version
