"""PINs that are guessed first are refused, in words that do not repeat them."""

from __future__ import annotations

import pytest

from contract.ids import HolderId
from provisioning.cards.pins import choose, draw
from provisioning.errors import BadInput, TrivialPin

HOLDER = HolderId("h-7391846")


@pytest.mark.parametrize(
    ("digits", "why"),
    [
        ("123456", "sequence"),
        ("98765432", "sequence"),
        ("135791", "sequence"),
        ("890123", "sequence"),
        ("111111", "two different digits"),
        ("121212", "two different digits"),
        ("5557777", "two different digits"),
        ("112233", "climb"),
        ("66544332", "climb, or only fall"),
        ("472472", "repeats"),
        ("38123812", "repeats"),
        ("471174", "backwards"),
        ("147258", "pad"),
        ("159357", "pad"),
        ("240689", "date"),  # 24 June 1989
        ("062489", "date"),  # as in America
        ("890624", "date"),  # as in Sweden
        ("24061989", "date"),
        ("19890624", "date"),
        ("739184", "holder's own"),
        ("27391840", "holder's own"),
    ],
)
def test_a_pin_that_is_guessed_first_is_refused(digits: str, why: str) -> None:
    with pytest.raises(TrivialPin, match=why) as refused:
        choose(digits, HOLDER)
    assert digits not in str(refused.value)


@pytest.mark.parametrize("digits", ["", "12345", "123456789", "47190x", "４７１９０２"])
def test_what_is_no_pin_is_refused(digits: str) -> None:
    with pytest.raises(BadInput, match="6 to 8 digits"):
        choose(digits, HOLDER)


@pytest.mark.parametrize("digits", ["471902", "274913", "551900", "8061529", "39174618"])
def test_others_are_taken(digits: str) -> None:
    assert digits not in repr(choose(digits, HOLDER))


def test_drawn_pins_are_taken_and_differ() -> None:
    drawn = {draw(HOLDER) for _ in range(200)}
    assert len(drawn) > 190
    for digits in drawn:
        choose(digits, HOLDER)
