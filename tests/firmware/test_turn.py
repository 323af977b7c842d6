"""Two readers at once: nobody who was just let in reads a refusal that is not about her card."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from contract.events import Reason
from firmware_py.glass import words
from firmware_py.glass.commands import PinEntered
from firmware_py.glass.view import Screen
from hardware.piv import Pin
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.faults import Hung
from hardware.virtual.sample import personalised
from tests.firmware.bench import PIN, Bench, staff
from tests.firmware.cards import OTHER_PLATE, PLATE, SLOT

AMAL, BEA, CLEO = personalised(), personalised(), personalised()
HUNG = Behaviour(faults=(Hung(3),))
SOON_S = 2.0
LATER_S = 5.0
MUTE = ("refused", Reason.CARD_ERROR)


@pytest_asyncio.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Bench]:
    """Amal and Bea have proved their PINs, Cleo has not; Bea is at work."""
    async with Bench(tmp_path / "state", card_deadline_s=1.0) as bench:
        people = (("amal", "AM", AMAL), ("bea", "BE", BEA), ("cleo", "CL", CLEO))
        await bench.open_day(*(staff(*one) for one in people))
        await bench.sign_on(AMAL)
        await bench.sign_on(BEA)
        bench.clock.advance(LATER_S)
        yield bench


async def amal_is_at_work(ward: Bench, mark: int) -> None:
    """Hers is the work on the glass, and nothing was refused on it from ``mark`` on."""
    await ward.rest()
    shown = ward.since(mark)
    assert Screen.REFUSED not in {view.screen for view in shown}
    assert shown[-1].screen is Screen.OPEN
    assert shown[-1].person is not None
    assert shown[-1].person.name == "Amal"


async def test_a_mute_thing_elsewhere_does_not_refuse_who_was_just_let_in(ward: Bench) -> None:
    mark = len(ward.board.views)
    await ward.tap(AMAL)
    ward.clock.advance(SOON_S)
    ward.readers.put_mute(OTHER_PLATE)
    await amal_is_at_work(ward, mark)
    assert (await ward.outcomes())[-1] == MUTE  # the log has it all the same


async def test_a_mute_thing_elsewhere_does_not_refuse_who_is_being_looked_at(ward: Bench) -> None:
    mark = len(ward.board.views)
    ward.readers.put(PLATE, AMAL)
    ward.readers.put_mute(OTHER_PLATE)
    await ward.until(lambda view: view.screen is Screen.OPEN, mark)
    ward.readers.take(PLATE)
    await amal_is_at_work(ward, mark)
    assert MUTE in (await ward.outcomes())


async def test_nor_who_has_just_entered_her_pin(ward: Bench) -> None:
    mark = len(ward.board.views)
    ward.readers.put(SLOT, CLEO)
    await ward.until(lambda view: view.screen is Screen.PIN, mark)
    ward.clock.advance(LATER_S)
    ward.do(PinEntered(Pin(PIN)))
    await ward.until(lambda view: view.screen is Screen.OPEN, mark)
    ward.readers.put_mute(PLATE)
    await ward.rest()
    assert (await ward.outcomes())[-1] == MUTE
    assert Screen.REFUSED not in {view.screen for view in ward.since(mark)}


async def test_later_a_mute_thing_is_refused_beside_untouched_work(ward: Bench) -> None:
    await ward.tap(AMAL)
    mark = ward.pass_time(LATER_S)
    ward.readers.put_mute(OTHER_PLATE)
    refused = await ward.until(lambda view: view.screen is Screen.REFUSED, mark)
    assert refused.person is not None
    assert (refused.person.name, refused.covered) == ("Amal", False)


async def test_what_comes_to_the_same_reader_afterwards_is_told_at_once(ward: Bench) -> None:
    await ward.tap(AMAL)
    mark = ward.pass_time(SOON_S)
    ward.readers.put_mute(PLATE)
    await ward.until(lambda view: view.screen is Screen.REFUSED, mark)


async def test_who_is_sent_to_the_slot_is_told_when_her_card_is_mute_there(ward: Bench) -> None:
    asked = await ward.tap(CLEO, Screen.NOTICE)
    assert asked.words == words.SLOT_ONCE
    mark = ward.pass_time(SOON_S)
    ward.readers.put_mute(SLOT)
    await ward.until(lambda view: view.screen is Screen.REFUSED, mark)


async def test_a_card_given_up_meanwhile_does_not_refuse_who_tapped_since(ward: Bench) -> None:
    mark = len(ward.board.views)
    ward.readers.put(OTHER_PLATE, BEA, HUNG)
    await ward.until(lambda view: view.screen is Screen.CHECKING, mark)
    ward.clock.advance(SOON_S)
    await ward.tap(AMAL)
    await amal_is_at_work(ward, mark)
    assert (await ward.outcomes())[-1] == ("refused", Reason.CARD_HUNG)
    ward.readers.take(OTHER_PLATE)


async def test_a_card_left_behind_is_a_reminder_for_whoever_is_there(ward: Bench) -> None:
    mark = len(ward.board.views)
    ward.readers.put(SLOT, BEA)
    await ward.until(lambda view: view.screen is Screen.CHECKING, mark)
    await ward.rest()
    ward.clock.advance(59)
    await ward.tap(AMAL)
    left = await ward.until(lambda view: view.screen is Screen.NOTICE, ward.pass_time(SOON_S))
    assert left.words == words.TAKE_CARD
    ward.readers.take(SLOT)
