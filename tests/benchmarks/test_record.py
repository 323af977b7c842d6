"""A run's record: what is measured comes back from its file, and percentiles are what they say."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.record import Budget, Run, percentile
from tests.benchmarks.samples import OURS, RUN

VALUES = st.floats(min_value=0.001, max_value=1e6)


def test_a_run_comes_back_from_its_file_equal() -> None:
    assert Run.from_json(RUN.to_json()) == RUN


@given(st.lists(VALUES, max_size=20))
def test_every_sample_is_kept_in_its_order_to_six_digits(samples: list[float]) -> None:
    figure = replace(OURS.figures[0], samples=tuple(samples))
    run = replace(RUN, cells=(replace(OURS, figures=(figure,)),))
    back = Run.from_json(run.to_json()).cells[0].figures[0].samples
    assert back == pytest.approx(samples, rel=1e-5)


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format"):
        Run.from_json(RUN.to_json().replace('"format": 1', '"format": 2'))


@given(st.lists(VALUES, min_size=2, max_size=60), st.integers(min_value=1, max_value=99))
def test_a_percentile_is_that_of_the_statistics_module(samples: list[float], percent: int) -> None:
    cuts = statistics.quantiles(samples, n=100, method="inclusive")
    assert percentile(samples, percent) == pytest.approx(cuts[percent - 1])


def test_one_sample_is_every_percentile_and_none_is_an_error() -> None:
    assert percentile([7.0], 99) == 7.0
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)


@pytest.mark.parametrize(
    ("value", "most", "least"), [(9.9, True, False), (10.0, True, True), (10.1, False, True)]
)
def test_a_limit_itself_is_held(value: float, *, most: bool, least: bool) -> None:
    assert Budget.at_most("b", 10.0, value, "ms", "").held is most
    assert Budget.at_least("b", 10.0, value, "ms", "").held is least


def test_what_was_not_measured_was_not_held() -> None:
    assert not Budget.at_most("b", 10.0, None, "ms", "").held
    assert not Budget.at_least("b", 10.0, None, "ms", "").held
