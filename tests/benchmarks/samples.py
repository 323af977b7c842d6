"""A small record of a run, made up: a workload of ours beside one peer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from benchmarks.harness.record import Budget, Cell, Figure, Run, StepRecord, delay_figure
from benchmarks.harness.workload import (
    Chart,
    Headline,
    Kind,
    Phase,
    Progress,
    Series,
    Step,
    Workload,
)

FROM, TO = "the card is in the field", "the glass shows the work"


def figure(samples: Iterable[float], name: str = "total") -> Figure:
    return Figure(name, "ms", FROM, TO, tuple(samples))


OURS: Final = Cell(
    "taps",
    "warm",
    parameters={"profile": "typical", "taps": 4, "offline": False},
    figures=(figure((100.0, 101.0, 102.0, 103.0)), figure((5.0, 6.0, 7.0, 8.0), "software")),
    counts={"exchanges a tap": 3},
    facts={"simulated": "the card | its field"},
)
PEER: Final = Cell(
    "taps",
    "another's agent",
    figures=(figure((900.0, 910.0, 1000.0)),),
    counts={"exchanges a tap": 38},
    facts={"command": "agent --sign"},
    peer="agent",
)


class Taps(Workload):
    """Gives out what it was made of."""

    name: ClassVar = "taps"
    title: ClassVar = "Taps made up"
    about: ClassVar = "Nothing is measured here."

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)

    def plan(self, *, quick: bool) -> list[Step]:
        return self.steps[:1] if quick else self.steps

    def judge(self, cells: Sequence[Cell], *, quick: bool) -> list[Budget]:
        ours = [cell for cell in cells if not cell.peer]
        value = ours[0].figure("software").p95 if ours else None
        return [Budget.at_most("software p95", 25.0, value, "ms", "the design's limit")]

    def headlines(self, cells: Sequence[Cell]) -> list[Headline]:
        return [
            Headline("tap", f"A warm tap takes {cell.figure('total').p50:.0f} ms.")
            for cell in cells
            if not cell.peer
        ]

    def charts(self, cells: Sequence[Cell]) -> list[Chart]:
        series = tuple(Series(c.name, c.figure("total"), peer=bool(c.peer)) for c in cells)
        places = tuple(float(at) for at in range(4))
        course = Series("warm", OURS.figure("total"), at=places)
        return [
            Chart("taps-curves", "Curves", series, marks={"limit": 500.0}),
            Chart("taps-strips", "Strips", series, Kind.STRIPS, logarithmic=True),
            Chart("taps-course", "Course", (course,), Kind.COURSE, along="taps"),
        ]


def step(title: str, *cells: Cell, error: BaseException | None = None) -> Step:
    """Gives its cells, then fails if it is told to."""

    def work(progress: Progress) -> Iterable[Cell]:
        progress.phase(Phase.MEASURED)
        yield from cells
        if error is not None:
            raise error

    return Step(title, 10.0, work)


RECORD: Final = StepRecord(
    workload="taps",
    title="both",
    seconds={"set-up": 1.0, "warm-up": 2.0, "measured": 3.0},
    scheduling=delay_figure((0.1, 0.2, 0.3)),
    cells=("warm", "another's agent"),
)
RUN: Final = Run(
    started_at="2026-01-01T00:00:00+00:00",
    commit="0123456789ab",
    machine={"processor": "one of two", "cores": "2", "system": "Linux", "Python": "3"},
    settings={"quick": False, "only": "taps"},
    cells=(OURS, PEER),
    budgets=tuple(Taps().judge((OURS, PEER), quick=False)),
    steps=(RECORD,),
    complete=True,
)


def slower(run: Run, by: float) -> Run:
    """The same run with every sample of ours multiplied."""
    cells = tuple(
        cell
        if cell.peer
        else replace(
            cell,
            figures=tuple(
                replace(one, samples=tuple(by * value for value in one.samples))
                for one in cell.figures
            ),
        )
        for cell in run.cells
    )
    return replace(run, cells=cells)
