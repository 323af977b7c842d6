"""A gateway that enrols, beside a real broker whose revocation list it keeps; and devices."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import secrets
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from contract.administration import Approval, Decision
from contract.certificates import Subject
from contract.directory import TerminalState
from contract.enrolment import (
    GRANT_MS,
    EnrolmentRequest,
    Grant,
    Granted,
    Issued,
    Order,
    enrolment_code,
    spell_token,
    token_digest,
)
from contract.ids import Digest, OperatorId, SiteId, TerminalId, WardId
from contract.signing import SoftwareSigner, sha256
from contract.wire import decode_base64, encode_base64
from tests.gateway.conftest import Box, made_box
from tests.gateway.identities import SITE, Person, pem_key
from tests.gateway.requests import request, terminal_entry


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Device:
    """What is unpacked on a ward: two keys of its own, no certificate yet."""

    def __init__(self, name: str, token: str = "", site: SiteId = SITE) -> None:
        self.name = TerminalId(name)
        self.token = token
        self.site = site
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.batch = SoftwareSigner(ec.generate_private_key(ec.SECP256R1()))

    def csr(self, name: str | None = None, key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
        subject = Subject(name or self.name, self.site).name
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        return builder.sign(key or self.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def order(
        self, csr: bytes | None = None, by: SoftwareSigner | None = None, name: str | None = None
    ) -> bytes:
        csr = csr or self.csr()
        asked = EnrolmentRequest(
            site=self.site,
            terminal=TerminalId(name or self.name),
            csr=sha256(csr),
            batch_key=self.batch.public.to_base64(),
            issued_ms=0,
        ).seal(by or self.batch)
        return Order(csr=encode_base64(csr), request=encode_base64(asked.to_bytes())).to_bytes()

    @property
    def code(self) -> str:
        spki = SoftwareSigner(self.key).public.spki
        return enrolment_code(self.name, spki, self.batch.public.spki)

    def identity(self, folder: Path, certificate: bytes) -> Person:
        """Its key and certificate as files, to connect by."""
        person = Person.__new__(Person)
        person.name = self.name
        person.signer = SoftwareSigner(self.key)
        person.certificate = x509.load_der_x509_certificate(certificate)
        person.key_file = folder / f"{self.name}-{secrets.token_hex(4)}.key.pem"
        person.certificate_file = person.key_file.with_suffix(".crt.pem")
        person.key_file.write_bytes(pem_key(self.key))
        person.certificate_file.write_bytes(person.certificate.public_bytes(Encoding.PEM))
        return person


class Enrolling:
    """The box, and what an operator and a device ask of it."""

    def __init__(self, box: Box, enrol_port: int) -> None:
        self.box = box
        self.enrol_port = enrol_port

    @property
    def ca_file(self) -> Path:
        return self.box.identity.folder / "operator_ca.crt.pem"

    def operators(self, who: Person | None = None) -> httpx.Client:
        return self.box.http(who or self.box.operator, self.box.admin_port)

    def strangers(self) -> httpx.Client:
        return self.box.http(None, self.enrol_port)

    def terminals(self, who: Person) -> httpx.Client:
        return self.box.http(who, self.box.https_port)

    def grant(
        self, *names: str, until_ms: int | None = None, issued_ms: int | None = None
    ) -> list[Device]:
        """Devices with a token each."""
        devices = [Device(name, spell_token(secrets.token_bytes(32))) for name in names]
        answer = self.send_grant(devices, until_ms=until_ms, issued_ms=issued_ms)
        assert answer.status_code == 200, answer.text
        return devices

    def send_grant(
        self,
        devices: Sequence[Device],
        *,
        until_ms: int | None = None,
        issued_ms: int | None = None,
        signer: SoftwareSigner | None = None,
    ) -> httpx.Response:
        issued_ms = issued_ms or now_ms()
        statement = Grant(
            site=SITE,
            operator=OperatorId("ines"),
            nonce=secrets.token_hex(32),
            issued_ms=issued_ms,
            until_ms=until_ms or issued_ms + GRANT_MS,
            terminals=tuple(
                Granted(terminal=one.name, ward=WardId("ed"), token=token_digest(one.token))
                for one in devices
            ),
        ).seal(signer or self.box.operator.signer)
        with self.operators() as client:
            return client.post("/v1/grants", content=statement.to_bytes())

    def enrol(
        self, device: Device, order: bytes | None = None, name: str | None = None
    ) -> httpx.Response:
        with self.strangers() as client:
            return self.ask(client, device, order, name)

    @staticmethod
    def ask(
        client: httpx.Client, device: Device, order: bytes | None = None, name: str | None = None
    ) -> httpx.Response:
        said = {"Authorization": basic(name or device.name, device.token)} if device.token else {}
        return client.post("/v1/enrolment", content=order or device.order(), headers=said)

    def enrolled(self, *names: str) -> list[tuple[Device, Person]]:
        """Terminals that have their certificate."""
        found = []
        for device in self.grant(*names):
            answer = self.enrol(device)
            assert answer.status_code == 200, answer.text
            certificate = decode_base64(Issued.from_bytes(answer.content).certificate)
            found.append((device, device.identity(self.box.folder, certificate)))
        return found

    def approve(
        self, code: str, subject: str, decision: Decision = Decision.APPROVE
    ) -> httpx.Response:
        issued_ms = now_ms()
        word = Approval(
            site=SITE,
            operator=OperatorId("ines"),
            subject=Digest(subject),
            decision=decision,
            issued_ms=issued_ms,
            until_ms=issued_ms + 60_000,
        ).seal(self.box.operator.signer)
        with self.operators() as client:
            return client.post(f"/v1/enrolments/{code}", content=word.to_bytes())

    def change(self, *entries) -> httpx.Response:  # type: ignore[no-untyped-def]  # noqa: ANN002
        with self.operators() as client:
            return client.post("/v1/changes", content=request(entries, self.box.operator.signer))

    def retire(self, device: Device) -> None:
        entry = terminal_entry(device.name, device.batch.public, TerminalState.RETIRED)
        assert self.change(entry).status_code == 200

    def kept(self, name: str) -> dict[str, Any]:
        with self.operators() as client:
            found: dict[str, Any] = client.get(f"/v1/terminals/{name}").json()
            return found

    def alarms(self, code: str) -> int:
        """How often the gateway's own journal tells of it."""
        return self._told(f'"code":"{code}"')

    def events(self, kind: str) -> int:
        return self._told(f'"kind":"{kind}"')

    def _told(self, piece: str) -> int:
        file = self.box.folder / "state" / "gateway.sqlite"
        with contextlib.closing(sqlite3.connect(file)) as database:
            rows = database.execute("SELECT body FROM events").fetchall()
        return sum(piece.encode() in bytes(row[0]) for row in rows)

    def health(self) -> dict[str, Any]:
        with self.operators() as client:
            found: dict[str, Any] = client.get("/healthz").json()
            return found

    def until(self, look, what: str, timeout_s: float = 15.0):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Looks again until it is so."""
        end = time.monotonic() + timeout_s
        while not (found := look()):
            assert time.monotonic() < end, f"never: {what}"
            time.sleep(0.02)
        return found

    def cpu_s(self) -> float:
        """Of the gateway, user and system, until now."""
        fields = Path(f"/proc/{self.box.gateway.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def openssl(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["openssl", *arguments], input=stdin, capture_output=True, timeout=20, check=False
        )

    def curl(self, *arguments: str) -> tuple[int, bytes]:
        """HTTP status and body."""
        argv = ["curl", "-sS", "--noproxy", "*", "--cacert", str(self.ca_file)]
        done = subprocess.run(
            [*argv, "-w", "\n%{http_code}", *arguments],
            capture_output=True,
            timeout=20,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        body, _, status = done.stdout.rpartition(b"\n")
        return int(status), body

    def connects(self, who: Person) -> bool:
        """Whether the broker lets in who shows this certificate (mosquitto's own client)."""
        return self.says(who, "status", b"{}")

    def says(self, who: Person, channel: str, payload: bytes) -> bool:
        """Whether the broker takes a message of who shows this certificate."""
        done = subprocess.run(
            [
                *("mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.box.broker.port)),
                *("--cafile", str(self.ca_file), "--cert", str(who.certificate_file)),
                *("--key", str(who.key_file), "-V", "5", "-q", "1"),
                *("-t", f"tapover/v1/{who.name}/{channel}", "-s"),
            ],
            input=payload,
            capture_output=True,
            timeout=20,
            check=False,
        )
        return done.returncode == 0


@contextmanager
def made_enrolling(folder: Path, **settings: object) -> Iterator[Enrolling]:
    """Started; the broker too."""
    with made_box(folder) as box:
        (enrol_port,) = box.ports.take(1)
        (box.identity.folder / "terminal_ca.key.pem").write_bytes(
            pem_key(box.identity.terminal_ca.key)
        )
        box.write_settings(
            **{
                "enrol_port": enrol_port,
                "crl_file": str(box.broker.crl),
                "broker_pid_file": str(box.broker.pid_file),
                **settings,
            }
        )
        box.broker.start()
        box.start()
        yield Enrolling(box, enrol_port)


def basic(name: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()


def serials_in(crl: Path) -> set[int]:
    text = crl.read_bytes()
    listed = x509.load_pem_x509_crl(text)
    return {each.serial_number for each in listed}


CODE = re.compile(r"^[A-Z2-7]{8}$")
