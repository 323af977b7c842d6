"""The `tapover` command.

JSON on stdout, words on stderr, secrets by prompt or file, never in argv.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from contract.directory import Entry, Status
from contract.ids import OperatorId, SiteId
from hardware.apdu import HardwareError
from hardware.piv import Pin
from provisioning import cards, entries, ledger, terminals
from provisioning import site as sites
from provisioning.errors import BadInput, DiskFailed, ProvisioningError
from provisioning.publish import Gateway, Operator, publish
from runtime import durable
from runtime.clock import SystemClock

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Provision a tapover site.")
site_app = typer.Typer(no_args_is_help=True, help="The site's keys, and its operators.")
terminal_app = typer.Typer(no_args_is_help=True, help="Ward terminals.")
card_app = typer.Typer(no_args_is_help=True, help="Cards and their holders.")
ward_app = typer.Typer(no_args_is_help=True, help="A ward's policy.")
for name, part in {
    "site": site_app,
    "terminal": terminal_app,
    "card": card_app,
    "ward": ward_app,
}.items():
    app.add_typer(part, name=name)

Folder = Annotated[Path, typer.Option("--folder", help="The site's folder.")]
As = Annotated[str, typer.Option("--as", help="The operator who signs.")]
GatewayAddress = Annotated[
    str, typer.Option("--gateway", help="Administration interface, HOST:PORT.")
]
_FILE_CAP = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Publisher:
    """Signs and sends, then remembers."""

    folder: sites.SiteFolder
    operator: str
    address: str

    def send(self, *changed: Entry) -> dict[str, Any]:
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdigit():
            raise BadInput(f"'{self.address}' is no HOST:PORT")
        name = OperatorId(sites.require_name(self.operator, "operator"))
        ca = self.folder.gateway / "operator_ca.crt.pem"
        version = publish(
            Gateway(self.folder.site, host, int(port)),
            Operator(name, self.folder.operator(name), ca),
            changed,
            SystemClock().wall_ms(),
        )
        ledger.remember(self.folder, changed)
        return {"version": {"epoch": version.epoch, "n": version.n}}


@site_app.command("init")
def site_init(
    folder: Folder,
    site: Annotated[str, typer.Option(help="The site's short name.")],
    host: Annotated[list[str], typer.Option(help="Name or address of gateway and broker.")],
    passphrase_file: Annotated[
        Path | None, typer.Option(help="Encrypts the root key with the file's first line.")
    ] = None,
) -> None:
    """Make every key of a site, once; nothing is ever overwritten."""
    passphrase = None if passphrase_file is None else _first_line(passphrase_file)
    if passphrase == b"":
        raise BadInput(f"{passphrase_file}: its first line is empty, and would encrypt nothing")
    where = sites.SiteFolder(folder)
    sites.init_site(where, SiteId(site), tuple(host), passphrase, SystemClock().wall_ms())
    _words(f"Site {site} is made. Tell auditors the root fingerprint; keep authority/ offline.")
    _answer(where.description)


@site_app.command("operator")
def site_operator(folder: Folder, operator: Annotated[str, typer.Argument()]) -> None:
    """Make an operator's key and certificate."""
    where = sites.add_operator(
        sites.SiteFolder(folder), OperatorId(operator), SystemClock().wall_ms()
    )
    _answer({"operator": operator, "folder": str(where)})


@terminal_app.command("add")
def terminal_add(
    folder: Folder,
    terminal: Annotated[str, typer.Argument()],
    ward: Annotated[str, typer.Option(help="The ward it stands on.")],
    operator: As,
    gateway: GatewayAddress,
) -> None:
    """Make a terminal's identity and put it into the register."""
    site = sites.SiteFolder(folder)
    entry = terminals.add_terminal(site, terminal, ward, SystemClock().wall_ms())
    published = _Publisher(site, operator, gateway).send(entry)
    identity = str(site.terminal(entry.terminal))
    _answer({"terminal": terminal, "identity": identity, **published})


@card_app.command("issue")
def card_issue(
    folder: Folder,
    holder: Annotated[Path, typer.Option(help="JSON file: holder, name, positions.")],
    operator: As,
    gateway: GatewayAddress,
    reader: Annotated[str, typer.Option(help="Part of the reader's name.")] = "",
    pin_file: Annotated[
        Path | None, typer.Option(help="The first PIN; asked for when left out.")
    ] = None,
) -> None:
    """Personalise the blank card in the reader for a holder, and publish it."""
    from provisioning.readers import with_card_in  # noqa: PLC0415 - loads the PC/SC driver

    who = entries.read_holder(_read(holder))
    pin = _pin(pin_file)
    clock, site = SystemClock(), sites.SiteFolder(folder)
    card = with_card_in(
        reader, lambda channel: cards.issue_card(channel, site, who.id, pin, clock), clock
    )
    entitlement = entries.entitle(card, who, clock.wall_ms())
    # A card is made once, and knows nothing of its holder: kept before anything else can fail.
    ledger.remember(site, [entitlement])
    try:
        published = _Publisher(site, operator, gateway).send(entitlement)
    except ProvisioningError:
        _words(f"The card is made, not published; do that: tapover card status {card.guid} active")
        raise
    _words(f"The card is {who.name.full}'s.")
    gated = any(credential.pin_gated for credential in card.credentials)
    _answer({"guid": card.guid, "holder": who.id, "pin_gated": gated, **published})


@card_app.command("status")
def card_status(
    folder: Folder,
    guid: Annotated[str, typer.Argument()],
    status: Annotated[Status, typer.Argument()],
    operator: As,
    gateway: GatewayAddress,
) -> None:
    """Suspend, restore or revoke a card, or declare it lost."""
    site = sites.SiteFolder(folder)
    entry = entries.restate(ledger.recall_entitlement(site, guid), status)
    published = _Publisher(site, operator, gateway).send(entry)
    _answer({"guid": guid, "status": status, **published})


@ward_app.command("policy")
def ward_policy(
    folder: Folder,
    policy: Annotated[Path, typer.Argument(help="JSON file of the policy.")],
    operator: As,
    gateway: GatewayAddress,
) -> None:
    """Publish a ward's policy."""
    entry = entries.read_policy(_read(policy))
    published = _Publisher(sites.SiteFolder(folder), operator, gateway).send(entry)
    _answer({"ward": entry.ward, **published})


def _read(path: Path) -> bytes:
    try:
        return durable.read_capped(path, _FILE_CAP)
    except durable.StorageError as error:
        raise BadInput(str(error)) from error


def _first_line(path: Path) -> bytes:
    return _read(path).partition(b"\n")[0]


def _pin(pin_file: Path | None) -> Pin:
    try:
        if pin_file is None:
            return Pin(typer.prompt("First PIN", hide_input=True))
        return Pin(_first_line(pin_file).decode("ascii"))
    except ValueError as error:
        raise BadInput("a PIN is 6 to 8 digits") from error


def _words(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - words for the person


def _answer(result: dict[str, Any]) -> None:
    print(json.dumps(result))  # noqa: T201 - the command's result


def run(command: Callable[[], None]) -> int:
    """Runs a command; errors of ours become one line and their exit status."""
    try:
        command()
    except ProvisioningError as error:
        _words(f"tapover: {error} [{error.code}]")
        return error.exit_status
    except HardwareError as error:
        _words(f"tapover: the card or its reader: {error}; present the card again [110]")
        return 1
    except (durable.StorageError, OSError) as error:
        _words(f"tapover: {error} [{DiskFailed.code}]")
        return DiskFailed.exit_status
    return 0


def main() -> None:
    """The console command."""
    sys.exit(run(lambda: app(standalone_mode=True)))
