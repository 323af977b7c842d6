"""A tap that was judged, and the newcomer of whom it asks more: a PIN, or a choice of position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contract.directory import Entitlement, Position
from contract.events import Reason
from contract.ids import Guid, PositionId
from firmware_py.card.records import SignedRecord
from firmware_py.glass import words
from firmware_py.signon.decision import ChoosePosition, NeedsPin, Proof
from hardware.readers import Interface, ReaderName

STUCK_MS: Final = 60_000
"""Somebody's PIN is blocked: to fetch a colleague from the next bay; another tap ends it before."""


@dataclass(frozen=True, slots=True)
class Tapped:
    """What one tap came to; the outcome that rests on it, at once or later, carries all of it."""

    guid: Guid | None
    """Null when the card never told it."""
    reader: ReaderName
    interface: Interface
    seen_ns: int
    card_ns: int
    exchanges: int
    entitlement: Entitlement | None
    signed: SignedRecord | None
    record: int | None
    """Sequence of its card record, signed or not; null when it got none."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """A colleague's PIN stands for a blocked one: one position, for a while (monotonic ms)."""

    position: Position
    until_ms: int


@dataclass(frozen=True, slots=True)
class Shut:
    """A tap that came to nothing, and from which the ward may offer break-glass for a while."""

    tapped: Tapped
    reason: Reason
    at_ms: int
    """Monotonic."""


@dataclass(slots=True)
class Pad:
    """What is asked, and what has been answered so far."""

    tapped: Tapped
    entitlement: Entitlement
    proof: Proof
    """The newest: of the tap, or of the PIN proved since."""
    asks: NeedsPin | ChoosePosition
    why: str = words.PIN
    attempts: int | None = None
    pin_record: int | None = None
    wants: PositionId | None = None
    """What was chosen, where a PIN is owed for it."""
    repositions: bool = False
    """She was signed on, and her tap has served: what opens rests on it without another outcome."""

    @property
    def slot_words(self) -> str:
        """Where this reader takes no PIN: once, or each time."""
        return words.SLOT if self.entitlement.by_pin_alone else words.SLOT_ONCE

    @property
    def takes_pin(self) -> bool:
        """Whether digits are of use now."""
        return isinstance(self.asks, NeedsPin) and self.asks.here


@dataclass(frozen=True, slots=True)
class Offer:
    """Somebody's good card at a held screen: to join, or to take over."""

    tapped: Tapped
    entitlement: Entitlement
    proof: Proof
    role: str
    """The name of the position she would have here; empty while she would have to choose."""
    may_join: bool
    """Her tap alone would have opened something: no PIN is owed."""
