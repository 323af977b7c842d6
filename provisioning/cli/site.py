"""`tapover site`: the site's keys, and its operators."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contract.ids import OperatorId, SiteId
from provisioning import making, roots, rotate
from provisioning import site as sites
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
from provisioning.errors import BadInput
from runtime.clock import SystemClock

app = typer.Typer(no_args_is_help=True, help="The site's keys, and its operators.")

_AFTER = {
    rotate.Key.STATEMENT: "Give gateway/ to the gateway and start it again; terminals follow.",
    rotate.Key.LOG: "Give gateway/ to the gateway and start it again; terminals follow.",
    rotate.Key.TERMINAL_CA: (
        "Give broker/ to the broker and gateway/ to the gateway, and start both again. Both believe"
        " old and new certificates until: tapover site rotate terminal-ca --finish"
    ),
    rotate.Key.OPERATOR_CA: (
        "Give broker/ to the broker and gateway/ to the gateway, and start both again; operators"
        " take their new certificates. The old ones hold until:"
        " tapover site rotate operator-ca --finish"
    ),
    rotate.Key.CARD_CA: "Give gateway/ to the gateway and start it again.",
    rotate.Key.SERVERS: "Give broker/ to the broker and gateway/ to the gateway; start both again.",
    rotate.Key.OPERATORS: "Operators take their new certificates.",
}


@app.command("init")
def init(
    *,
    folder: Folder,
    site: Annotated[str, typer.Option(help="The site's short name.")],
    host: Annotated[list[str], typer.Option(help="Name or address of gateway and broker.")],
    passphrase_fd: PassphraseFd = None,
    passphrase_file: PassphraseFile = None,
    token_module: Annotated[
        Path | None, typer.Option(help="PKCS#11 module: the root key is made in its token.")
    ] = None,
    token: Annotated[str, typer.Option(help="The token's label.")] = "",
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make every key of a site, once; nothing is ever overwritten."""
    where = sites.SiteFolder(folder)
    if dry_run:
        sites.require_name(site, "site")
        making.require_free(folder)
        console.answer({"site": site, "folder": str(folder), "written": False}, as_json=as_json)
        return
    root: roots.RootHome
    if token_module is None:
        passphrase = console.secret(
            "Passphrase of the root key", fd=passphrase_fd, file=passphrase_file, twice=True
        )
        root = roots.FileRoot(passphrase.encode())
    elif not token:
        raise BadInput("say which token holds the root key: --token LABEL")
    else:
        pin = console.secret("PIN of the token", fd=pin_fd, file=pin_file)
        root = roots.TokenRoot(token_module, token, pin)
    now_ms = SystemClock().wall_ms()
    sites.init_site(where, SiteId(site), tuple(host), root, now_ms)
    console.words(f"Site {site} is made. Tell auditors the root fingerprint.")
    console.words("Keep authority/ offline.")
    console.answer(where.description, as_json=as_json)


@app.command("show")
def show(folder: Folder, as_json: AsJson = False) -> None:
    """Say what the site's keys are, and which rotations overlap."""
    site = sites.SiteFolder(folder)
    _, statement = rotate.read_statement(site)
    result = {
        **site.description,
        "key_epoch": statement.epoch,
        "log_epoch": statement.log.epoch,
        "root_needs": roots.needs(site.authority),
        "overlapping": [str(key) for key in rotate.overlapping(site)],
    }
    console.answer(result, as_json=as_json)


@app.command("rotate")
def rotate_key(
    *,
    folder: Folder,
    key: Annotated[rotate.Key, typer.Argument(help="Which key is replaced.")],
    finish: Annotated[
        bool, typer.Option("--finish", help="End the overlap: the CA before is believed no more.")
    ] = False,
    passphrase_fd: PassphraseFd = None,
    passphrase_file: PassphraseFile = None,
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Replace a key of the site, as one: all of its files, or none."""
    site, now_ms = sites.SiteFolder(folder), SystemClock().wall_ms()
    by_pin = (site.authority / "root.token.json").exists()
    fd, file = (pin_fd, pin_file) if by_pin else (passphrase_fd, passphrase_file)
    site.require()
    with making.working_on(folder):
        if (ended := rotate.finish(site)) is not None:
            console.words(f"A rotation of {ended} had been cut off; it is whole now.")
            console.words("Nothing else was rotated: run the command again if you want another.")
            console.answer({"key": ended, "resumed": True}, as_json=as_json)
            return
        planned = (
            rotate.plan_end(site, key, now_ms)
            if finish
            else rotate.plan(
                site,
                key,
                lambda: roots.open_root(
                    site.authority, lambda what: console.secret(what, fd=fd, file=file)
                ),
                now_ms,
            )
        )
        result = {**planned.answer, "overlaps": planned.answer["overlaps"] and not finish}
        if dry_run:
            console.answer({**result, "written": False}, as_json=as_json)
            return
        for replaced in planned.files:
            console.words(f"  {'remove' if replaced.data is None else 'write '} {replaced.path}")
        verb = "End the overlap of" if finish else "Replace"
        console.confirm(f"{verb} {key} of site {site.site}?", yes=yes)
        rotate.carry_out(site, planned)
    console.words("Start gateway and broker again." if finish else _AFTER[key])
    console.answer({**result, "resumed": False}, as_json=as_json)


@app.command("operator")
def operator(
    folder: Folder,
    operator: Annotated[str, typer.Argument()],
    as_json: AsJson = False,
) -> None:
    """Make an operator's key and certificate."""
    where = sites.add_operator(
        sites.SiteFolder(folder), OperatorId(operator), SystemClock().wall_ms()
    )
    console.answer({"operator": operator, "folder": str(where)}, as_json=as_json)
