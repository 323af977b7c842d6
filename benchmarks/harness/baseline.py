"""A saved run in small, and another held against it: ratios, for two machines never agree."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.harness.layout import Table, number
from benchmarks.harness.record import Run

BASELINE: Final = Path("benchmarks/baseline.json")
FORMAT: Final = 1
TOLD_FROM: Final = 0.10
"""A smaller change of a figure is this machine's weather."""
COUNTED_UP_TO: Final = 100
"""A whole number so small was counted (exchanges a tap): any change of it is told."""
_SAME: Final = ("processor", "cores", "system", "Python")


@dataclass(frozen=True, slots=True)
class Comparison:
    """What has changed. ``words`` say against what, and whether the machines are alike."""

    words: str
    table: Table
    ratios: dict[str, float]
    """By ``workload/cell/figure p50`` and the like: this run ÷ baseline."""


def values(run: Run) -> dict[str, float]:
    """All that is compared, by name."""
    found: dict[str, float] = {}
    for cell in run.cells:
        at = f"{cell.workload}/{cell.name}"
        for figure in cell.figures:
            if figure.samples:
                found[f"{at}/{figure.name} p50"] = figure.p50
                found[f"{at}/{figure.name} p95"] = figure.p95
        found |= {f"{at}/{name}": float(value) for name, value in cell.counts.items()}
    return found


def save(run: Run, path: Path = BASELINE) -> None:
    """Writes the baseline. Raises ValueError for a run that is not whole."""
    if not run.complete or run.settings["quick"]:
        raise ValueError("only a whole run can be a baseline: make bench")
    raw = {
        "format": FORMAT,
        "started_at": run.started_at,
        "commit": run.commit,
        "machine": {part: run.machine.get(part, "") for part in _SAME},
        "values": {name: float(f"{value:.5g}") for name, value in values(run).items()},
    }
    path.write_text(json.dumps(raw, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def compare(run: Run, path: Path = BASELINE) -> Comparison | None:
    """None where there is no baseline. Raises ValueError for a file in another format."""
    if not path.exists():
        return None
    raw = json.loads(path.read_text(encoding="utf-8"))
    if raw.get("format") != FORMAT:
        raise ValueError(f"{path} is no baseline in format {FORMAT}")
    return _compare(run, raw)


def _compare(run: Run, raw: dict[str, Any]) -> Comparison:
    then: dict[str, float] = raw["values"]
    now = values(run)
    ratios = {name: now[name] / then[name] for name in now if then.get(name)}
    counts = {f"{cell.workload}/{cell.name}/{name}" for cell in run.cells for name in cell.counts}
    other = [part for part in _SAME if raw["machine"].get(part) != run.machine.get(part)]
    words = f"Baseline: {raw['started_at']}, commit {raw['commit']}"
    words += f"; another machine ({', '.join(other)})" if other else "; the same machine"
    rows = tuple(
        (name, number(then[name]), number(now[name]), _ratio(ratios.get(name)))
        for name in now
        if name in then and _told(then[name], now[name], exact=name in counts)
    )
    words += f"; {len(ratios)} figures compared, {len(rows)} changed."
    return Comparison(words, Table("changed", ("figure", "then", "now", "ratio"), rows), ratios)


def _told(then: float, now: float, *, exact: bool) -> bool:
    if exact or not then:
        return then != now
    return abs(now / then - 1) > TOLD_FROM


def _ratio(ratio: float | None) -> str:
    return "–" if ratio is None else f"× {ratio:.2f}"
