"""Who chose Welsh has the glass in Welsh while her work is on it, and nobody else has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from firmware_py.glass.commands import Language, LanguageChosen
from firmware_py.glass.view import Screen
from firmware_py.kiosk.commands import CommandRefused, read_command
from hardware.virtual.sample import personalised
from tests.firmware.bench import Bench, staff

AMAL, BRYN = personalised(), personalised()


@pytest_asyncio.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Bench]:
    """Both have proved their PIN; Amal's work is on the glass."""
    async with Bench(tmp_path / "state") as bench:
        await bench.open_day(staff("amal", "AM", AMAL), staff("bryn", "BP", BRYN))
        await bench.sign_on(BRYN)
        await bench.sign_on(AMAL)
        yield bench


async def test_it_goes_and_comes_with_her(ward: Bench) -> None:
    mark = len(ward.board.views)
    ward.do(LanguageChosen(Language.CY))
    await ward.until(lambda view: view.panels.get("language") == {"code": "cy"}, mark)
    his = await ward.tap(BRYN)
    assert his.person is not None
    assert "language" not in his.panels
    ward.clock.advance(10)
    locked = await ward.tap(BRYN, Screen.LOCKED)
    assert "language" not in locked.panels
    hers = await ward.tap(AMAL)
    assert hers.panels["language"] == {"code": "cy"}


async def test_on_a_locked_screen_nobody_chooses(ward: Bench) -> None:
    ward.clock.advance(10)
    await ward.tap(AMAL, Screen.LOCKED)
    ward.do(LanguageChosen(Language.CY))
    await ward.rest()
    hers = await ward.tap(AMAL)
    assert "language" not in hers.panels


@pytest.mark.parametrize("body", [b"{}", b'{"code":"de"}', b'{"code":1}', b'{"code":"cy","x":1}'])
def test_what_is_no_language_of_the_page_is_refused(body: bytes) -> None:
    with pytest.raises(CommandRefused):
        read_command("language", body)
