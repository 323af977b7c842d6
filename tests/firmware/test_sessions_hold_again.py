"""A hold that has ended is begun again by a card, and never by touch alone; at the machine."""

from __future__ import annotations

from typing import Any

import pytest

from contract.bedside import HoldChange
from contract.events import OutcomeResult
from contract.ids import PositionId, SessionId
from firmware_py.sessions.happenings import (
    Activity,
    Declined,
    HoldEnded,
    HoldPressed,
    Joined,
    Joining,
    OwnTap,
    Passed,
    Repositioned,
)
from firmware_py.sessions.values import Session
from tests.firmware.screen import ALICE, BOB, Screen, card
from tests.firmware.test_sessions_hold import held, holds


def again(screen: Screen) -> bool:
    """Whether one touch begins a hold now."""
    return holds(screen.see(HoldPressed())) == [(HoldChange.BEGUN, None)]


@pytest.mark.parametrize("end", [HoldEnded(), Passed()])
def test_after_its_end_no_touch_alone_holds_it_again(end: Any) -> None:  # noqa: ANN401
    screen = held()
    screen.after(1800).see(end)
    assert screen.who == "alice"
    screen.see(Activity())
    assert not again(screen)
    fresh = Session(SessionId("f" * 32), ALICE, PositionId("site-manager"), card(ALICE))
    screen.see(Repositioned(fresh))
    assert not again(screen), "another position by touch is no tap"


def test_her_own_tap_lets_her_hold_it_again() -> None:
    screen = held(idle_dim_s=60)
    screen.passes(1800)
    screen.passes(60)
    assert screen.see(OwnTap(ALICE)).result is OutcomeResult.WOKEN
    assert again(screen)
    screen.passes(1800)
    screen.see(OwnTap(ALICE))
    screen.granted(ALICE)
    assert screen.see(OwnTap(ALICE)).result is OutcomeResult.STILL_YOU
    assert again(screen)


def test_who_has_joined_by_tap_lets_it_be_held_once_more() -> None:
    screen = held()
    screen.after(1700).see(Joining(BOB, card(BOB)))
    screen.see(Joined())
    screen.passes(100)
    assert screen.state.hold is None
    assert again(screen)
    screen.passes(1800)
    assert not again(screen)


def test_an_offer_that_nobody_took_lets_nobody_hold_it_again() -> None:
    screen = held()
    screen.see(Joining(BOB, card(BOB)))
    screen.see(Declined())
    screen.see(HoldEnded())
    assert not again(screen)
