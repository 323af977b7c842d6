"""Break-glass is blocked by no journal, no directory and no gateway, and somebody hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from contract.directory import Name, Status
from contract.emergency import Emergency, Kept
from contract.events import AlarmCode
from contract.policy import BreakGlassState
from contract.signing import Envelope, VerifyKey
from firmware_py.emergency import words
from firmware_py.glass.view import NAMELESS, Screen
from firmware_py.items import JournalBack
from firmware_py.site.link import LinkChanged
from runtime.supervisor import State
from tests.firmware import rights
from tests.firmware.bench import DEADLINE_S, Bench
from tests.firmware.emergency_ward import (
    AMAL,
    HOURS_S,
    RESUS,
    active,
    amal,
    bea,
    emptied,
    glass,
    in_reserve,
    kept_policy,
    opened,
    take,
    without_journal,
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


def batch_key() -> VerifyKey:
    return rights.batch_key_of(rights.TERMINAL).public


# --- the journal takes nothing -----------------------------------------------------------


async def test_a_full_journal_blocks_nobody_and_the_reserve_takes_it(ward: Bench) -> None:
    await without_journal(ward)
    await ward.tap(AMAL, Screen.OFFER)
    view = await take(ward)
    assert view.person is not None
    assert view.person.name == "Amal"
    assert view.panels["breakglass"]["unrecorded"] is False
    assert in_reserve(ward) == ["amal"]

    await ward.mend_disk()
    await ward.rest()
    (event,) = await opened(ward)
    assert (event.holder, event.kept, event.record) == ("amal", Kept.RESERVE, None)
    assert event.proof is not None
    assert ("amal", "opened", "break-glass") in await ward.changes()
    await emptied(ward)


async def test_without_reserve_the_gateway_keeps_it_if_the_link_is_up(ward: Bench) -> None:
    (ward.journal_path.parent / "journal.reserve").unlink()
    ward.told = []
    await without_journal(ward)
    await ward.tap(AMAL, Screen.OFFER)
    view = await take(ward)
    assert view.panels["breakglass"]["unrecorded"] is False
    told = [Emergency.open(Envelope.from_bytes(one), batch_key()) for one in ward.told]
    assert [(one.opened.holder, one.opened.kept) for one in told] == [("amal", Kept.GATEWAY)]
    await ward.mend_disk()
    await ward.rest()
    assert [one.kept for one in await opened(ward)] == [Kept.GATEWAY]


async def test_where_nothing_takes_it_the_glass_says_so_until_the_journal_is_back(
    ward: Bench,
) -> None:
    (ward.journal_path.parent / "journal.reserve").unlink()
    ward.post(LinkChanged(State.WAITING, ""))
    await without_journal(ward)
    await ward.tap(AMAL, Screen.OFFER)
    view = await take(ward)
    assert view.panels["breakglass"]["unrecorded"] is True
    assert view.panels["breakglass"]["words"] == words.UNRECORDED
    assert AlarmCode.NOT_RECORDED in ward.alarms
    counts = ward.terminal.signon.outcomes.counts
    assert (counts.break_glass, counts.unrecorded) == (1, 1)

    mark = len(ward.board.views)
    await ward.mend_disk()
    await ward.until(
        lambda view: active(view) and not view.panels["breakglass"]["unrecorded"], mark
    )
    (event,) = await opened(ward)
    assert event.kept is Kept.LATER
    assert counts.unrecorded == 0


async def test_the_disk_that_fills_up_under_the_gesture_does_not_stop_it(ward: Bench) -> None:
    ward.clock.advance(5 * HOURS_S)
    await ward.tap(AMAL, Screen.OFFER)
    await ward.rest()
    await ward.fail_disk()
    view = await take(ward)
    assert view.person is not None
    assert view.person.name == "Amal"
    assert in_reserve(ward) == ["amal"]


async def test_a_disk_that_fails_again_and_again_does_not_lock_the_emergency(ward: Bench) -> None:
    await without_journal(ward)
    await ward.tap(AMAL, Screen.OFFER)
    await take(ward)
    shown = ward.workspace.shown
    for _ in range(3):
        await ward.journal.reopen()
        await ward.fail_disk()
        await ward.rest()
        assert ward.workspace.shown == shown
        assert active(ward.board.view)


@pytest.mark.parametrize("before", [True, False])
async def test_what_the_journal_is_owed_is_written_once_however_often_it_fails(
    ward: Bench,
    before: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    await without_journal(ward)
    await ward.tap(AMAL, Screen.OFFER)
    await take(ward)
    for _ in range(3):
        await ward.journal.reopen()
        if before:  # the word that it is back comes to a disk that has failed again
            await ward.fail_disk()
            ward.post(JournalBack())
        else:
            ward.post(JournalBack())
            await ward.fail_disk()
        await ward.rest()
    await ward.mend_disk()
    await ward.rest()
    assert len(await opened(ward)) == 1
    assert (await ward.changes()).count(("amal", "opened", "break-glass")) == 1


async def test_a_journal_that_is_back_before_the_reserve_has_answered_gets_all_of_it(
    ward: Bench,
) -> None:
    await without_journal(ward)
    await ward.tap(AMAL, Screen.OFFER)
    await ward.rest()
    ward.do(RESUS)
    await ward.mend_disk()
    await ward.until(active)
    await ward.rest()
    assert len(await opened(ward)) == 1
    assert (await ward.changes()).count(("amal", "opened", "break-glass")) == 1


async def test_what_is_open_by_ordinary_rights_is_locked_all_the_same(ward: Bench) -> None:
    await ward.sign_on(AMAL)
    await without_journal(ward)
    assert ward.workspace.shown is None


async def test_while_no_journal_takes_anything_it_can_be_locked_and_ends(ward: Bench) -> None:
    await ward.publish(
        rights.policy(break_glass=glass(limit_s=60), idle_dim_s=900, idle_lock_s=1800)
    )
    await without_journal(ward)
    await ward.tap(AMAL, Screen.OFFER)
    await take(ward)
    mark = ward.pass_time(61)
    await ward.until(lambda view: not active(view) and view.screen is not Screen.CHECKING, mark)
    assert ward.workspace.shown is None
    await ward.mend_disk()
    await ward.rest()
    assert ("amal", "closed", "limit") in await ward.changes()


@pytest.mark.parametrize("status", [Status.LOST, Status.REVOKED])
async def test_a_lost_card_opens_nothing_also_without_a_journal(
    bench: Bench, status: Status
) -> None:
    await bench.open_day(amal(status=status), break_glass=glass())
    await without_journal(bench)
    await bench.tap(AMAL, Screen.REFUSED)
    bench.do(RESUS)
    await bench.rest()
    assert in_reserve(bench) == []
    assert not any(active(view) for view in bench.board.views)


async def test_a_daemon_that_died_meanwhile_finds_it_in_the_reserve(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with Bench(folder) as first:
        await first.open_day(amal(), break_glass=glass())
        await without_journal(first)
        await first.tap(AMAL, Screen.OFFER)
        await take(first)
        clock = first.clock
    async with Bench(folder, clock=clock) as second:
        await second.rest()
        await emptied(second)
        assert [(one.holder, one.kept) for one in await opened(second)] == [("amal", Kept.RESERVE)]
    async with Bench(folder, clock=clock) as third:
        await third.rest()
        assert len(await opened(third)) == 1


# --- the directory is gone ---------------------------------------------------------------


async def test_a_wards_break_glass_outlives_a_directory_that_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with Bench(folder) as first:
        await first.open_day(amal(), break_glass=glass())
        await kept_policy(folder)
        clock = first.clock
    (folder / "directory.sqlite").unlink()
    async with Bench(folder, clock=clock) as second:
        await second.until(lambda view: view.screen is Screen.WAITING)
        await second.tap(AMAL, Screen.OFFER)
        view = await take(second)
        assert view.person is not None
        assert view.person.name == words.NOT_IDENTIFIED
        (event,) = await opened(second)
        assert (event.state, event.holder) == (BreakGlassState.NO_DIRECTORY, None)


# --- who is told -------------------------------------------------------------------------


async def test_the_gateway_is_told_as_soon_as_it_answers_and_by_the_terminals_key(
    ward: Bench,
) -> None:
    ward.clock.advance(5 * HOURS_S)
    await ward.tap(AMAL, Screen.OFFER)
    await take(ward)
    ward.told = []
    for _ in range(3):
        ward.clock.advance(5)
        await ward.rest()
    async with asyncio.timeout(DEADLINE_S):
        while not ward.told:
            ward.clock.advance(5)
            await asyncio.sleep(0.01)
    said = Emergency.open(Envelope.from_bytes(ward.told[0]), batch_key())
    (event,) = await opened(ward)
    assert said.opened == event
    assert (said.terminal, said.ward) == (rights.TERMINAL, rights.WARD)


async def test_nothing_of_it_stands_on_a_screen_that_names_nobody(ward: Bench) -> None:
    await ward.publish(amal(name=Name(full="Secret Person", short="Secret", initials="SP")))
    ward.clock.advance(5 * HOURS_S)
    mark = len(ward.board.views)
    await ward.tap(AMAL, Screen.OFFER)
    for view in ward.since(mark):
        if view.screen in NAMELESS:
            assert "Secret" not in str(view.panels)
            assert "SP" not in str(view.panels)
