"""A run beside the saved one: ratios, and only what has changed is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.harness.baseline import Comparison, compare, save
from benchmarks.harness.record import Run
from tests.benchmarks.samples import OURS, PEER, RUN, slower


def against(run: Run, then: Run, folder: Path) -> Comparison:
    path = folder / "baseline.json"
    save(then, path)
    compared = compare(run, path)
    assert compared is not None
    return compared


def told(compared: Comparison) -> list[str]:
    return [row[0] for row in compared.table.rows]


def test_the_same_run_is_as_the_baseline(tmp_path: Path) -> None:
    compared = against(RUN, RUN, tmp_path)
    assert set(compared.ratios.values()) == {1.0}
    assert told(compared) == []
    assert "the same machine" in compared.words


def test_what_takes_half_as_long_again_is_told_as_that_ratio(tmp_path: Path) -> None:
    compared = against(slower(RUN, 1.5), RUN, tmp_path)
    assert compared.ratios["taps/warm/software p95"] == pytest.approx(1.5, rel=1e-4)
    assert compared.ratios["taps/another's agent/total p50"] == 1.0
    assert told(compared) == [
        "taps/warm/total p50",
        "taps/warm/total p95",
        "taps/warm/software p50",
        "taps/warm/software p95",
    ]


@pytest.mark.parametrize(("by", "changed"), [(1.05, False), (0.95, False), (0.85, True)])
def test_the_machines_weather_is_not_told(tmp_path: Path, by: float, *, changed: bool) -> None:
    assert bool(told(against(slower(RUN, by), RUN, tmp_path))) is changed


def test_one_exchange_more_is_told_however_small_the_ratio(tmp_path: Path) -> None:
    more = replace(PEER, counts={"exchanges a tap": 39})
    compared = against(replace(RUN, cells=(OURS, more)), RUN, tmp_path)
    assert told(compared) == ["taps/another's agent/exchanges a tap"]


def test_another_machine_is_named(tmp_path: Path) -> None:
    other = replace(RUN, machine={**RUN.machine, "processor": "another", "cores": "8"})
    assert "another machine (processor, cores)" in against(other, RUN, tmp_path).words


@pytest.mark.parametrize(
    "change", [{"complete": False}, {"settings": {"quick": True, "only": "taps"}}]
)
def test_only_a_whole_run_is_a_baseline(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "baseline.json"
    with pytest.raises(ValueError, match="whole run"):
        save(replace(RUN, **change), path)  # type: ignore[arg-type]
    assert not path.exists()


def test_without_a_baseline_there_is_nothing_to_compare(tmp_path: Path) -> None:
    assert compare(RUN, tmp_path / "none.json") is None
