"""`tapover terminal`: ward terminals."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning import terminals
from provisioning.cli import console
from provisioning.cli.console import As, AsJson, Folder, GatewayAddress
from provisioning.cli.publisher import Publisher
from provisioning.site import SiteFolder
from runtime.clock import SystemClock

app = typer.Typer(no_args_is_help=True, help="Ward terminals.")


@app.command("add")
def add(
    folder: Folder,
    terminal: Annotated[str, typer.Argument()],
    ward: Annotated[str, typer.Option(help="The ward it stands on.")],
    operator: As,
    gateway: GatewayAddress,
    as_json: AsJson = False,
) -> None:
    """Make a terminal's identity and put it into the register."""
    site = SiteFolder(folder)
    entry = terminals.add_terminal(site, terminal, ward, SystemClock().wall_ms())
    published = Publisher(site, operator, gateway).send(entry)
    identity = str(site.terminal(entry.terminal))
    console.answer({"terminal": terminal, "identity": identity, **published}, as_json=as_json)
