"""Supervision: named states, delays with jitter, and an orderly end."""

import asyncio
import logging
import os
import random
import signal
from collections.abc import Callable

import pytest

from runtime.clock import ManualClock
from runtime.supervisor import Backoff, Change, State, Supervisor, run_all

S = 1_000_000_000


class WorldError(Exception):
    pass


class Ceiling(random.Random):
    """The unluckiest jitter: always the most."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Bench:
    """A supervised session whose fate the test decides, step by step."""

    def __init__(self, backoff: Backoff | None = None) -> None:
        self.clock = ManualClock()
        self.tries: asyncio.Queue[tuple[Callable[[], None], asyncio.Future[None]]]
        self.tries = asyncio.Queue()
        self.changes: list[Change] = []
        self.supervisor = Supervisor(
            "the link", self.session, (WorldError,), self.clock, Ceiling(), backoff
        )
        self.supervisor.listen(self.changes.append)
        self.running = asyncio.create_task(self.supervisor.run())

    async def session(self, stands: Callable[[], None]) -> None:
        fate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.tries.put_nowait((stands, fate))
        await fate

    async def fail(self, *, after_up_s: float | None = None) -> float:
        """The present try fails; how long the supervisor then waits."""
        stands, fate = await self.tries.get()
        if after_up_s is not None:
            stands()
            self.clock.advance(after_up_s)
        fate.set_exception(WorldError("refused"))
        return (await self.clock.next_deadline() - self.clock.monotonic_ns()) / S

    def states(self) -> list[State]:
        return [change.state for change in self.changes]


async def test_it_tries_until_it_stands_and_again_when_it_falls() -> None:
    bench = Bench(Backoff(first_s=1, most_s=8, settled_s=10))
    assert bench.supervisor.now == Change(State.DOWN)
    assert await bench.fail() == 1
    assert bench.supervisor.now == Change(State.WAITING, "refused", 1)
    bench.clock.advance(1)
    assert await bench.fail(after_up_s=60) == 1
    bench.clock.advance(1)
    _, fate = await bench.tries.get()
    fate.set_result(None)
    await bench.clock.next_deadline()
    assert bench.supervisor.now.reason == "ended by the other side"
    bench.running.cancel()
    await asyncio.wait({bench.running})
    assert bench.states() == [
        *(State.CONNECTING, State.WAITING),
        *(State.CONNECTING, State.UP, State.WAITING),
        *(State.CONNECTING, State.WAITING),
        State.DOWN,
    ]


async def test_the_wait_doubles_up_to_its_most_and_only_a_lasting_link_ends_the_row() -> None:
    bench = Bench(Backoff(first_s=1, most_s=8, settled_s=10))
    waits = []
    for after_up_s in (None, None, None, None, None, 9.0, 10.0, None):
        waits.append(await bench.fail(after_up_s=after_up_s))
        bench.clock.advance(waits[-1])
    assert waits == [1, 2, 4, 8, 8, 8, 1, 2]
    bench.running.cancel()


async def test_what_was_mended_is_tried_soon_and_its_row_of_failures_is_over() -> None:
    bench = Bench(Backoff(first_s=1, most_s=64, settled_s=10))
    for wait in (1, 2, 4, 8):
        assert await bench.fail() == wait
        bench.clock.advance(wait)
    assert await bench.fail() == 16
    bench.supervisor.hurry()
    for _ in range(5):  # the long wait is given up in a few turns of the loop
        await asyncio.sleep(0)
    assert await bench.clock.next_deadline() == bench.clock.monotonic_ns() + S
    bench.clock.advance(1)
    assert await bench.fail() == 1
    bench.running.cancel()


def test_a_ward_of_terminals_does_not_come_back_in_one_moment() -> None:
    backoff, chance = Backoff(first_s=1, most_s=30), random.Random(7)
    delays = [backoff.delay_s(3, chance) for _ in range(1000)]
    assert min(delays) < 0.1
    assert 3.9 < max(delays) <= 4.0
    assert 1.8 < sum(delays) / len(delays) < 2.2
    assert backoff.delay_s(10**6, Ceiling()) == 30


async def test_the_first_failure_warns_and_repeats_do_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "runtime.supervisor")
    bench = Bench()
    for _ in range(3):
        bench.clock.advance(await bench.fail())
    await bench.fail(after_up_s=1)
    said = [record.levelname for record in caplog.records]
    assert said == ["WARNING", "DEBUG", "DEBUG", "INFO", "WARNING"]
    bench.running.cancel()


async def test_a_bug_of_ours_is_an_error_and_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    _, fate = await bench.tries.get()
    fate.set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await bench.running
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert bench.states()[-1] is State.DOWN


class Parts:
    """Parts of a daemon that note when they begin and end."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.begun = asyncio.Event()

    async def part(self, name: str) -> None:
        self.notes.append(f"{name} begins")
        self.begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0)
            self.notes.append(f"{name} ends")

    async def after(self, error: Exception | None) -> None:
        await self.begun.wait()
        if error:
            raise error


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_parts_in_reverse_order(number: signal.Signals) -> None:
    parts = Parts()
    running = asyncio.create_task(
        run_all({"journal": parts.part("journal"), "screen": parts.part("screen")})
    )
    await parts.begun.wait()
    await asyncio.sleep(0)
    os.kill(os.getpid(), number)
    await running
    assert parts.notes == ["journal begins", "screen begins", "screen ends", "journal ends"]
    assert signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}


async def test_a_part_that_fails_ends_the_others_and_is_heard() -> None:
    parts = Parts()
    with pytest.raises(WorldError):
        await run_all({"screen": parts.part("screen"), "link": parts.after(WorldError())})
    assert parts.notes == ["screen begins", "screen ends"]


async def test_parts_may_finish_and_a_cancelled_daemon_stops_its_parts() -> None:
    parts = Parts()
    running = asyncio.create_task(
        run_all({"screen": parts.part("screen"), "once": parts.after(None)})
    )
    await parts.begun.wait()
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
    assert parts.notes == ["screen begins", "screen ends"]
    parts.begun.set()
    await run_all({"once": parts.after(None)})
