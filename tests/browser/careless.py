"""The terminal's daemon without its check of tickets: a test is seen to fail where it must.

``python -m tests.browser.careless --settings FILE``, by the daemon's own composition root. Text
that a page says is taken for whoever's work is shown, whosever it was.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from firmware_py.app import build
from firmware_py.settings import Settings
from firmware_py.workspace.screen import ScreenWorkspace
from runtime import logs
from runtime.clock import SystemClock
from runtime.settings import load, run_main


def main() -> None:
    """Run the daemon."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=Path, required=True)
    asked = parser.parse_args()
    run_main(lambda: _run(asked.settings), "tapover-terminal")


def _run(path: Path) -> None:
    careful = ScreenWorkspace.type

    def careless(workspace: ScreenWorkspace, ticket: str, text: str) -> bool:
        del ticket
        return careful(workspace, workspace.ticket, text)

    ScreenWorkspace.type = careless  # type: ignore[method-assign, assignment]
    settings = load(Settings, path, os.environ)
    logs.set_up(settings.log_level)
    asyncio.run(build(settings, clock=SystemClock()).run())


if __name__ == "__main__":
    main()
