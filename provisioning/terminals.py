"""A terminal's identity and its line in the register."""

from __future__ import annotations

import secrets

from contract.certificates import Profile, Subject
from contract.directory import Terminal, TerminalState
from contract.ids import TerminalId, WardId
from contract.signing import SoftwareSigner
from provisioning import keys
from provisioning.site import SiteFolder, require_name, require_terminal_name


def add_terminal(folder: SiteFolder, terminal: str, ward: str, now_ms: int) -> Terminal:
    """Makes the identity folder of a terminal and returns its register entry, to be published.

    Raises AlreadyThere, NotThere or BadInput; nothing is then half made but an empty folder.
    """
    name: TerminalId = require_terminal_name(terminal)
    where = WardId(require_name(ward, "ward"))
    authority = keys.Authority.load(folder.gateway, "terminal_ca")
    statement = (folder.authority / "keys.dsse").read_bytes()
    identity = folder.terminal(name)
    identity.mkdir(mode=0o700, parents=True, exist_ok=True)
    transport, batch = keys.p256(), keys.p256()
    certificate = authority.issue(
        Profile.TERMINAL,
        Subject(name, folder.site),
        transport.public_key(),
        now_ms,
        keys.TERMINAL_DAYS,
    )
    keys.write_key(identity / "terminal.key.pem", transport)
    keys.write_certificate(identity / "terminal.crt.pem", certificate)
    keys.write_key(identity / "batch.key.pem", batch)
    keys.write_new(identity / "keys.dsse", statement, 0o644)
    return Terminal(
        terminal=name,
        ward=where,
        batch_key=SoftwareSigner(batch).public.to_base64(),
        state=TerminalState.ACTIVE,
        salt=secrets.token_hex(16),
    )
