"""Readers without pcscd: the whole port, over virtual cards, with a hand that taps."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

from hardware.apdu import CardGone
from hardware.readers import (
    CardArrived,
    CardConnection,
    CardMute,
    CardRemoved,
    Interface,
    ReaderAttached,
    ReaderDetached,
    ReaderEvent,
    ReaderName,
    ServiceLost,
    ServiceRestored,
)
from hardware.virtual.behaviour import ATR, Behaviour
from hardware.virtual.card import Card
from hardware.virtual.names import Access
from hardware.virtual.powered import PoweredCard
from hardware.workers import CardWorkers, Lease

T = TypeVar("T")

SLOT = ReaderName("Test slot 0")
PLATE = ReaderName("Test plate 1")
OTHER_PLATE = ReaderName("Test plate 2")


class Connection:
    """One card, taken and reset as pcscd does it."""

    def __init__(self, reader: ReaderName, powered: PoweredCard, lease: Lease) -> None:
        self.reader = reader
        self.atr = ATR
        self.connect_ns = 0
        self._powered = powered
        self._lease = lease

    def transmit(self, apdu: bytes) -> bytes:
        self._lease.check()
        if self._powered.gone.is_set():
            raise CardGone("taken away")
        answer = self._powered.transmit(apdu)
        self._lease.check()
        return answer

    def __enter__(self) -> Self:
        self._powered.power_on()
        self._powered.reset()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._powered.reset()


class BenchReaders:
    """A contact slot and two contactless plates; implements ``hardware.readers.Readers``."""

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        self.interfaces = {
            SLOT: Interface.CONTACT,
            PLATE: Interface.CONTACTLESS,
            OTHER_PLATE: Interface.CONTACTLESS,
        }
        self._monotonic_ns = monotonic_ns
        self._sink: Callable[[ReaderEvent], None] | None = None
        self._present: dict[ReaderName, PoweredCard] = {}
        self._workers = CardWorkers(self._take)

    # The port.

    def start(self, sink: Callable[[ReaderEvent], None]) -> None:
        self._sink = sink
        now = self._monotonic_ns()
        sink(ServiceRestored(now))
        for reader, interface in self.interfaces.items():
            sink(ReaderAttached(reader, interface, now))
            if reader in self._present:
                sink(CardArrived(reader, interface, ATR, now, at_start=True))

    def stop(self) -> None:
        self._sink = None

    def connect(self, reader: ReaderName) -> CardConnection:
        return self._take(reader, Lease())

    def with_card(
        self, reader: ReaderName, work: Callable[[CardConnection], T], deadline_s: float
    ) -> Awaitable[T]:
        return self._workers.run(reader, work, deadline_s)

    def _take(self, reader: ReaderName, lease: Lease) -> Connection:
        powered = self._present.get(reader)
        if powered is None:
            raise CardGone("no card")
        return Connection(reader, powered, lease)

    # The hand.

    def put(self, reader: ReaderName, card: Card, behaviour: Behaviour | None = None) -> None:
        """A card is held to a reader, which tells it."""
        interface = self.interfaces[reader]
        wanted = behaviour or Behaviour()
        if interface is Interface.CONTACTLESS and wanted.access is Access.CONTACT:
            wanted = dataclasses.replace(wanted, access=Access.CONTACTLESS_STRICT)
        powered = PoweredCard(card, wanted)
        powered.begin()
        self._present[reader] = powered
        self._tell(CardArrived(reader, interface, ATR, self._monotonic_ns()))

    def put_mute(self, reader: ReaderName) -> None:
        """Something that does not answer to power."""
        self._tell(CardMute(reader, self.interfaces[reader], self._monotonic_ns()))

    def take(self, reader: ReaderName) -> None:
        """The card is taken away."""
        if (powered := self._present.pop(reader, None)) is not None:
            powered.close()
        self._tell(CardRemoved(reader, self._monotonic_ns()))

    def lose_service(self) -> None:
        """pcscd dies."""
        now = self._monotonic_ns()
        for reader in tuple(self._present):
            self.take(reader)
        for reader in self.interfaces:
            self._tell(ReaderDetached(reader, now))
        self._tell(ServiceLost("killed by the test", now))

    def restore_service(self) -> None:
        """pcscd is back."""
        assert self._sink is not None
        self.start(self._sink)

    def _tell(self, event: ReaderEvent) -> None:
        if self._sink is not None:
            self._sink(event)
