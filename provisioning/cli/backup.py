"""`tapover site backup`, `restore`, and `restore-log`: after a loss, a log goes on by the root."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from provisioning.cli import console
from provisioning.cli.console import (
    AsJson,
    DryRun,
    Folder,
    PassphraseFd,
    PassphraseFile,
    PinFd,
    PinFile,
    Yes,
)
from provisioning.site import backup as backups
from provisioning.site import folder as sites
from provisioning.site import making, restore_log, roots, rotate
from runtime.clock import SystemClock

_WORDS = "Passphrase of the back-up"
_NOTE_CAP = 4096
SecretFd = Annotated[
    int | None, typer.Option("--passphrase-fd", help="Read the back-up's passphrase from there.")
]
SecretFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="Read the back-up's passphrase from its first line."),
]


def add_to(app: typer.Typer) -> None:
    """Puts these commands into the group `tapover site`."""
    app.command("backup")(backup)
    app.command("restore")(restore)
    app.command("restore-log")(restore_the_log)


def backup(
    file: Annotated[Path, typer.Argument(help="A new file.")],
    folder: Folder,
    passphrase_fd: SecretFd = None,
    passphrase_file: SecretFile = None,
    as_json: AsJson = False,
) -> None:
    """Write the whole folder of the site, encrypted, into one file."""
    site = sites.SiteFolder(folder)
    site.require()
    secret = console.secret(_WORDS, fd=passphrase_fd, file=passphrase_file, twice=True)
    with making.working_on(folder):
        rotate.finish(site)
        with console.progress("Backing up", len(backups.files_of(site))) as advance:
            count = backups.back_up(site, file, secret.encode(), advance)
    console.answer({"file": str(file), "files": count}, as_json=as_json)


def restore(
    file: Annotated[Path, typer.Argument(help="A back-up of a site's folder.")],
    folder: Folder,
    passphrase_fd: SecretFd = None,
    passphrase_file: SecretFile = None,
    as_json: AsJson = False,
) -> None:
    """Make the site's folder as it was; into an empty place, and nowhere else."""
    site = sites.SiteFolder(folder)
    making.require_free(folder)
    secret = console.secret(_WORDS, fd=passphrase_fd, file=passphrase_file)
    backups.restore(site, file, secret.encode())
    console.answer({**site.description, "folder": str(folder)}, as_json=as_json)


def restore_the_log(
    *,
    restored: Annotated[Path, typer.Argument(help="The gateway's restored.json.")],
    folder: Folder,
    last_known: Annotated[
        list[Path] | None,
        typer.Option(help="A checkpoint that somebody held: an auditor, a kiosk, a witness."),
    ] = None,
    passphrase_fd: PassphraseFd = None,
    passphrase_file: PassphraseFile = None,
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Have the root declare where a log from a back-up goes on, and what is missing."""
    site, now_ms = sites.SiteFolder(folder), SystemClock().wall_ms()
    site.require()
    by_pin = (site.authority / "root.token.json").exists()
    fd, file = (pin_fd, pin_file) if by_pin else (passphrase_fd, passphrase_file)
    with making.working_on(folder):
        if (ended := rotate.finish(site)) is not None:
            console.words(f"{ended} had been cut off; it is whole now. Look before you go on.")
            console.answer({"resumed": ended}, as_json=as_json)
            return
        came_back = restore_log.read_restored(restored)
        notes = [
            console.read_file(path, _NOTE_CAP).decode("utf-8", "replace")
            for path in last_known or ()
        ]
        open_root = partial(
            roots.open_root, site.authority, partial(console.secret, fd=fd, file=file)
        )
        planned, declared = restore_log.plan(site, came_back, notes, open_root, now_ms)
        missing = declared.last.size - declared.restored.size
        result: dict[str, Any] = {
            "log_epoch": declared.log_epoch,
            "key_epoch": declared.epoch,
            "restored": declared.restored.size,
            "last_known": declared.last.size,
            "missing": missing,
        }
        console.words(
            f"Log epoch {declared.restored.epoch} ends with {declared.restored.size} leaves."
            f" The last known checkpoint had {declared.last.size}: {missing} are missing."
            " That will stand in the log for ever."
        )
        if dry_run:
            console.answer({**result, "written": False}, as_json=as_json)
            return
        console.confirm(f"Let the log of {site.site} go on from there?", yes=yes)
        making.replace_together(site.path, restore_log.NAME, planned.files)
    console.words("Give gateway/ to the gateway and start it; then: tapover directory recover")
    console.answer({**result, "written": True}, as_json=as_json)
