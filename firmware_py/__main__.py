"""``tapover-terminal --settings terminal.toml``: the terminal daemon.

Without an identity, and with an enrolment file, it enrols first and then goes into service.
Exits 2 for settings, 3 for a certificate or key, 4 for the kiosk's port: one line each, on stderr.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from runtime.settings import ExitStatus, run_main

if TYPE_CHECKING:
    from firmware_py.settings import Settings

PROGRAM = "tapover-terminal"
_LEAN = {
    # glibc gives each thread an arena of its own: a megabyte, for a few hundred allocations.
    "MALLOC_ARENA_MAX": "1",
    # What is freed goes back to the kernel at 64 KiB, and no more is taken than is asked for.
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "MALLOC_TOP_PAD_": "0",
    # Else Python asks all of its build's settings where Debian keeps the time zones.
    "PYTHONTZPATH": "/usr/share/zoneinfo",
    # Else Pydantic reads what every installed distribution says of itself, for plugins.
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
}


def main() -> NoReturn:
    """The entry point."""
    begin_lean()
    settings = _settings_named(sys.argv[1:])
    run_main(lambda: _run(settings), PROGRAM)


def _settings_named(arguments: list[str]) -> Path:
    """Anything but ``--settings FILE`` is answered by argparse, which a daemon need not carry."""
    match arguments:
        case ["--settings", file] if not file.startswith("-"):
            return Path(file)
    import argparse  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog=PROGRAM, description="The tapover terminal daemon.")
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE")
    return Path(parser.parse_args(arguments).settings)


def begin_lean() -> None:
    """Begins anew, under the same process id, where the environment does not say what saves memory.

    All of it is read when a process begins, or by libraries before anything of ours.
    """
    missing = {name: value for name, value in _LEAN.items() if name not in os.environ}
    if sys.platform == "linux" and missing:
        os.environ.update(missing)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


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
