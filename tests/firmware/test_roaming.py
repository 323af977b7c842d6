"""Tap here, closes there: two terminals with their real consumers, journals and cards.

Only the broker between them is simulated (`air`); tests/e2e/test_move.py has the real one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.directory import Status
from contract.events import Event
from contract.moving import MovedState, SessionMoved
from contract.signing import sha256
from contract.tap import MoveRequest, is_move_request
from contract.wire import decode_base64
from firmware_py.glass.view import Screen
from firmware_py.items import AppAsked
from firmware_py.local_api.apps import Told
from firmware_py.roaming import words
from firmware_py.roaming.desk import COPY_S
from firmware_py.roaming.reserve import Reserve
from firmware_py.sessions.commands import HoldWanted
from firmware_py.sessions.machine import Unsaved
from hardware.virtual.sample import personalised
from tests.firmware import rights
from tests.firmware.air import Air, who, write
from tests.firmware.air import begin as air_begin
from tests.firmware.bench import Bench, staff
from tests.firmware.emergency_ward import active, glass, opened, take, without_journal
from tests.firmware.rights import position

AMAL, BEA = personalised(), personalised()
HERE, THERE = "resus-1", "resus-2"
ALONE = {"still_you_s": 1, "tap_to_return_s": 0}


@pytest.fixture
async def air(tmp_path: Path) -> AsyncIterator[Air]:
    async with Air(tmp_path, HERE, THERE) as air:
        await air.open_day(staff("amal", "AM", AMAL), staff("bea", "BE", BEA), **ALONE)
        yield air


async def moved(bench: Bench) -> list[tuple[str, str]]:
    """(way, state) of each session that moved, by the journal."""
    return [
        (event.detail.way, event.detail.state.value)
        for event in await bench.events()
        if isinstance(event.detail, SessionMoved)
    ]


async def begin(air: Air, text: str = "bed 4: fluids") -> None:
    """Amal writes at the first; her PIN is known at both."""
    await air_begin(air, HERE, THERE, AMAL, text)


async def test_a_tap_here_closes_there_and_the_work_comes_along(air: Air) -> None:
    await begin(air)
    mark = len(air[HERE].board.views)

    await air[THERE].tap(AMAL)
    closed = await air[HERE].until(lambda view: view.screen is Screen.LOCKED, mark)
    await air.rest()

    assert closed.covered
    assert [one.initials for one in air[HERE].board.view.parked] == ["AM"]
    assert (await air[HERE].changes())[-1] == ("amal", "parked", "moved")
    assert air[THERE].workspace.notes == "bed 4: fluids"
    assert (await moved(air[HERE]))[-1] == ("out", MovedState.SENT)
    assert (await moved(air[THERE]))[-1] == ("in", MovedState.RESTORED)


async def test_both_journals_name_the_same_tap(air: Air) -> None:
    await begin(air)
    await air[THERE].tap(AMAL)
    await air.rest()

    def records(events: list[Event]) -> list[str]:
        return [e.detail.record for e in events if isinstance(e.detail, SessionMoved)]

    assert records(await air[HERE].events())[-1] == records(await air[THERE].events())[-1]


async def test_she_comes_back_to_what_she_left_elsewhere_once(air: Air) -> None:
    await begin(air, "first")
    await air[THERE].tap(AMAL)
    await air.rest()
    write(air[THERE], "first, second")
    await air.later(5)

    await air[HERE].tap(AMAL)
    await air.rest()

    assert air[HERE].workspace.notes == "first, second"


async def test_where_her_newer_work_does_not_answer_what_was_kept_stands_again(air: Air) -> None:
    await begin(air, "first")
    await air[THERE].tap(AMAL)
    await air.rest()
    await air.later(5)
    air.cut(THERE)

    await air[HERE].tap(AMAL)
    await air.rest()
    assert air[HERE].workspace.notes == ""
    mark = air[HERE].pass_time(COPY_S)
    told = await air[HERE].until(lambda view: bool(view.panels.get("moved")), mark)

    assert air[HERE].workspace.notes == "first"
    assert told.panels["moved"]["words"] == words.NEWER.format(where=THERE)
    assert told.panels["moved"]["where"] == THERE


async def test_nothing_is_told_of_a_tap_that_opened_nothing(air: Air) -> None:
    await air.publish(staff("bea", "BE", BEA, status=Status.SUSPENDED))
    await air[HERE].tap(BEA, Screen.REFUSED)
    await air[THERE].tap(AMAL, Screen.NOTICE, Screen.PIN)
    await air.rest()
    assert air.said == []


async def test_after_a_split_the_later_tap_stands_and_the_other_is_parked(air: Air) -> None:
    await begin(air)
    air.cut(THERE)
    air.clock.advance(40)
    await air[THERE].tap(AMAL)  # the later one, and nobody hears of it
    await air.rest()
    assert (who(air[HERE]), who(air[THERE])) == ("AM", "AM")

    air.clock.advance(40)
    air.heal(THERE)
    air.confirm()
    await air.rest()

    assert (who(air[HERE]), who(air[THERE])) == (None, "AM")
    assert (await air[HERE].changes())[-1] == ("amal", "parked", "moved")
    details = [event.detail for event in await air[HERE].events()]
    kept = [one.session for one in details if isinstance(one, SessionMoved)]
    assert air[HERE].workspace.keep(kept[-1]) == b"bed 4: fluids"


async def test_after_a_split_the_earlier_one_gives_way_when_it_is_heard_again(air: Air) -> None:
    await begin(air)
    air.cut(HERE)
    air.clock.advance(40)
    air.confirm()
    await air[THERE].tap(AMAL)
    await air.rest()
    air.clock.advance(40)

    air.heal(HERE)  # it says its own, hears that it was overtaken, and parks
    await air.rest()

    assert (who(air[HERE]), who(air[THERE])) == (None, "AM")


async def test_a_screen_that_is_held_is_not_closed_by_a_tap_elsewhere(tmp_path: Path) -> None:
    async with Air(tmp_path, HERE, THERE) as air:
        await air.open_day(staff("amal", "AM", AMAL), hold_s=600, **ALONE)
        await begin(air)
        air[HERE].do(HoldWanted())
        await air[THERE].tap(AMAL)
        await air.rest()

        assert (who(air[HERE]), who(air[THERE])) == ("AM", "AM")
        assert (await moved(air[HERE]))[-1:] != [("out", MovedState.SENT)]


async def test_what_is_not_saved_stays_and_the_glass_says_where(air: Air) -> None:
    await begin(air)
    session = air[HERE].workspace.shown
    assert session is not None
    unsaved = Told(session, Unsaved(session, unsaved=True), lambda there: None)
    air[HERE].post(AppAsked(unsaved))

    mark = len(air[THERE].board.views)
    await air[THERE].tap(AMAL)
    told = await air[THERE].until(lambda view: bool(view.panels.get("moved")), mark)

    panel = told.panels["moved"]
    assert panel["words"] == words.UNSAVED.format(where=HERE)
    assert (panel["where"], panel["unsaved"]) == (HERE, True)
    assert isinstance(panel["until_s"], int)
    assert panel["until_s"] > 0


async def test_the_panel_is_hers_alone(air: Air) -> None:
    await test_what_is_not_saved_stays_and_the_glass_says_where(air)
    mark = len(air[THERE].board.views)
    await air[THERE].sign_on(BEA)
    assert all("moved" not in view.panels for view in air[THERE].since(mark) if view.person is None)
    assert "moved" not in air[THERE].board.view.panels


async def test_work_in_another_position_stays_where_it_is(tmp_path: Path) -> None:
    both = (position("nurse"), position("manager", "R8002"))
    async with Air(tmp_path, HERE, THERE) as air:
        await air.open_day(staff("amal", "AM", AMAL, positions=both), pick=("R8001",), **ALONE)
        await begin(air)
        await air.publish(staff("amal", "AM", AMAL, positions=both[1:]))
        air.confirm()
        mark = len(air[THERE].board.views)
        await air[THERE].tap(AMAL)
        told = await air[THERE].until(lambda view: bool(view.panels.get("moved")), mark)

    assert told.panels["moved"]["words"] == words.KEPT.format(where=HERE)
    assert air[THERE].workspace.notes == ""


async def test_nobody_is_told_before_the_journal_has_it(air: Air) -> None:
    await begin(air)
    await air[HERE].fail_disk()
    before = len(air.said)
    await air[THERE].tap(AMAL)
    await air.rest()
    assert [name for name, _ in air.said[before:]] == [THERE]
    assert who(air[HERE]) is None  # locked: the journal takes nothing


async def test_every_tap_names_a_key_of_its_own(air: Air) -> None:
    await begin(air)
    for name in (THERE, HERE, THERE):
        await air.later(5)
        await air[name].tap(AMAL)
        await air.rest()
    said = [MoveRequest.from_bytes(data) for _, data in air.said if is_move_request(data)]
    taps, keys = {one.record for one in said}, {one.key for one in said}
    assert len(keys) == len(taps) == 5


def test_a_key_serves_one_tap_and_those_before_it_are_forgotten() -> None:
    reserve = Reserve()
    first, second = reserve.seal(), reserve.seal()  # two taps at once: one was ready
    reserve.refill()
    found = reserve.take(f'"seal":"{second}"'.encode())
    assert found is not None
    assert found.seal == second == sha256(found.spki)
    assert reserve.take(f'"seal":"{second}"'.encode()) is None
    assert reserve.take(f'"seal":"{first}"'.encode()) is None


# --- in an emergency -----------------------------------------------------------------------


async def in_emergency(air: Air, name: str) -> None:
    """By her card, while the journal there takes nothing: the reserve keeps it."""
    await without_journal(air[name])
    await air[name].tap(AMAL, Screen.OFFER)
    await take(air[name])
    await air.rest()


@pytest.fixture
async def resus(air: Air) -> Air:
    """The ward has break-glass, and Amal's work is on the glass at the first."""
    await air.publish(rights.policy(break_glass=glass(), **ALONE))
    await begin(air)
    return air


async def test_breaking_the_glass_here_closes_there_also_where_no_journal_takes_it(
    resus: Air,
) -> None:
    own = resus[HERE].workspace.shown
    await in_emergency(resus, THERE)
    assert who(resus[HERE]) is None
    assert (await resus[HERE].changes())[-1] == ("amal", "parked", "moved")
    assert active(resus[THERE].board.view)
    assert resus[THERE].workspace.notes == "", "an emergency is nobody's own work"
    told = resus[THERE].board.view.panels["moved"]
    assert told["words"] == words.KEPT.format(where=HERE)

    await resus[THERE].mend_disk()
    await resus.later(5)
    await resus[HERE].tap(AMAL)
    await resus.rest()
    assert (resus[HERE].workspace.shown, resus[HERE].workspace.notes) == (own, "bed 4: fluids")
    assert not active(resus[THERE].board.view)


async def test_both_journals_name_the_tap_that_no_journal_could_record(resus: Air) -> None:
    await in_emergency(resus, THERE)
    await resus[THERE].mend_disk()
    await resus.rest()
    (event,) = await opened(resus[THERE])
    assert event.proof is not None
    record = sha256(decode_base64(event.proof.event))
    for name in (HERE, THERE):
        moves = [e.detail for e in await resus[name].events()]
        named = [one.record for one in moves if isinstance(one, SessionMoved)]
        assert named[-1] == record


async def test_a_tap_elsewhere_parks_an_emergency_whose_journal_takes_nothing(resus: Air) -> None:
    await in_emergency(resus, THERE)
    await resus.later(5)
    mark = len(resus[THERE].board.views)
    await resus[HERE].tap(AMAL)
    await resus[THERE].until(lambda view: view.covered and view.screen is not Screen.CHECKING, mark)
    await resus.rest()
    assert resus[THERE].workspace.shown is None
    await resus[THERE].mend_disk()
    await resus.rest()
    assert ("amal", "parked", "moved") in await resus[THERE].changes()
    assert who(resus[HERE]) == "AM", "her later tap stands"


async def test_links_that_heal_leave_her_open_once_also_after_break_glass(resus: Air) -> None:
    resus.cut(THERE)
    await in_emergency(resus, THERE)
    assert who(resus[HERE]) == "AM"
    resus.heal(THERE)
    await resus.rest()
    assert who(resus[HERE]) is None
    assert active(resus[THERE].board.view)
