"""The backend that the terminal's settings name."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from firmware_py.items import Item, WorkspaceBroke
from firmware_py.sessions.port import Workspace
from firmware_py.settings import Backend, WorkspaceSettings
from firmware_py.workspace.screen import ScreenWorkspace
from runtime.clock import Clock
from runtime.settings import SettingsError

_WRITABLE: Final = stat.S_IWGRP | stat.S_IWOTH


def require_program(settings: WorkspaceSettings) -> None:
    """Raises SettingsError where a program is named that cannot be run, or that others can change.

    It runs as we do: whoever can write it, or put another in its place, would be the terminal.
    """
    program = settings.command
    if program is None:
        return
    if not os.access(program, os.X_OK):
        raise SettingsError(f"workspace.command: {program} cannot be run; make it executable")
    for path in (program.resolve(), program.resolve().parent):
        if not _is_ours_alone(path):
            raise SettingsError(f"workspace.command: others can change {path}; chown, chmod go-w")


def _is_ours_alone(path: Path) -> bool:
    found = path.stat()
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & _WRITABLE


def made(
    settings: WorkspaceSettings,
    clock: Clock,
    environment: Mapping[str, str],
    post: Callable[[Item], None],
) -> Workspace:
    """In the event loop's thread."""
    if settings.backend is Backend.SCREEN or settings.command is None:
        return ScreenWorkspace()
    from firmware_py.workspace.command import CommandWorkspace  # noqa: PLC0415 - where it is chosen
    from firmware_py.workspace.hooks import Hooks  # noqa: PLC0415

    hooks = Hooks(settings.command, settings.limit_s, clock, environment)
    return CommandWorkspace(hooks, clock, lambda why: post(WorkspaceBroke(why)))
