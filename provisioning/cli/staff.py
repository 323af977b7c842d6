"""`tapover staff`: people and their positions, from the hospital's own feed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated

import typer

from provisioning.cli import console
from provisioning.cli.changing import All, How, desk
from provisioning.cli.console import As, AsJson, DryRun, Folder, GatewayAddress, Yes
from provisioning.directory import staff
from provisioning.directory.staff_feed import Feed, to_json
from provisioning.errors import BadInput
from provisioning.site.folder import SiteFolder

app = typer.Typer(no_args_is_help=True, help="Staff: people and their positions.")
_PIECE = 1024 * 1024


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV, a row for each person in a position.")],
    folder: Folder,
    operator: As,
    gateway: GatewayAddress,
    *,
    delta: Annotated[
        bool, typer.Option("--delta", help="Only what is new; nobody ends for being absent.")
    ] = False,
    show_all: All = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Bring the directory to what the staff feed says; the whole feed, or nothing."""
    site, met = SiteFolder(folder), staff.Met()
    with Feed(file) as feed, desk(site, operator, gateway) as at:
        made = at.change(
            f"staff-{_fingerprint(file, delta=delta)}",
            lambda: staff.wanted(feed, at.mirror, full=not delta, met=met),
            How(yes, dry_run, show_all),
            "Bring the directory to the feed?",
        )
        if not dry_run:
            staff.keep(site, feed, full=not delta)
        people = feed.people
    counts = {
        "people": people,
        "changed_cards": met.changed,
        "ended_cards": met.ended,
        "without_card": met.without_card,
        "still_suspended": met.still_suspended,
    }
    console.answer({**counts, **made}, as_json=as_json)


@app.command("show")
def show(
    holder: Annotated[str, typer.Argument()],
    folder: Folder,
    as_json: AsJson = False,
) -> None:
    """Somebody of the last import, as `tapover card issue --holder` takes it."""
    found = to_json(staff.find(SiteFolder(folder), holder))
    # One JSON object either way: it is made to be given to another command.
    console.answer(json.loads(found), as_json=as_json, text=found)


def _fingerprint(file: Path, *, delta: bool) -> str:
    digest = hashlib.sha256(b"delta" if delta else b"full")
    try:
        with file.open("rb") as data:
            while piece := data.read(_PIECE):
                digest.update(piece)
    except OSError as error:
        raise BadInput(f"{file}: {error}") from error
    return digest.hexdigest()[:16]
