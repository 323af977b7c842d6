"""`tapover card`: cards and their holders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contract.directory import Status
from provisioning import cards, entries, ledger
from provisioning.cli import console
from provisioning.cli.console import As, AsJson, Folder, GatewayAddress, PinFd, PinFile
from provisioning.cli.publisher import Publisher
from provisioning.errors import ProvisioningError
from provisioning.site import SiteFolder
from runtime.clock import SystemClock

app = typer.Typer(no_args_is_help=True, help="Cards and their holders.")


@app.command("issue")
def issue(
    folder: Folder,
    holder: Annotated[Path, typer.Option(help="JSON file: holder, name, positions.")],
    operator: As,
    gateway: GatewayAddress,
    reader: Annotated[str, typer.Option(help="Part of the reader's name.")] = "",
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
    as_json: AsJson = False,
) -> None:
    """Personalise the blank card in the reader for a holder, and publish it."""
    from provisioning.readers import with_card_in  # noqa: PLC0415 - loads the PC/SC driver

    who = entries.read_holder(console.read_file(holder))
    pin = console.pin("First PIN", fd=pin_fd, file=pin_file, twice=True)
    clock, site = SystemClock(), SiteFolder(folder)
    card = with_card_in(
        reader, lambda channel: cards.issue_card(channel, site, who.id, pin, clock), clock
    )
    entitlement = entries.entitle(card, who, clock.wall_ms())
    # A card is made once, and knows nothing of its holder: kept before anything else can fail.
    ledger.remember(site, [entitlement])
    try:
        published = Publisher(site, operator, gateway).send(entitlement)
    except ProvisioningError:
        do = f"tapover card status {card.guid} active"
        console.words(f"The card is made, not published; do that: {do}")
        raise
    console.words(f"The card is {who.name.full}'s.")
    gated = any(credential.pin_gated for credential in card.credentials)
    result = {"guid": card.guid, "holder": who.id, "pin_gated": gated, **published}
    console.answer(result, as_json=as_json)


@app.command("status")
def status(
    folder: Folder,
    guid: Annotated[str, typer.Argument()],
    status: Annotated[Status, typer.Argument()],
    operator: As,
    gateway: GatewayAddress,
    as_json: AsJson = False,
) -> None:
    """Suspend, restore or revoke a card, or declare it lost."""
    site = SiteFolder(folder)
    entry = entries.restate(ledger.recall_entitlement(site, guid), status)
    published = Publisher(site, operator, gateway).send(entry)
    console.answer({"guid": guid, "status": status, **published}, as_json=as_json)
