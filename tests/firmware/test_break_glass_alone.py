"""Break-glass without a card: only where only staff come, and never anybody's parked work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from contract.directory import Status
from contract.events import CardOutcome, SessionChanged
from contract.ids import TerminalId
from contract.policy import BreakGlassState
from firmware_py.emergency import words
from firmware_py.emergency.commands import BreakGlassAlone, BreakGlassColleague
from firmware_py.glass import words as kiosk
from firmware_py.glass.view import Screen
from tests.firmware import rights
from tests.firmware.bench import Bench
from tests.firmware.cards import PLATE
from tests.firmware.emergency_ward import (
    AMAL,
    BEA,
    RESUS,
    active,
    amal,
    bea,
    glass,
    offered,
    opened,
    take,
    waits,
)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Bench(tmp_path / "state") as bench:
        yield bench


@pytest_asyncio.fixture
async def ward(bench: Bench) -> Bench:
    """Amal and Bea have cards; the ward has break-glass from every state, here too without one."""
    await bench.open_day(amal(), bea(), break_glass=glass(without_card=(rights.TERMINAL,)))
    return bench


async def test_without_a_card_a_colleagues_card_confirms_it(ward: Bench) -> None:
    await ward.until(offered)
    ward.do(RESUS)
    await ward.until(waits)
    mark = len(ward.board.views)
    ward.readers.put(PLATE, BEA)
    view = await ward.until(active, mark)
    ward.readers.take(PLATE)
    assert view.person is not None
    assert view.person.name == words.NOT_IDENTIFIED
    (event,) = await opened(ward)
    assert (event.holder, event.guid, event.colleague) == (None, None, "bea")
    assert (event.read_only, event.state) == (False, BreakGlassState.NO_CARD)
    outcome = next(
        e.detail
        for e in await ward.events()
        if isinstance(e.detail, CardOutcome) and e.detail.record == event.colleague_record
    )
    assert (outcome.holder, outcome.result, outcome.signature is None) == ("bea", "offered", False)


async def test_alone_it_is_to_read_only_and_for_less_time(ward: Bench) -> None:
    ward.do(RESUS)
    await ward.until(waits)
    view = await take(ward, BreakGlassAlone())
    assert view.person is not None
    assert view.person.role == words.READ_ONLY
    assert view.panels["breakglass"]["active"] == {"left_s": 900, "reason": "Resuscitation"}
    (event,) = await opened(ward)
    assert (event.read_only, event.colleague, event.limit_s) == (True, None, 900)
    changed = [e.detail for e in await ward.events() if isinstance(e.detail, SessionChanged)][-1]
    assert changed.ground == "emergency-view"


async def test_what_is_to_read_only_is_not_offered_to_be_held(bench: Bench) -> None:
    without_card = glass(without_card=(rights.TERMINAL,))
    await bench.open_day(amal(), bea(), break_glass=without_card, hold_s=1800)
    bench.do(RESUS)
    await bench.until(waits)
    view = await take(bench, BreakGlassAlone())
    assert "hold" not in view.panels


@pytest.mark.parametrize("status", [Status.LOST, Status.SUSPENDED])
async def test_a_colleague_whose_card_is_not_in_use_confirms_nothing(
    ward: Bench, status: Status
) -> None:
    await ward.publish(bea(status=status))
    ward.do(RESUS)
    await ward.until(waits)
    refused = await ward.tap(BEA, Screen.REFUSED)
    told = [event for event in await ward.events() if isinstance(event.detail, CardOutcome)][-1]
    assert refused.reference == kiosk.reference(told.journal, told.sequence)
    ward.do(BreakGlassColleague())
    await ward.rest()
    assert await opened(ward) == []


async def test_at_a_terminal_that_the_ward_does_not_name_there_is_none_without_a_card(
    bench: Bench,
) -> None:
    await bench.open_day(amal(), break_glass=glass(without_card=(TerminalId("other-1"),)))
    for command in (RESUS, BreakGlassAlone(), BreakGlassColleague()):
        bench.do(command)
    await bench.rest()
    assert not any(offered(view) for view in bench.board.views)
    assert await opened(bench) == []


async def test_nobody_waits_for_a_colleague_for_ever(ward: Bench) -> None:
    ward.do(RESUS)
    await ward.until(waits)
    ward.clock.advance(61)
    ward.do(BreakGlassAlone())
    await ward.rest()
    assert await opened(ward) == []


async def test_somebodys_open_work_is_not_taken_from_her_without_a_card(ward: Bench) -> None:
    await ward.sign_on(AMAL)
    mark = len(ward.board.views)
    ward.do(RESUS)
    ward.do(BreakGlassAlone())
    await ward.rest()
    assert not any(offered(view) for view in ward.since(mark))
    assert ward.board.view.screen is Screen.OPEN
