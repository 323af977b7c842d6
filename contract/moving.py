"""Sessions that move, in the journals: what left, what came, what was not believed (DESIGN §5).

The words on the wire are `contract.move`, which a terminal loads when a session moves.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from contract.ids import (
    DigestField,
    GuidField,
    HolderIdField,
    KeyIdField,
    SessionIdField,
    TerminalIdField,
    WardIdField,
)
from contract.wire import Count, Part, UnixMs


class MoveReason(StrEnum):
    """Why another terminal's word came to nothing; the same in event and log."""

    MALFORMED = "malformed"
    TERMINAL_UNKNOWN = "terminal-unknown"
    """Not in the register, or retired."""
    NOT_BELIEVED = "not-believed"
    """A signature does not hold, or its parts do not belong together."""
    CARD_LOST = "card-lost"
    REPLAYED = "replayed"
    """That terminal has shown a later heartbeat before."""
    NOT_OPENED = "not-opened"
    """State that was not sealed to this terminal's key, or is none."""


class MovedState(StrEnum):
    """What became of a session's small state."""

    NONE = "none"
    """There was none, or it may not travel: it stays with the session that was parked."""
    SENT = "sent"
    """Sealed to the key that the tap's record names."""
    RESTORED = "restored"
    KEPT = "kept"
    """It stays where it was: another position's, or not to be restored here."""


class SessionMoved(Part):
    """A session gave way to its holder's later tap elsewhere (`out`), or went on here (`in`).

    Both journals name the same card record.
    """

    kind: Literal["session.moved"] = "session.moved"
    way: Literal["out", "in"]
    session: SessionIdField
    """The one of this journal's terminal."""
    holder: HolderIdField
    terminal: TerminalIdField
    """The other one."""
    record: DigestField
    """SHA-256 of the tap record's event, at the terminal to which the session moves."""
    state: MovedState
    unsaved: bool = False
    """Its application held what was not saved: that stays where it was."""


class MoveRefused(Part):
    """Another terminal said what is not believed; with an alarm. One a minute and reason."""

    kind: Literal["move.refused"] = "move.refused"
    terminal: TerminalIdField
    what: Literal["request", "handover", "taken", "pin", "downtime"]
    reason: MoveReason
    subject: DigestField
    """Of the message."""


class PinHeard(Part):
    """A PIN was proved at another terminal of the ward: grace counts here from then (DESIGN §6)."""

    kind: Literal["pin.heard"] = "pin.heard"
    terminal: TerminalIdField
    ward: WardIdField
    """Of both terminals."""
    record: DigestField
    """SHA-256 of the PIN record's event."""
    guid: GuidField
    holder: HolderIdField
    key: KeyIdField
    """The 9A key by which the record was checked."""
    since_ms: UnixMs
    """Site time of the heartbeat that the record names: the PIN was not proved before it."""
    since_monotonic_ms: Count
    """The same by this terminal's own clock."""
