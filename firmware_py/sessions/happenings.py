"""What can happen to the sessions of a terminal: the machine's events, as values (DESIGN §5)."""

from __future__ import annotations

from dataclasses import dataclass

from contract.ids import Guid, HolderId, SessionId, TerminalId
from firmware_py.sessions.values import Kind, Session


@dataclass(frozen=True, slots=True)
class Granted:
    """A decision opened a position. `session.id` is fresh; used only if there is none to resume."""

    session: Session
    repositions: bool = False
    """By a PIN for another position of hers, on the tap that stands before it."""


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
    repositions: bool = False
    """The shown session's own holder, who wants another position."""


@dataclass(frozen=True, slots=True)
class Repositioned:
    """The shown session's holder goes on in another position. `session.id` as in `Granted`."""

    session: Session


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
class MovedAway:
    """This holder tapped at another terminal: parked here, never ended (DESIGN §5)."""

    holder: HolderId
    to: TerminalId


@dataclass(frozen=True, slots=True)
class HoldPressed:
    """The screen is to be kept open, where the ward allows it."""


@dataclass(frozen=True, slots=True)
class HoldEnded:
    """By whoever stands there."""


@dataclass(frozen=True, slots=True)
class Joining:
    """A good card of somebody else at a held screen."""

    holder: HolderId
    guid: Guid


@dataclass(frozen=True, slots=True)
class Joined:
    """Who was offered to join does."""


@dataclass(frozen=True, slots=True)
class TakenOver:
    """Who was offered to take over does: the hold is over. What the tap comes to follows."""


@dataclass(frozen=True, slots=True)
class Declined:
    """Who was offered something does nothing."""


@dataclass(frozen=True, slots=True)
class Unsaved:
    """An application says of a session whether it holds what is not saved. Others: no matter."""

    session: SessionId
    unsaved: bool


@dataclass(frozen=True, slots=True)
class Extended:
    """An application is in use without input: not idle for so long, within the ward's cap."""

    session: SessionId
    seconds: int


@dataclass(frozen=True, slots=True)
class Away:
    """The presence sensor sees nobody before the screen any more."""


@dataclass(frozen=True, slots=True)
class Back:
    """It sees somebody, or nothing is known of it."""


@dataclass(frozen=True, slots=True)
class LeftLimit:
    """This card was announced as left, and still lies there."""

    guid: Guid


@dataclass(frozen=True, slots=True)
class EndAll:
    """The ground for sessions of this kind is gone (downtime is over).

    A holder's own work is locked and kept, as ordinary; the emergency position's is closed.
    """

    kind: Kind


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
    | Repositioned
    | Cancelled
    | Activity
    | LockPressed
    | Lost
    | Faulted
    | MovedAway
    | HoldPressed
    | HoldEnded
    | Joining
    | Joined
    | TakenOver
    | Declined
    | Unsaved
    | Extended
    | Away
    | Back
    | LeftLimit
    | EndAll
    | Passed
    | ShuttingDown
)
