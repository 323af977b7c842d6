"""A browser that fails takes nobody's work with it to whoever stands there next: it ends locked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from firmware_py.glass.view import Screen
from hardware.virtual.sample import personalised
from tests.firmware.bench import Bench, staff

AMAL = personalised()


@pytest_asyncio.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Bench]:
    """Amal has proved her PIN; nobody's work is on the glass."""
    async with Bench(tmp_path / "state") as bench:
        await bench.open_day(staff("amal", "AM", AMAL))
        await bench.sign_on(AMAL)
        bench.clock.advance(10)
        await bench.tap(AMAL, Screen.LOCKED)
        yield bench


async def test_a_page_that_leaves_locks_whoevers_work_it_showed(ward: Bench) -> None:
    page = ward.board.watch()
    await ward.tap(AMAL)
    mark = len(ward.board.views)
    ward.board.leave(page)
    locked = await ward.until(lambda view: view.screen is Screen.LOCKED, mark)
    assert (locked.person, locked.covered) == (None, True)
    assert (await ward.changes())[-1][1:] == ("locked", "fault")


async def test_a_page_that_comes_does_not_find_work_open_that_it_never_saw_opened(
    ward: Bench,
) -> None:
    await ward.tap(AMAL)
    mark = len(ward.board.views)
    ward.board.watch()
    await ward.until(lambda view: view.screen is Screen.LOCKED, mark)
    assert (await ward.tap(AMAL)).person is not None


async def test_a_page_that_comes_to_a_locked_screen_changes_nothing(ward: Bench) -> None:
    before = len(await ward.events())
    ward.board.leave(ward.board.watch())
    await ward.rest()
    assert len(await ward.events()) == before
