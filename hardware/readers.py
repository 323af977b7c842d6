"""Readers and the cards in them: the port the terminal uses, and PC/SC states turned to events.

The rules (pure; SCardGetStatusChange's ``dwEventState`` goes in whole):

* The upper 16 bits count insertions and removals. A card present before and after with another
  count is another visit: a removal and an arrival, though the ATR be the same.
* A card present at the first look at a reader (when it is plugged in, or the daemon or pcscd
  starts) arrives ``at_start``: it is no tap.
* A card that does not answer to power is a CardMute, not an arrival, and is told of once it has
  been mute for MUTE_SETTLE_S: one that leaves, or answers, before that was nothing.
* A card that answered and is mute at the same count was reset while it left (pcscd sees that it is
  gone at its next poll, up to 0.4 s later). It is the same visit, which has an end of its own.
* A reader that goes takes its card with it.
* A SAM slot holds no cardholder's card: it is no reader of ours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntFlag, StrEnum
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Final, NewType, Protocol, Self, TypeVar

from hardware.apdu import CardChannel

ReaderName = NewType("ReaderName", str)
"""The name pcscd gives a reader; it changes with driver, socket and order of plugging."""

T = TypeVar("T")

MUTE_SETTLE_S: Final = 0.6
"""How long a thing must be mute to be told of: longer than a card half out of a slot or at a
field's edge, or pcscd's poll of 0.4 s; with detection still within a second."""


class Interface(StrEnum):
    """How a card touches a reader."""

    CONTACT = "contact"
    CONTACTLESS = "contactless"


# Events. ``seen_ns``: monotonic nanoseconds at the return of the status wait.


@dataclass(frozen=True, slots=True)
class CardArrived:
    """A card answered. ``at_start``: it was there before anybody looked, which is no tap."""

    reader: ReaderName
    interface: Interface
    atr: bytes
    seen_ns: int
    at_start: bool = False


@dataclass(frozen=True, slots=True)
class CardMute:
    """Something is in the reader and does not answer: wrong way round, or no smartcard.

    ``seen_ns`` is when it was first seen; it is told of MUTE_SETTLE_S later.
    """

    reader: ReaderName
    interface: Interface
    seen_ns: int


@dataclass(frozen=True, slots=True)
class CardRemoved:
    """The card (or the mute thing that was told of) has left the reader."""

    reader: ReaderName
    seen_ns: int


@dataclass(frozen=True, slots=True)
class ReaderAttached:
    """A reader of ours is there, and from now on an arrival in it is a tap.

    It was looked at for a moment first (``hardware.watch.SETTLE_S``): a card in it at the end of
    that moment follows as a CardArrived ``at_start``.
    """

    reader: ReaderName
    interface: Interface
    seen_ns: int


@dataclass(frozen=True, slots=True)
class ReaderDetached:
    """The reader is gone; a CardRemoved came before when it held a card."""

    reader: ReaderName
    seen_ns: int


@dataclass(frozen=True, slots=True)
class ServiceLost:
    """pcscd cannot be reached: every reader has been detached. ``reason`` for the log."""

    reason: str
    seen_ns: int


@dataclass(frozen=True, slots=True)
class ServiceRestored:
    """pcscd answers (first time or again); ReaderAttached follow."""

    seen_ns: int


ReaderEvent = (
    CardArrived
    | CardMute
    | CardRemoved
    | ReaderAttached
    | ReaderDetached
    | ServiceLost
    | ServiceRestored
)


# The port.


class CardConnection(CardChannel, Protocol):
    """Exclusive use of one card, reset when it begins and when it ends."""

    @property
    def reader(self) -> ReaderName:
        """The reader that holds the card."""
        ...

    @property
    def atr(self) -> bytes:
        """What the card answered to the reset."""
        ...

    @property
    def connect_ns(self) -> int:
        """Nanoseconds that taking and resetting the card took, all of it inside PC/SC."""
        ...

    def __enter__(self) -> Self:
        """Use as a context manager: the card is reset on the way out."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Reset the card, so that no verified PIN stays, and let it go."""
        ...


class Readers(Protocol):
    """The readers of a terminal."""

    def start(self, sink: Callable[[ReaderEvent], None]) -> None:
        """Begin to watch; events reach ``sink`` in the event loop's thread, in order a reader."""
        ...

    def stop(self) -> None:
        """Stop watching; no event reaches the sink after this returns."""
        ...

    def connect(self, reader: ReaderName) -> CardConnection:
        """Take the card in ``reader``. Blocking. Raises CardTransportError or CardMisbehaved."""
        ...

    def with_card(
        self, reader: ReaderName, work: Callable[[CardConnection], T], deadline_s: float
    ) -> Awaitable[T]:
        """Run ``work`` on the card in ``reader`` in a thread of its own; await its result.

        Raises what ``work`` or :meth:`connect` raise, and CardHung at the deadline: the thread is
        then abandoned and can do no further exchange.
        """
        ...


# Which readers are ours.


_IGNORED: Final = ("* sam *", "*[[]*sam[]]*", "*sam reader*", "*-sam*")
_CONTACTLESS: Final = ("*picc*", "*contactless*", "* cl *", "*[0-9]cl *", "*-cl *", "*nfc*")


@dataclass(frozen=True, slots=True)
class ReaderRules:
    """Tells a reader's interface by its name, since names change with the driver.

    ``interfaces`` maps patterns (shell style, case ignored; ``*`` and ``?``) to an interface and
    goes before the known names; ``ignored`` patterns are no readers of ours.
    """

    interfaces: Mapping[str, Interface] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    def classify(self, name: ReaderName) -> Interface | None:
        """The interface, or None for a reader to be ignored (a SAM slot, or by settings)."""
        lower = name.lower()
        if _matches(lower, self.ignored):
            return None
        for pattern, interface in self.interfaces.items():
            if fnmatchcase(lower, pattern.lower()):
                return interface
        if _matches(lower, _IGNORED):
            return None
        return Interface.CONTACTLESS if _matches(lower, _CONTACTLESS) else Interface.CONTACT


def _matches(lower: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(lower, pattern.lower()) for pattern in patterns)


# PC/SC states to events.


class EventState(IntFlag):
    """Low half of dwEventState (PC/SC part 5; winscard.h)."""

    CHANGED = 0x0002
    UNKNOWN = 0x0004
    UNAVAILABLE = 0x0008
    EMPTY = 0x0010
    PRESENT = 0x0020
    EXCLUSIVE = 0x0080
    INUSE = 0x0100
    MUTE = 0x0200


class Slot(StrEnum):
    """What is in a reader."""

    EMPTY = "empty"
    CARD = "card"
    MUTE = "mute"
    GONE = "gone"  # the reader itself


@dataclass(frozen=True, slots=True)
class ReaderState:
    """What was last seen of a reader: its slot, and how many movements its driver had counted."""

    reader: ReaderName
    interface: Interface
    slot: Slot
    count: int
    mute_ns: int | None = None
    """Since when something has been mute that nobody was told of yet."""

    @property
    def mute_due_ns(self) -> int | None:
        """When `still_mute` has something to tell, unless something else is seen before."""
        return None if self.mute_ns is None else self.mute_ns + round(MUTE_SETTLE_S * 1e9)

    @property
    def gone(self) -> bool:
        """Whether the reader itself is no longer there."""
        return self.slot is Slot.GONE


def first_look(
    reader: ReaderName, interface: Interface, event_state: int, atr: bytes, seen_ns: int
) -> tuple[ReaderState, tuple[ReaderEvent, ...]]:
    """State and events of a reader nobody has looked at before."""
    slot = _slot(event_state)
    mute_ns = seen_ns if slot is Slot.MUTE else None
    state = ReaderState(reader, interface, slot, _count(event_state), mute_ns)
    attached = ReaderAttached(reader, interface, seen_ns)
    match state.slot:
        case Slot.GONE:
            return state, ()
        case Slot.CARD:
            return state, (attached, CardArrived(reader, interface, atr, seen_ns, at_start=True))
        case Slot.MUTE | Slot.EMPTY:
            return state, (attached,)


def observe(
    old: ReaderState, event_state: int, atr: bytes, seen_ns: int
) -> tuple[ReaderState, tuple[ReaderEvent, ...]]:
    """State after ``event_state`` and what happened in between.

    A card that came and went between two looks left nothing to act on, and no event.
    """
    slot, count = _slot(event_state), _count(event_state)
    if count == old.count and old.slot is Slot.CARD and slot is Slot.MUTE:
        slot = Slot.CARD
    if old.slot is Slot.GONE or (slot is old.slot and count == old.count):
        return old, ()
    mute_ns = seen_ns if slot is Slot.MUTE else None
    new = ReaderState(old.reader, old.interface, slot, count, mute_ns)
    events: list[ReaderEvent] = []
    if old.slot is Slot.CARD or (old.slot is Slot.MUTE and old.mute_ns is None):
        events.append(CardRemoved(old.reader, seen_ns))
    match new.slot:
        case Slot.CARD:
            events.append(CardArrived(old.reader, old.interface, atr, seen_ns))
        case Slot.GONE:
            events.append(ReaderDetached(old.reader, seen_ns))
        case Slot.MUTE | Slot.EMPTY:
            pass
    return new, tuple(events)


def still_mute(old: ReaderState, now_ns: int) -> tuple[ReaderState, tuple[ReaderEvent, ...]]:
    """State after time has passed, and the mute thing that has now been mute for long enough."""
    if old.mute_ns is None or old.mute_due_ns is None or now_ns < old.mute_due_ns:
        return old, ()
    return replace(old, mute_ns=None), (CardMute(old.reader, old.interface, old.mute_ns),)


def detach(old: ReaderState, seen_ns: int) -> tuple[ReaderState, tuple[ReaderEvent, ...]]:
    """The reader, or the service behind it, is gone."""
    return observe(old, EventState.UNAVAILABLE, b"", seen_ns)


def _count(event_state: int) -> int:
    return event_state >> 16 & 0xFFFF


def _slot(event_state: int) -> Slot:
    flags = EventState(event_state & 0xFFFF)
    if flags & (EventState.UNKNOWN | EventState.UNAVAILABLE):
        return Slot.GONE
    if flags & EventState.MUTE:
        return Slot.MUTE
    return Slot.CARD if flags & EventState.PRESENT else Slot.EMPTY
