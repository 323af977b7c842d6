"""A site's folder: the authority that stays offline, and the identities that go elsewhere.

authority/   root, operator CA, card CA, operators' keys; the key statement. Never on a server.
gateway/     what the gateway needs: statement key, log key, terminal CA, its certificates
broker/      what mosquitto needs: its certificate, the terminal CA, the revocation list
terminals/   a folder for each terminal
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519

from contract.certificates import Profile, Subject
from contract.ids import OperatorId, SiteId, TerminalId, is_name
from contract.signing import SoftwareSigner, VerifyKey, sha256
from contract.statements import KeyStatement, LogKey
from contract.topics import GATEWAY, RESERVED
from contract.wire import encode_base64
from provisioning import card_keys, keys
from provisioning.errors import AlreadyThere, BadInput, NotThere


@dataclass(frozen=True, slots=True)
class SiteFolder:
    """Where a site's identities lie."""

    path: Path

    @property
    def authority(self) -> Path:
        return self.path / "authority"

    @property
    def gateway(self) -> Path:
        return self.path / "gateway"

    @property
    def broker(self) -> Path:
        return self.path / "broker"

    def terminal(self, terminal: TerminalId) -> Path:
        return self.path / "terminals" / terminal

    def operator(self, operator: OperatorId) -> Path:
        return self.authority / "operators" / operator

    @property
    def description(self) -> dict[str, str]:
        """Site id and root fingerprint. Raises NotThere."""
        try:
            text = (self.path / "site.json").read_text()
        except FileNotFoundError as error:
            raise NotThere(
                f"{self.path} is no site's folder; make one: tapover site init"
            ) from error
        found: dict[str, str] = json.loads(text)
        return found

    @property
    def site(self) -> SiteId:
        return SiteId(self.description["site"])

    @property
    def root_fingerprint(self) -> str:
        return self.description["root_fingerprint"]


def require_name(text: str, what: str) -> str:
    """Raises BadInput unless `text` may name a site, a ward, a terminal or a person."""
    if not is_name(text):
        raise BadInput(
            f"'{text}' cannot name a {what}: use lower-case letters, digits and inner hyphens,"
            " 48 characters at most"
        )
    return text


def init_site(
    folder: SiteFolder, site: SiteId, hosts: tuple[str, ...], passphrase: bytes | None, now_ms: int
) -> None:
    """Makes every key of a site, once.

    `hosts` are the names and addresses by which terminals reach gateway and broker; `passphrase`
    encrypts the root.
    Raises AlreadyThere when the folder holds anything: nothing is overwritten.
    """
    require_name(site, "site")
    if folder.path.exists() and any(folder.path.iterdir()):
        raise AlreadyThere(f"{folder.path} is not empty; a site is made in a folder of its own")
    for part in (folder.authority, folder.gateway, folder.broker):
        part.mkdir(mode=0o700, parents=True)
    root, statement = keys.p256(), keys.p256()
    log = ed25519.Ed25519PrivateKey.generate()
    terminal_ca = keys.Authority.create(Profile.TERMINAL_CA, Subject("terminals", site), now_ms)
    operator_ca = keys.Authority.create(Profile.OPERATOR_CA, Subject("operators", site), now_ms)
    card_ca = keys.Authority.create(Profile.CARD_CA, Subject("cards", site), now_ms)
    signer = SoftwareSigner(root)
    envelope = KeyStatement(
        site=site,
        epoch=1,
        issued_ms=now_ms,
        root=signer.public.to_base64(),
        statement_key=SoftwareSigner(statement).public.to_base64(),
        log=LogKey(epoch=1, key=SoftwareSigner(log).public.to_base64()),
        terminal_ca=encode_base64(keys.der(terminal_ca.certificate)),
        operator_ca=encode_base64(keys.der(operator_ca.certificate)),
        card_ca=encode_base64(keys.der(card_ca.certificate)),
    ).seal(signer)

    keys.write_key(folder.authority / "root.key.pem", root, passphrase)
    operator_ca.save(folder.authority, "operator_ca")
    card_ca.save(folder.authority, "card_ca")
    keys.write_key(folder.gateway / "statement.key.pem", statement)
    keys.write_key(folder.gateway / "log.key.pem", log)
    terminal_ca.save(folder.gateway, "terminal_ca")
    keys.write_certificate(folder.gateway / "operator_ca.crt.pem", operator_ca.certificate)
    _client_certificate(folder.gateway, terminal_ca, site, now_ms)
    _server_certificate(folder.gateway, operator_ca, Subject(GATEWAY, site, hosts), now_ms)
    _server_certificate(folder.broker, operator_ca, Subject("broker", site, hosts), now_ms)
    keys.write_certificate(folder.broker / "terminal_ca.crt.pem", terminal_ca.certificate)
    keys.write_new(folder.broker / "terminal.crl.pem", terminal_ca.revoke([], 1, now_ms), 0o644)
    card_keys.make(folder.authority, folder.gateway)
    for part in (folder.authority, folder.gateway):
        keys.write_new(part / "keys.dsse", envelope.to_bytes(), 0o644)
    description = {"site": site, "root_fingerprint": fingerprint(signer.public)}
    keys.write_new(folder.path / "site.json", json.dumps(description, indent=1).encode(), 0o644)


def fingerprint(root: VerifyKey) -> str:
    """What a terminal pins and an auditor is told: SHA-256 of the root's public key."""
    return sha256(root.spki)


def add_operator(folder: SiteFolder, operator: OperatorId, now_ms: int) -> Path:
    """Key and certificate of an operator; returns their folder. Raises AlreadyThere or NotThere."""
    require_name(operator, "operator")
    authority = keys.Authority.load(folder.authority, "operator_ca")
    where = folder.operator(operator)
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = keys.p256()
    subject = Subject(operator, folder.site)
    certificate = authority.issue(
        Profile.OPERATOR, subject, key.public_key(), now_ms, keys.SERVER_DAYS
    )
    keys.write_key(where / "operator.key.pem", key)
    keys.write_certificate(where / "operator.crt.pem", certificate)
    return where


def require_terminal_name(text: str) -> TerminalId:
    """Raises BadInput for a name that a topic or the gateway already uses."""
    if text in {GATEWAY, RESERVED}:
        raise BadInput(f"'{text}' is reserved; choose another name for the terminal")
    return TerminalId(require_name(text, "terminal"))


def _client_certificate(where: Path, authority: keys.Authority, site: SiteId, now_ms: int) -> None:
    key = keys.p256()
    subject = Subject(GATEWAY, site)
    certificate = authority.issue(
        Profile.GATEWAY_CLIENT, subject, key.public_key(), now_ms, keys.SERVER_DAYS
    )
    keys.write_key(where / "gateway.key.pem", key)
    keys.write_certificate(where / "gateway.crt.pem", certificate)


def _server_certificate(
    where: Path, authority: keys.Authority, subject: Subject, now_ms: int
) -> None:
    key = keys.p256()
    certificate = authority.issue(
        Profile.GATEWAY_SERVER, subject, key.public_key(), now_ms, keys.SERVER_DAYS
    )
    keys.write_key(where / "server.key.pem", key)
    keys.write_certificate(where / "server.crt.pem", certificate)
