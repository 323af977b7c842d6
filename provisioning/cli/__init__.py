"""The `tapover` command: a group of commands a module, each a thin shell over a function.

JSON on stdout with `--json`, words and progress on stderr, secrets by prompt, file descriptor or
file. Exit statuses and error codes: docs/errors.md.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable

import typer

from hardware.apdu import HardwareError
from provisioning.cli import card, directory, site, spare, staff, terminal, ward
from provisioning.cli.console import words
from provisioning.errors import CardTrouble, DiskFailed, ProvisioningError
from runtime.durable import StorageError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables would print a PIN.
    pretty_exceptions_enable=False,
    help="Provision a tapover site.",
)
for name, group in {
    "site": site.app,
    "terminal": terminal.app,
    "card": card.app,
    "spare": spare.app,
    "ward": ward.app,
    "staff": staff.app,
    "directory": directory.app,
}.items():
    app.add_typer(group, name=name)


def run(command: Callable[[], None]) -> int:
    """Runs a command; errors of ours become one line and their exit status."""
    try:
        command()
    except ProvisioningError as error:
        return _told(error)
    except HardwareError as error:
        return _told(CardTrouble(f"the card or its reader: {error}; present the card again"))
    except (StorageError, OSError, sqlite3.Error) as error:
        return _told(DiskFailed(str(error)))
    return 0


def main() -> None:
    """The console command."""
    sys.exit(run(lambda: app(standalone_mode=True)))


def _told(error: ProvisioningError) -> int:
    words(f"tapover: {error} [{error.code}]")
    return error.exit_status
