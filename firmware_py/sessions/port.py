"""The workspace: what a session shows. The port that every backend keeps (DESIGN §5).

The rules (the terminal keeps its own side: it covers the glass first):

* A session's workspace is created once, shown and parked any number of times, and disposed of.
* At most one is shown: ``show`` of another without ``park`` or ``lock`` is refused.
* Input reaches a workspace only between its ``ready`` and the next ``park``, ``lock`` or
  ``dispose``; after those, a ``ready`` that was on its way is never called.
* ``lock`` hides whatever is shown. It is done before anything else that waits, and whatever cannot
  be hidden keeps every later ``show`` from being ready: lock first, any error ends locked.
* What fails at once raises WorkspaceFailed; what fails later is said to the backend's `Failed`.
* Nothing blocks: all is called in the event loop's thread, between a tap and its view.

The port asks nothing that an isolated browser context a session under a compositor could not do
(create makes the context, show raises its window and is ready at the first frame, park lowers it,
keep and restore carry its address), nor logind (create starts a session on a seat, show activates
it and is ready at its signal, lock and park switch to the greeter's, dispose terminates it).
Neither is built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from contract.ids import HolderId, PositionId, SessionId
from firmware_py.sessions.values import Kind

STATE_CAP: Final = 64 << 10
"""A session's small state: it travels sealed in one message of the move protocol."""

Failed = Callable[[str], None]
"""Said by a backend whose work went wrong after the call had returned; the terminal locks."""


class WorkspaceFailed(Exception):
    """A backend could not do as asked; the terminal answers by locking."""


@dataclass(frozen=True, slots=True)
class SessionAbout:
    """Whose work it is, as far as a backend may know: no name, no card, no secret."""

    session: SessionId
    holder: HolderId
    position: PositionId
    role: str
    """The position's role code."""
    kind: Kind
    initials: str


class Workspace(Protocol):
    """Where sessions' work is shown. Called in the event loop's thread; must not block."""

    def create(self, session: SessionId, about: SessionAbout) -> None:
        """Make a session's work, hidden. Again: what is known about it has changed.

        Raises WorkspaceFailed.
        """
        ...

    def show(self, session: SessionId, ready: Callable[[], None]) -> None:
        """Show what was created; call ``ready`` once it takes input, perhaps at once.

        Raises WorkspaceFailed.
        """
        ...

    def park(self, session: SessionId) -> None:
        """Hide it and keep it; nothing to do where it is hidden. Raises WorkspaceFailed."""
        ...

    def lock(self) -> None:
        """Hide whatever is shown, and keep it. Raises WorkspaceFailed."""
        ...

    def dispose(self, session: SessionId) -> None:
        """Forget a session's work, if there is any. Raises WorkspaceFailed."""
        ...

    def keep(self, session: SessionId) -> bytes | None:
        """Its small state, at most `STATE_CAP`, for another terminal; null where there is none."""
        ...

    def restore(self, session: SessionId, state: bytes) -> None:
        """Give what was created the state that another terminal kept; also while it is shown.

        What it has of its own by then is not lost. Raises WorkspaceFailed for a state that is none.
        """
        ...

    def forget_state(self, session: SessionId) -> None:
        """Its small state went on elsewhere, and may come back: forget that, and nothing else."""
        ...

    async def close(self) -> None:
        """The terminal stops: end what is under way, soon."""
        ...
