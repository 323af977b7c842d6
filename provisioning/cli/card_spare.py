"""`tapover card`: spares for the night, and PUKs that the gateway may release (docs/cards.md)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract.directory import Position
from contract.ids import OperatorId, WardId
from contract.wire import WireError
from provisioning.cards import escrows, spares
from provisioning.cards.desk import Desk
from provisioning.cards.pins import choose
from provisioning.cli import console
from provisioning.cli.console import As, AsJson, Folder, GatewayAddress, PinFd, PinFile
from provisioning.cli.publisher import Publisher, parse_address
from provisioning.directory.administration import Administration, Gateway, Operator
from provisioning.errors import BadInput
from provisioning.site.folder import SiteFolder, require_name
from runtime.clock import SystemClock

if TYPE_CHECKING:
    from hardware.apdu import CardChannel


def add_to(app: typer.Typer) -> None:
    """Puts these commands into the group `tapover card`."""
    app.command("spare")(spare)
    app.command("escrows")(escrows_command)


def spare(
    *,
    folder: Folder,
    operator: As,
    gateway: GatewayAddress,
    ward: Annotated[
        list[str] | None, typer.Option(help="Where it may be assigned; left out: everywhere.")
    ] = None,
    guest: Annotated[
        Path | None,
        typer.Option(help="JSON file: the position of somebody who is not in the directory."),
    ] = None,
    reader: Annotated[str, typer.Option("--reader", help="Part of the reader's name.")] = "",
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
    as_json: AsJson = False,
) -> None:
    """Make the blank card in the reader a spare, or a used spare one again, with another PIN.

    The PIN goes into the letter that lies with the spare.
    """
    from provisioning.cards.readers import DeskReader  # noqa: PLC0415 - loads the PC/SC driver

    desk = Desk.open(SiteFolder(folder), SystemClock())
    wards = [WardId(require_name(one, "ward")) for one in ward or []]
    position = _position(guest) if guest else None
    at = DeskReader.meant(reader, desk.clock)
    pin = choose(console.secret("PIN of the spare", fd=pin_fd, file=pin_file, twice=True), None)
    send = Publisher(desk.folder, operator, gateway).send

    def make(channel: CardChannel) -> dict[str, object]:
        made = spares.make_spare(desk, send, channel, pin, wards, position)
        return {"guid": made.guid, "wards": list(made.wards), "guest": position is not None}

    told = at.with_card(make)
    console.words("The card is a spare. Put its PIN's letter with it.")
    console.answer(told, as_json=as_json)


def escrows_command(
    *, folder: Folder, operator: As, gateway: GatewayAddress, as_json: AsJson = False
) -> None:
    """Hand the sealed PUKs to the gateway for the night, and take over those it has replaced."""
    site = SiteFolder(folder)
    desk = Desk.open(site, SystemClock())
    name = OperatorId(require_name(operator, "operator"))
    who = Operator(name, site.operator(name), site.gateway / "operator_ca.crt.pem")
    with Administration(Gateway(site.site, *parse_address(gateway)), who) as at:
        counts = escrows.exchange(desk, at)
    console.answer(counts, as_json=as_json)


def _position(path: Path) -> Position:
    try:
        return Position.model_validate_json(console.read_file(path))
    except (WireError, ValueError) as error:
        raise BadInput(f"{path}: is no position; write id, role and name") from error
