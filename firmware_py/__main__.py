"""``tapover-terminal --settings terminal.toml``: the terminal daemon.

Exits 2 for settings, 3 for a certificate or key, 4 for the kiosk's port: one line each, on stderr.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import NoReturn

from runtime.settings import run_main

PROGRAM = "tapover-terminal"


def main() -> NoReturn:
    """The entry point."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="The tapover terminal daemon.")
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    run_main(lambda: _run(arguments.settings), PROGRAM)


def _run(path: Path) -> None:
    # After the arguments: `--help` and a wrong option need nothing of the daemon.
    import os  # noqa: PLC0415

    from firmware_py.app import build  # noqa: PLC0415
    from firmware_py.settings import Settings  # noqa: PLC0415
    from runtime import logs  # noqa: PLC0415
    from runtime.settings import load  # noqa: PLC0415

    settings = load(Settings, path, os.environ)
    logs.set_up(settings.log_level)
    app = build(settings)
    asyncio.run(app.run())


if __name__ == "__main__":
    main()
