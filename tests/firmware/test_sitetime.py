"""What a terminal believes of time: online, offline, restarted, rebooted, lied to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.events import ClockTrust
from contract.ids import BootId
from firmware_py.trust.sitetime import (
    ANSWER_WINDOW_MS,
    REORDER_MS,
    RTC_BOUND_MS,
    Moment,
    Question,
    SiteTime,
    TimeFault,
)
from tests.firmware.rights import NOW_MS, Gateway

BOOT, NEXT_BOOT = BootId("b0" * 16), BootId("b1" * 16)
BUILD_MS = NOW_MS - 10_000_000_000
HOUR_MS = 3_600_000
QUESTION = Question("aa" * 32, 5_000)
GATEWAY = Gateway()


def started(rtc_ms: int | None = None) -> SiteTime:
    """A new terminal's daemon, one second after boot."""
    return SiteTime.at_start(None, BUILD_MS, Moment(BOOT, 1_000), rtc_ms)


def answer(
    time: SiteTime,
    issued_ms: int = NOW_MS,
    at_ms: int = 5_100,
    *,
    question: Question = QUESTION,
    rtc_ms: int | None = None,
) -> SiteTime:
    beat = GATEWAY.heartbeat(issued_ms, question.nonce)
    later = time.answered(beat, question, at_ms, confirms=True, rtc_ms=rtc_ms)
    assert isinstance(later, SiteTime)
    return later


def hear(time: SiteTime, issued_ms: int, at_ms: int, *, confirms: bool = True) -> SiteTime:
    later = time.broadcast(GATEWAY.heartbeat(issued_ms), at_ms, confirms=confirms)
    assert isinstance(later, SiteTime)
    return later


# ---- online -------------------------------------------------------------------------------


def test_an_answered_question_gives_site_time_and_monotonic_time_carries_it_on() -> None:
    time = answer(started())
    assert time.clock is ClockTrust.SITE
    assert time.now_ms(5_100) == NOW_MS
    assert time.now_ms(5_100 + HOUR_MS) == NOW_MS + HOUR_MS
    assert time.wall(6_100, 12345) == (NOW_MS + 1_000, ClockTrust.SITE)


@pytest.mark.parametrize("wall_ms", [0, NOW_MS + 10 * HOUR_MS])
def test_the_wall_clock_is_only_written_down_while_nothing_better_is_known(wall_ms: int) -> None:
    time = started()
    assert time.wall(6_100, wall_ms) == (wall_ms, ClockTrust.UNCONFIRMED)
    assert time.now_ms(6_100) == BUILD_MS + 5_100


def test_an_answer_to_another_question_tells_nothing() -> None:
    beat = GATEWAY.heartbeat(NOW_MS, "bb" * 32)
    assert started().answered(beat, QUESTION, 5_100, confirms=True) is TimeFault.NOT_ASKED
    assert started().answered(beat, None, 5_100, confirms=True) is TimeFault.NOT_ASKED


def test_an_answer_held_back_tells_nothing() -> None:
    beat = GATEWAY.heartbeat(NOW_MS, QUESTION.nonce)
    late_ms = QUESTION.asked_ms + ANSWER_WINDOW_MS + 1
    assert started().answered(beat, QUESTION, late_ms, confirms=True) is TimeFault.TOO_LATE


def test_broadcasts_keep_the_directory_fresh() -> None:
    time = answer(started())
    for second in range(1, 60):
        time = hear(time, NOW_MS + second * 1000, 5_100 + second * 1000)
    assert time.freshness(5_100 + 59_500).age_ms == 500


def test_a_heartbeat_that_names_a_newer_directory_confirms_nothing() -> None:
    time = hear(answer(started()), NOW_MS + HOUR_MS, 5_100 + HOUR_MS, confirms=False)
    assert time.freshness(5_100 + HOUR_MS).age_ms == HOUR_MS


def test_broadcasts_make_knowledge_fresher_by_no_more_than_the_time_that_passed() -> None:
    time = hear(answer(started()), NOW_MS + 24 * HOUR_MS, 5_100 + 1_000)
    # A clock put forward at the gateway, or a heartbeat signed ahead: four hours later knowledge
    # is four hours old all the same.
    assert time.confirmed_ms == NOW_MS + 1_000


def test_heartbeats_played_back_slowly_do_not_keep_knowledge_fresh() -> None:
    time = answer(started())
    for step in range(1, 100):  # each a second apart when recorded, a minute apart now
        time = hear(time, NOW_MS + step * 1_000, 5_100 + step * 60_000)
    assert time.freshness(5_100 + 99 * 60_000).age_ms == 99 * 59_000


def test_an_old_heartbeat_is_refused_and_changes_nothing() -> None:
    time = hear(answer(started()), NOW_MS + HOUR_MS, 5_100 + HOUR_MS)
    old = GATEWAY.heartbeat(NOW_MS + HOUR_MS - REORDER_MS - 1)
    assert time.broadcast(old, 5_200 + HOUR_MS, confirms=True) is TimeFault.BEFORE_FLOOR
    question = Question("cc" * 32, 5_200 + HOUR_MS)
    set_back = GATEWAY.heartbeat(NOW_MS, question.nonce)
    refused = time.answered(set_back, question, 5_300 + HOUR_MS, confirms=True)
    assert refused is TimeFault.BEFORE_FLOOR


def test_two_heartbeats_out_of_order_are_no_fault() -> None:
    time = hear(answer(started()), NOW_MS + 1_000, 6_100)
    assert hear(time, NOW_MS + 500, 6_110).floor_ms == NOW_MS + 1_000


def test_a_broadcast_before_the_first_answer_raises_the_floor_and_nothing_else() -> None:
    time = hear(started(), NOW_MS, 2_000)
    assert time.clock is ClockTrust.UNCONFIRMED
    assert time.freshness(2_000).age_ms is None
    assert time.now_ms(3_000) == NOW_MS + 1_000


# ---- offline, restarted, rebooted -------------------------------------------------------------


def test_offline_the_age_goes_on() -> None:
    time = answer(started())
    fresh = time.freshness(5_100 + 4 * HOUR_MS)
    assert (fresh.clock, fresh.age_ms) == (ClockTrust.SITE, 4 * HOUR_MS)
    assert fresh.within(4 * 3600, 0)
    assert not time.freshness(5_101 + 4 * HOUR_MS).within(4 * 3600, 24 * 3600)


def test_a_restarted_daemon_goes_on_where_the_other_was() -> None:
    before = answer(started())
    memory = before.memory(65_100)
    after = SiteTime.at_start(memory, BUILD_MS, Moment(BOOT, 90_000))
    assert after.freshness(95_000) == before.freshness(95_000)
    assert after.clock is ClockTrust.SITE


def test_after_a_reboot_without_network_the_clock_is_unconfirmed() -> None:
    memory = answer(started()).memory(5_100 + HOUR_MS)
    time = SiteTime.at_start(memory, BUILD_MS, Moment(NEXT_BOOT, 2_000))
    fresh = time.freshness(2_000 + HOUR_MS)
    assert fresh.clock is ClockTrust.UNCONFIRMED
    assert fresh.age_ms is None
    assert fresh.powered_ms == HOUR_MS
    assert fresh.within(0, 3600)
    assert not time.freshness(2_001 + HOUR_MS).within(24 * 3600, 3600)
    assert fresh.now_ms == NOW_MS + HOUR_MS  # the floor, and what has passed since boot


def test_switching_off_and_on_does_not_start_the_powered_time_again() -> None:
    time = SiteTime.at_start(None, BUILD_MS, Moment(BOOT, 0))
    for boot in ("b1", "b2", "b3"):
        memory = time.memory(HOUR_MS)
        time = SiteTime.at_start(memory, BUILD_MS, Moment(BootId(boot * 16), 0))
    assert time.freshness(HOUR_MS).powered_ms == 4 * HOUR_MS


def test_a_restart_in_the_same_boot_does_not_start_it_again_either() -> None:
    memory = started().memory(1_000 + HOUR_MS)
    time = SiteTime.at_start(memory, BUILD_MS, Moment(BOOT, 2_000 + HOUR_MS))
    assert time.freshness(2_000 + HOUR_MS).powered_ms == HOUR_MS + 1_000


def test_an_answer_ends_the_unconfirmed_time_and_the_next_reboot_starts_at_zero() -> None:
    time = answer(started(), at_ms=5_100)
    assert time.freshness(5_100).powered_ms == 0
    rebooted = SiteTime.at_start(time.memory(HOUR_MS), BUILD_MS, Moment(NEXT_BOOT, 0))
    assert rebooted.freshness(0).powered_ms == 0


def rebooted_with_chip(rtc_then_ms: int | None, rtc_now_ms: int | None) -> SiteTime:
    memory = answer(started(), rtc_ms=rtc_then_ms).memory(5_100)
    return SiteTime.at_start(memory, BUILD_MS, Moment(NEXT_BOOT, 0), rtc_now_ms)


def test_a_clock_chip_found_right_while_online_gives_the_ordinary_offline_limit() -> None:
    time = rebooted_with_chip(NOW_MS + RTC_BOUND_MS, NOW_MS + HOUR_MS)
    fresh = time.freshness(60_000)
    assert (fresh.clock, fresh.age_ms) == (ClockTrust.RTC, HOUR_MS + 60_000)
    assert not time.freshness(3 * HOUR_MS + 1).within(4 * 3600, 24 * 3600)


@pytest.mark.parametrize(
    ("then_ms", "now_ms"),
    [
        (None, NOW_MS + HOUR_MS),
        (NOW_MS - RTC_BOUND_MS - 1, NOW_MS + HOUR_MS),
        (NOW_MS, NOW_MS - 1),
        (NOW_MS, 0),
        (NOW_MS, None),
    ],
    ids=["never checked", "was wrong", "behind the floor", "battery empty", "no chip now"],
)
def test_any_other_clock_chip_is_not_believed(then_ms: int | None, now_ms: int | None) -> None:
    assert rebooted_with_chip(then_ms, now_ms).clock is ClockTrust.UNCONFIRMED


def test_a_build_later_than_the_floor_raises_it() -> None:
    memory = answer(started()).memory(5_100)
    time = SiteTime.at_start(memory, NOW_MS + HOUR_MS, Moment(NEXT_BOOT, 0))
    assert time.floor_ms == NOW_MS + HOUR_MS


# ---- a new key epoch ------------------------------------------------------------------------


def test_a_new_key_epoch_starts_time_again_even_when_the_old_clock_ran_ahead() -> None:
    ahead = answer(started(), NOW_MS + 1000 * HOUR_MS)
    time = ahead.new_epoch(2, NOW_MS, 6_000)
    assert time.floor_ms == NOW_MS
    assert time.clock is ClockTrust.UNCONFIRMED
    question = Question("dd" * 32, 6_000)
    assert answer(time, NOW_MS + 1_000, 6_100, question=question).now_ms(6_100) == NOW_MS + 1_000
    assert time.new_epoch(1, NOW_MS - HOUR_MS, 7_000) == time
    assert time.new_epoch(2, NOW_MS - HOUR_MS, 7_000) == time


# ---- whatever is heard -------------------------------------------------------------------------

_MS = st.integers(0, 20 * HOUR_MS)
HEARD = st.lists(
    st.tuples(st.booleans(), st.integers(-HOUR_MS, 20 * HOUR_MS), _MS, st.booleans()), max_size=12
)


@given(HEARD)
def test_whatever_is_heard_floor_and_confirmation_only_rise_and_never_beyond_site_time(
    heard: list[tuple[bool, int, int, bool]],
) -> None:
    time = answer(started())
    now_ms = 5_100
    for answered, offset_ms, passed_ms, confirms in heard:
        now_ms += passed_ms
        question = Question("ee" * 32, now_ms)
        nonce = question.nonce if answered else None
        beat = GATEWAY.heartbeat(NOW_MS + offset_ms, nonce)
        later = (
            time.answered(beat, question, now_ms, confirms=confirms)
            if answered
            else time.broadcast(beat, now_ms, confirms=confirms)
        )
        if isinstance(later, TimeFault):
            continue
        assert later.floor_ms == max(time.floor_ms, beat.issued_ms)
        assert (later.confirmed_ms or 0) >= (time.confirmed_ms or 0)
        if confirms and not answered:
            # Never fresher than by the time that this machine itself saw pass.
            assert (later.confirmed_ms or 0) <= max(
                time.confirmed_ms or 0,
                NOW_MS + 20 * HOUR_MS if time.anchor is None else _believed(time, now_ms),
            )
        time = later
    memory = time.memory(now_ms)
    assert SiteTime.at_start(memory, BUILD_MS, Moment(BOOT, now_ms)) == replace(
        time,
        floor_at_ms=now_ms,
        powered_from_ms=now_ms,
        carried_ms=memory.unconfirmed_powered_ms,
    )


def _believed(time: SiteTime, now_ms: int) -> int:
    assert time.anchor is not None
    return time.anchor.site_ms + now_ms - time.anchor.monotonic_ms
