"""The watch over readers against a scripted service: plugging, failing, stopping.

What a real pcscd does is in test_pcsc.py; vpcd's readers cannot be unplugged, so that is here.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from hardware.apdu import ServiceError
from hardware.readers import (
    MUTE_SETTLE_S,
    CardArrived,
    CardMute,
    CardRemoved,
    EventState,
    ReaderAttached,
    ReaderDetached,
    ReaderEvent,
    ReaderName,
    ReaderRules,
    ServiceLost,
    ServiceRestored,
)
from hardware.watch import Watch

ONE, TWO = ReaderName("One 00 00"), ReaderName("Two PICC 00 00")
EMPTY, PRESENT, GONE = EventState.EMPTY, EventState.PRESENT, EventState.UNKNOWN
MUTE = PRESENT | EventState.MUTE
PATIENCE_S = 10


@dataclass
class Service:
    """pcscd as a table of readers; every change wakes every wait. Sources must not be shared."""

    readers: dict[ReaderName, int] = field(default_factory=dict)
    up: bool = True
    changed: threading.Condition = field(default_factory=threading.Condition)
    open: int = 0

    def set(self, name: ReaderName, state: int | None) -> None:
        with self.changed:
            if state is None:
                del self.readers[name]
            else:
                self.readers[name] = state
            self.changed.notify_all()

    def turn(self, *, up: bool) -> None:
        with self.changed:
            self.up = up
            self.changed.notify_all()

    def connect(self) -> _Source:
        with self.changed:
            if not self.up:
                raise ServiceError("away")
            self.open += 1
            return _Source(self)


class _Source:
    def __init__(self, service: Service) -> None:
        self.service = service
        self.thread = threading.get_ident()
        self.names: tuple[ReaderName, ...] = ()
        self.dead = False

    def check(self) -> None:
        assert threading.get_ident() == self.thread, "a context shared by two threads"
        self.dead |= not self.service.up
        if self.dead:
            raise ServiceError("gone")

    def list_readers(self) -> tuple[ReaderName, ...]:
        with self.service.changed:
            self.check()
            self.names = tuple(self.service.readers)
            return self.names

    def wait_list(self, timeout_s: float) -> None:
        service = self.service
        with service.changed:
            service.changed.wait_for(
                lambda: tuple(service.readers) != self.names or not service.up, timeout_s
            )
            self.check()

    def wait_reader(
        self, reader: ReaderName, known: int, timeout_s: float
    ) -> tuple[int, bytes] | None:
        service = self.service

        def state() -> int:
            return service.readers.get(reader, GONE)

        with service.changed:
            service.changed.wait_for(lambda: state() != known or not service.up, timeout_s)
            self.check()
            return None if state() == known else (state(), b"\x3b\x00")

    def close(self) -> None:
        with self.service.changed:
            self.service.open -= 1
            self.service.changed.notify_all()


@dataclass
class Story:
    service: Service
    watch: Watch
    events: queue.SimpleQueue[ReaderEvent]

    def next(self, count: int = 1) -> list[ReaderEvent]:
        return [self.events.get(timeout=PATIENCE_S) for _ in range(count)]

    def kinds(self, count: int) -> list[type[ReaderEvent]]:
        return [type(event) for event in self.next(count)]


@pytest.fixture
def story() -> Iterator[Story]:
    service = Service()
    events: queue.SimpleQueue[ReaderEvent] = queue.SimpleQueue()
    watch = Watch(ReaderRules(), service.connect, time.monotonic_ns, events.put)
    yield Story(service, watch, events)
    watch.stop()
    service.turn(up=False)  # wakes every wait; in life a wait ends by itself within a second
    with service.changed:
        assert service.changed.wait_for(lambda: service.open == 0, PATIENCE_S), "a context stays"


def test_readers_plugged_in_and_out_come_and_go_with_their_cards(story: Story) -> None:
    story.watch.start()
    assert story.kinds(1) == [ServiceRestored]
    story.service.set(ONE, EMPTY)
    assert story.kinds(1) == [ReaderAttached]
    story.service.set(ONE, PRESENT | 1 << 16)
    assert story.kinds(1) == [CardArrived]
    story.service.set(ONE, None)
    assert story.kinds(2) == [CardRemoved, ReaderDetached]
    story.service.set(ONE, PRESENT | 1 << 16)
    attached, arrived = story.next(2)
    assert isinstance(attached, ReaderAttached)
    assert isinstance(arrived, CardArrived)
    assert arrived.at_start


def test_a_mute_thing_is_told_of_soon_but_not_before_it_has_stayed(story: Story) -> None:
    story.service.set(ONE, EMPTY)
    story.watch.start()
    assert story.kinds(2) == [ServiceRestored, ReaderAttached]
    put_ns = time.monotonic_ns()
    story.service.set(ONE, MUTE | 1 << 16)
    (mute,) = story.next()
    told_ns = time.monotonic_ns()
    assert isinstance(mute, CardMute)
    assert put_ns <= mute.seen_ns <= told_ns - round(MUTE_SETTLE_S * 1e9)
    story.service.set(ONE, EMPTY | 2 << 16)
    assert story.kinds(1) == [CardRemoved]


def test_a_card_that_is_mute_while_it_leaves_has_only_left(story: Story) -> None:
    story.service.set(ONE, EMPTY)
    story.service.set(TWO, EMPTY)
    story.watch.start()
    assert story.kinds(3) == [ServiceRestored, ReaderAttached, ReaderAttached]
    story.service.set(ONE, PRESENT | 1 << 16)
    assert story.kinds(1) == [CardArrived]
    story.service.set(ONE, MUTE | 1 << 16)
    story.service.set(TWO, MUTE | 1 << 16)
    (mute,) = story.next()  # of the two it is only this that was never a card
    assert isinstance(mute, CardMute)
    assert mute.reader == TWO
    story.service.set(ONE, EMPTY | 2 << 16)
    (left,) = story.next()
    assert isinstance(left, CardRemoved)
    assert left.reader == ONE


def test_a_card_that_pcscd_finds_late_in_a_new_reader_is_no_tap(story: Story) -> None:
    story.service.set(ONE, EMPTY)
    story.watch.start()
    assert story.kinds(1) == [ServiceRestored]
    story.service.set(ONE, PRESENT | 1 << 16)
    attached, arrived = story.next(2)
    assert isinstance(attached, ReaderAttached)
    assert isinstance(arrived, CardArrived)
    assert arrived.at_start


def test_a_reader_gone_before_it_settled_is_never_told_of(story: Story) -> None:
    story.service.set(ONE, EMPTY)
    story.watch.start()
    assert story.kinds(1) == [ServiceRestored]
    story.service.set(ONE, None)
    story.service.set(TWO, EMPTY)
    (attached,) = story.next()
    assert isinstance(attached, ReaderAttached)
    assert attached.reader == TWO


def test_the_services_end_is_told_once_and_after_its_readers(story: Story) -> None:
    story.service.set(ONE, PRESENT | 1 << 16)
    story.service.set(TWO, EMPTY)
    story.watch.start()
    assert story.kinds(1) == [ServiceRestored]
    assert len(story.next(3)) == 3
    story.service.turn(up=False)
    kinds = story.kinds(4)
    assert sorted(kind.__name__ for kind in kinds[:3]) == [
        "CardRemoved",
        "ReaderDetached",
        "ReaderDetached",
    ]
    assert kinds[3] is ServiceLost
    story.service.turn(up=True)
    assert story.kinds(1) == [ServiceRestored]


def test_a_service_away_from_the_start_is_told_of_and_waited_for(story: Story) -> None:
    story.service.turn(up=False)
    story.watch.start()
    assert story.kinds(1) == [ServiceLost]
    story.service.turn(up=True)
    assert story.kinds(1) == [ServiceRestored]


def test_a_sam_slot_is_not_watched(story: Story) -> None:
    story.service.set(ReaderName("ACS ACR1252 [ACR1252 Dual Reader SAM] 01 00"), PRESENT)
    story.service.set(ONE, EMPTY)
    story.watch.start()
    assert story.kinds(1) == [ServiceRestored]
    (attached,) = story.next()
    assert isinstance(attached, ReaderAttached)
    assert attached.reader == ONE
