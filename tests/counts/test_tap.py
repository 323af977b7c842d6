"""What a warm tap costs in exchanges, flushes and messages. One more of any fails here."""

from __future__ import annotations

from statistics import mode

from tests.counts.conftest import Counted

EXCHANGES = 3
"""SELECT, GET DATA (the CHUID's beginning), GENERAL AUTHENTICATE: by the card's own log."""
WAITED_FLUSHES = 2
"""The record, while the card computes; the outcome, before the workspace is shown."""
FLUSHES = 5
"""Those two; then session and timing, the batch as it was cut, its receipt."""
MESSAGES = {"audit": 1, "receipt": 1, "move": 1}
"""A lone tap is one batch and one receipt, and one word to the other terminals."""
STATUSES = 1
"""At most: told when something has changed, and now and then."""


def test_a_warm_tap_is_three_exchanges_by_the_cards_own_log(counted: list[Counted]) -> None:
    assert [one.tap.exchanges for one in counted] == [EXCHANGES] * len(counted)


def test_nobody_waits_for_more_than_two_flushes(counted: list[Counted]) -> None:
    # Of most taps: the journal folds its log now and then, and may do so in one's midst.
    assert mode(one.waited_flushes for one in counted) == WAITED_FLUSHES


def test_a_tap_is_five_flushes_up_to_its_receipt(counted: list[Counted]) -> None:
    assert mode(one.flushes for one in counted) == FLUSHES


def test_a_lone_tap_is_a_batch_a_receipt_and_a_word_to_the_others(counted: list[Counted]) -> None:
    # Of most taps: on a busy machine the page's word may come after the batch was cut.
    told = [{name: n for name, n in one.published.items() if name != "status"} for one in counted]
    assert dict(mode(tuple(sorted(each.items())) for each in told)) == MESSAGES
    assert all(one.published["status"] <= STATUSES for one in counted)


def test_a_tap_leaves_six_events_at_most(counted: list[Counted]) -> None:
    for one in counted:
        assert set(one.events) == {
            "heartbeat.held",
            "card.record",
            "card.outcome",
            "session.changed",
            "tap.timing",
        }
        assert len(one.events) == 6
