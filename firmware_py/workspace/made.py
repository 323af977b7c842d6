"""The backend that the terminal's settings name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from firmware_py.items import Item, WorkspaceBroke
from firmware_py.settings import Backend, WorkspaceSettings
from firmware_py.workspace.port import Workspace
from firmware_py.workspace.screen import ScreenWorkspace
from runtime.clock import Clock
from runtime.settings import SettingsError


def require_program(settings: WorkspaceSettings) -> None:
    """Raises SettingsError where a program is named that cannot be run."""
    program = settings.command
    if program is not None and not os.access(program, os.X_OK):
        raise SettingsError(f"workspace.command: {program} cannot be run; make it executable")


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
