"""One rule for every new PIN, at the desk and on the ward (see also tests/provisioning)."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hardware.easypins import why_easy
from hardware.piv import Pin

PINS = st.text("0123456789", min_size=6, max_size=8)


@pytest.mark.parametrize("digits", ["123456", "000000", "240689", "24061989", "147258", "8765432"])
def test_what_is_guessed_first_is_easy_whoever_asks(digits: str) -> None:
    assert why_easy(Pin(digits)) is not None


@given(PINS, st.text(max_size=20))
@example("471902", "h-4719021")
@example("471902", "４７１９０２")
def test_the_reason_never_repeats_the_pin(digits: str, badge: str) -> None:
    why = why_easy(Pin(digits), badge)
    assert why is None or digits not in why


@given(PINS)
def test_what_stands_on_the_badge_is_easy(digits: str) -> None:
    assert why_easy(Pin(digits), f"h-{digits}") is not None


@given(PINS, PINS)
def test_pins_are_the_same_by_their_digits(one: str, other: str) -> None:
    assert Pin(one).is_same(Pin(other)) == (one == other)
