"""What was measured later takes its place in a whole run, and says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.harness import page
from benchmarks.harness.joining import NotJoined, join
from benchmarks.harness.record import Run
from tests.benchmarks.samples import OURS, PEER, RECORD, RUN, Taps, slower

LATER = replace(
    slower(RUN, 2.0),
    started_at="2031-01-02T03:04:05+00:00",
    commit="f00dfeed",
)


def test_a_later_runs_cells_stand_in_place_of_the_earlier_ones_and_are_judged() -> None:
    whole = join(RUN, LATER, [Taps()])
    assert whole.cells == LATER.cells
    assert whole.budgets == tuple(Taps().judge(LATER.cells, quick=False))
    assert whole.started_at == RUN.started_at
    assert Run.from_json(whole.to_json()).joined == whole.joined


def test_what_it_did_not_measure_stays() -> None:
    other = replace(OURS, workload="another")
    step = replace(RECORD, workload="another")
    earlier = replace(RUN, cells=(*RUN.cells, other), steps=(*RUN.steps, step))
    assert other in join(earlier, LATER, [Taps()]).cells


def test_the_page_says_which_was_measured_later(tmp_path: Path) -> None:
    text = page.write(join(RUN, LATER, [Taps()]), [Taps()], tmp_path).read_text()
    assert "was measured later: begun 2031-01-02T03:04:05+00:00, commit `f00dfeed`." in text


def test_an_incomplete_one_makes_the_whole_incomplete() -> None:
    assert not join(RUN, replace(LATER, complete=False), [Taps()]).complete


def test_a_quick_run_is_not_joined_to_a_whole_one() -> None:
    with pytest.raises(NotJoined):
        join(RUN, replace(LATER, settings={"quick": True}), [Taps()])


def test_peers_of_the_same_workload_go_with_it() -> None:
    later = replace(LATER, cells=LATER.cells[:1])
    assert PEER not in join(RUN, later, [Taps()]).cells
