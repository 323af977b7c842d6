"""Replacing the keys of a site (DESIGN §6): under a new key epoch, with an overlap where one helps.

| key | what changes | until everybody follows |
|---|---|---|
| statement | directory and heartbeat are signed by another key | terminals hear the key statement |
| log | checkpoints and receipts, in the same log | the same |
| terminal-ca | who may connect as a terminal | gateway and broker believe both, till the end |
| operator-ca | gateway's and broker's own certificate, operators' | operators' old ones likewise |
| card-ca | certificates of cards made from now on | nobody of ours reads them |
| root | everything: the root before declares the next one, which signs from then on | the same |
| servers | gateway's and broker's certificates, of the same CAs | nothing is signed by the root |
| operators | operators' certificates, of the same CA, for the keys they have | the same |

Terminals need no overlap: they believe the root, and ask for its word when a certificate is new to
them. All files of a rotation are replaced as one (`making`); the gateway takes them up when it is
started again, and after it the broker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519

from contract.certificates import Profile, Subject
from contract.ids import KeyId
from contract.signing import Envelope, SignatureRefused, Signer, SoftwareSigner
from contract.statements import KeyStatement
from contract.topics import GATEWAY
from contract.wire import WireError, encode_base64
from provisioning.errors import BadInput, DiskFailed, OverlapOpen
from provisioning.site import keys, making
from provisioning.site.folder import SiteFolder, client_certificate, server_certificate
from provisioning.site.making import Replacement
from runtime import durable

_STATEMENT: Final = "keys.dsse"
_ENVELOPE_CAP: Final = Envelope.CAP
_CRL_CAP: Final = 1024 * 1024  # ten thousand revoked serials are half of it


class Key(StrEnum):
    """What can be rotated."""

    STATEMENT = "statement"
    LOG = "log"
    TERMINAL_CA = "terminal-ca"
    OPERATOR_CA = "operator-ca"
    CARD_CA = "card-ca"
    ROOT = "root"
    SERVERS = "servers"
    OPERATORS = "operators"


OVERLAPPING: Final = {
    Key.TERMINAL_CA: "gateway/terminal_ca.before.dsse",
    Key.OPERATOR_CA: "gateway/operator_ca.before.dsse",
}
"""Where the statement that names the CA before lies while both are believed."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation replaces: planned, not yet done."""

    key: Key
    epoch: int
    """The key epoch from then on; the present one where nothing of the statement changes."""
    files: tuple[Replacement, ...]

    @property
    def answer(self) -> dict[str, Any]:
        return {
            "key": str(self.key),
            "epoch": self.epoch,
            "files": [file.path for file in self.files],
            "overlaps": self.key in OVERLAPPING,
        }


@dataclass(frozen=True, slots=True)
class Now:
    """The site as it is, when a rotation of it is planned."""

    folder: SiteFolder
    envelope: Envelope
    statement: KeyStatement
    now_ms: int

    @property
    def next_epoch(self) -> int:
        return self.statement.epoch + 1


def finish(folder: SiteFolder) -> str | None:
    """Ends a rotation that was cut off; says which. The caller holds the folder."""
    return making.finish(folder.path)


def plan(folder: SiteFolder, key: Key, open_root: Callable[[], Signer], now_ms: int) -> Rotation:
    """New keys for `key`, in memory; `open_root` is called where the root has to sign.

    For the root itself see `rotate_root`. Raises OverlapOpen while the last rotation of a CA
    overlaps; NotThere, BadInput, TokenTrouble.
    """
    now = read(folder, now_ms)
    if key in OVERLAPPING and (folder.path / OVERLAPPING[key]).exists():
        raise OverlapOpen(f"the last rotation of {key} still overlaps; end it with --finish first")
    if key in (Key.SERVERS, Key.OPERATORS):
        operator_ca = keys.Authority.load(folder.authority, "operator_ca")
        if key is Key.OPERATORS:
            renewed = _operators(now, operator_ca)
        else:
            terminal_ca = keys.Authority.load(folder.gateway, "terminal_ca")
            renewed = [*_servers(now, operator_ca), *_client(now, terminal_ca)]
        return Rotation(key, now.statement.epoch, tuple(renewed))
    changed, files = _NEW[key](now)
    return Rotation(key, now.next_epoch, (*declared(now, changed, open_root()), *files))


def plan_end(folder: SiteFolder, key: Key, now_ms: int) -> Rotation:
    """The end of an overlap: the CA before is believed no more. Raises OverlapOpen, BadInput."""
    now = read(folder, now_ms)
    mark = OVERLAPPING.get(key)
    if mark is None or not (folder.path / mark).exists():
        raise OverlapOpen(f"no rotation of {key} overlaps")
    files = [Replacement(mark, None)]
    if key is Key.TERMINAL_CA:
        authority = keys.Authority.load(folder.gateway, "terminal_ca")
        files += [
            Replacement("gateway/terminal_ca.before.key.pem", None),
            *_broker_trust(now, [authority.certificate]),
        ]
    return Rotation(key, now.statement.epoch, tuple(files))


def carry_out(folder: SiteFolder, rotation: Rotation) -> None:
    """Replaces the files as one. The caller holds the folder. Raises DiskFailed."""
    making.replace_together(folder.path, str(rotation.key), rotation.files)


def read_statement(folder: SiteFolder) -> tuple[Envelope, KeyStatement]:
    """The key statement in force, checked against the root. Raises NotThere, BadInput."""
    path = folder.authority / _STATEMENT
    try:
        envelope = Envelope.from_bytes(durable.read_capped(path, _ENVELOPE_CAP))
        return envelope, KeyStatement.open_pinned(envelope, KeyId(folder.root_fingerprint))
    except (durable.StorageError, WireError, SignatureRefused) as error:
        raise BadInput(f"{path}: is not this site's key statement ({error})") from error


def read(folder: SiteFolder, now_ms: int) -> Now:
    """Raises NotThere, BadInput."""
    envelope, statement = read_statement(folder)
    # Never older than the statement it follows, whatever this machine's clock says.
    return Now(folder, envelope, statement, max(now_ms, statement.issued_ms + 1))


def declared(now: Now, changed: dict[str, Any], root: Signer) -> list[Replacement]:
    """The key statement of the next epoch, where it is read; the one before is kept for good.

    Raises BadInput for another site's root.
    """
    if root.public.to_base64() != now.statement.root:
        raise BadInput("that root key is another one than this site's")
    return declare(now, changed, root)


def declare(now: Now, changed: dict[str, Any], root: Signer) -> list[Replacement]:
    """The statement with what is `changed`, under the next epoch, signed by `root`."""
    fields = {**changed, "epoch": now.next_epoch, "issued_ms": now.now_ms}
    envelope = now.statement.model_copy(update=fields).seal(root)
    before = f"authority/statements/{now.statement.epoch}.dsse"
    return [
        Replacement(before, now.envelope.to_bytes(), 0o644),
        *(
            Replacement(f"{part}/{_STATEMENT}", envelope.to_bytes(), 0o644)
            for part in ("authority", "gateway")
        ),
    ]


_Planned = tuple[dict[str, Any], list[Replacement]]


def _new_statement_key(_: Now) -> _Planned:
    key = keys.p256()
    changed = {"statement_key": SoftwareSigner(key).public.to_base64()}
    return changed, [Replacement("gateway/statement.key.pem", keys.key_pem(key))]


def _new_log_key(now: Now) -> _Planned:
    key = ed25519.Ed25519PrivateKey.generate()
    log = now.statement.log.model_copy(update={"key": SoftwareSigner(key).public.to_base64()})
    return {"log": log}, [Replacement("gateway/log.key.pem", keys.key_pem(key))]


def _new_terminal_ca(now: Now) -> _Planned:
    folder = now.folder
    before = keys.read_certificate(folder.gateway / "terminal_ca.crt.pem")
    authority = _new_authority(now, Profile.TERMINAL_CA, "terminals")
    files = [
        *_authority("gateway/terminal_ca", authority),
        Replacement(OVERLAPPING[Key.TERMINAL_CA], now.envelope.to_bytes(), 0o644),
        Replacement(
            "gateway/terminal_ca.before.key.pem",
            keys.read_pem(folder.gateway / "terminal_ca.key.pem"),
        ),
        *_client(now, authority),
        *_broker_trust(now, [authority.certificate, before], authority),
    ]
    return {"terminal_ca": encode_base64(keys.der(authority.certificate))}, files


def _new_operator_ca(now: Now) -> _Planned:
    authority = _new_authority(now, Profile.OPERATOR_CA, "operators")
    certificate = keys.certificate_pem(authority.certificate)
    files = [
        *_authority("authority/operator_ca", authority),
        Replacement("gateway/operator_ca.crt.pem", certificate, 0o644),
        Replacement(OVERLAPPING[Key.OPERATOR_CA], now.envelope.to_bytes(), 0o644),
        *_servers(now, authority),
        *_operators(now, authority),
    ]
    return {"operator_ca": encode_base64(keys.der(authority.certificate))}, files


def _operators(now: Now, authority: keys.Authority) -> list[Replacement]:
    """New certificates for the keys that the operators have."""
    folder, files = now.folder, list[Replacement]()
    for path in sorted((folder.authority / "operators").glob("*/operator.key.pem")):
        public, name = keys.read_p256(path).public_key(), path.parent.name
        subject = Subject(name, folder.site)
        issued = authority.issue(Profile.OPERATOR, subject, public, now.now_ms, keys.SERVER_DAYS)
        where = path.with_name("operator.crt.pem").relative_to(folder.path)
        files.append(Replacement(str(where), keys.certificate_pem(issued), 0o644))
    return files


def _new_card_ca(now: Now) -> _Planned:
    authority = _new_authority(now, Profile.CARD_CA, "cards")
    changed = {"card_ca": encode_base64(keys.der(authority.certificate))}
    return changed, _authority("authority/card_ca", authority)


_NEW: Final[dict[Key, Callable[[Now], _Planned]]] = {
    Key.STATEMENT: _new_statement_key,
    Key.LOG: _new_log_key,
    Key.TERMINAL_CA: _new_terminal_ca,
    Key.OPERATOR_CA: _new_operator_ca,
    Key.CARD_CA: _new_card_ca,
}


def _new_authority(now: Now, profile: Profile, name: str) -> keys.Authority:
    """Under a name of its own: two CAs of one name cannot be told apart in a list of them."""
    subject = Subject(f"{name} {now.next_epoch}", now.folder.site)
    return keys.Authority.create(profile, subject, now.now_ms)


def _authority(where: str, authority: keys.Authority) -> list[Replacement]:
    return _pair(where, authority.key, authority.certificate)


def _pair(where: str, key: keys.PrivateKey, certificate: x509.Certificate) -> list[Replacement]:
    return [
        Replacement(f"{where}.key.pem", keys.key_pem(key)),
        Replacement(f"{where}.crt.pem", keys.certificate_pem(certificate), 0o644),
    ]


def _client(now: Now, authority: keys.Authority) -> list[Replacement]:
    """A new key and certificate for the gateway as the broker's client."""
    return _pair("gateway/gateway", *client_certificate(authority, now.folder.site, now.now_ms))


def _servers(now: Now, authority: keys.Authority) -> list[Replacement]:
    """New keys and certificates for gateway and broker, with the names that they have."""
    files: list[Replacement] = []
    for part, name in ((now.folder.gateway, GATEWAY), (now.folder.broker, "broker")):
        hosts = keys.hosts_of(keys.read_certificate(part / "server.crt.pem"))
        subject = Subject(name, now.folder.site, hosts)
        key, certificate = server_certificate(authority, subject, now.now_ms)
        files += _pair(f"{part.name}/server", key, certificate)
    return files


def _broker_trust(
    now: Now, believed: list[x509.Certificate], fresh: keys.Authority | None = None
) -> list[Replacement]:
    """The broker's `cafile`, and in its `crlfile` a list of each CA believed: the lists there are.

    `fresh` is a CA that has no list yet.
    """
    path = now.folder.broker / "terminal.crl.pem"
    try:
        lists = _lists(durable.read_capped(path, _CRL_CAP))
    except durable.StorageError as error:
        raise DiskFailed(str(error)) from error
    names = {certificate.subject for certificate in believed}
    crl = b"".join(pem for pem, issuer in lists if issuer in names)
    if fresh is not None:
        crl = fresh.revoke([], 1, now.now_ms) + crl
    cafile = b"".join(keys.certificate_pem(certificate) for certificate in believed)
    return [
        Replacement("broker/terminal_ca.crt.pem", cafile, 0o644),
        Replacement("broker/terminal.crl.pem", crl, 0o644),
    ]


def _lists(data: bytes) -> list[tuple[bytes, x509.Name]]:
    """Each revocation list in a file of PEM, with its issuer. Raises BadInput."""
    end = b"-----END X509 CRL-----\n"
    found: list[tuple[bytes, x509.Name]] = []
    for part in data.split(end)[:-1]:
        pem = part + end
        try:
            found.append((pem, x509.load_pem_x509_crl(pem).issuer))
        except ValueError as error:
            raise BadInput("broker/terminal.crl.pem holds no revocation list") from error
    return found


def overlapping(folder: SiteFolder) -> list[Key]:
    """The keys whose rotation overlaps now."""
    return [key for key, mark in OVERLAPPING.items() if (folder.path / mark).exists()]
