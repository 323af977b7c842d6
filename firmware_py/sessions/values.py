"""The words of the session machine: its states and effects, as values (DESIGN §5).

Its events are `happenings`; `firmware_py.sessions.machine` is the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from contract.bedside import HoldChange, SessionHeld, SessionKind
from contract.events import Cause, OutcomeResult, SessionChange, SessionChanged
from contract.ids import Guid, HolderId, PositionId, SessionId, TerminalId

Kind = SessionKind
"""On what ground somebody works here."""

UNIDENTIFIED: Final = HolderId("unidentified")
"""Whose session stands in nobody's name: without a card, or with one that could not be judged."""


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
    guid: Guid | None
    """The card of its newest sign-on: if that is lost, this session locks. Null without a card."""
    kind: Kind = Kind.ORDINARY
    ends_ms: int | None = None
    """Monotonic: it is locked and closed then, present or parked."""

    @property
    def keeps(self) -> bool:
        """Whether it is parked when it loses the glass: nobody could come back to the others."""
        return self.holder != UNIDENTIFIED and self.kind is not Kind.EMERGENCY_VIEW

    @property
    def can_be_held(self) -> bool:
        """Whether its screen may be kept open: not where somebody alone may only read."""
        return self.kind is not Kind.EMERGENCY_VIEW

    def same_work(self, other: Session) -> bool:
        """Whether who is granted the one goes on with the other."""
        mine = (self.holder, self.position, self.kind in _OWN)
        return self.keeps and mine == (other.holder, other.position, other.kind in _OWN)


_OWN: Final = frozenset({Kind.ORDINARY, Kind.DOWNTIME})
"""By the holder's own rights: downtime ends, and the work is the same."""


@dataclass(frozen=True, slots=True)
class Present:
    """The session that has the glass. Monotonic ms."""

    session: Session
    signed_ms: int
    """The newest sign-on (or waking) by tap."""
    active_ms: int
    """The newest input; once locked: when it locked."""
    may_hold: bool = True
    """No hold was begun since the newest tap of its holder, or of whoever joined."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A session kept without the glass, since when."""

    session: Session
    since_ms: int
    moved: TerminalId | None = None
    """Where its holder went on."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The present session's screen is kept open by agreement, until when."""

    until_ms: int
    joined: tuple[HolderId, ...] = ()


@dataclass(frozen=True, slots=True)
class Offered:
    """Who stands before a held screen, and until when *Join* and *Take over* stand there."""

    holder: HolderId
    guid: Guid
    until_ms: int


@dataclass(frozen=True, slots=True)
class Ended:
    """Work that said it was unsaved, and was closed all the same: its holder is to be told."""

    session: Session
    cause: Cause
    at_ms: int


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
    hold: Hold | None = None
    """Of the present session, which is OPEN as long as it lasts."""
    offered: Offered | None = None
    unsaved: frozenset[SessionId] = frozenset()
    """Sessions whose applications hold what is not saved yet: evicted last."""
    ended: tuple[Ended, ...] = ()
    """Oldest first."""
    away_ms: int | None = None
    """Since when the presence sensor sees nobody; null: somebody, or there is none."""

    @property
    def standing(self) -> tuple[Session, ...]:
        """Everybody's who has one: the present, then the parked."""
        present = (self.present.session,) if self.present else ()
        return (*present, *(p.session for p in self.parked))

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


# ---- effects ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Changed:
    """To be journalled as `session.changed`, then carried out by the workspace.

    OPENED, RESUMED and UNLOCKED show it, PARKED parks, LOCKED locks, CLOSED disposes.
    """

    session: Session
    change: SessionChange
    cause: Cause
    shared: bool = False
    """Its screen was held: what was done in it has no certain author."""

    @property
    def detail(self) -> SessionChanged:
        s = self.session
        return SessionChanged(
            session=s.id,
            holder=s.holder,
            position=s.position,
            change=self.change,
            cause=self.cause,
            ground=s.kind,
            shared=self.shared,
        )


@dataclass(frozen=True, slots=True)
class Holding:
    """A step of the hold, to be journalled; the glass follows the state."""

    session: SessionId
    change: HoldChange
    holder: HolderId | None = None
    limit_s: int | None = None

    @property
    def detail(self) -> SessionHeld:
        return SessionHeld(
            session=self.session, change=self.change, holder=self.holder, limit_s=self.limit_s
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


Effect = Changed | Holding | Glass

JOURNALLED: Final = (Changed, Holding)
"""Effects with a `detail` for the journal."""


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
