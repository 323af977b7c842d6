"""The clocks: durations that count sleep, and a wall that may step."""

import asyncio
import time
import uuid
from pathlib import Path

import pytest

from runtime.clock import ManualClock, SystemClock

S = 1_000_000_000


def test_durations_count_the_time_in_which_the_machine_slept() -> None:
    clock = SystemClock()
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert before <= clock.monotonic_ns() <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def test_the_wall_clock_is_unix_milliseconds() -> None:
    before = time.time_ns() // 1_000_000
    assert before <= SystemClock().wall_ms() <= time.time_ns() // 1_000_000


def test_the_boot_id_is_the_kernels_and_the_same_in_every_process() -> None:
    kernels = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert SystemClock().boot_id == SystemClock().boot_id == kernels


@pytest.mark.parametrize("content", [None, "", "not a boot id", "\x00" * 36])
def test_a_hidden_boot_id_makes_each_start_a_boot(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "boot_id"
    if content is not None:
        file.write_text(content)
    one, other = SystemClock(file), SystemClock(file)
    assert uuid.UUID(one.boot_id) != uuid.UUID(other.boot_id)


async def test_a_sleep_ends_at_its_deadline_and_not_before() -> None:
    clock = SystemClock()
    deadline = clock.monotonic_ns() + 20_000_000
    await clock.sleep_until(deadline)
    assert clock.monotonic_ns() >= deadline


async def test_a_deadline_in_the_past_still_lets_others_run() -> None:
    others: list[int] = []
    for clock in (SystemClock(), ManualClock()):
        asyncio.get_running_loop().call_soon(others.append, 1)
        await clock.sleep_until(0)
    assert others == [1, 1]


def test_the_wall_may_step_and_durations_do_not() -> None:
    clock = ManualClock()
    wall, monotonic = clock.wall_ms(), clock.monotonic_ns()
    clock.step_wall(-3600)
    assert (clock.wall_ms(), clock.monotonic_ns()) == (wall - 3_600_000, monotonic)
    clock.advance(2.5)
    assert (clock.wall_ms(), clock.monotonic_ns()) == (wall - 3_597_500, monotonic + 2.5 * S)
    with pytest.raises(ValueError, match="does not run backwards"):
        clock.advance(-1)


def test_a_reboot_is_another_boot() -> None:
    clock = ManualClock()
    clock.advance(100)
    before = clock.boot_id
    clock.reboot()
    assert clock.boot_id != before
    assert clock.monotonic_ns() == S


async def test_a_test_wakes_sleepers_in_the_order_of_their_deadlines() -> None:
    clock, woken = ManualClock(), list[int]()

    async def sleep(seconds: int) -> None:
        await clock.sleep_until(clock.monotonic_ns() + seconds * S)
        woken.append(seconds)

    async with asyncio.TaskGroup() as group:
        for seconds in (3, 1, 2):
            group.create_task(sleep(seconds))
        assert await clock.next_deadline() == 2 * S  # the earliest, one second from now
        clock.advance(0.999)
        await asyncio.sleep(0)
        assert woken == []
        clock.advance(5)
    assert woken == [1, 2, 3]
