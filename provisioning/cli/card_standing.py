"""`tapover card`, the commands that write to no card: standing in the directory, and a look."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contract.directory import Status
from provisioning.cards import report as card_report
from provisioning.cards import standing
from provisioning.cards.journal import CardBook
from provisioning.cli import changing, console
from provisioning.cli.console import As, AsJson, DryRun, Folder, GatewayAddress, Yes
from provisioning.cli.publisher import Publisher
from provisioning.site.folder import SiteFolder
from runtime.clock import SystemClock

Who = Annotated[str, typer.Argument(help="The card's GUID, or its holder's id.")]


def add_to(app: typer.Typer) -> None:
    """Puts these commands into the group `tapover card`."""
    app.command("status")(status)
    app.command("suspend")(suspend)
    app.command("restore")(restore)
    app.command("revoke")(revoke)
    app.command("lost")(lost)
    app.command("inspect")(inspect)


def status(
    *,
    folder: Folder,
    who: Who,
    status: Annotated[Status, typer.Argument()],
    operator: As,
    gateway: GatewayAddress,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Publish a card's standing, also once more."""
    _publish(SiteFolder(folder), who, status, operator, gateway, dry_run=dry_run, as_json=as_json)


def suspend(
    *,
    folder: Folder,
    who: Who,
    operator: As,
    gateway: GatewayAddress,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take a card out of use until it is restored."""
    to = Status.SUSPENDED
    _publish(SiteFolder(folder), who, to, operator, gateway, dry_run=dry_run, as_json=as_json)


def restore(
    *,
    folder: Folder,
    who: Who,
    operator: As,
    gateway: GatewayAddress,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Put a suspended card into use again."""
    to = Status.ACTIVE
    _publish(SiteFolder(folder), who, to, operator, gateway, dry_run=dry_run, as_json=as_json)


def revoke(
    *,
    folder: Folder,
    who: Who,
    operator: As,
    gateway: GatewayAddress,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """End a card for good."""
    if not dry_run:
        console.confirm(f"The card of {who} can never be used again. Go on?", yes=yes)
    to = Status.REVOKED
    _publish(SiteFolder(folder), who, to, operator, gateway, dry_run=dry_run, as_json=as_json)


def lost(
    *,
    folder: Folder,
    who: Who,
    operator: As,
    gateway: GatewayAddress,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """End a card that is lost or stolen, and lock its open session; asks nothing."""
    to = Status.LOST
    _publish(SiteFolder(folder), who, to, operator, gateway, dry_run=dry_run, as_json=as_json)


def inspect(
    reader: Annotated[str, typer.Option(help="Part of the reader's name.")] = "",
    folder: Annotated[
        Path | None, typer.Option("--folder", help="The site's folder: say whose the card is.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what the card in the reader could do: a tap, a PIN, and over which interface."""
    from provisioning.cards.readers import DeskReader  # noqa: PLC0415 - loads the PC/SC driver

    clock = SystemClock()
    at = DeskReader.meant(reader, clock)
    report = at.with_card(
        lambda channel: card_report.inspect_card(channel, at.interface, clock.monotonic_ns)
    )
    known = {} if folder is None else standing.known_of(SiteFolder(folder), report.guid)
    rows = [f"{name:<15} {value}" for name, value in known.items()]
    text = "\n".join((report.text, *rows))
    console.answer({**report.to_json(), **known}, as_json=as_json, text=text)


def _publish(
    site: SiteFolder,
    who: str,
    status: Status,
    operator: str,
    gateway: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    with changing.desk(site, operator, gateway) as at:
        before = standing.find(at.mirror, site, who)
    after = standing.change(before, status, SystemClock().wall_ms())
    console.words(f"{before.name.full}, card {before.guid}: {before.status} -> {after.status}")
    result = {"guid": before.guid, "holder": before.holder, "status": after.status.value}
    if dry_run:
        console.answer({**result, "was": before.status.value}, as_json=as_json)
        return
    published = Publisher(site, operator, gateway).send(after)
    CardBook.of(site).given(before.guid)
    console.answer({**result, **published}, as_json=as_json)
