"""The benchmark as the harness sees it: its plan, its promises, its sentences and plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from benchmarks.harness.record import Budget, Cell, Figure
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
from benchmarks.sign_on.house import SIMULATED
from benchmarks.usable.bedside import Bedside, Sample, bedside

NAME: Final = "usable"
PROFILE: Final = "typical"
SLOWED_MS: Final = 20
USABLE_P95_MS: Final = 1000.0
COVERED_P99_MS: Final = 100.0
WARM_UP: Final = 6
TAPS: Final = {True: 10, False: 200}
"""By `quick`."""
_TAP_S: Final = 0.95
_WARD_S: Final = 30.0

_FIELD: Final = "the card is in the field"
_SEEN: Final = "the terminal's status wait returns"

_ABOUT: Final = """\
Six people tap over each other's work at one terminal whose page is drawn by a real Chromium
(headless, 1920 × 1080). As soon as the browser has drawn her name, the newcomer presses a key; she
can use the screen when that key stands in her own notes, as a second watcher of the kiosk hears.
The browser driver's own way from page to key is in it.

- **tap to usable** runs from the card in the field; **detection** (a virtual reader polls, up to
  0.4 s; a real one interrupts) is in it and shown apart.
- **covered** runs from the return of the terminal's status wait to the second frame after the page
  was told to hide the name: it was on the glass by then.
- **name** runs from the card in the field to the second frame with the newcomer's name.
- Flushes are slowed inside the daemon's process: each fsync and fdatasync is carried out in full
  and then waits.
"""


def cell_name(slowed_ms: int) -> str:
    """Unique within the benchmark."""
    slowed = f", flushes slowed by {slowed_ms} ms" if slowed_ms else ""
    return f"typical contactless, P-256, in Chromium{slowed}"


class Usable(Workload):
    """See `_ABOUT`."""

    name: ClassVar = NAME
    title: ClassVar = "Tap to usable: until one's own work takes the first key"
    about: ClassVar = _ABOUT

    def plan(self, *, quick: bool) -> list[Step]:
        count = TAPS[quick]
        expected_s = _WARD_S + 2 * (count + WARM_UP) * _TAP_S

        def work(progress: Progress) -> Iterator[Cell]:
            return measured(progress, count)

        return [Step("taps before a real browser, and with slowed flushes", expected_s, work)]

    def judge(self, cells: Sequence[Cell], *, quick: bool) -> list[Budget]:
        del quick
        found = {cell.name: cell for cell in cells}
        budgets = []
        for slowed_ms in (0, SLOWED_MS):
            cell = found.get(cell_name(slowed_ms))
            with_ = f", each flush {slowed_ms} ms slower" if slowed_ms else ""
            budgets += [
                Budget.at_most(
                    f"tap to usable in Chromium{with_}, p95",
                    USABLE_P95_MS,
                    cell.figure("tap to usable").p95 if cell else None,
                    "ms",
                    "issue 5, design §10; detection by polling included",
                ),
                Budget.at_most(
                    f"screen covered after another card{with_}, p99",
                    COVERED_P99_MS,
                    cell.figure("covered").p99 if cell else None,
                    "ms",
                    "issue 5, design §10; drawn by Chromium",
                ),
            ]
        return budgets

    def headlines(self, cells: Sequence[Cell]) -> list[Headline]:
        found = {cell.name: cell for cell in cells}
        if (cell := found.get(cell_name(0))) is None:
            return []
        usable, covered = cell.figure("tap to usable"), cell.figure("covered")
        said = (
            f"From the card in the field to the first key in one's own work, in a real browser: "
            f"{usable.p50:.0f} ms (p95 {usable.p95:.0f}; a polling virtual reader's detection in "
            f"it, {len(usable.samples)} taps)"
        )
        if (slowed := found.get(cell_name(SLOWED_MS))) is not None:
            late = slowed.figure("tap to usable")
            said += f"; with each flush {SLOWED_MS} ms slower {late.p50:.0f} (p95 {late.p95:.0f})"
        return [
            Headline("tap to usable", f"{said}."),
            Headline(
                "covered",
                f"The screen is covered {covered.p50:.0f} ms after another card is noticed "
                f"(p99 {covered.p99:.0f}).",
            ),
        ]

    def charts(self, cells: Sequence[Cell]) -> list[Chart]:
        found = [
            Series(f"{name}, slowed" if cell.parameters["flushes slowed, ms"] else name, figure)
            for cell in cells
            for name in ("detection", "covered", "name", "tap to usable")
            for figure in (cell.figure(name),)
        ]
        if not found:
            return []
        title = "Tap to usable in a real browser, typical contactless, P-256"
        return [Chart("usable", title, tuple(found), kind=Kind.STRIPS)]


def measured(progress: Progress, count: int) -> Iterator[Cell]:
    """Both cells, one after the other."""
    progress.phase(Phase.SET_UP)
    with bedside() as here:
        for number, slowed_ms in enumerate((0, SLOWED_MS)):
            here.slow_flushes_by(slowed_ms)
            try:
                yield _cell(progress, here, count, slowed_ms, number * count)
            finally:
                here.slow_flushes_by(0)


def _cell(progress: Progress, here: Bedside, count: int, slowed_ms: int, before: int) -> Cell:
    progress.phase(Phase.WARM_UP)
    for _ in here.taps(WARM_UP, PROFILE):
        pass
    progress.phase(Phase.MEASURED)
    samples = []
    for sample in here.taps(count, PROFILE):
        samples.append(sample)
        progress.done(before + len(samples), 2 * count)
    progress.phase(Phase.SET_UP)
    return Cell(
        workload=NAME,
        name=cell_name(slowed_ms),
        parameters={"profile": "typical contactless", "flushes slowed, ms": slowed_ms},
        figures=_figures(samples),
        facts={"simulated": SIMULATED, "browser": "Debian's chromium, headless, 1920 × 1080"},
    )


def _figures(samples: Sequence[Sample]) -> tuple[Figure, ...]:
    drawn = "the browser has drawn"
    rows = (
        ("tap to usable", _FIELD, "her first key stands in her own notes", "usable_ms"),
        ("covered", _SEEN, f"{drawn} a screen that names nobody", "covered_ms"),
        ("name", _FIELD, f"{drawn} her name", "shown_ms"),
        ("detection", _FIELD, _SEEN, "detect_ms"),
    )
    return tuple(
        Figure(name, "ms", frm, to, tuple(getattr(one, field) for one in samples))
        for name, frm, to, field in rows
    )
