"""A thousand terminals' identities, made at once: each its own keys and its own certificate.

The product's own builder of certificates, without its flush a file: these identities live as long
as a benchmark.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from contract.certificates import Profile, Subject
from contract.directory import Terminal, TerminalState
from contract.ids import TerminalId, WardId
from contract.signing import SoftwareSigner
from provisioning.site import keys
from provisioning.site.folder import SiteFolder
from runtime.mqtt import client_context

WARD: Final = WardId("ed")


def names(count: int) -> list[TerminalId]:
    return [TerminalId(f"bay-{number:04}") for number in range(count)]


def make(site: SiteFolder, terminals: Sequence[TerminalId], now_ms: int) -> list[Terminal]:
    """Writes their identities, and returns their entries for the register."""
    authority = keys.Authority.load(site.gateway, "terminal_ca")
    entries = []
    for name in terminals:
        folder = site.terminal(name)
        folder.mkdir(parents=True)
        transport, batch = keys.p256(), keys.p256()
        certificate = authority.issue(
            Profile.TERMINAL,
            Subject(name, site.site),
            transport.public_key(),
            now_ms,
            keys.TERMINAL_DAYS,
        )
        _write(folder / "terminal.key.pem", _pem(transport))
        _write(folder / "batch.key.pem", _pem(batch))
        _write(folder / "terminal.crt.pem", certificate.public_bytes(serialization.Encoding.PEM))
        entries.append(
            Terminal(
                terminal=name,
                ward=WARD,
                batch_key=SoftwareSigner(batch).public.to_base64(),
                state=TerminalState.ACTIVE,
                salt=secrets.token_hex(16),
            )
        )
    return entries


def signer(site: SiteFolder, terminal: TerminalId) -> SoftwareSigner:
    """With which it signs its batches."""
    return SoftwareSigner(keys.read_p256(site.terminal(terminal) / "batch.key.pem"))


def context(site: SiteFolder, terminal: TerminalId) -> ssl.SSLContext:
    """As which it meets the broker: the product's own rules of whom to believe."""
    folder = site.terminal(terminal)
    return client_context(
        site.gateway / "operator_ca.crt.pem",
        folder / "terminal.crt.pem",
        folder / "terminal.key.pem",
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)
