"""Sessions that are limited in time or stand in nobody's name, at the machine."""

from __future__ import annotations

import secrets

import pytest

from contract.events import Cause, SessionChange
from contract.ids import HolderId, PositionId, SessionId
from firmware_py.sessions.happenings import EndAll, Granted, HoldPressed, LockPressed
from firmware_py.sessions.machine import due_ms, ended_by_restart
from firmware_py.sessions.values import UNIDENTIFIED, Glass, Kind, Mode, Session, Transition
from tests.firmware.screen import ALICE, BOB, Screen, card, changes
from tests.firmware.test_sessions_ends import journalled

EMERGENCY = PositionId("emergency")


def broken(
    screen: Screen, holder: HolderId, *, limit_s: int = 3600, kind: Kind = Kind.BREAK_GLASS
) -> Transition:
    guid = None if kind is Kind.EMERGENCY_VIEW else card(holder)
    ends_ms = screen.now_ms + limit_s * 1000
    fresh = SessionId(secrets.token_hex(16))
    return screen.see(Granted(Session(fresh, holder, EMERGENCY, guid, kind, ends_ms)))


def test_a_limited_session_is_covered_locked_and_closed_at_its_limit() -> None:
    screen = Screen(idle_lock_s=1800)
    broken(screen, ALICE, limit_s=600)
    over = screen.passes(600)
    assert over.effects[0] is Glass.COVER
    assert changes(over) == [
        ("alice", SessionChange.LOCKED, Cause.LIMIT),
        ("alice", SessionChange.CLOSED, Cause.LIMIT),
    ]
    assert (screen.state.mode, screen.parked) == (Mode.WAITING, [])


def test_parked_it_ends_all_the_same_and_is_due_then() -> None:
    screen = Screen()
    broken(screen, ALICE, limit_s=90)
    screen.granted(BOB)
    assert screen.parked == ["alice"]
    assert due_ms(screen.state, screen.policy) == screen.now_ms + 90_000
    assert changes(screen.passes(90)) == [("alice", SessionChange.CLOSED, Cause.LIMIT)]


def test_whoever_may_only_read_holds_no_screen() -> None:
    for kind in (Kind.BREAK_GLASS, Kind.EMERGENCY_VIEW):
        screen = Screen(hold_s=1800)
        broken(screen, UNIDENTIFIED, kind=kind)
        screen.see(HoldPressed())
        assert (screen.state.hold is not None) is (kind is Kind.BREAK_GLASS)


def test_locked_it_ends_too() -> None:
    screen = Screen()
    broken(screen, ALICE, limit_s=90)
    screen.see(LockPressed())
    assert changes(screen.passes(90)) == [("alice", SessionChange.CLOSED, Cause.LIMIT)]
    assert screen.state.mode is Mode.WAITING


def test_coming_back_lengthens_no_limit() -> None:
    screen = Screen()
    broken(screen, ALICE, limit_s=600)
    screen.after(60).granted(BOB)
    back = broken(screen.after(60), ALICE, limit_s=3600)
    assert changes(back)[-1][1] is SessionChange.RESUMED
    over = screen.passes(480)
    assert ("alice", SessionChange.CLOSED, Cause.LIMIT) in changes(over)


def test_the_emergency_position_is_apart_from_ones_own_work() -> None:
    screen = Screen()
    screen.granted(ALICE, "emergency")
    over = broken(screen.after(60), ALICE)
    assert changes(over) == [
        ("alice", SessionChange.PARKED, Cause.TAP),
        ("alice", SessionChange.OPENED, Cause.TAP),
    ]


@pytest.mark.parametrize("kind", [Kind.BREAK_GLASS, Kind.EMERGENCY_VIEW])
def test_what_stands_in_nobodys_name_is_closed_when_it_loses_the_glass(kind: Kind) -> None:
    screen = Screen()
    broken(screen, UNIDENTIFIED, kind=kind)
    over = screen.granted(BOB)
    assert changes(over)[0] == ("unidentified", SessionChange.CLOSED, Cause.TAP_OVER)
    assert screen.parked == []


def test_nobody_goes_on_with_what_stands_in_nobodys_name() -> None:
    screen = Screen()
    first = broken(screen, UNIDENTIFIED)
    screen.see(LockPressed())
    second = broken(screen, UNIDENTIFIED)
    assert [change for _, change, _ in changes(second)] == [
        SessionChange.CLOSED,
        SessionChange.OPENED,
    ]
    assert first.session
    assert second.session
    assert first.session.id != second.session.id


def downtime(screen: Screen, holder: HolderId) -> Transition:
    fresh = SessionId(secrets.token_hex(16))
    return screen.see(
        Granted(Session(fresh, holder, PositionId("nurse"), card(holder), Kind.DOWNTIME))
    )


def test_in_a_downtime_ones_own_work_goes_on_and_after_it_as_well() -> None:
    screen = Screen()
    first = screen.granted(ALICE)
    screen.see(LockPressed())
    again = downtime(screen, ALICE)
    assert first.session
    assert again.session
    assert again.session.id == first.session.id
    over = screen.see(EndAll(Kind.DOWNTIME))
    assert over.effects[0] is Glass.COVER
    assert changes(over) == [("alice", SessionChange.LOCKED, Cause.LIMIT)]
    back = screen.granted(ALICE)
    assert back.session
    assert (back.session.id, back.session.kind) == (first.session.id, Kind.ORDINARY)


def test_the_end_of_a_downtime_touches_no_other_session() -> None:
    screen = Screen()
    downtime(screen, ALICE)
    broken(screen.after(60), BOB)
    assert screen.see(EndAll(Kind.DOWNTIME)).effects == ()
    assert (screen.who, screen.parked) == ("bob", ["alice"])
    assert screen.state.parked[0].session.kind is Kind.ORDINARY


def test_the_log_names_the_ground_and_a_restart_ends_it_under_the_same() -> None:
    screen = Screen()
    opened = broken(screen, ALICE)
    (changed,) = (e for e in ended_by_restart(journalled([opened])))
    assert changed.detail.ground is Kind.BREAK_GLASS
