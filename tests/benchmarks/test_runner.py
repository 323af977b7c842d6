"""A run is honest: a step that fails is recorded, what was measured is kept, and one can go on."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable
from dataclasses import replace

import pytest
from rich.console import Console

from benchmarks.__main__ import status
from benchmarks.harness.delay import INTERVAL_S
from benchmarks.harness.progress import Remaining, in_words
from benchmarks.harness.record import Cell, Run
from benchmarks.harness.runner import INTERRUPTED, Runner, Start
from benchmarks.harness.workload import Phase, Progress, Step
from tests.benchmarks.samples import OURS, PEER, RUN, Taps, step

START = Start(RUN.started_at, RUN.commit, RUN.machine, RUN.settings)


def runner(*steps: Step, start: Start = START) -> tuple[Runner, list[Run]]:
    kept: list[Run] = []
    console = Console(file=io.StringIO(), force_terminal=False, width=200)
    return Runner(start, [Taps(*steps)], kept.append, console), kept


def test_a_plan_that_ends_well_is_complete_and_judged() -> None:
    one, kept = runner(step("ours", OURS), step("peer", PEER))
    run = one.run()
    assert (run.complete, run.cells, status(run)) == (True, (OURS, PEER), 0)
    assert run == kept[-1]
    assert [state.complete for state in kept] == [False, True]


def test_a_step_that_fails_is_recorded_and_the_others_are_measured() -> None:
    one, _ = runner(step("ours", OURS, error=OSError("the disk is full")), step("peer", PEER))
    run = one.run()
    assert [record.failed for record in run.steps] == ["OSError: the disk is full", ""]
    assert run.cells == (OURS, PEER)
    assert (run.complete, status(run)) == (False, 1)


def test_a_failure_names_what_it_began_with() -> None:
    error = OSError("the socket is gone")
    error.__context__ = ValueError("the card is gone")
    one, _ = runner(step("ours", error=error))
    (record,) = one.run().steps
    assert record.failed.startswith("OSError: the socket is gone")
    assert "ValueError: the card is gone" in record.failed


def test_ctrl_c_ends_the_run_and_keeps_what_was_measured() -> None:
    one, kept = runner(step("ours", OURS, error=KeyboardInterrupt()), step("peer", PEER))
    run = one.run()
    assert [record.failed for record in run.steps] == [INTERRUPTED]
    assert (run.cells, run.complete, status(run)) == ((OURS,), False, 1)
    assert kept == [run]


def test_a_resumed_run_measures_only_what_failed_or_is_missing() -> None:
    broken, _ = runner(step("ours", OURS), step("peer", PEER, error=OSError("gone")))
    earlier = Run.from_json(broken.run().to_json())
    again = replace(PEER, counts={"exchanges a tap": 40})
    one, _ = runner(step("ours", replace(OURS, counts={})), step("peer", again))
    one.resume(earlier)
    run = one.run()
    assert run.cells == (OURS, again)
    assert run.complete


@pytest.mark.parametrize(
    ("change", "goes_on"),
    [
        ({}, True),
        ({"commit": "another"}, False),
        ({"settings": {"quick": True, "only": "taps"}}, False),
        ({"machine": {**RUN.machine, "cores": "4"}}, False),
        ({"machine": {**RUN.machine, "a flush of 4 kB there": "0.3 ms"}}, True),
        ({"complete": True}, False),
    ],
)
def test_only_an_unfinished_run_of_the_same_commit_plan_and_machine_is_resumed(
    change: dict[str, object], *, goes_on: bool
) -> None:
    earlier = replace(RUN, **{"complete": False, **change})  # type: ignore[arg-type]
    start = replace(START, machine={**RUN.machine, "a flush of 4 kB there": "0.2 ms"})
    earlier = replace(earlier, machine={"a flush of 4 kB there": "", **earlier.machine})
    assert start.continues(earlier) is goes_on


def test_a_missed_budget_is_another_status_than_a_failure() -> None:
    slow = replace(OURS, figures=tuple(replace(f, samples=(99.0,)) for f in OURS.figures))
    one, _ = runner(step("ours", slow))
    assert status(one.run()) == 2


def test_the_quick_plan_is_the_one_that_is_run() -> None:
    start = replace(START, settings={"quick": True, "only": "taps"})
    one, _ = runner(step("ours", OURS), step("peer", PEER), start=start)
    assert one.run().cells == (OURS,)


def test_the_phases_are_timed_apart_and_the_machine_is_watched_in_the_measured_one() -> None:
    def work(progress: Progress) -> Iterable[Cell]:
        progress.phase(Phase.WARM_UP)
        progress.phase(Phase.MEASURED)
        threading.Event().wait(6 * INTERVAL_S)
        yield OURS

    one, _ = runner(Step("ours", 1.0, work))
    (record,) = one.run().steps
    assert set(record.seconds) == {"set-up", "warm-up", "measured"}
    assert record.seconds["measured"] > record.seconds["warm-up"]
    assert 1 <= len(record.scheduling.samples) <= 6


def test_what_remains_is_what_was_expected_until_a_step_tells_its_own_pace() -> None:
    steps = [step("a"), step("b"), step("c")]
    left = Remaining(steps)
    assert left.seconds(0, 0.0, 0.0) == 30.0
    assert left.seconds(0, 0.0, 4.0) == 26.0
    assert left.seconds(1, 0.5, 20.0) == 30.0
    assert left.seconds(2, 0.0, 99.0) == 0.0


@pytest.mark.parametrize(("seconds", "said"), [(3.0, "10 s"), (44.0, "40 s"), (1500.0, "25 min")])
def test_an_estimate_is_said_no_more_exactly_than_it_is(seconds: float, said: str) -> None:
    assert in_words(seconds) == said
