"""Positions: chosen by one touch once a shift, picked by the ward, changed from the top bar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contract.directory import Entitlement
from contract.ids import PositionId
from contract.policy import PositionGrace
from firmware_py.glass import words
from firmware_py.glass.commands import PinEntered, PositionChosen
from firmware_py.glass.view import Screen, View
from firmware_py.sessions.commands import PositionWanted
from hardware.piv import Pin
from hardware.virtual.sample import personalised
from tests.firmware.bench import PIN, Bench, staff
from tests.firmware.cards import PLATE, SLOT
from tests.firmware.rights import position

AMAL = personalised()
WRONG = "975310"
NURSE, LEAD = position("nurse", "R8001"), position("ward-lead", "R8002")
AWAY = position("theatre", "R8003", areas=["theatre"])


def amal(**changes: Any) -> Entitlement:  # noqa: ANN401 - by field
    return staff("amal", "AM", AMAL, **{"positions": (NURSE, LEAD, AWAY), **changes})


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    AMAL.pin.left = 3
    async with Bench(tmp_path / "state") as bench:
        yield bench


async def first_tap(bench: Bench, choice: str) -> View:
    """The PIN in the slot, then one touch."""
    mark = len(bench.board.views)
    bench.readers.put(SLOT, AMAL)
    await bench.until(lambda view: view.screen is Screen.PIN, mark)
    bench.do(PinEntered(Pin(PIN)))
    await bench.until(lambda view: view.screen is Screen.CHOOSE, mark)
    bench.readers.take(SLOT)
    mark = len(bench.board.views)
    bench.do(PositionChosen(PositionId(choice)))
    return await bench.until(lambda view: view.screen is Screen.OPEN, mark)


async def leave(bench: Bench) -> None:
    bench.clock.advance(60)
    await bench.tap(AMAL, Screen.LOCKED)


def role(view: View) -> str | None:
    return view.person.role if view.person else None


async def test_the_choice_is_asked_once_and_only_what_the_ward_allows_is_offered(
    bench: Bench,
) -> None:
    await bench.open_day(amal())
    mark = len(bench.board.views)
    opened = await first_tap(bench, "ward-lead")
    (asked,) = {v.positions for v in bench.since(mark) if v.screen is Screen.CHOOSE}
    assert [choice.id for choice in asked] == ["nurse", "ward-lead"]
    assert role(opened) == "Ward-Lead"
    await leave(bench)
    assert role(await bench.tap(AMAL)) == "Ward-Lead"


async def test_the_choice_is_remembered_for_the_shift_also_when_the_work_is_gone(
    bench: Bench,
) -> None:
    await bench.open_day(amal(), shift_s=12 * 3600, parked_age_s=60, grace_s=12 * 3600)
    await first_tap(bench, "ward-lead")
    await leave(bench)
    bench.clock.advance(600)
    opened = await bench.tap(AMAL)
    assert (role(opened), (await bench.outcomes())[-1][0]) == ("Ward-Lead", "opened")


@pytest.mark.parametrize(("shift_s", "later"), [(3600, 3601), (0, 70)])
async def test_after_the_shift_it_is_asked_again(bench: Bench, shift_s: int, later: int) -> None:
    await bench.open_day(amal(), shift_s=shift_s, parked_age_s=60, offline_limit_s=24 * 3600)
    await first_tap(bench, "ward-lead")
    await leave(bench)
    bench.clock.advance(later)
    asked = await bench.tap(AMAL, Screen.CHOOSE)
    assert [choice.id for choice in asked.positions] == ["nurse", "ward-lead"]


async def test_a_restart_of_the_daemon_asks_nobody_again(tmp_path: Path) -> None:
    AMAL.pin.left = 3
    async with Bench(tmp_path / "state") as bench:
        await bench.open_day(amal())
        await first_tap(bench, "ward-lead")
        clock, site = bench.clock, bench.site
    async with Bench(tmp_path / "state", site, clock) as bench:
        await bench.until(lambda view: view.screen is Screen.LOCKED)
        assert role(await bench.tap(AMAL)) == "Ward-Lead"


async def test_the_ward_picks_so_that_nobody_is_asked(bench: Bench) -> None:
    await bench.open_day(amal(), pick=("R9999", "R8002", "R8001"))
    opened = await bench.sign_on(AMAL)
    assert role(opened) == "Ward-Lead"
    assert Screen.CHOOSE not in {view.screen for view in bench.board.views}


async def test_the_top_bar_changes_it_without_signing_on_again(bench: Bench) -> None:
    await bench.open_day(amal())
    opened = await first_tap(bench, "nurse")
    assert opened.panels["positions"] == {
        "current": "nurse",
        "choices": [{"id": "nurse", "name": "Nurse"}, {"id": "ward-lead", "name": "Ward-Lead"}],
    }
    signed, mark = len(AMAL.record.signatures), len(bench.board.views)
    bench.do(PositionWanted(PositionId("ward-lead")))
    changed = await bench.until(lambda view: role(view) == "Ward-Lead", mark)
    until_then = bench.since(mark)[: bench.since(mark).index(changed)]
    assert until_then, "what she leaves is covered first"
    assert all(view.covered for view in until_then)
    assert not changed.covered
    assert len(AMAL.record.signatures) == signed
    assert (await bench.changes())[-2:] == [
        ("amal", "parked", "position"),
        ("amal", "opened", "position"),
    ]
    await leave(bench)
    assert role(await bench.tap(AMAL)) == "Ward-Lead", "the newest choice is remembered"
    mark = len(bench.board.views)
    bench.do(PositionWanted(PositionId("nurse")))
    await bench.until(lambda view: role(view) == "Nurse", mark)
    assert (await bench.changes())[-1] == ("amal", "resumed", "position")


async def test_what_the_ward_does_not_allow_cannot_be_asked_for(bench: Bench) -> None:
    await bench.open_day(amal())
    await first_tap(bench, "nurse")
    before = await bench.changes()
    for wanted in ("theatre", "nobody", "nurse"):
        bench.do(PositionWanted(PositionId(wanted)))
    await bench.rest()
    assert await bench.changes() == before
    assert bench.board.view.person is not None


async def test_the_widest_rights_ask_for_the_pin_where_their_grace_is_over(bench: Bench) -> None:
    lead = PositionGrace(position=PositionId("ward-lead"), grace_s=60)
    await bench.open_day(amal(), grace_by_position=(lead,))
    await first_tap(bench, "nurse")
    bench.clock.advance(61)
    mark = len(bench.board.views)
    bench.do(PositionWanted(PositionId("ward-lead")))
    await bench.until(lambda view: view.person is None and view.covered, mark)
    mark = len(bench.board.views)
    bench.readers.put(SLOT, AMAL)
    await bench.until(lambda view: view.screen is Screen.CHECKING, mark)
    await bench.until(lambda view: view.screen is Screen.PIN, mark)
    bench.do(PinEntered(Pin(PIN)))
    opened = await bench.until(lambda view: view.screen is Screen.OPEN, mark)
    bench.readers.take(SLOT)
    assert role(opened) == "Ward-Lead"
    assert ("amal", "parked", "position") in await bench.changes()


async def test_with_the_card_still_in_the_slot_only_the_pin_is_asked(bench: Bench) -> None:
    lead = PositionGrace(position=PositionId("ward-lead"), grace_s=30)
    await bench.open_day(amal(), grace_by_position=(lead,))
    await first_tap(bench, "nurse")
    bench.clock.advance(20)
    await bench.tap(AMAL, Screen.LOCKED, reader=SLOT)
    mark = len(bench.board.views)
    bench.readers.put(SLOT, AMAL)
    await bench.until(lambda view: role(view) == "Nurse", mark)
    bench.clock.advance(20)
    mark = len(bench.board.views)
    bench.do(PositionWanted(PositionId("ward-lead")))
    await bench.until(lambda view: view.screen is Screen.PIN, mark)
    bench.do(PinEntered(Pin(PIN)))
    await bench.until(lambda view: role(view) == "Ward-Lead", mark)
    bench.readers.take(SLOT)
    assert (await bench.changes())[-1] == ("amal", "opened", "position")
    results = [result for result, _ in await bench.outcomes()]
    assert results[-2:] == ["asked", "proved"], "her tap has served: no second outcome rests on it"


async def test_a_pin_that_is_not_given_costs_no_choice(bench: Bench) -> None:
    lead = PositionGrace(position=PositionId("ward-lead"), grace_s=60)
    await bench.open_day(amal(), grace_by_position=(lead,), pin_pad_s=45)
    await first_tap(bench, "nurse")
    bench.clock.advance(61)
    mark = len(bench.board.views)
    bench.do(PositionWanted(PositionId("ward-lead")))
    await bench.until(lambda view: view.person is None and view.covered, mark)
    await bench.until(lambda view: view.screen is Screen.LOCKED, bench.pass_time(46))
    assert role(await bench.tap(AMAL, reader=PLATE)) == "Nurse"


async def lead_by_touch(bench: Bench) -> int:
    """Her card lies in the slot, and somebody touches the other position; a mark before the pad."""
    lead = PositionGrace(position=PositionId("ward-lead"), grace_s=30)
    await bench.open_day(amal(), grace_by_position=(lead,), left_card_s=600)
    await first_tap(bench, "nurse")
    bench.clock.advance(40)
    await bench.tap(AMAL, Screen.LOCKED, reader=SLOT)
    mark = len(bench.board.views)
    bench.readers.put(SLOT, AMAL)
    await bench.until(lambda view: role(view) == "Nurse", mark)
    mark = len(bench.board.views)
    bench.do(PositionWanted(PositionId("ward-lead")))
    await bench.until(lambda view: view.screen is Screen.PIN, mark)
    return len(bench.board.views)


async def test_a_stranger_at_her_open_screen_has_one_guess_at_her_pin(bench: Bench) -> None:
    mark = await lead_by_touch(bench)
    bench.do(PinEntered(Pin(WRONG)))
    told = await bench.until(lambda view: view.screen is Screen.REFUSED, mark)
    assert (told.words, told.person, AMAL.pin.left) == (words.WRONG_HERE, None, 2)
    assert told.reference is not None
    bench.readers.take(SLOT)
    mark = len(bench.board.views)
    bench.readers.put(SLOT, AMAL)  # her nurse's grace would have gone on
    await bench.until(lambda view: view.screen is Screen.PIN, mark)
    bench.do(PinEntered(Pin(PIN)))
    assert role(await bench.until(lambda view: view.screen is Screen.OPEN, mark)) == "Nurse"
    bench.readers.take(SLOT)
    assert (await bench.changes())[-1] == ("amal", "resumed", "tap")


async def test_and_none_where_it_would_leave_her_one_try(bench: Bench) -> None:
    mark = await lead_by_touch(bench)
    AMAL.pin.left = 2  # wrong elsewhere
    bench.do(PinEntered(Pin(PIN)))
    told = await bench.until(lambda view: view.screen is Screen.REFUSED, mark)
    assert (told.words, AMAL.pin.left) == (words.PROVE_FIRST, 2)
    assert (await bench.outcomes())[-1] == ("refused", "pin-needed")
    bench.readers.take(SLOT)
