"""``tapover-terminal --settings terminal.toml``: the terminal daemon.

Without an identity, and with an enrolment file, it enrols first and then goes into service.
Exits 2 for settings, 3 for a certificate or key, 4 for the kiosk's port: one line each, on stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from runtime.settings import ExitStatus, run_main

if TYPE_CHECKING:
    from firmware_py.settings import Settings

PROGRAM = "tapover-terminal"


def main() -> NoReturn:
    """The entry point."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="The tapover terminal daemon.")
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    run_main(lambda: _run(arguments.settings), PROGRAM)


def _run(path: Path) -> None:
    # After the arguments: `--help` and a wrong option need nothing of the daemon.
    from firmware_py.settings import Settings  # noqa: PLC0415
    from runtime import logs  # noqa: PLC0415
    from runtime.settings import load  # noqa: PLC0415

    settings = load(Settings, path, os.environ)
    logs.set_up(settings.log_level)
    if settings.enrolment_file is not None:
        settings = _enrolled(settings, settings.enrolment_file)
    from firmware_py.app import build  # noqa: PLC0415

    app = build(settings)
    asyncio.run(app.run())


def _enrolled(settings: Settings, file: Path) -> Settings:
    """The settings of an enrolled terminal; one that is not enrolled yet is enrolled first.

    Returns for a terminal that was enrolled before; ends the program otherwise.
    """
    from firmware_py.site.place import is_enrolled, placed  # noqa: PLC0415

    if not is_enrolled(settings.identity_dir):
        from firmware_py.enrolment.first_boot import first_boot  # noqa: PLC0415

        if not first_boot(settings, file):
            sys.exit(ExitStatus.OK)
        # Begun anew in the same process: what enrolment needed stays in no memory.
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
    if file.exists():
        from firmware_py.enrolment.paper import tidy  # noqa: PLC0415

        tidy(file, settings.identity_dir)
    return placed(settings)


if __name__ == "__main__":
    main()
