"""A later run of some workloads takes its place in an earlier one that measured the rest.

A whole run takes the better part of an hour; what was built since needs not wait for the next. The
record says of each such workload when it was measured and of which commit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from benchmarks.harness.record import Run
from benchmarks.harness.workload import Workload


class NotJoined(Exception):
    """The two were not measured alike."""


def join(earlier: Run, later: Run, workloads: Iterable[Workload]) -> Run:
    """``earlier`` with what ``later`` measured in place of its own. Raises NotJoined.

    ``workloads`` are all that either may hold; each judges its own cells anew.
    """
    quick = bool(later.settings.get("quick"))
    if quick != bool(earlier.settings.get("quick")):
        raise NotJoined("one of the two is a quick run, the other is not")
    names = {step.workload for step in later.steps}
    cells = (*(one for one in earlier.cells if one.workload not in names), *later.cells)
    steps = (*(one for one in earlier.steps if one.workload not in names), *later.steps)
    told = f"begun {later.started_at}, commit `{later.commit}`"
    whole = replace(
        earlier,
        cells=cells,
        steps=steps,
        complete=earlier.complete and later.complete,
        joined={**earlier.joined, **dict.fromkeys(sorted(names), told)},
    )
    known = {step.workload for step in steps}
    budgets = [
        budget
        for one in workloads
        if one.name in known
        for budget in one.judge(whole.of(one.name), quick=quick)
    ]
    return replace(whole, budgets=tuple(budgets))
