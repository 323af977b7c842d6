"""Downtime: declared by two people, the same gesture, renewed, and over (DESIGN §5)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contract.directory import Status
from contract.emergency import DowntimeEnded, DowntimeTerms
from contract.events import CardOutcome, CardRecorded, Reason, SessionChanged
from contract.signing import sha256
from contract.tap import DowntimeRecord
from contract.wire import decode_base64
from firmware_py.emergency import words
from firmware_py.emergency.commands import DowntimeOver, DowntimeWanted
from firmware_py.glass.commands import Cancelled, PinEntered
from firmware_py.glass.view import Screen
from hardware.piv import Pin
from hardware.virtual.sample import personalised
from tests.firmware import rights
from tests.firmware.bench import PIN, Bench, staff
from tests.firmware.cards import PLATE, SLOT
from tests.firmware.downtime_ward import (
    AMAL,
    DOWNTIME,
    ELENA,
    FFION,
    HOURS_S,
    card_and_pin,
    cut_off,
    declare,
    declared,
    ended,
    lead,
    state,
)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Bench(tmp_path / "state") as bench:
        yield bench


@pytest_asyncio.fixture
async def ward(bench: Bench) -> Bench:
    """Past the offline limit. Amal works on the ward; Elena and Ffion are in charge of it."""
    await cut_off(bench)
    return bench


async def test_two_people_with_card_and_pin_declare_it_each_under_the_same_terms(
    ward: Bench,
) -> None:
    await declare(ward, ELENA, FFION)
    view = await ward.until(state("on"))
    assert view.panels["downtime"]["by"] == ["EL", "FF"]
    assert view.panels["downtime"]["left_s"] == 2 * HOURS_S

    (event,) = await declared(ward)
    assert [one.holder for one in event.by] == ["elena", "ffion"]
    assert event.terms is not None
    line = decode_base64(event.terms)
    terms = DowntimeTerms.from_bytes(line)
    assert (terms.ward, terms.off, terms.limit_s) == (rights.WARD, ("R0270",), 2 * HOURS_S)
    events = {one.sequence: one.detail for one in await ward.events()}
    for declarer in event.by:
        recorded = events[declarer.record]
        assert isinstance(recorded, CardRecorded)
        assert isinstance(recorded.record, DowntimeRecord)
        assert recorded.record.terms == sha256(line)
        assert recorded.record.text == sha256(terms.words().encode())
        (outcome,) = (
            one
            for one in events.values()
            if isinstance(one, CardOutcome) and one.record == declarer.record
        )
        assert (outcome.result, outcome.holder) == ("proved", declarer.holder)
        assert outcome.signature is not None
    assert ward.terminal.signon.outcomes.counts.downtimes == 1
    assert ward.terminal.signon.outcomes.counts.break_glass == 0


async def test_the_text_that_is_signed_is_the_text_that_is_shown(ward: Bench) -> None:
    ward.do(DowntimeWanted())
    asked = await ward.until(state("declaring", "card"))
    assert not asked.panels["downtime"]["ends"], "the sheet says that two people sign"
    ward.readers.put(SLOT, ELENA)
    view = await ward.until(state("declaring", "pin"))
    text = str(view.panels["downtime"]["text"])
    assert text in str(view.panels["downtime"]["words"])
    assert "R0270" in text
    ward.readers.take(SLOT)


async def test_then_the_same_gesture_signs_on_and_sessions_say_so(ward: Bench) -> None:
    await ward.tap(AMAL, Screen.REFUSED)
    await declare(ward, ELENA, FFION)
    opened = await ward.sign_on(AMAL)
    assert opened.person is not None
    assert opened.person.name == "Amal"
    changed = [e.detail for e in await ward.events() if isinstance(e.detail, SessionChanged)][-1]
    assert (changed.holder, changed.change, changed.ground) == ("amal", "opened", "downtime")


async def test_who_was_proven_before_keeps_her_shift(bench: Bench) -> None:
    await bench.open_day(
        staff("amal", "AM", AMAL),
        lead("elena", "EL", ELENA),
        lead("ffion", "FF", FFION),
        downtime=DOWNTIME,
        grace_s=12 * HOURS_S,
        offline_limit_s=60,
        idle_dim_s=900,
        idle_lock_s=1800,
    )
    await bench.sign_on(AMAL)
    before = bench.workspace.shown
    bench.clock.advance(120)
    await bench.until(state("offered"))
    assert bench.board.view.screen is Screen.OPEN  # nobody ends what is open
    await declare(bench, ELENA, FFION)
    assert bench.workspace.shown == before
    await bench.tap(AMAL, Screen.LOCKED)
    opened = await bench.tap(AMAL)  # by her tap alone
    assert opened.person is not None
    assert bench.workspace.shown == before


async def test_the_widest_rights_are_off(ward: Bench) -> None:
    gwen = personalised()
    await ward.publish(
        staff("gwen", "GW", gwen, positions=(rights.position("site-manager", "R0270"),))
    )
    ward.clock.advance(5 * HOURS_S)
    await declare(ward, ELENA, FFION)
    await ward.tap(gwen, Screen.REFUSED)
    assert (await ward.outcomes())[-1] == ("refused", "role-not-allowed")


# --- by whom not ----------------------------------------------------------------------------


async def test_one_person_is_not_two(ward: Bench) -> None:
    second = personalised()
    await ward.publish(lead("elena", "EL", second))
    ward.clock.advance(5 * HOURS_S)
    await declare(ward, ELENA)
    for card in (ELENA, second):
        refused = await ward.tap(card, Screen.REFUSED, reader=SLOT)
        assert refused.panels["downtime"]["words"] == words.ANOTHER_PERSON
        assert (await ward.outcomes())[-1] == ("refused", Reason.SAME_PERSON)
    await ward.rest()
    assert await declared(ward) == []
    assert ward.board.view.panels["downtime"]["state"] == "declaring"


@pytest.mark.parametrize(
    "changes",
    [
        {"status": Status.LOST},
        {"status": Status.SUSPENDED},
        {"not_after_ms": rights.NOW_MS},
        {"positions": (rights.position(),)},
        {"positions": (rights.position("theatre-lead", "R8001L", areas=["theatre"]),)},
    ],
)
async def test_whom_the_policy_does_not_name_declares_nothing(
    ward: Bench, changes: dict[str, Any]
) -> None:
    await ward.publish(lead("elena", "EL", ELENA, **changes))
    ward.clock.advance(5 * HOURS_S)
    await declare(ward)
    await ward.tap(ELENA, Screen.REFUSED, reader=SLOT)
    assert ward.board.view.panels["downtime"]["step"] == "card"
    assert await declared(ward) == []


async def test_a_copied_card_declares_nothing(ward: Bench) -> None:
    await declare(ward)
    await ward.tap(ELENA.clone_with_other_keys(), Screen.REFUSED, reader=SLOT)
    assert ward.board.view.panels["downtime"]["step"] == "card"


async def test_a_wrong_pin_declares_nothing_and_the_right_one_still_does(ward: Bench) -> None:
    await declare(ward)
    ward.readers.put(SLOT, ELENA)
    await ward.until(state("declaring", "pin"))
    ward.do(PinEntered(Pin("000000")))
    view = await ward.until(lambda view: view.panels.get("downtime", {}).get("attempts") == 2)
    assert view.panels["downtime"]["step"] == "pin"
    mark = len(ward.board.views)
    ward.do(PinEntered(Pin(PIN)))
    await ward.until(state("declaring", "card"), mark)
    ward.readers.take(SLOT)
    await card_and_pin(ward, FFION)
    await ward.until(state("on"))


async def test_within_the_limit_nobody_can_declare_it(bench: Bench) -> None:
    await bench.open_day(lead("elena", "EL", ELENA), downtime=DOWNTIME)
    bench.do(DowntimeWanted())
    await bench.rest()
    assert not any("downtime" in view.panels for view in bench.board.views)


async def test_on_a_ward_that_has_none_nobody_can_declare_it(bench: Bench) -> None:
    await bench.open_day(lead("elena", "EL", ELENA))
    bench.clock.advance(5 * HOURS_S)
    bench.do(DowntimeWanted())
    await bench.rest()
    assert not any("downtime" in view.panels for view in bench.board.views)


@pytest.mark.parametrize("left", [True, False])
async def test_begun_and_left_it_is_nothing(
    ward: Bench,
    left: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    await declare(ward, ELENA)
    if left:
        ward.clock.advance(121)
    else:
        ward.do(Cancelled())
    await ward.until(state("offered"), len(ward.board.views) - 1)
    await ward.tap(FFION, Screen.REFUSED)
    assert await declared(ward) == []


# --- until when -----------------------------------------------------------------------------


async def test_it_ends_when_rights_are_known_again(ward: Bench) -> None:
    await declare(ward, ELENA, FFION)
    await ward.sign_on(AMAL)
    mark = len(ward.board.views)
    ward.confirm()
    ward.clock.advance(1)
    over = await ward.until(lambda view: view.words == words.DOWNTIME_OVER, mark)
    assert "downtime" not in over.panels
    assert (over.covered, ward.workspace.shown) == (True, None)
    assert await ended(ward) == ["gateway"]
    back = await ward.tap(AMAL)  # her own work, by her own rights
    assert back.person is not None


async def test_it_lapses_unless_it_is_renewed(ward: Bench) -> None:
    await declare(ward, ELENA, FFION)
    ward.clock.advance(HOURS_S)
    await declare(ward, FFION, ELENA)
    ward.clock.advance(1.5 * HOURS_S)
    await ward.rest()
    assert await ended(ward) == []
    mark = ward.pass_time(HOURS_S)
    await ward.until(state("offered"), mark)
    assert await ended(ward) == ["lapsed"]
    await ward.tap(AMAL, Screen.REFUSED)
    assert (await ward.outcomes())[-1] == ("refused", "directory-stale")


async def test_one_of_them_declares_that_it_is_over(ward: Bench) -> None:
    await declare(ward, ELENA, FFION)
    mark = len(ward.board.views)
    ward.do(DowntimeOver())
    asked = await ward.until(state("declaring", "card"), mark)
    assert asked.panels["downtime"]["ends"], "the sheet says that one person signs"
    await card_and_pin(ward, ELENA)
    await ward.until(state("offered"), mark)
    assert await ended(ward) == ["declared"]


async def test_nobody_ends_it_with_a_touch(ward: Bench) -> None:
    await declare(ward, ELENA, FFION)
    ward.do(DowntimeOver())
    await ward.rest()
    await ward.tap(AMAL, Screen.REFUSED, reader=PLATE)
    assert await ended(ward) == []
    assert ward.terminal.signon.downtime is not None


async def test_it_outlasts_a_restart_of_the_daemon_and_not_one_of_the_machine(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "state"
    async with Bench(folder) as first:
        await first.open_day(
            lead("elena", "EL", ELENA), lead("ffion", "FF", FFION), downtime=DOWNTIME
        )
        first.clock.advance(5 * HOURS_S)
        await first.until(state("offered"))
        await declare(first, ELENA, FFION)
        clock = first.clock
    async with Bench(folder, clock=clock) as again:
        await again.until(state("on"))
        clock.reboot()
    async with Bench(folder, clock=clock) as booted:
        await booted.until(lambda view: view.screen is not Screen.STARTING)
        await booted.rest()
        assert not any(state("on")(view) for view in booted.board.views)


async def test_what_one_of_them_declared_over_is_not_on_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with Bench(folder) as first:
        await cut_off(first)
        await declare(first, ELENA, FFION)
        await declare(first, FFION, ELENA)  # renewed
        mark = len(first.board.views)
        first.do(DowntimeOver())
        await first.until(state("declaring", "card"), mark)
        await card_and_pin(first, ELENA)
        await first.rest()
        clock = first.clock
    async with Bench(folder, clock=clock) as again:
        await again.rest()
        assert again.terminal.signon.downtime is None
        (gone,) = [e.detail for e in await again.events() if isinstance(e.detail, DowntimeEnded)]
        assert gone.terms is not None
        terms = DowntimeTerms.from_bytes(decode_base64(gone.terms))
        assert terms.ends
        assert gone.by is not None
        records = {one.sequence: one.detail for one in await again.events()}
        recorded = records[gone.by.record]
        assert isinstance(recorded, CardRecorded)
        assert isinstance(recorded.record, DowntimeRecord)
        assert recorded.record.terms == sha256(decode_base64(gone.terms))
