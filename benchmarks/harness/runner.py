"""Goes through a plan: each step stands or falls by itself, and what is known is kept at once."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rich.console import Console

from benchmarks.harness.progress import Planned, Watch
from benchmarks.harness.record import Cell, Parameter, Run, StepRecord
from benchmarks.harness.workload import Workload

INTERRUPTED: Final = "interrupted"
_LINES: Final = 12  # of a failure that somebody sees; the record has its last one


@dataclass(frozen=True, slots=True)
class Start:
    """What is known of a run before its first step."""

    started_at: str
    commit: str
    machine: Mapping[str, str]
    settings: Mapping[str, Parameter]

    def continues(self, earlier: Run) -> bool:
        """Whether an earlier run was of the same commit and plan, on a machine of this name."""
        return (
            not earlier.complete
            and self.commit == earlier.commit
            and dict(self.settings) == dict(earlier.settings)
            and all(
                self.machine[part] == earlier.machine.get(part)
                for part in self.machine
                if not part.startswith("a flush")  # measured anew, so never twice the same
            )
        )


class Runner:
    """One run. ``keep`` gets its state after each step, so that a power cut costs one step."""

    def __init__(
        self,
        start: Start,
        workloads: Sequence[Workload],
        keep: Callable[[Run], None],
        console: Console,
    ) -> None:
        self._start = start
        self._workloads = workloads
        self._keep = keep
        self._console = console
        self._quick = bool(start.settings["quick"])
        self._plan = [
            Planned(one.name, step) for one in workloads for step in one.plan(quick=self._quick)
        ]
        self._cells: list[Cell] = []
        self._steps: list[StepRecord] = []

    def resume(self, earlier: Run) -> None:
        """Takes over the steps that ended well; the others are measured anew."""
        self._steps = [step for step in earlier.steps if not step.failed]
        known = {(step.workload, name) for step in self._steps for name in step.cells}
        self._cells = [cell for cell in earlier.cells if (cell.workload, cell.name) in known]

    @property
    def left(self) -> list[Planned]:
        """What has not been measured yet."""
        known = {(step.workload, step.title) for step in self._steps}
        return [one for one in self._plan if (one.workload, one.step.title) not in known]

    def run(self) -> Run:
        """Measures what is left. A step's failure is recorded; Ctrl-C ends the run, recorded too.

        Raises nothing of a step's own.
        """
        left = self.left
        watch = Watch(left, self._console)
        for at, planned in enumerate(left):
            watch.begin(at)
            names, failed = self._measure(planned, watch)
            self._steps.append(replace(watch.end(failed), cells=names))
            self._keep(self.state())
            if failed == INTERRUPTED:
                break
        return self.state()

    def state(self) -> Run:
        """The run so far, judged."""
        record = Run(
            started_at=self._start.started_at,
            commit=self._start.commit,
            machine=self._start.machine,
            settings=self._start.settings,
            cells=tuple(self._cells),
            budgets=(),
            steps=tuple(self._steps),
            complete=not self.left and not any(step.failed for step in self._steps),
        )
        budgets = [
            budget
            for workload in self._workloads
            for budget in workload.judge(record.of(workload.name), quick=self._quick)
        ]
        return replace(record, budgets=tuple(budgets))

    def _measure(self, planned: Planned, watch: Watch) -> tuple[tuple[str, ...], str]:
        """The names of the cells, and why it failed if it did."""
        names: list[str] = []
        try:
            for cell in planned.step.work(watch):
                self._cells.append(cell)
                names.append(cell.name)
        except KeyboardInterrupt:
            return tuple(names), INTERRUPTED
        except Exception as error:  # noqa: BLE001 (whatever it is, it is recorded and the run goes on)
            words = "".join(traceback.format_exception(error)).splitlines()
            for line in words[-_LINES:]:
                watch.say(line)
            return tuple(names), _why(error)
        return tuple(names), ""


def _why(error: Exception) -> str:
    """What was raised, and what it all began with where that is another error."""
    words, root = f"{type(error).__name__}: {error}", _root(error)
    return words if root is error else f"{words} (began with {type(root).__name__}: {root})"


def _root(error: BaseException) -> BaseException:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return error if before is None else _root(before)
