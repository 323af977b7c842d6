"""Identities made at the desk, for terminals of a ward in a box that need no first boot.

A real terminal makes its own keys (`tapover terminal add`, `firmware_py.enrolment`).
"""

from __future__ import annotations

import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from contract.certificates import Profile, Subject
from contract.directory import EntryKind, Terminal, TerminalState
from contract.ids import TerminalId, WardId
from contract.signing import SoftwareSigner
from provisioning.directory import ledger
from provisioning.errors import AlreadyThere
from provisioning.site import keys
from provisioning.site.folder import SiteFolder, require_name, require_terminal_name


def add_terminal(folder: SiteFolder, terminal: str, ward: str, now_ms: int) -> Terminal:
    """Makes the identity folder of a terminal and returns its register entry, to be published.

    Goes on where an earlier call was cut off before the terminal was published: keys that are there
    are kept. Raises AlreadyThere for a published terminal, NotThere or BadInput.
    """
    name: TerminalId = require_terminal_name(terminal)
    where = WardId(require_name(ward, "ward"))
    if ledger.knows(folder, EntryKind.TERMINAL, name):
        raise AlreadyThere(f"terminal {name} is in the register already; nothing was changed")
    authority = keys.Authority.load(folder.gateway, "terminal_ca")
    statement = (folder.authority / "keys.dsse").read_bytes()
    identity = folder.terminal(name)
    identity.mkdir(mode=0o700, parents=True, exist_ok=True)
    transport = _key(identity / "terminal.key.pem")
    batch = _key(identity / "batch.key.pem")
    subject = Subject(name, folder.site)
    certificate = authority.issue(
        Profile.TERMINAL, subject, transport.public_key(), now_ms, keys.TERMINAL_DAYS
    )
    keys.replace_certificate(identity / "terminal.crt.pem", certificate)
    if not (identity / "keys.dsse").exists():
        keys.write_new(identity / "keys.dsse", statement, 0o644)
    return Terminal(
        terminal=name,
        ward=where,
        batch_key=SoftwareSigner(batch).public.to_base64(),
        state=TerminalState.ACTIVE,
        salt=secrets.token_hex(16),
    )


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    if path.exists():
        return keys.read_p256(path)
    key = keys.p256()
    keys.write_key(path, key)
    return key
