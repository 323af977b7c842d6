"""The session machine, told as what happens at a shared screen."""

from __future__ import annotations

import pytest

from contract.events import (
    Cause,
    OutcomeResult,
    SessionChange,
)
from contract.policy import TapOut
from firmware_py.sessions.machine import (
    Activity,
    Cancelled,
    Glass,
    IllegalEvent,
    LockPressed,
    Mode,
    OwnTap,
    Sessions,
    due_ms,
)
from tests.firmware.rights import policy
from tests.firmware.screen import ALICE, BOB, CAROL, ROOM, Screen, changes

# ---- tap in, tap over, tap out -------------------------------------------------------------


def test_a_granted_tap_opens() -> None:
    screen = Screen()
    opened = screen.granted(ALICE)
    assert opened.result is OutcomeResult.OPENED
    assert changes(opened) == [("alice", SessionChange.OPENED, Cause.TAP)]
    assert (screen.who, screen.state.mode) == ("alice", Mode.OPEN)


def test_another_card_parks_the_present_work_and_opens_the_newcomers() -> None:
    screen = Screen()
    screen.granted(ALICE)
    over = screen.after(60).granted(BOB)
    assert over.effects[0] is Glass.COVER
    assert changes(over) == [
        ("alice", SessionChange.PARKED, Cause.TAP_OVER),
        ("bob", SessionChange.OPENED, Cause.TAP),
    ]
    assert (screen.who, screen.parked) == ("bob", ["alice"])


def test_back_again_is_the_same_session() -> None:
    screen = Screen()
    first = screen.granted(ALICE)
    screen.after(60).granted(BOB)
    back = screen.after(60).granted(ALICE)
    assert back.result is OutcomeResult.RESUMED
    assert back.session == first.session
    assert (screen.who, screen.parked) == ("alice", ["bob"])


def test_another_position_of_the_same_person_is_another_session() -> None:
    screen = Screen()
    screen.granted(ALICE, "nurse")
    screen.after(10).see(LockPressed())
    other = screen.granted(ALICE, "site-manager")
    assert other.result is OutcomeResult.OPENED
    assert changes(other)[0] == ("alice", SessionChange.PARKED, Cause.TAP)
    assert screen.state.preferred(ALICE) == "site-manager"


@pytest.mark.parametrize("seconds", [0, 2.9, 3])
def test_the_same_card_within_three_seconds_is_still_you(seconds: float) -> None:
    screen = Screen()
    screen.granted(ALICE)
    still = screen.after(seconds).see(OwnTap(ALICE))
    assert (still.result, still.effects) == (OutcomeResult.STILL_YOU, ())
    assert screen.who == "alice"


@pytest.mark.parametrize("idle", [1, 200])
def test_a_card_out_of_use_may_leave_but_neither_stays_nor_wakes(idle: int) -> None:
    screen = Screen()
    screen.granted(ALICE)
    gone = screen.after(idle).see(OwnTap(ALICE, may_stay=False))
    assert gone.result is OutcomeResult.PARKED_BY_TAP
    assert (screen.who, screen.parked) == (None, ["alice"])


def test_the_same_card_later_parks_and_offers_to_return_for_half_a_minute() -> None:
    screen = Screen()
    opened = screen.granted(ALICE)
    out = screen.after(3.001).see(OwnTap(ALICE))
    assert out.result is OutcomeResult.PARKED_BY_TAP
    assert out.effects[0] is Glass.COVER
    assert changes(out) == [("alice", SessionChange.PARKED, Cause.TAP_OUT)]
    assert opened.session
    assert screen.state.returning is not None
    assert screen.state.returning.session == opened.session.id
    assert due_ms(screen.state, screen.policy) == screen.now_ms + 30_000
    faded = screen.passes(30)
    assert faded.effects == (Glass.CLEAR,)
    assert screen.parked == ["alice"]
    assert screen.granted(ALICE).result is OutcomeResult.RESUMED


def test_a_ward_may_have_the_second_tap_close() -> None:
    screen = Screen(tap_out=TapOut.CLOSE)
    screen.granted(ALICE)
    out = screen.after(60).see(OwnTap(ALICE))
    assert out.result is OutcomeResult.CLOSED_BY_TAP
    assert changes(out) == [("alice", SessionChange.CLOSED, Cause.TAP_OUT)]
    assert screen.parked == []


def test_nobody_taps_another_person_out() -> None:
    screen = Screen()
    screen.granted(ALICE)
    with pytest.raises(IllegalEvent):
        screen.after(60).see(OwnTap(BOB))
    assert screen.who == "alice"


# ---- idleness ------------------------------------------------------------------------------


def test_idleness_dims_warns_and_locks() -> None:
    screen = Screen(idle_dim_s=120, idle_lock_s=300)
    screen.granted(ALICE)
    assert screen.passes(119.9).effects == ()
    assert screen.passes(0.1).effects == (Glass.DIM,)
    assert screen.passes(159.9).effects == ()
    assert screen.passes(0.1).effects == (Glass.WARN,)
    locked = screen.passes(20)
    assert locked.effects[0] is Glass.COVER
    assert changes(locked) == [("alice", SessionChange.LOCKED, Cause.IDLE)]
    assert (screen.state.mode, screen.who) == (Mode.LOCKED, None)


def test_any_input_wakes_and_cancels_the_warning() -> None:
    for idle_s in (130, 290):
        screen = Screen()
        screen.granted(ALICE)
        screen.passes(idle_s)
        assert screen.see(Activity()).effects == (Glass.WAKE,)
        assert screen.passes(119).effects == ()
        assert screen.state.mode is Mode.OPEN


@pytest.mark.parametrize("idle_s", [130, 290])
def test_the_same_card_on_a_faded_screen_wakes_it(idle_s: float) -> None:
    screen = Screen()
    screen.granted(ALICE)
    screen.passes(idle_s)
    woken = screen.see(OwnTap(ALICE))
    assert (woken.result, woken.effects) == (OutcomeResult.WOKEN, (Glass.WAKE,))
    # A card that bounces on the reader does not tap her out again.
    assert screen.after(1).see(OwnTap(ALICE)).result is OutcomeResult.STILL_YOU


def test_a_lock_shorter_than_the_dimming_still_warns() -> None:
    screen = Screen(idle_dim_s=1000, idle_lock_s=10)
    screen.granted(ALICE)
    assert screen.passes(5).effects == (Glass.WARN,)
    assert changes(screen.passes(5)) == [("alice", SessionChange.LOCKED, Cause.IDLE)]


def test_the_owner_unlocks_and_somebody_else_takes_over() -> None:
    screen = Screen()
    first = screen.granted(ALICE)
    screen.after(60).see(LockPressed())
    unlocked = screen.granted(ALICE)
    assert changes(unlocked) == [("alice", SessionChange.UNLOCKED, Cause.TAP)]
    assert (unlocked.result, unlocked.session) == (OutcomeResult.RESUMED, first.session)
    screen.after(60).see(LockPressed())
    over = screen.granted(BOB)
    assert changes(over)[0] == ("alice", SessionChange.PARKED, Cause.TAP_OVER)
    assert (screen.who, screen.parked) == ("bob", ["alice"])


def test_input_on_a_locked_screen_reaches_nobody() -> None:
    screen = Screen()
    screen.granted(ALICE)
    screen.see(LockPressed())
    assert screen.see(Activity()).effects == ()
    assert screen.state.mode is Mode.LOCKED


# ---- the pad -------------------------------------------------------------------------------


def test_a_newcomer_who_owes_a_pin_covers_and_parks_the_present_work() -> None:
    screen = Screen()
    screen.granted(ALICE)
    asked = screen.after(60).owing(BOB)
    assert asked.result is OutcomeResult.ASKED
    assert asked.effects[0] is Glass.COVER
    assert changes(asked) == [("alice", SessionChange.PARKED, Cause.TAP_OVER)]
    assert (screen.who, screen.state.mode) == (None, Mode.ASKING)


def test_an_abandoned_pad_ends_locked_with_the_work_kept() -> None:
    screen = Screen(pin_pad_s=45)
    screen.granted(ALICE)
    screen.after(60).owing(BOB)
    screen.passes(44.9)
    assert screen.state.mode is Mode.ASKING
    screen.passes(0.1)
    assert (screen.state.mode, screen.who, screen.parked) == (Mode.WAITING, None, ["alice"])
    assert screen.granted(ALICE).result is OutcomeResult.RESUMED


def test_typing_keeps_the_pad() -> None:
    screen = Screen(pin_pad_s=45)
    screen.owing(BOB)
    screen.after(40).see(Activity())
    screen.passes(44)
    assert screen.state.mode is Mode.ASKING


def test_a_pin_given_opens_and_a_cancelled_pad_does_not() -> None:
    screen = Screen()
    screen.owing(BOB)
    screen.see(Cancelled())
    assert screen.state.mode is Mode.WAITING
    screen.owing(BOB)
    assert screen.granted(BOB).result is OutcomeResult.OPENED
    assert screen.state.asked is None


def test_a_third_card_at_the_pad_is_asked_instead() -> None:
    screen = Screen()
    screen.owing(BOB)
    screen.owing(CAROL)
    assert screen.state.asked is not None
    assert screen.state.asked.holder == CAROL


def test_somebody_elses_pad_never_costs_anybody_their_work() -> None:
    screen = Screen(parked_max=0)
    screen.granted(ALICE)
    screen.after(60).owing(BOB)
    screen.see(Cancelled())
    assert screen.granted(ALICE).result is OutcomeResult.RESUMED


# ---- bounds -------------------------------------------------------------------------------


def test_the_work_parked_longest_gives_way_when_the_ward_has_no_more_room() -> None:
    screen = Screen(parked_max=1)
    for holder in (ALICE, BOB):
        screen.after(60).granted(holder)
    third = screen.after(60).granted(CAROL)
    assert ("alice", SessionChange.CLOSED, Cause.EVICTED) in changes(third)
    assert (screen.who, screen.parked) == ("carol", ["bob"])


def test_work_parked_too_long_is_closed() -> None:
    screen = Screen(parked_age_s=3600)
    screen.granted(ALICE)
    screen.after(60).granted(BOB)
    assert changes(screen.passes(3599)) == [("bob", SessionChange.LOCKED, Cause.IDLE)]
    assert changes(screen.passes(1)) == [("alice", SessionChange.CLOSED, Cause.AGED)]
    aged = screen.passes(3599)
    assert changes(aged) == [("bob", SessionChange.CLOSED, Cause.AGED)]
    assert screen.state == Sessions()


def test_a_ward_that_gives_less_room_takes_it_at_once() -> None:
    screen = Screen(parked_max=2)
    for holder in (ALICE, BOB, CAROL):
        screen.after(60).granted(holder)
    screen.policy = policy(**{**ROOM, "parked_max": 1})
    due = due_ms(screen.state, screen.policy)
    assert due is not None
    assert due <= screen.now_ms
    assert changes(screen.passes(0)) == [("alice", SessionChange.CLOSED, Cause.EVICTED)]
