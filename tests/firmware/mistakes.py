"""What a hurried hand does with a card (DESIGN §5), what comes of it, and the test of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_BENCH: Final = "tests/firmware/test_tap_mistakes.py::"
_REAL: Final = "tests/e2e/test_tap_mistakes.py::"


@dataclass(frozen=True, slots=True)
class Mistake:
    """One line of the table."""

    what: str
    comes: str
    test: str


MISTAKES: Final = (
    Mistake(
        "the same card again, within 3 s of its own sign-on",
        '"still you"; nothing changes',
        _REAL + "test_the_same_card_at_once_is_still_you_and_later_parks_with_a_way_back",
    ),
    Mistake(
        "the same card on a dimmed or warning screen",
        "it wakes",
        _BENCH + "test_ones_own_card_wakes_a_dimmed_or_warning_screen",
    ),
    Mistake(
        "the same card later, on an active screen",
        'covered and parked, "tap to return" for 30 s',
        _BENCH + "test_ones_own_card_on_an_active_screen_parks_with_a_way_back",
    ),
    Mistake(
        "tapped out by mistake, tapped again",
        "the same session goes on",
        _BENCH + "test_tapped_out_by_mistake_one_tap_brings_the_same_work_back",
    ),
    Mistake(
        "a foreign card",
        "refused with a reference; whoever was there goes on",
        _REAL + "test_a_foreign_card_leaves_whoever_is_there",
    ),
    Mistake(
        "two cards at once, at two readers",
        "the later one's holder ends on the glass, the other parked; never both",
        _BENCH + "test_two_cards_at_once_end_with_one_person_on_the_glass",
    ),
    Mistake(
        "a card torn away too early",
        '"keep your card still"; whoever was there goes on',
        _REAL + "test_a_card_torn_away_leaves_whoever_is_there",
    ),
    Mistake(
        "a card that is refused (suspended)",
        "refused neutrally; whoever was there goes on",
        _BENCH + "test_a_refused_card_leaves_whoever_is_there",
    ),
    Mistake(
        "a newcomer who owes a PIN walks away from the pad",
        "the work before was covered and parked; the screen ends locked",
        _BENCH + "test_an_abandoned_pad_ends_locked_and_the_work_is_kept",
    ),
    Mistake(
        "a card left lying on a plate, or in a slot",
        "announced with its holder's initials at the limit, its session locked at the cap; it opens"
        " nothing until it has gone and come back",
        "tests/firmware/test_left_cards.py::test_a_left_card_is_announced_capped_and_worthless",
    ),
    Mistake(
        "a card over a left one, at the other reader",
        "works as always, and is noted",
        "tests/firmware/test_left_cards.py::test_a_card_over_a_left_card_works_and_is_noted",
    ),
    Mistake(
        "a card that lay there when the daemon or the reader started",
        "no tap, until it has gone and come back",
        _REAL + "test_a_card_that_lay_there_at_the_start_is_no_tap",
    ),
    Mistake(
        "something that is no card, or a card the wrong way round",
        "said where it is; whoever was there goes on",
        _BENCH + "test_a_mute_thing_leaves_whoever_is_there",
    ),
    Mistake(
        "somebody else's card at a held screen",
        "join or take over is offered, the work covered meanwhile; left alone it goes on as before",
        "tests/firmware/test_held_screen.py::test_another_card_at_a_held_screen_is_offered_both",
    ),
)
