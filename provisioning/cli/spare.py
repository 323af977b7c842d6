"""`tapover spare`: what lies ready for the night, and what the nights have made of it."""

from __future__ import annotations

from dataclasses import asdict

import typer

from provisioning.cli import console
from provisioning.cli.changing import desk
from provisioning.cli.console import As, AsJson, Folder, GatewayAddress
from provisioning.directory import nights
from provisioning.site.folder import SiteFolder

app = typer.Typer(no_args_is_help=True, help="Spare cards: which lie ready, who gave them whom.")


@app.command("list")
def list_(folder: Folder, operator: As, gateway: GatewayAddress, as_json: AsJson = False) -> None:
    """Every spare: ready, used, or why it does not serve; `tapover card spare` makes them."""
    with desk(SiteFolder(folder), operator, gateway) as at:
        found = list(nights.spares(at.mirror))
    lines = (f"{one.guid}  {one.state}  {', '.join(one.wards) or 'every ward'}" for one in found)
    rows = [asdict(one) for one in found]
    console.answer({"spares": rows}, as_json=as_json, text="\n".join(lines) or "no spares")


@app.command("review")
def review(folder: Folder, operator: As, gateway: GatewayAddress, as_json: AsJson = False) -> None:
    """Who assigned which spare to whom, the newest first; each signature checked here."""
    with desk(SiteFolder(folder), operator, gateway) as at:
        found = nights.review(at.administration, at.mirror)
    lines = (one.line for one in found)
    rows = [one.to_json() for one in found]
    console.answer({"assignments": rows}, as_json=as_json, text="\n".join(lines) or "none")
