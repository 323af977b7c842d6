"""`make bench`: measures, shows, keeps; and writes the page from what was kept.

Exit status of a run: 0 all held; 1 a step failed, or the run is not whole; 2 only a budget was
missed.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.harness import baseline, machine, page, table
from benchmarks.harness.joining import join
from benchmarks.harness.progress import in_words
from benchmarks.harness.record import Run
from benchmarks.harness.runner import Runner, Start
from benchmarks.workloads import MODULES, workloads

BUILD: Final = Path("build/bench")
LATEST: Final = BUILD / "latest.json"
QUICK: Final = BUILD / "quick.json"
"""A quick run's, so that no page is made of one by mistake."""
_LOG_WIDTH: Final = 180  # a log has no width of its own, and tables read badly when folded
_REPOSITORY: Final = Path(__file__).resolve().parents[1]


def main(argv: list[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument(
        "command",
        nargs="?",
        default="run",
        choices=("run", "show", "page", "baseline"),
        help="run (the default), or what to make of a record",
    )
    parser.add_argument("--quick", action="store_true", help="the headlines alone, in minutes")
    parser.add_argument("--only", default="", help=f"of {','.join(MODULES)}")
    parser.add_argument("--resume", action="store_true", help="go on where the last run ended")
    parser.add_argument("--join", action="store_true", help="puts it into the last whole run")
    parser.add_argument("--record", type=Path, default=LATEST, help="for the other commands")
    asked = parser.parse_args(argv)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _LOG_WIDTH)
    if asked.command == "run":
        names = [name for name in asked.only.split(",") if name] or list(MODULES)
        if asked.join:
            return _run_and_join(names, console, quick=asked.quick)
        return _run(names, console, quick=asked.quick, resume=asked.resume)
    record = Run.load(asked.record)
    if asked.command == "show":
        table.show(record, console, baseline.compare(record))
    elif asked.command == "baseline":
        baseline.save(record)
        console.print(f"{baseline.BASELINE} is written.")
    else:
        _write_page(record, console)
    return 0


def _run(names: list[str], console: Console, *, quick: bool, resume: bool) -> int:
    start = _start(names, quick=quick)
    latest = QUICK if quick else LATEST
    kept = _kept()
    runner = Runner(start, workloads(names), lambda run: _keep(run, kept, latest), console)
    if resume and latest.exists() and start.continues(earlier := Run.load(latest)):
        runner.resume(earlier)
        console.print(f"Goes on with the run of {earlier.started_at}.")
    elif resume:
        console.print("No unfinished run of this commit and plan: all is measured.")
    run = _measured(runner, kept, console)
    _keep(run, kept, latest)
    return status(run)


def _run_and_join(names: list[str], console: Console, *, quick: bool) -> int:
    """The named ones alone; the last run keeps the rest. Raises OSError where there is none."""
    latest, kept = QUICK if quick else LATEST, _kept()
    earlier = Run.load(latest)
    start = _start(names, quick=quick)
    run = _measured(
        Runner(start, workloads(names), lambda run: _keep(run, kept), console), kept, console
    )
    _keep(join(earlier, run, workloads()), latest)
    console.print(f"Joined to the run of {earlier.started_at} in {latest}.")
    return status(run)


def _start(names: list[str], *, quick: bool) -> Start:
    BUILD.mkdir(parents=True, exist_ok=True)
    return Start(
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=machine.commit(_REPOSITORY),
        machine=machine.describe(BUILD),
        settings={"quick": quick, "only": ",".join(names)},
    )


def _kept() -> Path:
    return BUILD / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"


def _measured(runner: Runner, kept: Path, console: Console) -> Run:
    seconds = sum(one.step.expected_s for one in runner.left)
    console.print(f"{len(runner.left)} steps, about {in_words(seconds)}. Record: {kept}")
    run = runner.run()
    _keep(run, kept)
    table.show(run, console, baseline.compare(run))
    return run


def status(run: Run) -> int:
    """The exit status of a run."""
    if not run.complete:
        return 1
    return 0 if all(budget.held for budget in run.budgets) else 2


def _keep(run: Run, *places: Path) -> None:
    """Whole or not at all, so that a kill leaves the state before it."""
    for place in places:
        fresh = place.with_suffix(".new")
        fresh.write_text(run.to_json(), encoding="utf-8")
        fresh.replace(place)


def _write_page(run: Run, console: Console) -> None:
    names = [name for name in MODULES if run.of(name)]
    found = page.FINDINGS.read_text(encoding="utf-8") if page.FINDINGS.exists() else ""
    measured = workloads(names)
    docs = _REPOSITORY / "docs"
    written = page.write(run, measured, docs, found, baseline.compare(run))
    page.write_headlines(run, measured, _REPOSITORY / "README.md")
    console.print(f"{written.relative_to(_REPOSITORY)} and the README's headlines are written.")


if __name__ == "__main__":
    sys.exit(main())
