"""A run on the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from benchmarks.harness import layout
from benchmarks.harness.baseline import Comparison
from benchmarks.harness.record import Run

_WORDS = {"", "budget", "unit", "step", "figure"}  # columns that are read from the left


def show(run: Run, console: Console, compared: Comparison | None = None) -> None:
    """Figures, budgets and steps; the change since the baseline where there is one."""
    for workload in dict.fromkeys(cell.workload for cell in run.cells):
        for table in layout.tables_of(run.of(workload)):
            _show(table, f"{workload}, {table.title} (p50 / p95 / p99)", console)
    _show(layout.steps_of(run), "Steps", console)
    if compared is not None:
        console.print(f"\n{compared.words}", markup=False, soft_wrap=True)
        _show(compared.table, "Changed since the baseline (this run ÷ baseline)", console)
    _show(layout.budgets_of(run), "Budgets", console)
    for step in run.steps:
        if step.failed:
            console.print(f"failed: {step.workload}: {step.title}: {step.failed}", markup=False)
    if not run.complete:
        console.print("This run is not complete: make bench ARGS=--resume goes on.", markup=False)


def _show(table: layout.Table, title: str, console: Console) -> None:
    if not table.rows:
        return
    console.print(f"\n[bold]{title}[/bold]")
    shown = RichTable(box=box.SIMPLE_HEAD)
    for name in table.head:
        shown.add_column(name, justify="left" if name in _WORDS else "right", overflow="fold")
    for row in table.rows:
        shown.add_row(*map(escape, row))
    console.print(shown)
