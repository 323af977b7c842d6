"""Which readers there are, and which cards rest in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from contract.events import ReaderChanged
from firmware_py.items import CardRests
from hardware.readers import (
    CardArrived,
    CardMute,
    Interface,
    ReaderAttached,
    ReaderDetached,
    ReaderName,
    ServiceLost,
    ServiceRestored,
)


@dataclass(slots=True)
class Presence:
    """A card that was there at the start, or rests too long, opens nothing until it comes anew."""

    service_up: bool = False
    _readers: dict[ReaderName, Interface] = field(default_factory=dict)
    _places: dict[ReaderName, int] = field(default_factory=dict)
    _cards: dict[ReaderName, CardArrived | CardMute] = field(default_factory=dict)
    _left: set[ReaderName] = field(default_factory=set)

    @property
    def readers(self) -> int:
        """How many there are."""
        return len(self._readers)

    @property
    def interfaces(self) -> frozenset[Literal["contact", "contactless"]]:
        """What they are, each kind once."""
        return frozenset(interface.value for interface in self._readers.values())

    @property
    def has_reader(self) -> bool:
        """Whether a card could be held to anything."""
        return bool(self._readers)

    def place(self, reader: ReaderName) -> int:
        """The reader's place in the terminal's list; what events name it by."""
        return self._places.setdefault(reader, len(self._places))

    def interface(self, reader: ReaderName) -> Interface:
        """How a card touches it."""
        return self._readers.get(reader, Interface.CONTACT)

    def service(self, event: ServiceLost | ServiceRestored) -> None:
        """The card service came or went."""
        self.service_up = isinstance(event, ServiceRestored)

    def reader(self, event: ReaderAttached | ReaderDetached) -> ReaderChanged:
        """A reader came or went; what to journal of it, by its place and never its name."""
        place = self.place(event.reader)
        if isinstance(event, ReaderAttached):
            self._readers[event.reader] = event.interface
            interface = event.interface
        else:
            interface = self._readers.pop(event.reader, Interface.CONTACT)
        state: Literal["attached", "detached"] = (
            "attached" if isinstance(event, ReaderAttached) else "detached"
        )
        return ReaderChanged(reader=place, interface=interface.value, state=state)

    def arrived(self, event: CardArrived) -> None:
        """A card came."""
        self._cards[event.reader] = event
        self._left.discard(event.reader)
        if event.at_start:
            self._left.add(event.reader)

    def mute(self, event: CardMute) -> None:
        """Something came that does not answer."""
        self._cards[event.reader] = event

    def removed(self, reader: ReaderName) -> None:
        """What was in it has gone."""
        self._cards.pop(reader, None)
        self._left.discard(reader)

    def rests(self, item: CardRests) -> bool:
        """The limit has passed: whether that very card is still there, and counts as left now."""
        card = self._cards.get(item.reader)
        if card is None or card.seen_ns != item.arrived_ns or item.reader in self._left:
            return False
        self._left.add(item.reader)
        return True

    def for_pin(self, preferred: ReaderName | None, *, contactless: bool) -> CardArrived | None:
        """A card that may be given a PIN: in the contact slot, or on a plate where allowed."""
        fit = [
            card
            for reader, card in self._cards.items()
            if isinstance(card, CardArrived)
            and reader not in self._left
            and (contactless or card.interface is Interface.CONTACT)
        ]
        fit.sort(
            key=lambda card: (card.reader != preferred, card.interface is not Interface.CONTACT)
        )
        return fit[0] if fit else None
