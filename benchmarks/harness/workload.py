"""What a benchmark gives to the harness: a plan of steps, and its judgement of what they found.

To add a benchmark, write a module with a subclass of Workload and name it in
`benchmarks/workloads.py`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol

from benchmarks.harness.record import Budget, Cell, Figure


class Phase(StrEnum):
    """What a step is doing; only MEASURED may leave a sample behind."""

    SET_UP = "set-up"
    WARM_UP = "warm-up"
    MEASURED = "measured"


class Progress(Protocol):
    """How a step tells where it is. Safe to use from several threads."""

    def phase(self, phase: Phase) -> None:
        """From here on. In MEASURED the machine's own scheduling delay is sampled beside."""

    def done(self, count: int, of: int) -> None:
        """So much of the step as a whole; makes the remaining time right."""

    def say(self, words: str) -> None:
        """A line for whoever watches: a peer's command line, a surprise."""


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a plan that stands or falls by itself: it makes and removes what it needs.

    ``work`` gives each cell as soon as it is measured, so that those before a failure are kept;
    whatever it raises is recorded as the step's failure, and the next step begins. A result that
    must not be (an event lost, a tap refused) is raised too, after its cell: it ends the whole run
    with status 1, a missed Budget only with 2.
    """

    title: str
    expected_s: float
    work: Callable[[Progress], Iterable[Cell]]


@dataclass(frozen=True, slots=True)
class Headline:
    """A figure for the README: ``said`` is the whole sentence, value and unit included."""

    name: str
    said: str


@dataclass(frozen=True, slots=True)
class Series:
    """Named samples in a chart."""

    name: str
    figure: Figure
    peer: bool = False
    at: tuple[float, ...] = ()
    """In a COURSE: where along the axis each sample was taken."""


class Kind(StrEnum):
    """How a chart shows its series."""

    CURVES = "curves"
    """Cumulative distributions over one another: a few series that are nearly alike."""
    STRIPS = "strips"
    """Every sample as a dot, a row a series, with p50 and p95: many series, or far apart."""
    COURSE = "course"
    """Each sample at its place along an axis: growth, draining."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Distributions beside each other; all its figures have one unit."""

    file: str
    """Without ending; unique over all workloads."""
    title: str
    series: tuple[Series, ...]
    kind: Kind = Kind.CURVES
    logarithmic: bool = False
    marks: Mapping[str, float] = field(default_factory=dict)
    """Limits to be drawn, by name, in the figures' unit."""
    along: str = ""
    """In a COURSE: what its axis counts, with the unit."""


class Workload(Protocol):
    """A benchmark. Subclass it; `judge`, `headlines` and `charts` see this workload's cells.

    The three are pure and must bear any part of the plan missing: a run may be partial.
    """

    name: ClassVar[str]
    """As in ``--only``, and in each of its cells."""
    title: ClassVar[str]
    about: ClassVar[str]
    """For the page, in Markdown: what is measured how, what is simulated, from where to where."""

    @abstractmethod
    def plan(self, *, quick: bool) -> list[Step]:
        """``quick``: what a developer runs between two thoughts, the headline alone."""

    def judge(self, cells: Sequence[Cell], *, quick: bool) -> list[Budget]:
        """Which promises were held: those that this kind of plan can tell.

        The cell of such a promise is missing: its value is None, and it is not held.
        """
        del cells, quick
        return []

    def headlines(self, cells: Sequence[Cell]) -> list[Headline]:
        """What a reader in a hurry must see; nothing where the cells do not tell it."""
        del cells
        return []

    def charts(self, cells: Sequence[Cell]) -> list[Chart]:
        """Plots for the page."""
        del cells
        return []
