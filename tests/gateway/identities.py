"""A site's keys and certificates, made anew for a test, and terminals that sign as real ones do."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from contract.certificates import Profile, PublicKey, Subject, Validity, build_ca, build_leaf
from contract.events import ClockTrust, Event, JournalOpened, TerminalStopped
from contract.ids import BootId, Digest, JournalId, SiteId, TerminalId
from contract.journal import BatchStatement, chain_next, chain_start
from contract.signing import Envelope, SoftwareSigner, sha256
from contract.statements import KeyStatement, LogKey
from contract.wire import encode_base64

SITE = SiteId("st-elsewhere")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def pem_key(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def der(certificate: x509.Certificate) -> str:
    return encode_base64(certificate.public_bytes(serialization.Encoding.DER))


@dataclass
class Ca:
    """A certificate authority of the test's own."""

    profile: Profile
    valid_from: datetime = NOW
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        subject = Subject(self.profile.name.lower(), SITE)
        self.certificate = build_ca(
            self.profile, subject, self.key, x509.random_serial_number(), self.validity
        )

    @property
    def validity(self) -> Validity:
        return Validity(self.valid_from - timedelta(days=1), self.valid_from + timedelta(days=90))

    def issue(
        self,
        profile: Profile,
        name: str,
        public_key: PublicKey,
        hosts: tuple[str, ...] = (),
        validity: Validity | None = None,
    ) -> x509.Certificate:
        return build_leaf(
            profile,
            Subject(name, SITE, hosts),
            public_key,
            issuer=self.certificate,
            issuer_key=self.key,
            serial=x509.random_serial_number(),
            validity=validity or self.validity,
        )


class Person:
    """Somebody with a key and a certificate in files: a terminal or an operator."""

    def __init__(self, folder: Path, ca: Ca, profile: Profile, name: str) -> None:
        self.name = name
        key = ec.generate_private_key(ec.SECP256R1())
        self.signer = SoftwareSigner(key)
        self.key_file = folder / f"{name}.key.pem"
        self.certificate_file = folder / f"{name}.crt.pem"
        self.key_file.write_bytes(pem_key(key))
        self.certificate = ca.issue(profile, name, key.public_key())
        self.certificate_file.write_bytes(pem(self.certificate))


class SiteIdentity:
    """What provisioning makes for a site, in `folder`."""

    def __init__(self, folder: Path, valid_from: datetime = NOW) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.root = SoftwareSigner(ec.generate_private_key(ec.SECP256R1()))
        self.terminal_ca = Ca(Profile.TERMINAL_CA, valid_from)
        self.operator_ca = Ca(Profile.OPERATOR_CA, valid_from)
        self.card_ca = Ca(Profile.CARD_CA, valid_from)
        self.statement_key = ec.generate_private_key(ec.SECP256R1())
        self.log_key = ed25519.Ed25519PrivateKey.generate()
        self.statement = SoftwareSigner(self.statement_key)
        self.log = SoftwareSigner(self.log_key)
        self.keys = self.key_statement(1)
        self._write()

    @property
    def fingerprint(self) -> Digest:
        return Digest(self.root.public.key_id)

    def key_statement(self, epoch: int) -> KeyStatement:
        return KeyStatement(
            site=SITE,
            epoch=epoch,
            issued_ms=1_767_225_600_000,
            root=self.root.public.to_base64(),
            statement_key=self.statement.public.to_base64(),
            log=LogKey(epoch=1, key=self.log.public.to_base64()),
            terminal_ca=der(self.terminal_ca.certificate),
            operator_ca=der(self.operator_ca.certificate),
            card_ca=der(self.card_ca.certificate),
        )

    def write_keys(self, keys: KeyStatement) -> None:
        self.keys = keys
        (self.folder / "keys.dsse").write_bytes(keys.seal(self.root).to_bytes())

    def _write(self) -> None:
        server, client = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        files = {
            "statement.key.pem": pem_key(self.statement_key),
            "log.key.pem": pem_key(self.log_key),
            "terminal_ca.crt.pem": pem(self.terminal_ca.certificate),
            "operator_ca.crt.pem": pem(self.operator_ca.certificate),
            "server.key.pem": pem_key(server),
            "server.crt.pem": pem(
                self.operator_ca.issue(
                    Profile.GATEWAY_SERVER,
                    "gateway",
                    server.public_key(),
                    ("localhost", "127.0.0.1"),
                )
            ),
            "gateway.key.pem": pem_key(client),
            "gateway.crt.pem": pem(
                self.terminal_ca.issue(Profile.GATEWAY_CLIENT, "gateway", client.public_key())
            ),
        }
        for name, data in files.items():
            (self.folder / name).write_bytes(data)
        self.write_keys(self.keys)


class Scribe:
    """A terminal's journal as the terminal keeps it: it cuts batches and never changes one."""

    def __init__(self, terminal: str, signer: SoftwareSigner | None = None) -> None:
        self.terminal = TerminalId(terminal)
        self.signer = signer or SoftwareSigner(ec.generate_private_key(ec.SECP256R1()))
        self.journal = JournalId(secrets.token_hex(16))
        self.next = 0
        self.chain = chain_start(self.journal)

    def cut(self, bodies: list[bytes]) -> tuple[BatchStatement, Envelope, tuple[bytes, ...]]:
        statement = BatchStatement(
            terminal=self.terminal,
            journal=self.journal,
            first=self.next,
            previous=self.chain,
            events=tuple(sha256(body) for body in bodies),
            holds=None,
        )
        for digest in statement.events:
            self.chain = chain_next(self.chain, digest)
        self.next = statement.next
        return statement, statement.seal(self.signer), tuple(bodies)

    def some(self, count: int) -> list[bytes]:
        """The journal's next events, in order. The gateway never reads them; a verifier does."""
        return [self._event(self.next + place).to_bytes() for place in range(count)]

    def _event(self, sequence: int) -> Event:
        opened, stopped = JournalOpened(software="0.1"), TerminalStopped()
        return Event(
            terminal=self.terminal,
            journal=self.journal,
            sequence=sequence,
            boot=BootId("ab" * 16),
            monotonic_ms=sequence,
            wall_ms=1_767_225_600_000 + sequence,
            clock=ClockTrust.SITE,
            salt=secrets.token_hex(16),
            detail=stopped if sequence else opened,
        )
