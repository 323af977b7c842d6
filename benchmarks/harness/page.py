"""docs/performance.md and the README's headlines, written from a run's record and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.harness import layout
from benchmarks.harness.baseline import Comparison
from benchmarks.harness.plots import draw
from benchmarks.harness.record import Cell, Run
from benchmarks.harness.workload import Chart, Kind, Series, Workload

FINDINGS: Final = Path("benchmarks/findings.md")
"""What people found out by these figures, and what they mended; the page ends with it."""
BEGIN: Final = "<!-- written by make bench-page: begin -->"
END: Final = "<!-- written by make bench-page: end -->"


_REPEAT: Final = """\
`make bench` measures all of it, `make bench QUICK=1` the headlines alone; the record goes to
`build/bench/`. `make bench-page` writes this page from it, and `make bench-baseline` keeps it as
what later runs are held against."""
_HERE: Final = f"{Path(__file__).resolve().parents[2]}/"


class NoPlace(Exception):
    """The README has no place for the headlines."""


def write(
    run: Run,
    workloads: Sequence[Workload],
    docs: Path,
    findings: str = "",
    compared: Comparison | None = None,
) -> Path:
    """Writes ``performance.md`` and its pictures below ``docs``; returns the page."""
    pictures = docs / "performance"
    for old in pictures.glob("*.png"):
        old.unlink()
    parts = [
        "# Performance",
        "Written by `make bench-page` from the record of a run; not by hand.",
        *_warning(run),
        "\n".join(headlines(run, workloads)),
        "## Promises",
        _table(layout.budgets_of(run)),
        "\n".join(f"- {one.name}: {one.why}" for one in run.budgets),
        *(part for one in workloads for part in _chapter(run, one, pictures)),
        *_machine(run, pictures),
        *_compared(compared),
        findings.strip(),
        "## To repeat it",
        _REPEAT,
    ]
    page = docs / "performance.md"
    # A command line or an error may name this checkout: no reader has it in the same place.
    text = "\n\n".join(part for part in parts if part).replace(_HERE, "")
    page.write_text(text + "\n", encoding="utf-8")
    return page


def write_headlines(run: Run, workloads: Sequence[Workload], readme: Path) -> None:
    """Puts the headlines between the README's two marks. Raises NoPlace."""
    text = readme.read_text(encoding="utf-8")
    place = re.compile(f"(?s){re.escape(BEGIN)}.*?{re.escape(END)}")
    if len(place.findall(text)) != 1:
        raise NoPlace(f"{readme} needs the lines {BEGIN} and {END}, once")
    lines = [BEGIN, *_warning(run), *headlines(run, workloads), END]
    readme.write_text(place.sub(lambda _: "\n".join(lines), text), encoding="utf-8")


def headlines(run: Run, workloads: Sequence[Workload]) -> list[str]:
    """A list in Markdown."""
    return [f"- {line.said}" for one in workloads for line in one.headlines(run.of(one.name))]


def _warning(run: Run) -> list[str]:
    faults = [f"{one.workload}: {one.title}" for one in run.steps if one.failed]
    words = []
    if run.settings.get("quick"):
        words.append("of a quick run: few samples, the headline cells alone")
    if not run.complete:
        words.append("of a run that is not complete")
    if faults:
        words.append(f"without what failed ({'; '.join(faults)})")
    return [f"**These are figures {', '.join(words)}.**"] if words else []


def _chapter(run: Run, workload: Workload, pictures: Path) -> Iterable[str]:
    cells = run.of(workload.name)
    if not cells:
        return
    yield f"## {workload.title}"
    yield workload.about.strip()
    for chart in workload.charts(cells):
        yield _picture(chart, pictures)
    for table in layout.tables_of(cells):
        yield f"### {table.title.capitalize()}"
        yield "p50 / p95 / p99 of n samples."
        yield _table(table)
    points = layout.end_points(cells)
    if points:
        yield "From where to where each figure goes:"
        yield "\n".join(f"- {name}: {words}" for name, words in points.items())
    if facts := _facts(cells):
        yield "How it was measured:"
        yield "\n".join(facts)


def _facts(cells: Sequence[Cell]) -> list[str]:
    """Each fact once, with the cells that share it."""
    shared: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        for name, words in cell.facts.items():
            shared.setdefault((name, words), []).append(cell.name)
    lines: list[str] = []
    for (name, words), whose in shared.items():
        where = "all" if len(whose) == len(cells) else ", ".join(whose)
        lines.append(f"- {name} ({where}): {words}")
    return lines


def _machine(run: Run, pictures: Path) -> Iterable[str]:
    yield "## The machine"
    yield f"Begun {run.started_at}, commit `{run.commit}`."
    if run.joined:
        yield "\n".join(
            f"- {name} was measured later: {told}." for name, told in run.joined.items()
        )
    yield "\n".join(f"- {name}: {words}" for name, words in run.machine.items())
    if run.scheduling.samples:
        yield "What the machine itself costs whoever waits on it, measured beside the workloads:"
        series = tuple(
            Series(f"{one.workload}: {one.title}", one.scheduling)
            for one in run.steps
            if one.scheduling.samples
        )
        title = "How late an idle process is woken"
        yield _picture(Chart("scheduling", title, series, Kind.STRIPS, logarithmic=True), pictures)
    yield _table(layout.steps_of(run))


def _compared(compared: Comparison | None) -> Iterable[str]:
    if compared is None:
        return
    yield "## Since the baseline"
    yield compared.words
    if compared.table.rows:
        yield _table(compared.table)


def _picture(chart: Chart, pictures: Path) -> str:
    path = draw(chart, pictures)
    return f"![{chart.title}]({pictures.name}/{path.name})"


def _table(table: layout.Table) -> str:
    rows = [table.head, ("---",) * len(table.head), *table.rows]
    return "\n".join("| " + " | ".join(_cell(word) for word in row) + " |" for row in rows)


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")
