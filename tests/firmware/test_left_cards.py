"""Cards left behind, in a slot and on a plate; and a sensor that sees who stands there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from contract.bedside import CardLeft, LeftState
from contract.policy import LeftCard
from firmware_py.glass import words
from firmware_py.glass.commands import Activity
from firmware_py.glass.view import Screen
from hardware.readers import ReaderName
from hardware.sensor import NobodySeen, SensorBlind, SensorEvent, SomebodySeen
from hardware.virtual.sample import personalised
from tests.firmware.bench import Bench, staff
from tests.firmware.cards import OTHER_PLATE, PLATE, SLOT

AMAL, BEA = personalised(), personalised()


@pytest_asyncio.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Bench]:
    AMAL.pin.left = BEA.pin.left = 3
    async with Bench(tmp_path / "state") as bench:
        people = staff("amal", "AM", AMAL), staff("bea", "BE", BEA)
        await bench.open_day(*people, left_card_s=60, left_card=LeftCard(cap_s=120))
        await bench.sign_on(BEA)
        await bench.sign_on(AMAL)
        bench.clock.advance(10)
        await bench.tap(AMAL, Screen.LOCKED)
        yield bench


async def left(bench: Bench) -> list[CardLeft]:
    return [e.detail for e in await bench.events() if isinstance(e.detail, CardLeft)]


async def lay(bench: Bench, reader: ReaderName) -> None:
    """Amal signs on and leaves her card there."""
    mark = len(bench.board.views)
    bench.readers.put(reader, AMAL)
    await bench.until(lambda v: v.screen is Screen.OPEN, mark)


async def keep_busy(bench: Bench, seconds: int) -> int:
    """Somebody works: no idleness is in the way."""
    mark = len(bench.board.views)
    for _ in range(seconds // 20):
        bench.clock.advance(20)
        bench.do(Activity())
        await bench.rest()
    return mark


@pytest.mark.parametrize(("reader", "interface"), [(SLOT, "contact"), (PLATE, "contactless")])
async def test_a_left_card_is_announced_capped_and_worthless(
    ward: Bench, reader: ReaderName, interface: str
) -> None:
    await lay(ward, reader)
    told = await ward.until(lambda v: v.screen is Screen.NOTICE, ward.pass_time(61))
    assert (told.words, told.panels["left"]) == (
        words.TAKE_CARD,
        {"initials": "AM", "interface": interface},
    )
    assert told.person is not None, "her work is untouched"
    ward.do(Activity())
    mark = await keep_busy(ward, 120)
    await ward.until(lambda v: v.screen is Screen.LOCKED, mark)
    assert (await ward.changes())[-1] == ("amal", "locked", "left-card")
    ward.clock.advance(60)
    await ward.rest()
    assert (await ward.changes())[-1] == ("amal", "locked", "left-card"), "it opens nothing"
    ward.readers.take(reader)
    await ward.rest()
    assert "left" not in ward.board.view.panels
    assert [event.state for event in await left(ward)] == ["announced", "limit", "taken"]
    assert {(e.holder, e.interface) for e in await left(ward)} == {("amal", interface)}
    await ward.tap(AMAL)
    assert (await ward.changes())[-1] == ("amal", "unlocked", "tap")


async def test_a_card_over_a_left_card_works_and_is_noted(ward: Bench) -> None:
    await lay(ward, SLOT)
    await ward.until(lambda v: v.screen is Screen.NOTICE, ward.pass_time(61))
    opened = await ward.tap(BEA, reader=OTHER_PLATE)
    assert opened.person is not None
    assert opened.person.initials == "BE"
    assert opened.panels["left"] == {"initials": "AM", "interface": "contact"}
    over = (await left(ward))[-1]
    assert BEA.guid is not None
    assert (over.state, over.holder, over.by) == (LeftState.TAPPED_OVER, "amal", BEA.guid.hex())
    mark = await keep_busy(ward, 200)
    assert Screen.LOCKED not in {v.screen for v in ward.since(mark)}, "the cap is not Bea's"


async def test_a_strange_card_that_is_left_is_nobodys(ward: Bench) -> None:
    ward.readers.put(PLATE, personalised())
    await ward.rest()
    told = await ward.until(lambda v: v.words == words.TAKE_CARD, ward.pass_time(61))
    assert told.panels["left"] == {"initials": None, "interface": "contactless"}
    assert (await left(ward))[-1].holder is None
    ward.readers.take(PLATE)


async def test_a_card_taken_in_time_is_no_left_card(ward: Bench) -> None:
    await lay(ward, SLOT)
    ward.clock.advance(50)
    ward.readers.take(SLOT)
    ward.clock.advance(200)
    await ward.rest()
    assert await left(ward) == []


class HandSensor:
    """A sensor that says what the test says; implements ``hardware.sensor.PresenceSensor``."""

    def __init__(self) -> None:
        self.report: Callable[[SensorEvent], None] | None = None
        self.stopped = False

    def start(self, report: Callable[[SensorEvent], None]) -> None:
        self.report = report

    def stop(self) -> None:
        self.stopped = True


async def test_nobody_before_the_screen_brings_the_warning_and_any_touch_cancels_it(
    tmp_path: Path,
) -> None:
    AMAL.pin.left = 3
    sensor = HandSensor()
    async with Bench(tmp_path / "state", sensor=sensor) as bench:
        await bench.open_day(staff("amal", "AM", AMAL), away_s=15)
        await bench.sign_on(AMAL)
        assert sensor.report is not None
        sensor.report(NobodySeen())
        await bench.rest()
        await bench.until(lambda v: v.screen is Screen.WARNING, bench.pass_time(16))
        await bench.until(lambda v: v.screen is Screen.OPEN, bench.touch())
        sensor.report(SensorBlind())
        sensor.report(NobodySeen())
        await bench.rest()
        await bench.until(lambda v: v.screen is Screen.WARNING, bench.pass_time(16))
        mark = len(bench.board.views)
        sensor.report(SomebodySeen())
        await bench.until(lambda v: v.screen is Screen.OPEN, mark)
        await bench.until(lambda v: v.screen is Screen.LOCKED, bench.pass_time(301))
    assert sensor.stopped
