"""What the journal tells a daemon that starts: sessions left open, and what began in this boot.

Only the newest events are read, and of them only those that say so: a restart must not take long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contract.emergency import DowntimeDeclared, DowntimeEnded, DowntimeHeard, DowntimeTerms
from contract.events import Event
from contract.wire import WireError, decode_base64
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
_BEAT: Final = b'"kind":"heartbeat.held"'


@dataclass(frozen=True, slots=True)
class DowntimeKnown:
    """Of downtime, from the journal's end."""

    event: Event | None = None
    """By which it is on: the newest of this boot, where nothing has ended it."""
    over_ms: int = 0
    """What began until then was declared over, in whatever boot (site time)."""
    beat: bytes | None = None
    """The event with the newest heartbeat that this journal holds."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """From the journal's end."""

    ended: tuple[Changed, ...]
    """Sessions that nobody closed, to be closed now."""
    pins: ProvenPins
    shifts: Shifts
    """In which position each one works."""
    downtime: DowntimeKnown


async def recall(journal: Journal, now: Moment) -> Recalled:
    """Read the end of the open journal. Raises JournalFailed, CommitFailed."""
    first = max(0, journal.next_sequence - MAX_RECALLED)
    ordinal = journal.ordinal

    def read(connection: Connection) -> tuple[list[bytes], bytes | None]:
        telling, beat = list[bytes](), None
        for line in journal_store.read_events(connection, ordinal, first):
            if any(word in line for word in _TELLING):
                telling.append(line)
            elif _BEAT in line:
                beat = line
        return telling, beat

    lines, beat = await journal.run(read)
    events = [event for line in lines if (event := _parsed(line))]
    return Recalled(
        ended_by_restart(events),
        rebuild(events, journal.terminal, now),
        rebuild_shifts(events, now),
        _downtime_of(events, now, beat),
    )


def _downtime_of(events: list[Event], now: Moment, beat: bytes | None) -> DowntimeKnown:
    """What was declared over stays over, whatever has started anew since."""
    on: Event | None = None
    over_ms = 0
    for event in events:
        match event.detail:
            case DowntimeDeclared():
                on = event
            case DowntimeHeard(limit_s=limit_s) if limit_s:
                on = event
            case DowntimeHeard(terms=str(terms)):
                over_ms = max(over_ms, _began_ms(terms))
            case DowntimeEnded(terms=terms):
                on, over_ms = None, max(over_ms, _began_ms(terms) if terms else 0)
            case _:
                pass
    return DowntimeKnown(on if on and on.boot == now.boot else None, over_ms, beat)


def _began_ms(terms: str) -> int:
    try:
        return DowntimeTerms.from_bytes(decode_base64(terms)).begins_ms
    except WireError:
        return 0  # of another version of this program


def _parsed(line: bytes) -> Event | None:
    try:
        return Event.from_bytes(line)
    except WireError:
        return None  # an event of another version of this program: opaque here
