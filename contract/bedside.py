"""At a shared screen, beside the taps: on what ground a session stands, a hold, a card left behind.

A hold is a shared screen kept open by agreement. What happens in it has no certain author: each
outcome and each change of the session says so (`shared`), and nobody is named for it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from contract.ids import GuidField, HolderIdField, SessionIdField
from contract.wire import Count, Part


class SessionKind(StrEnum):
    """On what ground somebody works here."""

    ORDINARY = "ordinary"
    BREAK_GLASS = "break-glass"
    """In the ward's emergency position."""
    DOWNTIME = "downtime"
    EMERGENCY_VIEW = "emergency-view"
    """Without a card: what the ward must read in an emergency, and nothing can be written."""


class HoldChange(StrEnum):
    """What happened to a hold."""

    BEGUN = "begun"
    JOINED = "joined"
    TAKEN_OVER = "taken-over"
    ENDED = "ended"


class SessionHeld(Part):
    """A step of a hold. `holder` joined or took over; null where the session's own did it."""

    kind: Literal["session.held"] = "session.held"
    session: SessionIdField
    change: HoldChange
    holder: HolderIdField | None = None
    limit_s: Count | None = None
    """So long at most, from when it began."""


class LeftState(StrEnum):
    """What became of a card that was left in a reader."""

    ANNOUNCED = "announced"
    TAPPED_OVER = "tapped-over"
    """Another card was held to another reader meanwhile, and worked."""
    LIMIT = "limit"
    """The session that it opened was locked."""
    TAKEN = "taken"


class CardLeft(Part):
    """A card lies in a reader beyond the ward's limit; it opens nothing until it came anew."""

    kind: Literal["card.left"] = "card.left"
    reader: Count
    """The reader's place in the terminal's list, never its name."""
    interface: Literal["contact", "contactless"]
    state: LeftState
    guid: GuidField | None = None
    """Null where it was never read, or lay there when the terminal started."""
    holder: HolderIdField | None = None
    """Where its signature held."""
    by: GuidField | None = None
    """The card that was tapped over it."""
