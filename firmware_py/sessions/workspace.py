"""The workspace: what a session shows. A port with five verbs, and the plain backend.

The rules that every backend keeps (the terminal keeps its own side: it covers the glass first):

* At most one workspace is shown: ``show`` of another without ``park`` or ``lock`` is an error.
* ``lock`` hides whatever is shown and never fails quietly: lock first, and any error ends locked.
* Input reaches a workspace only between ``ready`` and the next ``park`` or ``lock``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from contract.ids import SessionId


class WorkspaceFailed(Exception):
    """A backend could not do as asked; the terminal answers by locking."""


class Workspace(Protocol):
    """Where sessions' work is shown. Called from the event loop's thread; must not block."""

    def show(self, session: SessionId, ready: Callable[[], None]) -> None:
        """Show a session's work, made new if there is none; call ``ready`` once it takes input.

        ``ready`` may be called at once. Raises WorkspaceFailed.
        """
        ...

    def park(self, session: SessionId) -> None:
        """Hide it and keep it. Raises WorkspaceFailed."""
        ...

    def lock(self) -> None:
        """Hide whatever is shown, and keep it. Raises WorkspaceFailed."""
        ...

    def dispose(self, session: SessionId) -> None:
        """Forget a session's work, if there is any. Raises WorkspaceFailed."""
        ...


class ScreenWorkspace:
    """The kiosk's own page is the workspace: nothing beside it is to be shown or hidden."""

    def __init__(self) -> None:
        self._kept: set[SessionId] = set()
        self._shown: SessionId | None = None

    @property
    def shown(self) -> SessionId | None:
        """Whose work takes input."""
        return self._shown

    def show(self, session: SessionId, ready: Callable[[], None]) -> None:
        """Ready at once."""
        if self._shown not in (None, session):
            raise WorkspaceFailed("another session's work is still shown")
        self._kept.add(session)
        self._shown = session
        ready()

    def park(self, session: SessionId) -> None:
        """Hide it."""
        if self._shown == session:
            self._shown = None

    def lock(self) -> None:
        """Hide whatever is shown."""
        self._shown = None

    def dispose(self, session: SessionId) -> None:
        """Forget it."""
        self._kept.discard(session)
        if self._shown == session:
            self._shown = None
