"""The plain backend: the kiosk's own page is the workspace, and holds a small text per session.

The text is what a page at the bedside needs at least, and what shows that no character crosses from
one person to the next: each `show` gives a fresh ticket, the page returns it with every change, and
text under any other ticket is discarded and counted, never queued.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from contract.ids import SessionId
from firmware_py.sessions.port import SessionAbout, WorkspaceFailed

NOTES_CAP: Final = 4096
"""Bytes of UTF-8. It stands in every view while it is on the glass."""
_TICKET_BYTES: Final = 16


@dataclass(slots=True)
class _Work:
    about: SessionAbout
    notes: str = field(default="", repr=False)


class ScreenWorkspace:
    """Ready at once: nothing beside the page is to be shown or hidden."""

    def __init__(self) -> None:
        self._kept: dict[SessionId, _Work] = {}
        self._shown: SessionId | None = None
        self._ticket = ""
        self.discarded = 0
        """Texts that came for a session that was not there to take them."""

    @property
    def shown(self) -> SessionId | None:
        """Whose work takes input."""
        return self._shown

    @property
    def ticket(self) -> str:
        """Of the newest `show`; empty while nothing is shown."""
        return self._ticket

    @property
    def notes(self) -> str:
        """Of whose work is shown; empty while nothing is."""
        return self._kept[self._shown].notes if self._shown is not None else ""

    def type(self, ticket: str, text: str) -> bool:
        """The whole text as it now stands on the page; whether it was taken."""
        known = bool(self._ticket) and hmac.compare_digest(ticket.encode(), self._ticket.encode())
        if self._shown is None or not known or len(text.encode()) > NOTES_CAP:
            self.discarded += 1
            return False
        self._kept[self._shown].notes = text
        return True

    def create(self, session: SessionId, about: SessionAbout) -> None:
        """An empty text."""
        work = self._kept.setdefault(session, _Work(about))
        work.about = about

    def show(self, session: SessionId, ready: Callable[[], None]) -> None:
        """Ready at once, under a fresh ticket."""
        if self._shown not in (None, session):
            raise WorkspaceFailed("another session's work is still shown")
        if session not in self._kept:
            raise WorkspaceFailed("this session has no workspace")
        self._shown = session
        self._ticket = secrets.token_hex(_TICKET_BYTES)
        ready()

    def park(self, session: SessionId) -> None:
        """Hide it."""
        if self._shown == session:
            self.lock()

    def lock(self) -> None:
        """Hide whatever is shown; its ticket is worth nothing from here on."""
        self._shown = None
        self._ticket = ""

    def dispose(self, session: SessionId) -> None:
        """Forget it."""
        self.park(session)
        self._kept.pop(session, None)

    def keep(self, session: SessionId) -> bytes | None:
        """The text."""
        work = self._kept.get(session)
        return work.notes.encode() if work and work.notes else None

    def restore(self, session: SessionId, state: bytes) -> None:
        """The text that was kept stands before what was typed since."""
        if session not in self._kept:
            raise WorkspaceFailed("this session has no workspace")
        try:
            text = state.decode()
        except UnicodeDecodeError:
            raise WorkspaceFailed("the state kept elsewhere is no text") from None
        work = self._kept[session]
        both = f"{text}\n{work.notes}" if text and work.notes else text or work.notes
        if len(state) > NOTES_CAP or len(both.encode()) > NOTES_CAP:
            raise WorkspaceFailed("the state kept elsewhere is more than notes can be")
        work.notes = both
        if self._shown == session:
            self._ticket = secrets.token_hex(_TICKET_BYTES)

    def forget_state(self, session: SessionId) -> None:
        """An empty text; not of whose work is shown."""
        if session in self._kept and self._shown != session:
            self._kept[session].notes = ""

    async def close(self) -> None:
        """Nothing is under way."""
