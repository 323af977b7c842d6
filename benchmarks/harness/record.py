"""What a run leaves: raw samples with their end points, the machine, and what was promised.

All of it goes into one JSON file and comes back equal, samples to six digits; tables, plots and
pages are made from that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

FORMAT: Final = 1
"""Of the JSON file; grows by fields with a default, a new meaning takes a new number."""
_DIGITS: Final = 6  # significant ones of a sample: far below what any clock here can tell

Parameter = str | int | float | bool


def percentile(samples: Sequence[float], percent: float) -> float:
    """Linear between the two nearest ranks. Raises ValueError without samples."""
    if not samples:
        raise ValueError("a percentile of no samples")
    ordered = sorted(samples)
    at = (len(ordered) - 1) * percent / 100
    low, high = math.floor(at), math.ceil(at)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing measured several times. ``frm`` and ``to`` are its end points, in words."""

    name: str
    unit: str
    frm: str
    to: str
    samples: tuple[float, ...]

    @property
    def p50(self) -> float:
        return percentile(self.samples, 50)

    @property
    def p95(self) -> float:
        return percentile(self.samples, 95)

    @property
    def p99(self) -> float:
        return percentile(self.samples, 99)


@dataclass(frozen=True, slots=True)
class Cell:
    """One configuration of a workload, measured."""

    workload: str
    name: str
    """Unique within its workload."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    counts: Mapping[str, float] = field(default_factory=dict)
    """What was counted and not timed: exchanges a tap, events lost, bytes an event."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What a reader must know to repeat it: a peer's command line, a version, what was simulated.

    The unit of a count is in its name.
    """
    peer: str = ""
    """Whose it is, where it is not ours."""

    def figure(self, name: str) -> Figure:
        """Raises KeyError."""
        for one in self.figures:
            if one.name == name:
                return one
        raise KeyError(f"{self.workload}/{self.name} has no figure {name!r}")


@dataclass(frozen=True, slots=True)
class Budget:
    """A promise with a limit. ``held`` is judged by the workload: some limits are floors."""

    name: str
    limit: float
    value: float | None
    """None where the run did not get so far; such a budget is not held."""
    held: bool
    unit: str
    why: str
    """Where the limit comes from, and which cell and statistic the value is."""

    @classmethod
    def at_most(cls, name: str, limit: float, value: float | None, unit: str, why: str) -> Budget:
        return cls(name, limit, value, value is not None and value <= limit, unit, why)

    @classmethod
    def at_least(cls, name: str, limit: float, value: float | None, unit: str, why: str) -> Budget:
        return cls(name, limit, value, value is not None and value >= limit, unit, why)


@dataclass(frozen=True, slots=True)
class StepRecord:
    """How one step of the plan went."""

    workload: str
    title: str
    seconds: Mapping[str, float]
    """By phase."""
    scheduling: Figure
    """How late this machine woke an idle process meanwhile, in the measured phase alone."""
    steal_percent: float = 0.0
    """Of the machine's time in the measured phase that its host gave to others."""
    failed: str = ""
    """Why it ended early; its cells up to there are kept."""
    cells: tuple[str, ...] = ()
    """The names of what it measured."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run, whole or partial, with everything that is needed to judge it later."""

    started_at: str
    """ISO 8601, UTC."""
    commit: str
    """With a mark of the changes where the work tree was not clean."""
    machine: Mapping[str, str]
    """Processor, memory, kernel, file system of the state folder, versions of every part."""
    settings: Mapping[str, Parameter]
    cells: tuple[Cell, ...]
    budgets: tuple[Budget, ...]
    steps: tuple[StepRecord, ...] = ()
    complete: bool = False
    """Every planned step has ended well."""
    joined: Mapping[str, str] = field(default_factory=dict)
    """By workload that was measured by a later run: which (`benchmarks.harness.joining`)."""

    @property
    def scheduling(self) -> Figure:
        """The machine's own delay over all measured phases."""
        samples = tuple(value for step in self.steps for value in step.scheduling.samples)
        return delay_figure(samples)

    def of(self, workload: str) -> tuple[Cell, ...]:
        """The cells of one workload, in the order in which they were measured."""
        return tuple(cell for cell in self.cells if cell.workload == workload)

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT, **_rounded(asdict(self))}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Run:
        """Raises ValueError for another format."""
        raw = json.loads(text)
        if raw.pop("format", None) != FORMAT:
            raise ValueError(f"no record of a run in format {FORMAT}")
        raw["cells"] = tuple(_cell(one) for one in raw["cells"])
        raw["budgets"] = tuple(Budget(**one) for one in raw["budgets"])
        raw["steps"] = tuple(_step(one) for one in raw["steps"])
        return cls(**raw)

    @classmethod
    def load(cls, path: Path) -> Run:
        """Raises OSError, ValueError."""
        return cls.from_json(path.read_text(encoding="utf-8"))


def delay_figure(samples_ms: Iterable[float]) -> Figure:
    """The machine's own scheduling delay."""
    return Figure(
        name="scheduling delay",
        unit="ms",
        frm="the moment for which an otherwise idle process asked to be woken",
        to="it runs",
        samples=tuple(samples_ms),
    )


def _figure(raw: dict[str, Any]) -> Figure:
    return Figure(**{**raw, "samples": tuple(raw["samples"])})


def _cell(raw: dict[str, Any]) -> Cell:
    return Cell(**{**raw, "figures": tuple(_figure(one) for one in raw["figures"])})


def _step(raw: dict[str, Any]) -> StepRecord:
    scheduling, cells = _figure(raw["scheduling"]), tuple(raw["cells"])
    return StepRecord(**{**raw, "scheduling": scheduling, "cells": cells})


def _rounded(value: Any) -> Any:  # noqa: ANN401 (any JSON)
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value
