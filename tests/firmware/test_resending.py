"""How long a terminal waits before it sends again: long enough for a late site, never too long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firmware_py.evidence.resending import FIRST_NS, MOST_NS, Patience

SECOND = 1_000_000_000


def test_a_quick_site_is_asked_again_after_two_seconds() -> None:
    patience = Patience()
    for _ in range(20):
        patience.receipted(SECOND // 100)
    assert patience.wait_ns == FIRST_NS


def test_a_site_that_gets_later_and_later_is_not_asked_twice_for_each_batch() -> None:
    patience, took_ns, again = Patience(), SECOND // 10, 0
    for _ in range(100):
        again += took_ns > patience.wait_ns
        patience.receipted(took_ns)
        took_ns = took_ns * 11 // 10 if took_ns < 20 * SECOND else took_ns
    assert again == 0


def test_silence_doubles_the_wait_and_an_ambiguous_receipt_does_not_end_that() -> None:
    patience = Patience()
    patience.silent()
    patience.receipted(None)
    assert patience.wait_ns == 2 * FIRST_NS
    patience.receipted(SECOND)
    assert patience.wait_ns == FIRST_NS


def test_a_site_that_was_late_is_believed_to_be_quick_again() -> None:
    patience = Patience()
    patience.receipted(20 * SECOND)
    assert patience.wait_ns == 40 * SECOND
    for _ in range(30):
        patience.receipted(SECOND // 10)
    assert patience.wait_ns == FIRST_NS
    patience.receipted(20 * SECOND)
    patience.anew()
    assert patience.wait_ns == FIRST_NS


@given(st.lists(st.one_of(st.none(), st.integers(0, 3600 * SECOND), st.just("silent"))))
def test_the_wait_stays_within_its_bounds(heard: list[int | str | None]) -> None:
    patience = Patience()
    for what in heard:
        if isinstance(what, str):
            patience.silent()
        else:
            patience.receipted(what)
        assert FIRST_NS <= patience.wait_ns <= MOST_NS
