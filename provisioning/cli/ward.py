"""`tapover ward`: a ward's policy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provisioning import entries
from provisioning.cli import console
from provisioning.cli.console import As, AsJson, Folder, GatewayAddress
from provisioning.cli.publisher import Publisher
from provisioning.site import SiteFolder

app = typer.Typer(no_args_is_help=True, help="A ward's policy.")


@app.command("policy")
def policy(
    folder: Folder,
    policy: Annotated[Path, typer.Argument(help="JSON file of the policy.")],
    operator: As,
    gateway: GatewayAddress,
    as_json: AsJson = False,
) -> None:
    """Publish a ward's policy."""
    entry = entries.read_policy(console.read_file(policy))
    published = Publisher(SiteFolder(folder), operator, gateway).send(entry)
    console.answer({"ward": entry.ward, **published}, as_json=as_json)
