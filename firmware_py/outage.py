"""The journal fails, comes back, or is begun anew: what the terminal does meanwhile (DESIGN §7).

Nobody is signed on until it is back, but by break-glass; what is open is locked at once, and the
lock's event is owed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from contract.events import Detail
from firmware_py.evidence.journal import Journal
from firmware_py.pacing import Pacing
from firmware_py.sessions.machine import Faulted
from firmware_py.sessions.stage import Stage
from firmware_py.signon.signon import SignOn

LOG: Final = logging.getLogger("tapover.terminal")


class Outage:
    """Belongs to the consumer."""

    def __init__(self, journal: Journal, stage: Stage, signon: SignOn, pacing: Pacing) -> None:
        self.down = False
        """Whether the journal takes nothing."""
        self.begin_anew: Callable[[], object] | None = None
        """Answers a fork."""
        self._journal = journal
        self._stage = stage
        self._signon = signon
        self._pacing = pacing

    def lost(self, why: str) -> None:
        """It refused."""
        if not self.down:
            LOG.error("the journal cannot be written", extra={"why": why})
        self.down = True
        self._signon.forget()
        self._stage.drop(Faulted())
        if self._stage.newest.shown is not None:
            self._signon.outcomes.notice = None  # break-glass stays, and is in nobody's way

    def over(self) -> None:
        """It was opened anew. Raises JournalFailed."""
        self.down = False
        self._stage.pay()
        self._pacing.due_again()
        self._signon.outcomes.notice = None

    def note(self, *details: Detail) -> None:
        """Journal what nobody waits for; while it is down it is in the log alone.

        Raises JournalFailed.
        """
        if details and not self.down:
            self._journal.append(*details)

    def forked(self, *, at_rest: bool) -> None:
        """The site knows another history of it: begin another, between two taps."""
        if self.begin_anew is None or self.down:
            return
        if not at_rest or self._signon.pad is not None:
            self._pacing.fork_again()
            return
        self.begin_anew()
        self._signon.pins.forget()
