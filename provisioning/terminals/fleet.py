"""Terminals by their operator: made, listed, looked at, moved, retired, let in.

- A token is made here, goes into its boot folder and nowhere else; the gateway hears its SHA-256.
- A list of hundreds goes on where it was cut off: a folder that is whole is not made again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from contract.administration import Approval, Decision
from contract.directory import EntryKind, Terminal, TerminalState, parse_entry
from contract.enrolment import (
    GRANT_MS,
    TOKEN_BYTES,
    EnrolmentFile,
    Grant,
    Granted,
    is_code,
    spell_token,
    token_digest,
)
from contract.ids import Digest, TerminalId, WardId
from provisioning.directory.administration import Administration
from provisioning.directory.mirror import Mirror
from provisioning.errors import AlreadyThere, BadInput, GatewayRefused, ProvisioningError
from provisioning.site.folder import SiteFolder, require_name, require_terminal_name
from provisioning.terminals import boot_folder
from provisioning.terminals.lists import Wanted
from runtime import durable

# A cut-off costs so many tokens at most; a grant is a leaf, and holds 200.
GROUP: Final = 50
# What an approval is for happens at once.
_APPROVAL_MS: Final = 10 * 60 * 1000


class TerminalInUse(ProvisioningError):
    """A terminal of that name is in use; nothing was changed."""

    code = 201
    remedy = "Take another name; or --again, if this one is to be replaced by a new installation."


class NoSuchTerminal(ProvisioningError):
    """No terminal of that name is in the register, or it is retired."""

    code = 202
    remedy = "Look at: tapover terminal list."


class NobodyWaits(ProvisioningError):
    """No device waits under those letters (any more)."""

    code = 203
    remedy = "Compare the letters with the glass; a device that is switched on asks again."


@dataclass(frozen=True, slots=True)
class Addresses:
    """By which host names devices reach the site; the ports are the gateway's own word."""

    gateway: str
    broker: str


@dataclass(frozen=True, slots=True)
class Made:
    """A boot folder; `kept` when it was there and serves still."""

    terminal: TerminalId
    folder: Path
    kept: bool


@dataclass(frozen=True, slots=True)
class Device:
    """Somebody who waits for a word, as it said itself."""

    code: str
    terminal: TerminalId
    address: str
    request: Digest

    def to_json(self) -> dict[str, str]:
        return {"code": self.code, "terminal": self.terminal, "address": self.address}


class Maker:
    """Makes boot folders in `out`."""

    def __init__(
        self,
        folder: SiteFolder,
        administration: Administration,
        out: Path,
        addresses: Addresses,
        now_ms: int,
    ) -> None:
        self._folder = folder
        self._administration = administration
        self._out = out
        self._addresses = addresses
        self._now_ms = now_ms

    def make(self, wanted: Sequence[Wanted], done: Callable[[], None]) -> Iterator[Made]:
        """One after the other; `done` is called for each. Raises ProvisioningError."""
        try:
            durable.make_folder(self._out)
        except durable.StorageError as error:
            raise BadInput(str(error)) from error
        fresh = [one for one in wanted if not self._is_whole(one)]
        for one in wanted:
            if one not in fresh:
                done()
                yield Made(one.terminal, self._out / one.terminal, kept=True)
        for first in range(0, len(fresh), GROUP):
            for made in self._group(fresh[first : first + GROUP]):
                done()
                yield made

    def _is_whole(self, one: Wanted) -> bool:
        """Whether an earlier call made it. Raises AlreadyThere, BadInput."""
        folder = self._out / one.terminal
        if not folder.exists():
            return False
        file = boot_folder.read(folder)
        ours = (file.site, file.terminal, file.ward) == (
            self._folder.site,
            one.terminal,
            one.ward,
        )
        if not ours or file.until_ms <= self._now_ms:
            raise AlreadyThere(f"{folder} is another's, or its token is too old: remove it first")
        return True

    def _group(self, group: Sequence[Wanted]) -> Iterator[Made]:
        tokens = [spell_token(secrets.token_bytes(TOKEN_BYTES)) for _ in group]
        until_ms = self._now_ms + GRANT_MS
        operator = self._administration.operator
        grant = Grant(
            site=self._folder.site,
            operator=operator.id,
            nonce=secrets.token_hex(32),
            issued_ms=self._now_ms,
            until_ms=until_ms,
            terminals=tuple(
                Granted(terminal=one.terminal, ward=one.ward, token=token_digest(token))
                for one, token in zip(group, tokens, strict=True)
            ),
        ).seal(operator.signer())
        # The gateway first: a folder is only there when its token serves.
        ports = self._administration.post("/v1/grants", grant.to_bytes()).json()
        made = datetime.fromtimestamp(self._now_ms // 1000, UTC).strftime("%d %B %Y, %H:%M UTC")
        for one, token in zip(group, tokens, strict=True):
            folder = self._out / one.terminal
            file = self._file(one, token, until_ms, ports)
            boot_folder.write(folder, file, one.network, made)
            yield Made(one.terminal, folder, kept=False)

    def _file(self, one: Wanted, token: str, until_ms: int, ports: dict[str, Any]) -> EnrolmentFile:
        host = self._addresses.gateway
        shown = f"[{host}]" if ":" in host else host
        try:
            return EnrolmentFile(
                site=self._folder.site,
                terminal=one.terminal,
                ward=one.ward,
                root_fingerprint=Digest(self._folder.root_fingerprint),
                enrol_url=f"https://{shown}:{int(ports['enrol_port'])}",
                gateway_url=f"https://{shown}:{int(ports['https_port'])}",
                broker_host=self._addresses.broker,
                broker_port=int(ports["broker_port"]),
                token=token,
                until_ms=until_ms,
            )
        except (KeyError, TypeError) as error:
            raise GatewayRefused("the gateway's answer names no ports; look at its log") from error
        except ValueError as error:
            raise BadInput(f"'{host}' or '{self._addresses.broker}' is no host name") from error


def require_free(mirror: Mirror, wanted: Sequence[Wanted]) -> None:
    """Raises TerminalInUse naming those that are in use."""
    used = [one.terminal for one in wanted if _active(mirror, one.terminal)]
    if used:
        shown = ", ".join(used[:5]) + (f" and {len(used) - 5} more" if len(used) > 5 else "")  # noqa: PLR2004
        raise TerminalInUse(f"in use already: {shown}; --again replaces the installation")


def moved(mirror: Mirror, terminal: str, ward: str) -> Terminal:
    """Its entry on another ward. Raises NoSuchTerminal, BadInput."""
    entry = _require_active(mirror, terminal)
    return _changed(entry, {"ward": WardId(require_name(ward, "ward"))})


def retired(mirror: Mirror, terminal: str) -> Terminal:
    """Its entry out of use. Raises NoSuchTerminal, BadInput."""
    return _changed(_require_active(mirror, terminal), {"state": TerminalState.RETIRED})


def waiting(administration: Administration) -> list[Device]:
    """Devices that ask to be let in, the oldest first. Raises ProvisioningError."""
    found = administration.get("/v1/enrolments").json()
    try:
        return [
            Device(
                str(one["code"]),
                TerminalId(str(one["terminal"])),
                str(one["address"]),
                Digest(str(one["request"])),
            )
            for one in found["waiting"]
        ]
    except (KeyError, TypeError) as error:
        raise GatewayRefused("the gateway's list is none; look at its log") from error


def find_waiting(administration: Administration, letters: str) -> Device:
    """Who shows these letters, however they are typed. Raises NobodyWaits, BadInput."""
    code = letters.replace(" ", "").replace("-", "").upper()
    if not is_code(code):
        raise BadInput(f"'{letters}': the glass shows eight letters and digits, as ABCD EFGH")
    for device in waiting(administration):
        if device.code == code:
            return device
    raise NobodyWaits(f"no device waits under {code}")


def decide(
    administration: Administration, device: Device, decision: Decision, now_ms: int
) -> dict[str, Any]:
    """Signs the word on a device and sends it. Raises ProvisioningError."""
    operator = administration.operator
    word = Approval(
        site=administration.gateway.site,
        operator=operator.id,
        subject=device.request,
        decision=decision,
        issued_ms=now_ms,
        until_ms=now_ms + _APPROVAL_MS,
    ).seal(operator.signer())
    return administration.post(f"/v1/enrolments/{device.code}", word.to_bytes()).json()


def listed(administration: Administration) -> list[dict[str, Any]]:
    """Every terminal as the gateway has it, with its newest word. Raises ProvisioningError."""
    rows = administration.get("/v1/fleet").json().get("terminals")
    if not isinstance(rows, list):
        raise GatewayRefused("the gateway's list is none; look at its log")
    return rows


def shown(administration: Administration, terminal: str) -> dict[str, Any]:
    """All that is kept of one. Raises NoSuchTerminal, ProvisioningError."""
    name = require_terminal_name(terminal)
    kept = administration.get(f"/v1/terminals/{name}").json()
    kept.pop("entry", None)
    rows = [row for row in listed(administration) if row.get("terminal") == name]
    if not rows and not kept.get("certificates") and not kept.get("tokens"):
        raise NoSuchTerminal(f"nothing is known of a terminal {name}")
    return {**(rows[0] if rows else {"ward": None, "state": None, "seen_ms": None}), **kept}


def _active(mirror: Mirror, terminal: TerminalId) -> Terminal | None:
    line = mirror.entry((EntryKind.TERMINAL, terminal))
    entry = parse_entry(line) if line is not None else None
    if isinstance(entry, Terminal) and entry.state is TerminalState.ACTIVE:
        return entry
    return None


def _require_active(mirror: Mirror, terminal: str) -> Terminal:
    entry = _active(mirror, require_terminal_name(terminal))
    if entry is None:
        raise NoSuchTerminal(f"no terminal {terminal} is in use")
    return entry


def _changed(entry: Terminal, update: dict[str, object]) -> Terminal:
    return entry.model_copy(update={**update, "salt": secrets.token_hex(16)})
