"""A shift at one screen: who is on it, whose work is kept, and what no input reaches."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contract.bedside import CardLeft
from contract.directory import Entitlement, Status
from contract.events import CardRecorded, Reason, TapTiming
from contract.ids import SessionId
from contract.policy import TapOut
from firmware_py.glass import words
from firmware_py.glass.commands import Cancelled, LockPressed, Received
from firmware_py.glass.view import Screen
from firmware_py.items import JournalForked
from firmware_py.sessions.port import WorkspaceFailed
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card
from hardware.virtual.faults import Hung, Torn
from hardware.virtual.sample import personalised
from tests.firmware.bench import Bench, rsa_card, staff
from tests.firmware.cards import OTHER_PLATE, PLATE, SLOT, BenchReaders

AMAL, BEA = personalised(), personalised()


def amal(**changes: Any) -> Entitlement:  # noqa: ANN401
    return staff("amal", "AM", AMAL, **changes)


def bea(**changes: Any) -> Entitlement:  # noqa: ANN401
    return staff("bea", "BE", BEA, **changes)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Bench(tmp_path / "state") as bench:
        yield bench


@pytest_asyncio.fixture
async def ward(bench: Bench) -> Bench:
    """Amal and Bea have proved their PINs; nobody's work is on the glass."""
    await bench.open_day(amal(), bea())
    await bench.sign_on(AMAL)
    await bench.sign_on(BEA)
    bench.clock.advance(10)
    await bench.tap(BEA, Screen.LOCKED)
    return bench


async def test_a_tap_opens_ones_own_work_and_the_card_signed_the_record(ward: Bench) -> None:
    mark, before = len(ward.board.views), len(await ward.events())
    opened = await ward.tap(AMAL)

    first, *_, last = ward.since(mark)
    assert (first.screen, first.covered, first.person) == (Screen.CHECKING, True, None)
    assert last == opened
    assert opened.person is not None
    assert (opened.person.name, opened.person.role) == ("Amal", "Nurse")
    assert not opened.covered
    assert opened.seen_ns == ward.clock.monotonic_ns()
    kinds = [event.detail.kind for event in (await ward.events())[before:]]
    assert kinds == ["card.record", "card.outcome", "session.changed"]
    assert (await ward.outcomes())[-1] == ("resumed", Reason.GRANTED)


async def test_a_warm_tap_is_three_exchanges_and_its_time_follows_the_screen(ward: Bench) -> None:
    await ward.tap(AMAL)
    assert "tap.timing" not in {e.detail.kind for e in (await ward.events())[-3:]}
    ward.do(Received(ward.board.seq))
    await ward.tap(AMAL)  # something after it, so that it has been taken
    timing = [e.detail for e in (await ward.events()) if isinstance(e.detail, TapTiming)][-1]
    record = [e for e in (await ward.events()) if isinstance(e.detail, CardRecorded)][-2]
    assert (timing.record, timing.exchanges) == (record.sequence, 3)


async def test_an_rsa_card_signs_on_too(bench: Bench) -> None:
    card = rsa_card()
    await bench.open_day(staff("rita", "RI", card))
    opened = await bench.sign_on(card)
    assert opened.person is not None
    assert opened.person.name == "Rita"


async def test_another_card_covers_at_once_and_parks_whoever_was_there(ward: Bench) -> None:
    await ward.tap(AMAL)
    mark = len(ward.board.views)
    opened = await ward.tap(BEA, reader=OTHER_PLATE)

    covered = ward.since(mark)[:-1]
    assert covered
    assert all(view.covered and view.person is None for view in covered)
    assert opened.person is not None
    assert opened.person.name == "Bea"
    assert [line.initials for line in opened.parked] == ["AM"]
    assert (await ward.changes())[-2:] == [
        ("amal", "parked", "tap-over"),
        ("bea", "resumed", "tap"),
    ]


async def test_the_same_card_within_three_seconds_is_still_you(ward: Bench) -> None:
    await ward.tap(AMAL)
    ward.clock.advance(2)
    still = await ward.tap(AMAL)
    assert still.words == words.STILL_YOU
    assert (await ward.outcomes())[-1] == ("still-you", Reason.GRANTED)


async def test_later_the_same_card_leaves_and_comes_back(ward: Bench) -> None:
    await ward.tap(AMAL)
    ward.clock.advance(60)
    left = await ward.tap(AMAL, Screen.LOCKED)
    assert (left.words, left.covered, left.person) == (words.PARKED, True, None)
    assert ward.workspace.shown is None
    back = await ward.tap(AMAL)
    assert back.person is not None
    assert [result for result, _ in (await ward.outcomes())[-2:]] == ["parked-by-tap", "resumed"]
    faded = ward.pass_time(60)
    ward.clock.advance(31)
    assert all(view.words != words.PARKED for view in ward.since(faded))


async def test_a_ward_may_want_a_tap_to_close(bench: Bench) -> None:
    await bench.open_day(amal(), tap_out=TapOut.CLOSE)
    await bench.sign_on(AMAL)
    bench.clock.advance(60)
    await bench.tap(AMAL, Screen.LOCKED)
    assert (await bench.outcomes())[-1] == ("closed-by-tap", Reason.GRANTED)


async def test_an_idle_screen_dims_warns_and_locks(ward: Bench) -> None:
    await ward.tap(AMAL)
    dimmed = await ward.until(lambda v: v.screen is Screen.DIMMED, ward.pass_time(121))
    assert dimmed.person is not None
    await ward.until(lambda v: v.screen is Screen.OPEN, ward.touch())
    await ward.until(lambda v: v.screen is Screen.DIMMED, ward.pass_time(121))
    await ward.until(lambda v: v.screen is Screen.WARNING, ward.pass_time(160))
    locked = await ward.until(lambda v: v.screen is Screen.LOCKED, ward.pass_time(25))
    assert (locked.person, locked.covered) == (None, True)
    assert ward.workspace.shown is None
    assert (await ward.changes())[-1] == ("amal", "locked", "idle")
    await ward.tap(AMAL)
    assert (await ward.changes())[-1] == ("amal", "unlocked", "tap")


async def test_a_tap_wakes_ones_own_dimmed_screen(ward: Bench) -> None:
    await ward.tap(AMAL)
    await ward.until(lambda v: v.screen is Screen.DIMMED, ward.pass_time(121))
    await ward.tap(AMAL)
    assert (await ward.outcomes())[-1] == ("woken", Reason.GRANTED)


async def test_the_lock_button_locks(ward: Bench) -> None:
    await ward.tap(AMAL)
    mark = len(ward.board.views)
    ward.do(LockPressed())
    await ward.until(lambda v: v.screen is Screen.LOCKED, mark)
    assert (await ward.changes())[-1] == ("amal", "locked", "button")


async def test_a_copied_guid_with_another_key_is_refused_beside_untouched_work(
    ward: Bench,
) -> None:
    await ward.tap(AMAL)
    refused = await ward.tap(BEA.clone_with_other_keys(), Screen.REFUSED)
    assert refused.words == "This card cannot be used here."
    assert refused.person is not None
    assert (refused.person.name, refused.covered) == ("Amal", False)
    assert (await ward.outcomes())[-1] == ("refused", Reason.CARD_KEY_WRONG)
    await ward.until(lambda v: v.screen is Screen.OPEN, ward.pass_time(5))
    assert (await ward.changes())[-1] == ("amal", "resumed", "tap")


async def test_a_copied_card_of_the_one_who_is_here_does_not_end_her_work(ward: Bench) -> None:
    await ward.tap(AMAL)
    ward.clock.advance(60)
    await ward.tap(AMAL.clone_with_other_keys(), Screen.REFUSED)
    assert ward.workspace.shown is not None


@pytest.mark.parametrize(
    ("card", "reason"), [(personalised(), Reason.CARD_UNKNOWN), (Card(), Reason.CARD_FOREIGN)]
)
async def test_strange_cards_are_refused_in_the_same_words(
    ward: Bench, card: Card, reason: Reason
) -> None:
    refused = await ward.tap(card, Screen.REFUSED)
    assert refused.words == "This card cannot be used here."
    assert refused.reference is not None
    assert (await ward.outcomes())[-1] == ("refused", reason)


async def test_something_that_is_no_card_is_refused(ward: Bench) -> None:
    mark = len(ward.board.views)
    ward.readers.put_mute(PLATE)
    await ward.until(lambda v: v.screen is Screen.REFUSED, mark)
    assert (await ward.outcomes())[-1] == ("refused", Reason.CARD_ERROR)


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_a_card_that_leaves_too_early_is_asked_to_stay(ward: Bench, after: int) -> None:
    torn = Behaviour(faults=(Torn(after),))
    refused = await ward.tap(AMAL, Screen.REFUSED, behaviour=torn)
    assert "still" in refused.words
    assert (await ward.outcomes())[-1] == ("refused", Reason.CARD_TORN)
    await ward.tap(AMAL)


async def test_a_hung_card_holds_up_nobody_at_the_other_reader(tmp_path: Path) -> None:
    async with Bench(tmp_path / "state", card_deadline_s=1.0) as bench:
        await bench.open_day(amal(), bea())
        await bench.sign_on(AMAL)
        await bench.sign_on(BEA)
        mark = len(bench.board.views)
        bench.readers.put(PLATE, BEA, Behaviour(faults=(Hung(3),)))
        await bench.until(lambda v: v.screen is Screen.CHECKING, mark)
        await bench.tap(AMAL, reader=OTHER_PLATE)
        assert Screen.REFUSED not in {view.screen for view in bench.since(mark)}
        bench.clock.advance(5)  # the glass is hers alone for a moment: see test_turn
        refused = await bench.until(lambda v: v.screen is Screen.REFUSED, mark)
        assert refused.person is not None
        assert (await bench.outcomes())[-1] == ("refused", Reason.CARD_HUNG)
        assert bench.alarms == ["card-hung"]
        bench.readers.take(PLATE)


async def test_if_the_journal_fails_nobody_is_signed_on(ward: Bench) -> None:
    await ward.tap(AMAL)
    mark = len(ward.board.views)
    await ward.fail_disk()
    locked = await ward.until(lambda v: v.person is None and v.covered, mark)
    assert locked.words == words.NOT_NOW
    assert ward.workspace.shown is None
    before = len(BEA.record.signatures)
    mark = len(ward.board.views)
    ward.readers.put(PLATE, BEA)
    ward.readers.take(PLATE)
    ward.clock.advance(10)

    mark = len(ward.board.views)
    await ward.mend_disk()
    await ward.until(lambda v: v.screen is Screen.LOCKED, mark)
    assert all(view.person is None for view in ward.since(mark))
    assert len(BEA.record.signatures) == before
    await ward.tap(BEA)
    assert ("amal", "locked", "fault") in (await ward.changes())


async def test_a_card_that_lay_there_at_the_start_is_no_tap(tmp_path: Path) -> None:
    async with Bench(tmp_path / "state") as bench:
        await bench.open_day(amal())
        await bench.sign_on(AMAL)
        clock, site = bench.clock, bench.site
    readers = BenchReaders(clock.monotonic_ns)
    readers.put(PLATE, AMAL)
    async with Bench(tmp_path / "state", site, clock, readers) as bench:
        await bench.until(lambda v: v.screen is Screen.LOCKED)
        assert not [e for e in (await bench.outcomes()) if e[0] == "resumed"]
        bench.readers.take(PLATE)
        await bench.tap(AMAL)


async def test_a_card_left_behind_is_noticed_and_opens_nothing(ward: Bench) -> None:
    ward.readers.put(SLOT, AMAL)
    await ward.until(lambda v: v.screen is Screen.OPEN, len(ward.board.views) - 1)
    left = await ward.until(lambda v: v.screen is Screen.NOTICE, ward.pass_time(61))
    assert left.words == words.TAKE_CARD
    assert [e.detail.state for e in await ward.events() if isinstance(e.detail, CardLeft)] == [
        "announced"
    ]
    await ward.until(lambda v: v.screen is Screen.LOCKED, ward.pass_time(240))
    ward.clock.advance(600)
    assert ward.workspace.shown is None
    ward.readers.take(SLOT)


async def test_a_lost_card_locks_the_work_it_opened(ward: Bench) -> None:
    await ward.tap(AMAL)
    mark = len(ward.board.views)
    await ward.publish(amal(status=Status.LOST))
    await ward.until(lambda v: v.screen is Screen.LOCKED, mark)
    assert (await ward.changes())[-1] == ("amal", "locked", "revoked")
    await ward.tap(AMAL, Screen.REFUSED)
    assert (await ward.outcomes())[-1] == ("refused", Reason.LOST)


async def test_a_suspended_card_may_still_leave(ward: Bench) -> None:
    await ward.tap(AMAL)
    await ward.publish(amal(status=Status.SUSPENDED))
    ward.clock.advance(60)
    await ward.tap(AMAL, Screen.LOCKED)
    await ward.tap(AMAL, Screen.REFUSED)
    assert (await ward.outcomes())[-2:] == [
        ("parked-by-tap", Reason.GRANTED),
        ("refused", Reason.SUSPENDED),
    ]


async def test_a_workspace_that_fails_ends_locked(ward: Bench) -> None:
    def fail(session: SessionId, ready: Callable[[], None]) -> None:
        raise WorkspaceFailed("no window")

    show, ward.workspace.show = ward.workspace.show, fail  # type: ignore[method-assign]
    await ward.tap(AMAL, Screen.LOCKED)
    assert ward.workspace.shown is None
    assert (await ward.changes())[-1] == ("amal", "locked", "fault")
    ward.workspace.show = show  # type: ignore[method-assign]
    await ward.tap(AMAL)


async def test_a_fork_is_answered_between_two_taps(ward: Bench) -> None:
    begun = asyncio.Event()

    def begin_anew() -> None:
        ward.journal.begin_anew("0.1.0")
        begun.set()

    ward.terminal.outage.begin_anew = begin_anew
    await ward.tap(AMAL)
    ward.post(JournalForked())
    async with asyncio.timeout(5):
        await begun.wait()
    asked = await ward.tap(BEA, Screen.NOTICE)  # the old journal's PIN proves nothing in this one
    assert asked.words == words.SLOT_ONCE


async def test_after_a_restart_sessions_are_closed_and_grace_is_remembered(
    tmp_path: Path,
) -> None:
    first = Bench(tmp_path / "state")
    async with first:
        await first.open_day(amal(), bea())
        await first.sign_on(AMAL)
        await first.sign_on(BEA)
        await first.events()
        shutil.copytree(tmp_path / "state", tmp_path / "killed")  # the disk, as a kill leaves it
    async with Bench(tmp_path / "killed", first.site, first.clock) as second:
        assert ("amal", "closed", "restart") in (await second.changes())
        second.confirm()
        await second.until(lambda v: v.screen is Screen.LOCKED)
        await second.tap(AMAL)  # no PIN is asked
        assert (await second.outcomes())[-1] == ("opened", Reason.GRANTED)


async def test_a_screen_without_readers_or_directory_says_what_it_waits_for(
    bench: Bench,
) -> None:
    waiting = await bench.until(lambda v: v.screen is Screen.WAITING)
    assert set(waiting.around.waits_for) == {"broker", "directory"}
    await bench.open_day(amal())
    mark = len(bench.board.views)
    bench.readers.lose_service()
    waiting = await bench.until(lambda v: "pcscd" in v.around.waits_for, mark)
    assert waiting.screen is Screen.WAITING
    mark = len(bench.board.views)
    bench.readers.restore_service()
    await bench.until(lambda v: v.screen is Screen.LOCKED, mark)


async def test_a_pad_that_is_left_ends_locked(bench: Bench) -> None:
    await bench.open_day(amal(), bea())
    await bench.sign_on(AMAL)
    mark = len(bench.board.views)
    bench.readers.put(SLOT, BEA)
    pad = await bench.until(lambda v: v.screen is Screen.PIN, mark)
    assert (pad.person, pad.covered) == (None, True)
    mark = len(bench.board.views)
    bench.do(Cancelled())
    await bench.until(lambda v: v.screen is Screen.LOCKED, mark)
    bench.readers.take(SLOT)
    assert (await bench.outcomes())[-1] == ("refused", Reason.PIN_ABANDONED)
    assert (await bench.changes())[-1] == ("amal", "parked", "tap-over")
