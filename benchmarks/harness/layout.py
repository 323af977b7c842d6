"""Cells as tables of words: one layout for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.harness.record import Cell, Figure, Run

Columns = tuple[str, ...]
NONE = "–"
_WIDEST = 13


@dataclass(frozen=True, slots=True)
class Table:
    """A title, a head, and rows as wide as the head."""

    title: str
    head: Columns
    rows: tuple[Columns, ...]


def number(value: float | None) -> str:
    """Three significant digits, thousands parted."""
    if value is None:
        return NONE
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def cuts(figure: Figure) -> str:
    """p50 / p95 / p99; of a few samples, all there is to say."""
    samples = figure.samples
    if not samples:
        return NONE
    if len(samples) == 1:
        return number(samples[0])
    return " / ".join(number(cut) for cut in (figure.p50, figure.p95, figure.p99))


def tables_of(cells: Sequence[Cell]) -> list[Table]:
    """Cells that measure the same things stand in one table, in the order of their measuring."""
    alike: dict[tuple[Columns, Columns, bool], list[Cell]] = {}
    for cell in cells:
        figures = tuple(f"{one.name}, {one.unit}" for one in cell.figures)
        alike.setdefault((figures, tuple(cell.counts), bool(cell.peer)), []).append(cell)
    return [
        _turned(
            Table(
                title="beside it" if peer else "ours",
                head=("", "n", *figures, *counts),
                rows=tuple(_row(cell) for cell in group),
            )
        )
        for (figures, counts, peer), group in alike.items()
    ]


def _turned(table: Table) -> Table:
    """A table that is too wide to be read has its cells side by side instead."""
    if len(table.head) <= _WIDEST or len(table.head) <= len(table.rows):
        return table
    head, *rows = zip(table.head, *table.rows, strict=True)
    return Table(table.title, tuple(head), tuple(rows))


def _row(cell: Cell) -> Columns:
    return (
        cell.name,
        _many(cell),
        *(cuts(one) for one in cell.figures),
        *(number(value) for value in cell.counts.values()),
    )


def _many(cell: Cell) -> str:
    """How many samples are behind its figures."""
    counts = sorted({len(one.samples) for one in cell.figures})
    return "–".join(str(count) for count in (counts[:1] + counts[1:][-1:])) or NONE


def budgets_of(run: Run) -> Table:
    """Each promise with its limit."""
    return Table(
        title="budgets",
        head=("budget", "limit", "value", "unit", ""),
        rows=tuple(
            (
                one.name,
                number(one.limit),
                number(one.value),
                one.unit,
                "held" if one.held else "MISSED",
            )
            for one in run.budgets
        ),
    )


def steps_of(run: Run) -> Table:
    """How long each step took, by phase, and what the machine itself did meanwhile."""
    return Table(
        title="steps",
        head=("step", "set-up s", "warm-up s", "measured s", "scheduling delay ms", "steal %", ""),
        rows=tuple(
            (
                f"{one.workload}: {one.title}",
                *(number(round(seconds, 1)) for seconds in one.seconds.values()),
                cuts(one.scheduling),
                number(round(one.steal_percent, 2)),
                one.failed.partition("\n")[0] or "ended well",
            )
            for one in run.steps
        ),
    )


def end_points(cells: Iterable[Cell]) -> Mapping[str, str]:
    """Where each figure begins and ends; two meanings of one name are both told."""
    points: dict[str, list[str]] = {}
    for figure in (one for cell in cells for one in cell.figures):
        words = f"{figure.frm} → {figure.to}"
        if words not in points.setdefault(figure.name, []):
            points[figure.name].append(words)
    return {name: "; or ".join(words) for name, words in points.items()}
