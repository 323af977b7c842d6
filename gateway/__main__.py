"""`tapover-gateway`: init (once a site), serve, export, backup, restore, downtime.

Exit status: 0 done, 1 failed, 2 settings, 3 certificate or key, 4 port.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gateway import app, backing_up
from gateway.evidence import export
from gateway.link import downtime
from gateway.settings import GatewaySettings
from runtime import logs
from runtime.clock import SystemClock
from runtime.settings import load, run_main

_PROGRAM: Final = "tapover-gateway"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and exits."""
    asked = _parser().parse_args(arguments)
    run_main(lambda: _run(asked), _PROGRAM)


def _run(asked: argparse.Namespace) -> None:
    settings = load(GatewaySettings, asked.settings, os.environ, prefix="TAPOVER_GATEWAY_")
    logs.set_up(settings.log_level)
    match asked.command:
        case "init":
            size = app.init(settings, SystemClock())
            sys.stderr.write(f"{_PROGRAM}: the log of {settings.site} begins with {size} leaves\n")
        case "serve":
            app.serve(settings, SystemClock(), os.environ)
        case "backup":
            secret = backing_up.passphrase(asked.passphrase_file, asked.passphrase_fd)
            backing_up.back_up(settings, asked.file, secret, SystemClock().wall_ms(), _say)
        case "restore":
            secret = backing_up.passphrase(asked.passphrase_file, asked.passphrase_fd)
            backing_up.restore(settings, asked.file, secret, _say)
        case "downtime":
            digest = downtime.state(settings, asked.ward, asked.minutes, asked.file, SystemClock())
            _say(f"{asked.ward} may run on its own for {asked.minutes} minutes: {digest}")
        case _:
            export.run(settings, asked.folder, _say)


def _say(line: str) -> None:
    sys.stderr.write(f"{_PROGRAM}: {line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(_PROGRAM, description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, words in (
        ("init", "begin the site's evidence log, once"),
        ("serve", "run the gateway"),
        ("backup", "write log, directory and keys into one encrypted file, also while it runs"),
        ("restore", "lay a back-up down where there is no log; the root must declare it then"),
        ("export", "write the evidence into a new folder, also while it runs"),
        ("downtime", "state that a ward may run without the gateway, to be brought to it by hand"),
    ):
        command = commands.add_parser(name, help=words, description=words)
        command.add_argument("--settings", type=Path, required=True, help="gateway.toml")
        if name == "export":
            command.add_argument("folder", type=Path, metavar="DIR", help="must not exist")
        if name == "downtime":
            command.add_argument("--ward", required=True)
            command.add_argument("--minutes", type=int, required=True, help="720 at most")
            command.add_argument("file", type=Path, metavar="FILE")
        if name in ("backup", "restore"):
            command.add_argument("file", type=Path, metavar="FILE")
            command.add_argument("--passphrase-file", type=Path, help="its first line")
            command.add_argument("--passphrase-fd", type=int, help="an open file descriptor")
    return parser


if __name__ == "__main__":
    main()
