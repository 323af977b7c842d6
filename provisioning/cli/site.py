"""`tapover site`: the site's keys, and its operators."""

from __future__ import annotations

from typing import Annotated

import typer

from contract.ids import OperatorId, SiteId
from provisioning import site as sites
from provisioning.cli import console
from provisioning.cli.console import AsJson, Folder, PassphraseFd, PassphraseFile
from runtime.clock import SystemClock

app = typer.Typer(no_args_is_help=True, help="The site's keys, and its operators.")


@app.command("init")
def init(
    folder: Folder,
    site: Annotated[str, typer.Option(help="The site's short name.")],
    host: Annotated[list[str], typer.Option(help="Name or address of gateway and broker.")],
    passphrase_fd: PassphraseFd = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Make every key of a site, once; nothing is ever overwritten."""
    passphrase = console.secret(
        "Passphrase of the root key", fd=passphrase_fd, file=passphrase_file, twice=True
    )
    where = sites.SiteFolder(folder)
    now_ms = SystemClock().wall_ms()
    sites.init_site(where, SiteId(site), tuple(host), passphrase.encode(), now_ms)
    console.words(f"Site {site} is made. Tell auditors the root fingerprint.")
    console.words("Keep authority/ offline.")
    console.answer(where.description, as_json=as_json)


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
