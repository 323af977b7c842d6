"""A screen that is held: who keeps it, who joins, who takes over, and what the log says of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contract.bedside import SessionHeld
from contract.events import CardOutcome, OutcomeResult, Reason, SessionChanged
from firmware_py.countersign.values import Signed
from firmware_py.glass import words
from firmware_py.glass.commands import Cancelled, LockPressed
from firmware_py.glass.view import Screen, View
from firmware_py.sessions.commands import HoldOver, HoldWanted, JoinWanted, TakeOverWanted
from hardware.virtual.sample import personalised
from tests.firmware.bench import Bench, staff
from tests.firmware.cards import OTHER_PLATE
from tests.firmware.test_countersign import asked, hold, step

AMAL, BEA, CARA = personalised(), personalised(), personalised()


@pytest_asyncio.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Bench]:
    """Amal and Bea have proved their PINs, Cara has not; Amal holds the screen."""
    for card in (AMAL, BEA, CARA):
        card.pin.left = 3
    async with Bench(tmp_path / "state") as bench:
        people = (staff("amal", "AM", AMAL), staff("bea", "BE", BEA), staff("cara", "CA", CARA))
        await bench.open_day(*people, hold_s=1800)
        await bench.sign_on(BEA)
        await bench.sign_on(AMAL)
        mark = len(bench.board.views)
        bench.do(HoldWanted())
        await bench.until(lambda view: _hold(view).get("left_s") == 1800, mark)
        yield bench


def _hold(view: View) -> dict[str, Any]:
    return dict(view.panels.get("hold", {}))


def takes_input(ward: Bench) -> bool:
    return ward.workspace.shown is not None


async def offered(ward: Bench) -> View:
    mark = len(ward.board.views)
    ward.readers.put(OTHER_PLATE, BEA)
    view = await ward.until(lambda v: _hold(v).get("asks") is not None, mark)
    ward.readers.take(OTHER_PLATE)
    return view


async def test_a_held_screen_neither_dims_nor_locks(ward: Bench) -> None:
    mark = ward.pass_time(1700)
    ended = await ward.until(lambda view: _hold(view).get("left_s") is None, ward.pass_time(100))
    assert ended.person is not None
    assert {v.screen for v in ward.since(mark)} == {Screen.OPEN}
    await ward.until(lambda view: view.screen is Screen.LOCKED, ward.pass_time(301))


async def test_it_cannot_be_held_for_ever_by_whoever_stands_there(ward: Bench) -> None:
    """One touch holds it once for a tap; then the glass says what it takes."""
    await ward.until(lambda view: _hold(view).get("left_s") is None, ward.pass_time(1800))
    mark = len(ward.board.views)
    ward.do(HoldWanted())
    told = await ward.until(lambda view: view.words == words.TAP_TO_HOLD, mark)
    assert (told.screen, told.covered) == (Screen.NOTICE, False), "her work goes on beneath"
    held = [e.detail.change for e in await ward.events() if isinstance(e.detail, SessionHeld)]
    assert held == ["begun", "ended"]
    await ward.tap(AMAL, Screen.LOCKED)
    await ward.tap(AMAL)
    mark = len(ward.board.views)
    ward.do(HoldWanted())
    await ward.until(lambda view: _hold(view).get("left_s") == 1800, mark)


async def test_a_ward_without_hold_offers_none(tmp_path: Path) -> None:
    AMAL.pin.left = 3
    async with Bench(tmp_path / "state") as bench:
        await bench.open_day(staff("amal", "AM", AMAL))
        opened = await bench.sign_on(AMAL)
        assert "hold" not in opened.panels
        bench.do(HoldWanted())
        await bench.until(lambda view: view.screen is Screen.DIMMED, bench.pass_time(121))


async def test_another_card_at_a_held_screen_is_offered_both(ward: Bench) -> None:
    view = await offered(ward)
    assert (view.screen, view.words, view.covered) == (Screen.NOTICE, words.JOIN_OR_TAKE, True)
    assert view.person is not None
    assert view.person.initials == "AM"
    assert _hold(view)["asks"] == {"initials": "BE", "role": "Nurse", "may_join": True}
    assert not takes_input(ward), "no input reaches the work while it is covered"
    assert (await ward.outcomes())[-1] == ("offered", Reason.SHARED)
    back = await ward.until(lambda v: v.screen is Screen.OPEN, ward.pass_time(46))
    assert back.person is not None
    assert back.person.initials == "AM"
    assert takes_input(ward)
    assert (await ward.outcomes())[-1] == ("refused", Reason.OFFER_ABANDONED)


async def test_who_joins_stands_on_the_glass_and_all_of_it_is_shared(ward: Bench) -> None:
    await offered(ward)
    mark = len(ward.board.views)
    ward.do(JoinWanted())
    joined = await ward.until(lambda v: bool(_hold(v).get("joined")), mark)
    assert joined.person is not None
    assert joined.person.initials == "AM"
    assert _hold(joined)["joined"] == [{"initials": "BE", "role": "Nurse"}]
    ward.do(LockPressed())
    await ward.until(lambda v: v.screen is Screen.LOCKED, mark)
    events = [event.detail for event in await ward.events()]
    outcome = next(e for e in events if isinstance(e, CardOutcome) and e.result == "joined")
    assert (outcome.holder, outcome.shared) == ("bea", True)
    assert outcome.signature is not None, "her card signed that she was there"
    assert [(e.change, e.holder) for e in events if isinstance(e, SessionHeld)] == [
        ("begun", None),
        ("joined", "bea"),
        ("ended", None),
    ]
    locked = [e for e in events if isinstance(e, SessionChanged)][-1]
    assert (locked.change, locked.shared) == ("locked", True)


async def test_who_takes_over_has_the_glass_and_the_others_work_is_kept(ward: Bench) -> None:
    await offered(ward)
    mark = len(ward.board.views)
    ward.do(TakeOverWanted())
    taken = await ward.until(lambda v: v.screen is Screen.OPEN, mark)
    assert taken.person is not None
    assert taken.person.initials == "BE"
    assert [line.initials for line in taken.parked] == ["AM"]
    assert _hold(taken)["left_s"] is None
    assert ("amal", "parked", "tap-over") in await ward.changes()


async def test_who_owes_a_pin_may_take_over_and_not_join(ward: Bench) -> None:
    mark = len(ward.board.views)
    ward.readers.put(OTHER_PLATE, CARA)
    view = await ward.until(lambda v: _hold(v).get("asks") is not None, mark)
    ward.readers.take(OTHER_PLATE)
    assert _hold(view)["asks"]["may_join"] is False
    ward.do(JoinWanted())
    await ward.rest()
    assert not [e for e in await ward.outcomes() if e[0] == OutcomeResult.JOINED]
    ward.do(TakeOverWanted())
    pad = await ward.until(lambda v: v.words == words.SLOT_ONCE, mark)
    assert pad.person is None
    assert ("amal", "parked", "tap-over") in await ward.changes()


@pytest.mark.parametrize("command", [JoinWanted(), TakeOverWanted()])
async def test_without_an_offer_nobody_joins_and_nobody_takes_over(
    ward: Bench,
    command: Any,  # noqa: ANN401 - either
) -> None:
    before = await ward.events()
    ward.do(command)
    await ward.rest()
    assert await ward.events() == before


async def test_an_offer_is_turned_down_and_the_hold_ends_by_one_touch(ward: Bench) -> None:
    await offered(ward)
    mark = len(ward.board.views)
    ward.do(Cancelled())
    await ward.until(lambda v: v.screen is Screen.OPEN and not v.covered, mark)
    ward.do(HoldOver())
    await ward.until(lambda v: _hold(v).get("left_s") is None, mark)
    await ward.tap(BEA, reader=OTHER_PLATE)
    assert ("amal", "parked", "tap-over") in await ward.changes()


async def test_ones_own_card_leaves_a_held_screen(ward: Bench) -> None:
    ward.clock.advance(60)
    left = await ward.tap(AMAL, Screen.LOCKED)
    assert left.words == words.PARKED
    held = [e.detail for e in await ward.events() if isinstance(e.detail, SessionHeld)]
    assert held[-1].change == "ended"


async def test_a_refused_card_leaves_a_held_screen_as_it_is(ward: Bench) -> None:
    refused = await ward.tap(personalised(), Screen.REFUSED)
    assert refused.person is not None
    back = await ward.until(lambda v: v.screen is Screen.OPEN, ward.pass_time(5))
    assert _hold(back)["left_s"] is not None


async def test_what_a_desk_notes_of_a_card_at_a_held_screen_is_shared_too(ward: Bench) -> None:
    """A second person countersigns: that she stood there is certain, in whose work is not."""
    ward.clock.advance(5)
    request = await asked(ward)
    await hold(ward, BEA, step("done"))
    assert isinstance(await request.answer(), Signed)
    (outcome,) = (
        e.detail
        for e in await ward.events()
        if isinstance(e.detail, CardOutcome) and e.detail.result is OutcomeResult.COUNTERSIGNED
    )
    assert (outcome.holder, outcome.shared) == ("bea", True)
