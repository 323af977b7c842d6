"""Unsaved work: it gives way last, and its holder hears of it at her next tap here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from contract.ids import PositionId
from firmware_py.glass import words
from firmware_py.glass.commands import PinEntered, PositionChosen
from firmware_py.glass.view import Screen
from firmware_py.items import AppAsked
from firmware_py.local_api.apps import Told
from firmware_py.sessions.commands import PositionWanted
from firmware_py.sessions.happenings import Unsaved
from hardware.piv import Pin
from hardware.virtual.sample import personalised
from tests.firmware.bench import PIN, Bench, staff
from tests.firmware.cards import SLOT
from tests.firmware.rights import position

AMAL, BEA, CARA = personalised(), personalised(), personalised()
BOTH = (position("nurse", "R8001"), position("ward-lead", "R8002"))


@pytest_asyncio.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Bench]:
    """Room for one parked session; Amal works as a nurse and may lead the ward."""
    for card in (AMAL, BEA, CARA):
        card.pin.left = 3
    async with Bench(tmp_path / "state") as bench:
        amal = staff("amal", "AM", AMAL, positions=BOTH)
        people = (amal, staff("bea", "BE", BEA), staff("cara", "CA", CARA))
        await bench.open_day(*people, parked_max=1)
        await bench.sign_on(BEA)
        await bench.sign_on(CARA)
        mark = len(bench.board.views)
        bench.readers.put(SLOT, AMAL)
        await bench.until(lambda v: v.screen is Screen.PIN, mark)
        bench.do(PinEntered(Pin(PIN)))
        await bench.until(lambda v: v.screen is Screen.CHOOSE, mark)
        bench.readers.take(SLOT)
        bench.do(PositionChosen(PositionId("nurse")))
        await bench.until(lambda v: v.screen is Screen.OPEN, mark)
        yield bench


async def unsaved(ward: Bench) -> None:
    """What is on the glass says that it holds unsaved work."""
    assert ward.workspace.shown is not None
    session = ward.workspace.shown
    ward.post(AppAsked(Told(session, Unsaved(session, unsaved=True), lambda _: None)))
    await ward.rest()


async def test_her_next_tap_says_where_it_is_and_until_when(ward: Bench) -> None:
    await unsaved(ward)
    mark = len(ward.board.views)
    ward.do(PositionWanted(PositionId("ward-lead")))
    told = await ward.until(lambda v: "unsaved" in v.panels, mark)
    assert told.panels["unsaved"] == {
        "words": words.UNSAVED_HERE.format(role="Nurse", minutes=240),
        "kept": True,
        "until_s": 240 * 60,
    }


async def test_her_next_tap_says_what_is_gone(ward: Bench) -> None:
    await unsaved(ward)
    await ward.tap(BEA)
    await unsaved(ward)
    await ward.tap(CARA)
    assert ("amal", "closed", "evicted") in await ward.changes()
    ward.clock.advance(120)
    told = await ward.tap(AMAL)
    assert told.panels["unsaved"]["words"] == words.UNSAVED_GONE.format(role="Nurse", minutes=2)
    ward.clock.advance(60)
    await ward.tap(AMAL, Screen.LOCKED)
    assert "unsaved" not in (await ward.tap(AMAL)).panels, "it was told, once"


async def test_nobody_is_told_of_anothers_work(ward: Bench) -> None:
    await unsaved(ward)
    opened = await ward.tap(BEA)
    assert "unsaved" not in opened.panels
