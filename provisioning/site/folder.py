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
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from contract.certificates import Profile, Subject
from contract.ids import OperatorId, SiteId, TerminalId, is_name
from contract.signing import SoftwareSigner, VerifyKey, sha256
from contract.statements import KeyStatement, LogKey
from contract.topics import GATEWAY, RESERVED
from contract.wire import encode_base64
from provisioning.errors import BadInput, NotThere, RotationCutOff
from provisioning.site import card_keys, keys, making
from provisioning.site.roots import FileRoot, RootHome
from runtime import durable

_DESCRIPTION: Final = "site.json"


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
        """Site id and root fingerprint. Raises NotThere, or RotationCutOff."""
        self.require()
        if making.is_cut_off(self.path):
            raise RotationCutOff(f"a rotation of {self.path} was cut off; make it whole first")
        found: dict[str, str] = json.loads((self.path / _DESCRIPTION).read_text())
        return found

    def require(self) -> None:
        """Raises NotThere unless this is a site's folder."""
        if not (self.path / _DESCRIPTION).is_file():
            raise NotThere(f"{self.path} is no site's folder; make one: tapover site init")

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
    folder: SiteFolder,
    site: SiteId,
    hosts: tuple[str, ...],
    root: RootHome | bytes | None,
    now_ms: int,
) -> None:
    """Makes every key of a site, once: the folder appears whole or not at all.

    `hosts` are the names and addresses by which terminals reach gateway and broker; `root` is where
    the root key is to live, a passphrase that encrypts its file, or None: a plain file.
    Raises AlreadyThere when the folder holds anything: nothing is overwritten.
    """
    require_name(site, "site")
    home = FileRoot(root) if root is None or isinstance(root, bytes) else root
    making.make_whole(
        folder.path,
        lambda unfinished: _make(SiteFolder(unfinished), site, hosts, home, now_ms),
        lambda unfinished: home.undo(unfinished / "authority"),
    )


def _make(
    folder: SiteFolder, site: SiteId, hosts: tuple[str, ...], home: RootHome, now_ms: int
) -> None:
    for part in (folder.authority, folder.gateway, folder.broker):
        durable.make_folder(part)
    root, statement = home.make(folder.authority), keys.p256()
    log = ed25519.Ed25519PrivateKey.generate()
    terminal_ca = keys.Authority.create(Profile.TERMINAL_CA, Subject("terminals", site), now_ms)
    operator_ca = keys.Authority.create(Profile.OPERATOR_CA, Subject("operators", site), now_ms)
    card_ca = keys.Authority.create(Profile.CARD_CA, Subject("cards", site), now_ms)
    envelope = KeyStatement(
        site=site,
        epoch=1,
        issued_ms=now_ms,
        root=root.public.to_base64(),
        statement_key=SoftwareSigner(statement).public.to_base64(),
        log=LogKey(epoch=1, key=SoftwareSigner(log).public.to_base64()),
        terminal_ca=encode_base64(keys.der(terminal_ca.certificate)),
        operator_ca=encode_base64(keys.der(operator_ca.certificate)),
        card_ca=encode_base64(keys.der(card_ca.certificate)),
    ).seal(root)

    operator_ca.save(folder.authority, "operator_ca")
    card_ca.save(folder.authority, "card_ca")
    keys.write_key(folder.gateway / "statement.key.pem", statement)
    keys.write_key(folder.gateway / "log.key.pem", log)
    terminal_ca.save(folder.gateway, "terminal_ca")
    keys.write_certificate(folder.gateway / "operator_ca.crt.pem", operator_ca.certificate)
    _save(folder.gateway, "gateway", client_certificate(terminal_ca, site, now_ms))
    for part, name in ((folder.gateway, GATEWAY), (folder.broker, "broker")):
        made = server_certificate(operator_ca, Subject(name, site, hosts), now_ms)
        _save(part, "server", made)
    keys.write_certificate(folder.broker / "terminal_ca.crt.pem", terminal_ca.certificate)
    keys.write_new(folder.broker / "terminal.crl.pem", terminal_ca.revoke([], 1, now_ms), 0o644)
    card_keys.make(folder.authority, folder.gateway)
    for part in (folder.authority, folder.gateway):
        keys.write_new(part / "keys.dsse", envelope.to_bytes(), 0o644)
    description = describe(site, root.public)
    keys.write_new(folder.path / _DESCRIPTION, json.dumps(description, indent=1).encode(), 0o644)


def describe(site: SiteId, root: VerifyKey) -> dict[str, str]:
    """What `site.json` says."""
    return {"site": site, "root_fingerprint": fingerprint(root)}


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


Pair = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]
"""A key and its certificate."""


def client_certificate(authority: keys.Authority, site: SiteId, now_ms: int) -> Pair:
    """The gateway's, by which the broker knows it."""
    key, subject = keys.p256(), Subject(GATEWAY, site)
    profile = Profile.GATEWAY_CLIENT
    return key, authority.issue(profile, subject, key.public_key(), now_ms, keys.SERVER_DAYS)


def server_certificate(authority: keys.Authority, subject: Subject, now_ms: int) -> Pair:
    """The gateway's or the broker's, as a server of `subject.hosts`."""
    key, profile = keys.p256(), Profile.GATEWAY_SERVER
    return key, authority.issue(profile, subject, key.public_key(), now_ms, keys.SERVER_DAYS)


def _save(where: Path, name: str, pair: Pair) -> None:
    key, certificate = pair
    keys.write_key(where / f"{name}.key.pem", key)
    keys.write_certificate(where / f"{name}.crt.pem", certificate)
