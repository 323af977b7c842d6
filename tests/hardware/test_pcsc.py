"""Taps at virtual readers of a real pcscd: what arrives, what is no tap, what goes wrong."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeVar

import pytest

from benchmarks.ward.pcscd import Pcscd
from hardware.apdu import CardGone, CardHung, CardTorn, ReaderError, ServiceError
from hardware.pcsc import Context, PcscReaders
from hardware.piv import Pin, PivClient
from hardware.pivdata import Algorithm, KeySlot
from hardware.readers import (
    CardArrived,
    CardConnection,
    CardRemoved,
    EventState,
    Interface,
    ReaderAttached,
    ReaderDetached,
    ReaderEvent,
    ReaderName,
    ReaderRules,
    ServiceLost,
    ServiceRestored,
    first_look,
    observe,
)
from hardware.virtual.behaviour import FAST, Behaviour
from hardware.virtual.card import Card
from hardware.virtual.faults import Hung, Torn
from hardware.virtual.vpcd import VirtualReader

E = TypeVar("E")
PATIENCE_S = 10.0
PIN = Pin("123456")


@dataclass
class Ward:
    """Four readers, a hand to put cards in, and the story that the terminal hears."""

    service: Pcscd
    readers: PcscReaders
    slots: tuple[VirtualReader, ...]
    heard: asyncio.Queue[ReaderEvent]

    def name(self, number: int) -> ReaderName:
        return ReaderName(self.service.readers[number].name)

    async def next(self) -> ReaderEvent:
        return await asyncio.wait_for(self.heard.get(), PATIENCE_S)

    async def until(self, kind: type[E]) -> E:
        while not isinstance(event := await self.next(), kind):
            pass
        return event

    async def watch(self) -> None:
        self.readers.start(self.heard.put_nowait)
        for _ in self.slots:
            await self.until(ReaderAttached)

    def powered(self, number: int) -> CardConnection:
        """Keeps the card powered. pcscd takes power from an unused card at its next poll, and what
        vpcd makes of that hides a swap in just these 0.4 s from pcscd itself.
        """
        return self.readers.connect(self.name(number))

    async def tap(self, number: int, deadline_s: float = PATIENCE_S) -> PivClient:
        return await self.readers.with_card(self.name(number), warm_tap, deadline_s)


def warm_tap(connection: CardConnection) -> PivClient:
    client = PivClient(connection, time.monotonic_ns)
    client.select()
    client.read_guid()
    client.sign(KeySlot.CARD_AUTHENTICATION, Algorithm.ECC_P256, bytes(32))
    return client


@pytest.fixture
async def ward(pcscd: Pcscd) -> AsyncIterator[Ward]:
    rules = ReaderRules(interfaces={"ward contactless *": Interface.CONTACTLESS})
    readers = PcscReaders(rules, time.monotonic_ns)
    slots = tuple(VirtualReader(reader.port) for reader in pcscd.readers)
    yield Ward(pcscd, readers, slots, asyncio.Queue())
    readers.stop()
    for slot in slots:
        slot.remove()


async def test_a_card_arrives_signs_and_leaves(ward: Ward, card: Card) -> None:
    await ward.watch()
    before = time.monotonic_ns()
    visit = ward.slots[0].insert(card)
    arrived = await ward.next()
    assert isinstance(arrived, CardArrived)
    assert (arrived.reader, arrived.interface) == (ward.name(0), Interface.CONTACTLESS)
    assert (arrived.atr, arrived.at_start) == (visit.behaviour.atr, False)
    assert before < arrived.seen_ns < time.monotonic_ns()
    client = await ward.tap(0)
    assert client.exchanges == len(card.record.exchanges) == 3
    assert client.card_ns >= card.record.card_ns
    ward.slots[0].remove()
    assert isinstance(await ward.next(), CardRemoved)


async def test_a_card_already_there_at_start_is_no_tap(ward: Ward, card: Card) -> None:
    ward.slots[2].insert(card)
    await asyncio.to_thread(_wait_present, ward.name(2))
    ward.readers.start(ward.heard.put_nowait)
    arrived = await ward.until(CardArrived)
    assert (arrived.interface, arrived.at_start) == (Interface.CONTACT, True)
    with ward.powered(2):
        ward.slots[2].swap(card)
        await ward.until(CardRemoved)
        assert not (await ward.until(CardArrived)).at_start


async def test_one_card_for_another_of_the_same_atr_is_a_removal_and_an_arrival(
    ward: Ward, card: Card
) -> None:
    await ward.watch()
    ward.slots[0].insert(card)
    await ward.until(CardArrived)
    with ward.powered(0):
        ward.slots[0].swap(Card())
        assert isinstance(await ward.next(), CardRemoved)
        assert isinstance(await ward.next(), CardArrived)


async def test_a_swap_that_nobody_saw_happen_is_told_by_the_counter(ward: Ward, card: Card) -> None:
    ward.slots[0].insert(card)
    known, atr = await asyncio.to_thread(_wait_present, ward.name(0))
    state, _ = first_look(ward.name(0), Interface.CONTACT, known, atr, 0)
    with ward.powered(0):
        ward.slots[0].swap(Card())
        now, same_atr = await asyncio.to_thread(_wait_present, ward.name(0), (known >> 16) + 2)
    assert atr == same_atr
    _, events = observe(state, now, same_atr, 1)
    assert [type(event) for event in events] == [CardRemoved, CardArrived]


def _wait_present(reader: ReaderName, count: int = 1) -> tuple[int, bytes]:
    """What pcscd says of ``reader`` once a card is in it and ``count`` movements were counted."""
    context = Context()
    try:
        known, atr = 0, b""
        while not (known & EventState.PRESENT and known >> 16 >= count):
            seen = context.wait_reader(reader, known, PATIENCE_S)
            assert seen is not None, "pcscd does not see the card"
            known, atr = seen
        return known, atr
    finally:
        context.close()


async def test_pcscd_killed_and_back_is_told_and_survived(ward: Ward, card: Card) -> None:
    await ward.watch()
    ward.slots[0].insert(card)
    await ward.until(CardArrived)
    ward.service.kill()
    told = [await ward.next() for _ in range(6)]
    kinds = [type(event) for event in told]
    assert kinds.count(ReaderDetached) == 4
    assert kinds.count(CardRemoved) == 1
    assert kinds[-1] is ServiceLost
    await asyncio.to_thread(ward.service.start)
    assert isinstance(await ward.next(), ServiceRestored)
    arrived = await ward.until(CardArrived)
    assert arrived.at_start, "a card that lay in the reader all the time is no tap"
    assert (await ward.tap(0)).exchanges == 3
    ward.slots[0].remove()
    await ward.until(CardRemoved)
    ward.slots[1].insert(card)
    assert not (await ward.until(CardArrived)).at_start


async def test_a_terminal_that_starts_before_pcscd_waits_for_it(ward: Ward) -> None:
    ward.service.kill()
    ward.readers.start(ward.heard.put_nowait)
    assert isinstance(await ward.next(), ServiceLost)
    with pytest.raises(ServiceError):
        await ward.tap(0)
    await asyncio.to_thread(ward.service.start)
    assert isinstance(await ward.next(), ServiceRestored)
    assert isinstance(await ward.next(), ReaderAttached)


async def test_a_hung_card_is_abandoned_and_everything_else_goes_on(ward: Ward, card: Card) -> None:
    await ward.watch()
    ward.slots[0].insert(Card(), Behaviour(faults=(Hung(1),)))
    await ward.until(CardArrived)
    started = time.monotonic()
    with pytest.raises(CardHung):
        await ward.tap(0, deadline_s=0.4)
    assert time.monotonic() - started < 1.5
    assert ward.readers.abandoned == 1
    ward.slots[1].insert(card)
    assert (await ward.until(CardArrived)).reader == ward.name(1)
    assert (await ward.tap(1)).exchanges == 3
    ward.slots[1].remove()
    ward.slots[0].remove()
    await ward.until(CardRemoved)
    ward.slots[0].insert(card)
    await ward.until(CardArrived)
    assert (await ward.tap(0)).exchanges == 3
    assert ward.readers.abandoned == 0


async def test_a_card_pulled_in_the_middle_of_a_command_is_torn(ward: Ward, card: Card) -> None:
    await ward.watch()
    ward.slots[0].insert(card, Behaviour(profile=FAST, faults=(Torn(2),)))
    await ward.until(CardArrived)
    failures: list[type[Exception]] = []

    def work(connection: CardConnection) -> None:
        for _ in range(2):
            try:
                warm_tap(connection)
            except CardGone as error:
                failures.append(type(error))

    await ward.readers.with_card(ward.name(0), work, PATIENCE_S)
    assert failures == [CardTorn, CardTorn], "at the first failure the connection is dead"
    assert isinstance(await ward.next(), CardRemoved)


async def test_no_verified_pin_stays_in_a_card(ward: Ward, card: Card) -> None:
    await ward.watch()
    ward.slots[2].insert(card)
    await ward.until(CardArrived)

    def attempts(connection: CardConnection) -> int | None:
        client = PivClient(connection, time.monotonic_ns)
        client.select()
        left = client.pin_attempts()
        client.verify_pin(PIN)
        return left

    for _ in range(2):
        assert await ward.readers.with_card(ward.name(2), attempts, PATIENCE_S) == 3


async def test_a_card_is_ours_alone_while_we_use_it(ward: Ward, card: Card) -> None:
    await ward.watch()
    ward.slots[0].insert(card)
    await ward.until(CardArrived)
    another_program = PcscReaders(ReaderRules(), time.monotonic_ns)
    with ward.readers.connect(ward.name(0)) as ours:
        assert ours.connect_ns > 0
        with pytest.raises(ReaderError):
            another_program.connect(ward.name(0))
        atr = ours.atr
    with another_program.connect(ward.name(0)) as theirs:
        assert theirs.atr == atr


async def test_an_empty_reader_and_an_unknown_one_are_told_apart(ward: Ward) -> None:
    with pytest.raises(CardGone):
        ward.readers.connect(ward.name(0))
    with pytest.raises(ReaderError):
        ward.readers.connect(ReaderName("No Such Reader 00 00"))


async def test_after_stop_nothing_is_heard(ward: Ward, card: Card) -> None:
    await ward.watch()
    ward.readers.stop()
    ward.slots[0].insert(card)
    await asyncio.to_thread(_wait_present, ward.name(0))
    assert ward.heard.empty()


def test_a_hung_card_keeps_no_process_alive(pcscd: Pcscd) -> None:
    program = textwrap.dedent("""
        import asyncio, sys, time
        from hardware.apdu import CardHung
        from hardware.pcsc import PcscReaders
        from hardware.readers import CardArrived, ReaderRules

        async def main():
            readers, events = PcscReaders(ReaderRules(), time.monotonic_ns), asyncio.Queue()
            readers.start(events.put_nowait)
            while not isinstance(event := await events.get(), CardArrived):
                pass
            try:
                await readers.with_card(event.reader, lambda c: c.transmit(bytes(5)), 0.2)
            except CardHung:
                print("abandoned", readers.abandoned)

        asyncio.run(main())
    """)
    with VirtualReader(pcscd.readers[0].port) as slot:
        slot.insert(Card(), Behaviour(faults=(Hung(1),)))
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **pcscd.environment},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert (done.stdout, done.stderr, done.returncode) == ("abandoned 1\n", "", 0)
