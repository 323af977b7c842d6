"""The gateway's settings: gateway.toml as one frozen dataclass (`runtime.settings` reads it)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from contract.ids import Digest, SiteId, is_name
from gateway.store import sqlite_url
from runtime.logs import Level
from runtime.settings import Range

_PORT: Final = Range(1, 65535)
_DIGEST_DIGITS: Final = 64
_DATABASE_FILE: Final = "gateway.sqlite"


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """One hospital's gateway."""

    site: str
    root_fingerprint: str
    """SHA-256 of the site root's public key (DER SubjectPublicKeyInfo), 64 lower-case digits."""
    state_dir: Path
    identity_dir: Path
    broker_host: str
    broker_port: Annotated[int, _PORT]
    https_port: Annotated[int, _PORT]
    """Where terminals fetch what is too large for the broker."""
    admin_port: Annotated[int, _PORT]
    """Where operators work."""
    bind_host: str = "127.0.0.1"
    database: str = ""
    """An SQLAlchemy address; empty: SQLite in `state_dir`."""
    enrol_port: Annotated[int, Range(0, 65535)] = 0
    """Where devices without a certificate enrol; 0: terminals are enrolled by hand.

    With it goes the terminal CA's key, so certificates, revocation and its list are ours then.
    """
    crl_file: Path | None = None
    """The broker's `crlfile`, which we renew; needed with `enrol_port`."""
    broker_pid_file: Path | None = None
    """Whom to send SIGHUP; left out: something else makes the broker read `crl_file` again."""
    log_level: Level = Level.INFO

    def __post_init__(self) -> None:
        if not is_name(self.site):
            raise ValueError(f"`site` is {self.site!r}: write lower-case letters, digits, hyphens")
        digits = self.root_fingerprint
        if len(digits) != _DIGEST_DIGITS or not set(digits) <= set("0123456789abcdef"):
            raise ValueError("`root_fingerprint` is no fingerprint: write 64 lower-case hex digits")
        if self.https_port == self.admin_port:
            raise ValueError("`https_port` and `admin_port` are equal: give operators another port")
        if self.enrol_port in (self.https_port, self.admin_port):
            raise ValueError("`enrol_port` is another listener's: give it a port of its own")
        if self.enrol_port and self.crl_file is None:
            raise ValueError("`enrol_port` needs `crl_file`: retired terminals must be revoked")

    @property
    def site_id(self) -> SiteId:
        return SiteId(self.site)

    @property
    def root(self) -> Digest:
        return Digest(self.root_fingerprint)

    @property
    def database_file(self) -> Path | None:
        """The database as a file of ours; None when another server keeps it."""
        return None if self.database else self.state_dir / _DATABASE_FILE

    @property
    def database_url(self) -> str:
        return self.database or sqlite_url(self.state_dir / _DATABASE_FILE)
