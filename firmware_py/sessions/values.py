"""The words of the session machine: its states, events and effects, as values (DESIGN §5).

`firmware_py.sessions.machine` is the machine; import from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from contract.events import Cause, OutcomeResult, SessionChange, SessionChanged
from contract.ids import Guid, HolderId, PositionId, SessionId


class Kind(StrEnum):
    """On what ground somebody works here."""

    ORDINARY = "ordinary"
    BREAK_GLASS = "break-glass"
    """In the ward's emergency position."""
    DOWNTIME = "downtime"
    EMERGENCY_VIEW = "emergency-view"
    """Without a card: what the ward must read in an emergency, and nothing can be written."""


class Mode(StrEnum):
    """What is true of the glass."""

    WAITING = "waiting"
    """Nobody's session is present; some may be parked."""
    OPEN = "open"
    DIMMED = "dimmed"
    """Present and idle; any input or its owner's tap wakes it."""
    WARNING = "warning"
    """Present and about to lock."""
    LOCKED = "locked"
    """Present, hidden; only its owner's granted tap unlocks it."""
    ASKING = "asking"
    """A newcomer owes a PIN or a choice; nobody's session is present."""


SHOWN: Final = frozenset({Mode.OPEN, Mode.DIMMED, Mode.WARNING})
"""Modes in which somebody's work is on the glass."""


@dataclass(frozen=True, slots=True)
class Session:
    """A cardholder in one position at this terminal."""

    id: SessionId
    holder: HolderId
    position: PositionId
    guid: Guid
    """The card of its newest sign-on: if that is lost, this session locks."""
    kind: Kind = Kind.ORDINARY


@dataclass(frozen=True, slots=True)
class Present:
    """The session that has the glass. Monotonic ms."""

    session: Session
    signed_ms: int
    """The newest sign-on (or waking) by tap."""
    active_ms: int
    """The newest input; once locked: when it locked."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A session kept without the glass, since when."""

    session: Session
    since_ms: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Who owes a PIN or a choice, and until when."""

    holder: HolderId
    guid: Guid
    until_ms: int


@dataclass(frozen=True, slots=True)
class Returning:
    """Whose line "tap to return" stands on the glass, and until when."""

    session: SessionId
    until_ms: int


@dataclass(frozen=True, slots=True)
class Sessions:
    """Everything the machine knows. `parked` is ordered, the longest parked first."""

    mode: Mode = Mode.WAITING
    present: Present | None = None
    parked: tuple[Parked, ...] = ()
    asked: Asked | None = None
    returning: Returning | None = None

    @property
    def shown(self) -> Session | None:
        """Whose work is on the glass."""
        return self.present.session if self.present and self.mode in SHOWN else None

    def preferred(self, holder: HolderId) -> PositionId | None:
        """The position in which this holder has work here: the present one, else parked last."""
        if self.present and self.present.session.holder == holder:
            return self.present.session.position
        mine = [p.session.position for p in self.parked if p.session.holder == holder]
        return mine[-1] if mine else None


# ---- events -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Granted:
    """A decision opened a position. `session.id` is fresh; used only if there is none to resume."""

    session: Session


@dataclass(frozen=True, slots=True)
class OwnTap:
    """The shown session's own holder tapped (`decision.is_holders`; no right is asked for).

    ``may_stay`` False: a card out of use since. It may leave, and neither stays nor wakes.
    """

    holder: HolderId
    may_stay: bool = True


@dataclass(frozen=True, slots=True)
class Owing:
    """A good card whose holder owes a PIN or a choice; also its next step or attempt."""

    holder: HolderId
    guid: Guid


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The pad was left: cancelled, blocked, refused."""


@dataclass(frozen=True, slots=True)
class Activity:
    """Input of whoever stands there."""


@dataclass(frozen=True, slots=True)
class LockPressed:
    """The lock button."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The directory says of a card: lost, stolen or for cause."""

    guid: Guid


@dataclass(frozen=True, slots=True)
class Faulted:
    """A workspace, the journal or our own code failed: end locked."""


@dataclass(frozen=True, slots=True)
class Passed:
    """Time passed; send it at `due_ms` or more often."""


@dataclass(frozen=True, slots=True)
class ShuttingDown:
    """The daemon stops; state lives in memory only, so every session ends."""


Happening = (
    Granted
    | OwnTap
    | Owing
    | Cancelled
    | Activity
    | LockPressed
    | Lost
    | Faulted
    | Passed
    | ShuttingDown
)


# ---- effects ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Changed:
    """To be journalled as `session.changed`, then carried out by the workspace.

    OPENED, RESUMED and UNLOCKED show it, PARKED parks, LOCKED locks, CLOSED disposes.
    """

    session: Session
    change: SessionChange
    cause: Cause

    @property
    def detail(self) -> SessionChanged:
        s = self.session
        return SessionChanged(
            session=s.id, holder=s.holder, position=s.position, change=self.change, cause=self.cause
        )


class Glass(StrEnum):
    """What happens on the glass alone; not journalled."""

    COVER = "cover"
    """At once: nothing of the present session is seen, no input reaches it."""
    DIM = "dim"
    WARN = "warn"
    WAKE = "wake"
    CLEAR = "clear"
    """Take the "tap to return" line away."""


Effect = Changed | Glass


@dataclass(frozen=True, slots=True)
class Transition:
    """What a happening comes to. `result` and `session` are for the tap's `card.outcome`."""

    state: Sessions
    effects: tuple[Effect, ...] = ()
    result: OutcomeResult | None = None
    session: Session | None = None


class IllegalEvent(Exception):
    """Our bug: the table has no such event in this state. Nothing changed."""

    def __init__(self, mode: Mode, event: type, why: str = "has no place") -> None:
        self.mode = mode
        self.event = event
        super().__init__(f"{event.__name__} {why} in state {mode}")
