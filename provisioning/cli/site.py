"""`tapover site`: the site's keys, and its operators."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from contract.ids import OperatorId, SiteId
from provisioning.cli import backup, broker, console
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
from provisioning.site import folder as sites
from provisioning.site import making, roots, rotate, rotate_root
from runtime.clock import SystemClock

app = typer.Typer(no_args_is_help=True, help="The site's keys, and its operators.")
backup.add_to(app)
broker.add_to(app)

TokenModule = Annotated[
    Path | None, typer.Option(help="PKCS#11 module: the root key is made in its token.")
]
TokenLabel = Annotated[str, typer.Option("--token", help="The token's label.")]
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
    rotate.Key.ROOT: (
        "Give gateway/ to the gateway and start it again; terminals follow. Tell auditors the new"
        " fingerprint, and keep the old one: the log begins under it."
    ),
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
    token_module: TokenModule = None,
    token: TokenLabel = "",
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
    if token_module is None:
        root = _home(None, "", passphrase_fd, passphrase_file)
    else:
        root = _home(token_module, token, pin_fd, pin_file)
    now_ms = SystemClock().wall_ms()
    sites.init_site(where, SiteId(site), tuple(host), root, now_ms)
    console.words(f"Site {site} is made. Tell auditors the root fingerprint.")
    console.words("Keep authority/ offline.")
    console.answer(where.description, as_json=as_json)


def _home(module: Path | None, token: str, fd: int | None, file: Path | None) -> roots.RootHome:
    """Where a new root is to live; its passphrase, or the token's PIN, comes by `fd` or `file`."""
    if module is None:
        passphrase = console.secret("Passphrase of the new root key", fd=fd, file=file, twice=True)
        return roots.FileRoot(passphrase.encode())
    if not token:
        raise BadInput("say which token holds the root key: --token LABEL")
    return roots.TokenRoot(module, token, console.secret("PIN of the token", fd=fd, file=file))


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
        "roots_before": rotate_root.declared_roots(site),
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
    token_module: TokenModule = None,
    token: TokenLabel = "",
    new_fd: Annotated[
        int | None, typer.Option(help="Read the new root's passphrase, or PIN, from there.")
    ] = None,
    new_file: Annotated[
        Path | None, typer.Option(help="Read it from the file's first line.")
    ] = None,
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

        ask = partial(console.secret, fd=fd, file=file)
        open_root = partial(roots.open_root, site.authority, ask)
        home: roots.RootHome | None = None
        if finish:
            planned = rotate.plan_end(site, key, now_ms)
        elif key is rotate.Key.ROOT:
            home = _home(token_module, token, new_fd, new_file)
            planned = rotate_root.plan(site, open_root, home, now_ms)
        else:
            planned = rotate.plan(site, key, open_root, now_ms)
        try:
            result = {**planned.answer, "overlaps": planned.answer["overlaps"] and not finish}
            if dry_run:
                console.answer({**result, "written": False}, as_json=as_json)
                return
            _show(planned)
            verb = "End the overlap of" if finish else "Replace"
            console.confirm(f"{verb} {key} of site {site.site}?", yes=yes)
            rotate.carry_out(site, planned)
        finally:
            if home is not None and not making.is_cut_off(site.path):
                rotate_root.abandon(site, home)
    console.words("Start gateway and broker again." if finish else _AFTER[key])
    console.answer({**result, "resumed": False}, as_json=as_json)


def _show(planned: rotate.Rotation) -> None:
    """What would change, before anybody is asked."""
    for replaced in planned.files:
        console.words(f"  {'remove' if replaced.data is None else 'write '} {replaced.path}")


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
