"""A held screen, and what comes from other terminals, applications and sensors, at the machine."""

from __future__ import annotations

from typing import Any

import pytest

from contract.bedside import HoldChange
from contract.events import Cause, OutcomeResult, SessionChange
from contract.ids import HolderId, PositionId, SessionId, TerminalId
from firmware_py.sessions.happenings import (
    Activity,
    Away,
    Back,
    Declined,
    Extended,
    HoldEnded,
    HoldPressed,
    Joined,
    Joining,
    LeftLimit,
    LockPressed,
    Lost,
    MovedAway,
    OwnTap,
    Repositioned,
    TakenOver,
    Unsaved,
)
from firmware_py.sessions.machine import due_ms
from firmware_py.sessions.values import (
    Changed,
    Glass,
    Holding,
    IllegalEvent,
    Mode,
    Session,
    Transition,
)
from tests.firmware.screen import ALICE, BOB, CAROL, Screen, card, changes

ELSEWHERE = TerminalId("bay-2")


def held(**settings: Any) -> Screen:  # noqa: ANN401 - a policy's fields by name
    screen = Screen(**{"hold_s": 1800, **settings})
    screen.granted(ALICE)
    screen.after(10).see(HoldPressed())
    return screen


def holds(transition: Transition) -> list[tuple[HoldChange, HolderId | None]]:
    return [(e.change, e.holder) for e in transition.effects if isinstance(e, Holding)]


# ---- hold ----------------------------------------------------------------------------------


def test_a_held_screen_neither_dims_nor_locks_until_its_limit() -> None:
    screen = held()
    for _ in range(17):
        assert screen.passes(100).effects == ()
    assert screen.who == "alice"
    over = screen.passes(100)
    assert holds(over) == [(HoldChange.ENDED, None)]
    assert screen.who == "alice", "idleness counts from the end of the hold"
    screen.passes(290)
    assert changes(screen.passes(10)) == [("alice", SessionChange.LOCKED, Cause.IDLE)]


def test_a_second_touch_lengthens_nothing_and_another_ends_it() -> None:
    screen = held()
    due = due_ms(screen.state, screen.policy)
    assert screen.after(60).see(HoldPressed()).effects == ()
    assert due_ms(screen.state, screen.policy) == due
    assert holds(screen.see(HoldEnded())) == [(HoldChange.ENDED, None)]
    assert screen.state.hold is None


def test_a_ward_without_hold_has_none() -> None:
    screen = Screen(hold_s=0)
    screen.granted(ALICE)
    assert screen.see(HoldPressed()).effects == ()
    assert screen.state.hold is None


def test_a_tap_elsewhere_does_not_close_a_held_screen() -> None:
    screen = held()
    assert screen.see(MovedAway(ALICE, ELSEWHERE)).effects == ()
    assert screen.who == "alice"


def test_another_card_is_offered_to_join_and_everything_inside_is_shared() -> None:
    screen = held()
    offered = screen.see(Joining(BOB, card(BOB)))
    assert offered.result is OutcomeResult.OFFERED
    assert changes(offered) == []
    joined = screen.see(Joined())
    assert (joined.result, holds(joined)) == (OutcomeResult.JOINED, [(HoldChange.JOINED, "bob")])
    assert screen.who == "alice"
    assert screen.state.hold
    assert screen.state.hold.joined == (BOB,)
    locked = screen.see(LockPressed())
    assert [e.shared for e in locked.effects if isinstance(e, Changed)] == [True]
    assert holds(locked) == [(HoldChange.ENDED, None)]


def test_taking_over_ends_the_hold_and_the_newcomers_tap_goes_on() -> None:
    screen = held()
    screen.see(Joining(BOB, card(BOB)))
    assert holds(screen.see(TakenOver())) == [(HoldChange.TAKEN_OVER, "bob")]
    over = screen.granted(BOB)
    assert changes(over)[0] == ("alice", SessionChange.PARKED, Cause.TAP_OVER)
    assert (screen.who, screen.parked) == ("bob", ["alice"])


@pytest.mark.parametrize("how", ["declined", "left alone"])
def test_an_offer_that_nobody_takes_leaves_the_screen_as_it_was(how: str) -> None:
    screen = held(pin_pad_s=45)
    screen.see(Joining(BOB, card(BOB)))
    came = screen.see(Declined()) if how == "declined" else screen.passes(45)
    assert (came.effects, screen.state.offered, screen.who) == ((), None, "alice")
    with pytest.raises(IllegalEvent):
        screen.see(Joined())


def test_nobody_is_offered_anything_where_nothing_is_held() -> None:
    screen = Screen(hold_s=1800)
    screen.granted(ALICE)
    with pytest.raises(IllegalEvent):
        screen.see(Joining(BOB, card(BOB)))
    screen.see(HoldPressed())
    with pytest.raises(IllegalEvent):
        screen.see(Joining(ALICE, card(ALICE)))


@pytest.mark.parametrize("end", [LockPressed(), Lost(card(ALICE)), LeftLimit(card(ALICE))])
def test_the_button_a_lost_card_and_a_left_one_end_a_hold(end: Any) -> None:  # noqa: ANN401
    screen = held()
    assert (HoldChange.ENDED, None) in holds(screen.see(end))
    assert (screen.state.mode, screen.state.hold) == (Mode.LOCKED, None)


def test_its_own_card_ends_a_hold_and_the_session_is_parked() -> None:
    screen = held()
    out = screen.after(60).see(OwnTap(ALICE))
    assert out.result is OutcomeResult.PARKED_BY_TAP
    assert holds(out) == [(HoldChange.ENDED, None)]
    assert screen.parked == ["alice"]


# ---- tap here closes there -------------------------------------------------------------------


def test_a_tap_elsewhere_covers_and_parks_here_and_ends_nothing() -> None:
    screen = Screen()
    screen.granted(ALICE)
    moved = screen.after(60).see(MovedAway(ALICE, ELSEWHERE))
    assert moved.effects[0] is Glass.COVER
    assert changes(moved) == [("alice", SessionChange.PARKED, Cause.MOVED)]
    assert [p.moved for p in screen.state.parked] == [ELSEWHERE]
    back = screen.after(60).granted(ALICE)
    assert back.result is OutcomeResult.RESUMED


def test_a_locked_session_is_parked_too_and_a_parked_one_is_only_noted() -> None:
    screen = Screen()
    screen.granted(ALICE)
    screen.see(LockPressed())
    moved = screen.see(MovedAway(ALICE, ELSEWHERE))
    assert changes(moved) == [("alice", SessionChange.PARKED, Cause.MOVED)]
    assert screen.see(MovedAway(ALICE, TerminalId("bay-3"))).effects == ()
    assert [p.moved for p in screen.state.parked] == ["bay-3"]


def test_a_tap_elsewhere_touches_nobody_elses_work() -> None:
    screen = Screen()
    screen.granted(ALICE)
    assert screen.see(MovedAway(BOB, ELSEWHERE)).effects == ()
    assert screen.who == "alice"


def test_where_a_ward_parks_nobody_a_moved_session_is_kept_all_the_same() -> None:
    screen = Screen(parked_max=0)
    screen.granted(ALICE)
    screen.see(MovedAway(ALICE, ELSEWHERE))
    assert changes(screen.passes(1)) == []
    assert screen.parked == ["alice"]


# ---- another position ------------------------------------------------------------------------


def test_another_position_is_another_session_and_the_way_back_is_the_same() -> None:
    screen = Screen()
    screen.granted(ALICE, "nurse")
    lead = Session(SessionId("1e" * 16), ALICE, PositionId("lead"), card(ALICE))
    changed = screen.after(60).see(Repositioned(lead))
    assert changed.effects[0] is Glass.COVER
    assert changes(changed) == [
        ("alice", SessionChange.PARKED, Cause.POSITION),
        ("alice", SessionChange.OPENED, Cause.POSITION),
    ]
    nurse = Session(SessionId("2e" * 16), ALICE, PositionId("nurse"), card(ALICE))
    assert changes(screen.see(Repositioned(nurse)))[1][1] is SessionChange.RESUMED


def test_nobody_is_put_into_a_position_by_somebody_else() -> None:
    screen = Screen()
    screen.granted(ALICE)
    with pytest.raises(IllegalEvent):
        screen.see(Repositioned(Session(SessionId("1e" * 16), BOB, PositionId("lead"), card(BOB))))


# ---- unsaved work ----------------------------------------------------------------------------


def session_of(screen: Screen, holder: HolderId) -> SessionId:
    return next(s.id for s in screen.state.standing if s.holder == holder)


def test_what_is_unsaved_gives_way_last_and_its_holder_is_told() -> None:
    screen = Screen(parked_max=1)
    screen.granted(ALICE)
    screen.see(Unsaved(session_of(screen, ALICE), unsaved=True))
    screen.after(60).granted(BOB)
    third = screen.after(60).granted(CAROL)
    assert ("bob", SessionChange.CLOSED, Cause.EVICTED) in changes(third)
    assert screen.parked == ["alice"]
    screen.see(Unsaved(session_of(screen, CAROL), unsaved=True))
    fourth = screen.after(60).granted(BOB)
    assert ("alice", SessionChange.CLOSED, Cause.EVICTED) in changes(fourth)
    assert [one.session.holder for one in screen.state.ended] == ["alice"]
    screen.after(60).granted(ALICE)
    assert [one.session.holder for one in screen.state.ended] == ["alice"], "told while she is here"
    screen.after(60).see(OwnTap(ALICE))
    assert screen.state.ended == ()


def test_what_is_saved_again_gives_way_as_always_and_tells_nothing() -> None:
    screen = Screen(parked_max=1)
    screen.granted(ALICE)
    mine = session_of(screen, ALICE)
    screen.see(Unsaved(mine, unsaved=True))
    screen.see(Unsaved(mine, unsaved=False))
    screen.after(60).granted(BOB)
    assert ("alice", SessionChange.CLOSED, Cause.EVICTED) in changes(
        screen.after(60).granted(CAROL)
    )
    assert screen.state.ended == ()


def test_what_an_application_says_of_a_session_that_is_gone_is_nothing() -> None:
    screen = Screen()
    screen.see(Unsaved(SessionId("99" * 16), unsaved=True))
    assert screen.state.unsaved == frozenset()


# ---- extended --------------------------------------------------------------------------------


def test_an_application_puts_the_lock_off_but_never_past_the_cap_since_the_tap() -> None:
    screen = Screen(idle_lock_s=300)
    screen.granted(ALICE)
    mine = session_of(screen, ALICE)
    for _ in range(8):
        screen.after(100).see(Extended(mine, 3600))
        assert screen.state.mode is Mode.OPEN
        screen.passes(0)
    assert screen.who == "alice"
    screen.passes(99)
    assert changes(screen.passes(1)) == [("alice", SessionChange.LOCKED, Cause.IDLE)]


def test_an_extension_is_as_short_as_it_asks_to_be() -> None:
    screen = Screen(idle_lock_s=300)
    screen.granted(ALICE)
    screen.after(250).see(Extended(session_of(screen, ALICE), 60))
    screen.passes(59)
    assert screen.who == "alice"
    assert changes(screen.passes(1)) == [("alice", SessionChange.LOCKED, Cause.IDLE)]


def test_an_extension_opens_nothing() -> None:
    screen = Screen()
    screen.granted(ALICE)
    screen.see(LockPressed())
    screen.see(Extended(session_of(screen, ALICE), 600))
    assert screen.state.mode is Mode.LOCKED


# ---- a presence sensor -----------------------------------------------------------------------


def test_nobody_there_brings_the_warning_and_then_the_lock() -> None:
    screen = Screen(away_s=15, idle_lock_s=300, idle_warn_s=20)
    screen.granted(ALICE)
    screen.after(30).see(Away())
    screen.passes(14.9)
    assert screen.state.mode is Mode.OPEN
    assert screen.passes(0.1).effects == (Glass.WARN,)
    screen.passes(19.9)
    assert changes(screen.passes(0.1)) == [("alice", SessionChange.LOCKED, Cause.IDLE)]


def test_whoever_is_back_or_types_cancels_it() -> None:
    screen = Screen(away_s=15)
    screen.granted(ALICE)
    screen.see(Away())
    screen.passes(16)
    assert screen.see(Back()).effects == (Glass.WAKE,)
    screen.see(Away())
    screen.passes(16)
    assert screen.see(Activity()).effects == (Glass.WAKE,)
    screen.passes(60)
    assert screen.state.mode is Mode.OPEN, "a sensor that does not see who types counts no more"


def test_a_paper_cup_before_the_sensor_keeps_no_screen_open() -> None:
    screen = Screen(idle_dim_s=120, idle_lock_s=300)
    screen.granted(ALICE)
    for _ in range(30):
        screen.see(Back())
        screen.passes(10)
    assert screen.state.mode is Mode.LOCKED


def test_a_ward_that_wants_no_sensor_has_none() -> None:
    screen = Screen(away_s=0)
    screen.granted(ALICE)
    screen.see(Away())
    screen.passes(60)
    assert screen.state.mode is Mode.OPEN


# ---- left cards ------------------------------------------------------------------------------


def test_a_left_card_locks_the_session_that_it_opened_and_no_other() -> None:
    screen = Screen()
    screen.granted(ALICE)
    assert screen.see(LeftLimit(card(BOB))).effects == ()
    capped = screen.see(LeftLimit(card(ALICE)))
    assert changes(capped) == [("alice", SessionChange.LOCKED, Cause.LEFT_CARD)]


# ---- the warning -----------------------------------------------------------------------------


@pytest.mark.parametrize(("warn_s", "begins"), [(20, 280), (60, 240), (120, 180)])
def test_the_ward_says_how_long_the_warning_stands(warn_s: int, begins: int) -> None:
    screen = Screen(idle_lock_s=300, idle_warn_s=warn_s, idle_dim_s=30)
    screen.granted(ALICE)
    screen.passes(begins - 1)
    assert screen.state.mode is Mode.DIMMED
    assert screen.passes(1).effects == (Glass.WARN,)
