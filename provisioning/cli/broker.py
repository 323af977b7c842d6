"""`tapover site broker`: what mosquitto is told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provisioning.cli import console
from provisioning.cli.console import AsJson, DryRun, Folder
from provisioning.cli.publisher import parse_address
from provisioning.errors import BadInput
from provisioning.site import broker as brokers
from provisioning.site import folder as sites


def add_to(app: typer.Typer) -> None:
    """Puts this command into the group `tapover site`."""
    app.command("broker")(broker)


def broker(
    *,
    folder: Folder,
    out: Annotated[Path, typer.Option(help="Where mosquitto.conf and the access rules go.")],
    listen: Annotated[str, typer.Option(help="Where terminals and gateway connect, HOST:PORT.")],
    certificates: Annotated[
        Path | None,
        typer.Option(help="The folder `broker` where the broker runs, if not this site's."),
    ] = None,
    crl: Annotated[
        Path | None, typer.Option(help="The gateway's `crl_file`, if not in that folder.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="Whom mosquitto becomes; left out: `mosquitto`.")
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(help="With systemd: the broker's unit, reloaded when the list changes."),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write what mosquitto is told: its settings, and who may say and hear what."""
    site = sites.SiteFolder(folder)
    site.require()
    host, port = parse_address(listen)
    where, target = (certificates or site.broker).absolute(), out.absolute()
    made = brokers.Broker(
        host=host,
        port=port,
        certificate=where / "server.crt.pem",
        key=where / "server.key.pem",
        terminal_authority=where / "terminal_ca.crt.pem",
        crl=crl.absolute() if crl else where / "terminal.crl.pem",
        access=target / brokers.ACCESS,
        user=user,
    )
    _require_plain(made)
    if dry_run:
        text = brokers.configuration(made)
        answer = {"configuration": text, "access": brokers.access_rules(), "written": []}
        console.answer(answer, as_json=as_json, text=text)
        return
    written = [str(path) for path in brokers.write(target, made, service)]
    console.answer({"written": written}, as_json=as_json, text="\n".join(written))


def _require_plain(made: brokers.Broker) -> None:
    """Raises BadInput for what mosquitto, which reads to the first space, would read wrongly."""
    given = (made.host, made.user or "", str(made.access), str(made.certificate), str(made.crl))
    for text in given:
        if any(each.isspace() for each in text):
            raise BadInput(f"'{text}': mosquitto's settings take no spaces here")
