"""Work on a card that may never end: deadlines, turns, and threads left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import pytest

from hardware.apdu import CardGone, CardHung
from hardware.readers import CardConnection, ReaderName
from hardware.workers import CardWorkers, Lease

LEFT, RIGHT = ReaderName("left"), ReaderName("right")


class Table:
    """Readers whose card answers once ``release`` is set; checks the rules of the port."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.busy: set[ReaderName] = set()
        self.closed = threading.Semaphore(0)
        self.hanging = threading.Event()
        self.sent: list[bytes] = []

    @contextmanager
    def connect(self, reader: ReaderName, lease: Lease) -> Iterator[CardConnection]:
        assert reader not in self.busy, "two at one card"
        self.busy.add(reader)
        try:
            yield _Connection(self, reader, lease)
        finally:
            self.busy.discard(reader)
            self.closed.release()


class _Connection:
    atr = b"\x3b\x00"
    connect_ns = 0

    def __init__(self, table: Table, reader: ReaderName, lease: Lease) -> None:
        self.table, self.reader, self.lease = table, reader, lease

    def transmit(self, apdu: bytes) -> bytes:
        self.lease.check()
        self.table.sent.append(apdu)
        if apdu == b"hang":
            self.table.hanging.set()
            self.table.release.wait()
        self.lease.check()
        return b"\x90\x00"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        raise AssertionError("the table closes")


def sends(*apdus: bytes) -> Callable[[CardConnection], bytes]:
    def work(connection: CardConnection) -> bytes:
        return [connection.transmit(apdu) for apdu in apdus][-1]

    return work


async def test_the_result_of_the_work_comes_back() -> None:
    workers = CardWorkers(Table().connect)
    assert await workers.run(LEFT, sends(b"ask"), 5) == b"\x90\x00"
    assert workers.abandoned == 0


async def test_what_the_work_raises_comes_back() -> None:
    def work(connection: CardConnection) -> None:
        raise CardGone("taken away")

    with pytest.raises(CardGone):
        await CardWorkers(Table().connect).run(LEFT, work, 5)


async def test_a_card_that_hangs_is_left_behind_and_others_go_on() -> None:
    table = Table()
    workers = CardWorkers(table.connect)
    others = _card_threads()
    with pytest.raises(CardHung):
        await workers.run(LEFT, sends(b"hang", b"more"), 0.05)
    (stuck,) = _card_threads() - others
    assert workers.abandoned == 1
    assert await workers.run(RIGHT, sends(b"ask"), 5) == b"\x90\x00"
    table.closed.acquire()
    table.release.set()
    assert table.closed.acquire(timeout=5)
    assert await workers.run(LEFT, sends(b"ask"), 5) == b"\x90\x00"
    stuck.join(5)
    assert workers.abandoned == 0
    assert b"more" not in table.sent


async def test_a_reader_held_by_a_hung_card_gathers_no_threads() -> None:
    table = Table()
    workers = CardWorkers(table.connect)
    others = _card_threads()
    with pytest.raises(CardHung):
        await workers.run(LEFT, sends(b"hang"), 0.05)
    (stuck,) = _card_threads() - others
    for _ in range(5):
        with pytest.raises(CardHung):
            await workers.run(LEFT, sends(b"ask"), 0.05)
    for thread in _card_threads() - {stuck}:
        thread.join(5)
    assert _card_threads() == {stuck}, "one stuck, none waiting for it"
    assert table.sent == [b"hang"]
    table.release.set()
    stuck.join(5)
    assert (_card_threads(), workers.abandoned) == (set(), 0)


def _card_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("card-")}


async def test_a_caller_who_goes_away_ends_the_work() -> None:
    table = Table()
    workers = CardWorkers(table.connect)
    task = asyncio.create_task(workers.run(LEFT, sends(b"hang", b"more"), 5))
    assert await asyncio.to_thread(table.hanging.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    table.release.set()
    assert table.closed.acquire(timeout=5)
    assert table.sent == [b"hang"]


async def test_taps_on_one_reader_take_turns() -> None:
    workers = CardWorkers(Table().connect)
    results = await asyncio.gather(*(workers.run(LEFT, sends(b"ask"), 5) for _ in range(8)))
    assert results == [b"\x90\x00"] * 8


async def test_the_closing_reset_is_nobodys_waiting_time() -> None:
    closing = threading.Event()

    @contextmanager
    def connect(reader: ReaderName, lease: Lease) -> Iterator[CardConnection]:
        yield _Connection(Table(), reader, lease)
        closing.wait(10)

    workers = CardWorkers(connect)
    assert await workers.run(LEFT, sends(b"ask"), 5) == b"\x90\x00"
    assert not closing.is_set()
    closing.set()
