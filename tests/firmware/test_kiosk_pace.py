"""How often the page may say what: no hand meets it, and nothing floods the terminal."""

from __future__ import annotations

import pytest

from firmware_py.kiosk.commands import NAMES
from firmware_py.kiosk.pace import Paces
from firmware_py.loopback.pace import Pace
from runtime.clock import ManualClock

MINUTE_S = 60

HANDS = {
    "a typist and a scanner": ("typed", 100),
    "what the page has drawn of it": ("received", 100),
    "a finger on the lock, or its key held down": ("lock", 30),
    "keys of the pad, in gloves or not": ("pin", 3),
    "somebody who turns everything down": ("cancel", 30),
    "letter by letter": ("find_person", 12),
    "one reason after the other": ("breakglass", 1),
    "the role, there and back": ("change_position", 2),
}


@pytest.mark.parametrize(("name", "rate"), HANDS.values(), ids=HANDS)
def test_no_hand_meets_it_in_a_minute(name: str, rate: int) -> None:
    clock = ManualClock()
    paces = Paces(NAMES, clock.monotonic_ns)
    for _ in range(rate * MINUTE_S):
        assert paces.lets(name)
        clock.advance(1 / rate)


@pytest.mark.parametrize("name", NAMES)
def test_a_crowd_of_one_is_bounded_and_keeps_none_of_the_others_out(name: str) -> None:
    clock = ManualClock()
    paces = Paces(NAMES, clock.monotonic_ns)
    passed = 0
    for _ in range(5_000):  # in ten seconds
        passed += paces.lets(name)
        clock.advance(10 / 5_000)
    assert passed <= 2_500
    assert all(paces.lets(other) for other in NAMES if other != name)


def test_who_may_not_pass_is_told_after_how_long() -> None:
    pace = Pace(0.2, 2)
    assert pace.lets(1)
    assert pace.lets(1)
    assert not pace.lets(1)
    assert pace.wait_s == 5
    assert not pace.lets(1 + 4_999_999_999)
    assert pace.wait_s == 1
    assert pace.lets(1 + 5_000_000_001)


def test_input_above_it_is_taken_and_nothing_else_is() -> None:
    paces = Paces(NAMES, ManualClock().monotonic_ns)
    assert [name for name in NAMES if paces.merges(name)] == ["activity"]
