"""`tapover-gateway downtime`: a statement that a ward may run without the gateway for some hours.

For planned work, or for a terminal that nothing reaches: the file is brought there by hand, as
`downtime.statement` in its state folder. It gives no right to anybody; it says that old ones count.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from contract.emergency import DowntimeStatement
from contract.ids import WardId, is_name
from gateway import authority
from gateway.settings import GatewaySettings
from runtime.clock import Clock
from runtime.durable import StorageError, write_file
from runtime.settings import SettingsError, StartError

_MINUTE_MS = 60_000


def state(settings: GatewaySettings, ward: str, minutes: int, path: Path, clock: Clock) -> str:
    """Writes the statement, valid from now; returns its digest. Raises StartError."""
    now_ms = clock.wall_ms()
    known = authority.load(settings.identity_dir, settings.site_id, settings.root, now_ms)
    if not is_name(ward):
        raise SettingsError("a ward's id is small letters, digits and hyphens")
    try:
        statement = DowntimeStatement(
            site=known.site,
            ward=WardId(ward),
            begins_ms=now_ms,
            until_ms=now_ms + minutes * _MINUTE_MS,
            nonce=secrets.token_hex(32),
        )
    except ValueError as error:
        raise SettingsError("downtime is stated for 1 to 720 minutes") from error
    envelope = statement.seal(known.statement)
    try:
        write_file(path, envelope.to_bytes())
    except StorageError as error:
        raise StartError(str(error)) from error
    return envelope.digest
