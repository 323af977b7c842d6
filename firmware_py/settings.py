"""The terminal's settings file: who it is, where its state and its peers are, which readers it has.

Everything that a ward may choose stands in the directory's policy, not here.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from contract.ids import SiteId, TerminalId, is_name
from contract.topics import GATEWAY, RESERVED
from hardware.readers import Interface
from runtime.clock import LocalDay, ZoneUnknown
from runtime.logs import Level
from runtime.settings import Range

DEFAULT_KIOSK_PORT: Final = 8650
_FINGERPRINT_DIGITS: Final = 64
_NEEDED: Final = ("terminal", "site", "root_fingerprint", "broker_host", "gateway_url")
_SUPPORT_MOST: Final = 80
"""One line on the glass."""
_PLACE: Final = (*_NEEDED, "enrol_url")


class KeyKind(StrEnum):
    """Where this terminal's private keys live."""

    FILE = "file"
    TPM = "tpm"


class Backend(StrEnum):
    """What shows a session's work (`firmware_py.workspace`)."""

    SCREEN = "screen"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class WorkspaceSettings:
    """The table ``[workspace]``."""

    backend: Backend = Backend.SCREEN
    command: Path | None = None
    """The program that is run for each verb, where ``backend`` is ``command``."""
    limit_s: Annotated[float, Range(0.1, 30)] = 5.0
    """After which a run of it is killed, and the terminal locks."""

    def __post_init__(self) -> None:
        """Refuse a backend of hooks without a program."""
        if self.backend is Backend.COMMAND and self.command is None:
            raise ValueError("command: is missing; name the program that shows the work")


@dataclass(frozen=True, slots=True)
class LocalApiSettings:
    """The table ``[local_api]``: what applications on this terminal may ask."""

    socket: bool = True
    """A Unix socket, ``local.sock`` in the folder."""
    port: Annotated[int, Range(0, 65535)] | None = None
    """On loopback too, with this run's token in ``local.json`` there; 0 takes any free port."""
    folder: Path | None = None
    """There already, for whoever is of its group; null: ``run`` in the state folder, and for the
    daemon's own user alone."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One field a key of ``terminal.toml``.

    Who the terminal is and where its site is either stands here, or in the enrolment file of the
    boot partition that ``enrolment_file`` names: then those keys are left out.
    """

    state_dir: Path
    identity_dir: Path
    terminal: str = ""
    site: str = ""
    root_fingerprint: str = ""
    """SHA-256 of the site root's SubjectPublicKeyInfo: the one thing believed from provisioning."""
    broker_host: str = ""
    gateway_url: str = ""
    """``https://host:port`` of the gateway's listener for terminals."""
    enrol_url: str = ""
    """``https://host:port`` of its listener for enrolment; needed when a certificate has lapsed."""
    enrolment_file: Path | None = None
    """What a first boot reads, and erases once it is enrolled."""
    keys: KeyKind = KeyKind.FILE
    """Where a first boot makes them."""
    tpm: str = "device:/dev/tpmrm0"
    """How the TPM is reached (a TCTI's name and configuration), where ``keys`` is ``tpm``."""
    broker_port: Annotated[int, Range(1, 65535)] = 8883
    kiosk_port: Annotated[int, Range(0, 65535)] = DEFAULT_KIOSK_PORT
    """On loopback only; 0 takes any free one."""
    card_deadline_s: Annotated[float, Range(0.5, 30)] = 5.0
    """After which a card that does not answer is left alone."""
    timezone: str = ""
    """Of the ward, for its night hours: an IANA name; empty: the machine's own."""
    support: str = ""
    """Whom to call, as the information page says it."""
    log_level: Level = Level.INFO
    interfaces: Mapping[str, Interface] = field(default_factory=dict)
    """Patterns of reader names; the first that fits goes before what is known of the trade's."""
    ignored_readers: tuple[str, ...] = ()
    workspace: WorkspaceSettings = field(default_factory=WorkspaceSettings)
    local_api: LocalApiSettings = field(default_factory=LocalApiSettings)

    def __post_init__(self) -> None:
        """Refuse what no site could mean, in words that say what to mend."""
        if len(self.support) > _SUPPORT_MOST:
            raise ValueError(f"support: {_SUPPORT_MOST} letters at most")
        try:
            LocalDay(self.timezone)
        except ZoneUnknown as error:
            raise ValueError(f"timezone: {error}") from error
        said = {name: getattr(self, name) for name in _PLACE}
        if self.enrolment_file is not None:
            for name in filter(said.get, said):
                raise ValueError(f"{name}: stands in the enrolment file, so not here")
            return
        for name in _NEEDED:
            if not said[name]:
                raise ValueError(f"{name}: is missing; set it, or enrolment_file")
        self._require_place()

    def _require_place(self) -> None:
        if not is_name(self.terminal) or self.terminal in (GATEWAY, RESERVED):
            raise ValueError("terminal: is no terminal's name: small letters, digits and hyphens")
        if not is_name(self.site):
            raise ValueError("site: is no site's name: small letters, digits and hyphens")
        fits = len(self.root_fingerprint) == _FINGERPRINT_DIGITS
        if not fits or not set(self.root_fingerprint) <= set(string.hexdigits.lower()):
            raise ValueError(
                "root_fingerprint: must be 64 lower-case hexadecimal digits, as at provisioning"
            )
        self.gateway_address  # noqa: B018 - raises where it is wrong
        self.enrol_address  # noqa: B018 - likewise

    def at(self, **place: str | int) -> Self:
        """The same, with what the enrolment file said. Raises ValueError."""
        return replace(self, enrolment_file=None, **place)  # type: ignore[arg-type]

    @property
    def terminal_id(self) -> TerminalId:
        """``terminal`` as the contract's type."""
        return TerminalId(self.terminal)

    @property
    def site_id(self) -> SiteId:
        """``site`` as the contract's type."""
        return SiteId(self.site)

    @property
    def gateway_address(self) -> tuple[str, int]:
        """Host and port of the gateway's listener for terminals. Raises ValueError."""
        return _address("gateway_url", self.gateway_url)

    @property
    def enrol_address(self) -> tuple[str, int] | None:
        """Host and port of its listener for enrolment, where known. Raises ValueError."""
        return _address("enrol_url", self.enrol_url) if self.enrol_url else None


def _address(key: str, text: str) -> tuple[str, int]:
    wrong = ValueError(f"{key}: must be https://host:port and nothing more")
    url = urlsplit(text)
    try:
        host, port = url.hostname, url.port
    except ValueError:
        raise wrong from None
    if url.scheme != "https" or not host or not port or url.username or url.password:
        raise wrong
    if url.path not in ("", "/") or url.query or url.fragment:
        raise wrong
    return host, port
