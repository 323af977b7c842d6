"""What the journal tells a daemon that starts: sessions left open, and what began in this boot.

Only the newest events are read, and of them only those that say so: a restart must not take long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contract.emergency import DowntimeDeclared, DowntimeEnded
from contract.events import Event
from contract.wire import WireError
from firmware_py.evidence import journal_store
from firmware_py.evidence.committer import Connection
from firmware_py.evidence.journal import Journal
from firmware_py.sessions.machine import Changed, ended_by_restart
from firmware_py.signon.grace import ProvenPins, rebuild
from firmware_py.signon.positions import Shifts
from firmware_py.signon.positions import rebuild as rebuild_shifts
from firmware_py.trust.sitetime import Moment

# Six events a tap and twenty taps an hour fill this in more than a day: longer than grace can last.
MAX_RECALLED: Final = 5000

_TELLING: Final = (
    b'"kind":"session.changed"',
    b'"kind":"card.outcome"',
    b'"purpose":"pin"',
    b'"kind":"pin.heard"',
    b'"kind":"downtime.',
)


@dataclass(frozen=True, slots=True)
class Recalled:
    """From the journal's end."""

    ended: tuple[Changed, ...]
    """Sessions that nobody closed, to be closed now."""
    pins: ProvenPins
    shifts: Shifts
    """In which position each one works."""
    downtime: Event | None = None
    """Its newest declaration of this boot, where nothing has ended it."""


async def recall(journal: Journal, now: Moment) -> Recalled:
    """Read the end of the open journal. Raises JournalFailed, CommitFailed."""
    first = max(0, journal.next_sequence - MAX_RECALLED)
    ordinal = journal.ordinal

    def read(connection: Connection) -> list[bytes]:
        return [
            line
            for line in journal_store.read_events(connection, ordinal, first)
            if any(word in line for word in _TELLING)
        ]

    events = [event for line in await journal.run(read) if (event := _parsed(line))]
    return Recalled(
        ended_by_restart(events),
        rebuild(events, journal.terminal, now),
        rebuild_shifts(events, now),
        _downtime_of(events, now),
    )


def _downtime_of(events: list[Event], now: Moment) -> Event | None:
    told = [one for one in events if isinstance(one.detail, DowntimeDeclared | DowntimeEnded)]
    newest = told[-1] if told else None
    on = newest is not None and isinstance(newest.detail, DowntimeDeclared)
    return newest if newest is not None and on and newest.boot == now.boot else None


def _parsed(line: bytes) -> Event | None:
    try:
        return Event.from_bytes(line)
    except WireError:
        return None  # an event of another version of this program: opaque here
