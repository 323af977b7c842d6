"""What the terminal daemon costs a small machine: memory, start, idling, and its disk."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import ClassVar, Final

from benchmarks.harness.record import Budget, Cell, Figure
from benchmarks.harness.workload import Headline, Phase, Progress, Step, Workload
from benchmarks.ward.evidence import wait_delivered
from benchmarks.ward.outside import journal_of, query
from benchmarks.ward.site import Ward
from benchmarks.ward.taps import tap
from benchmarks.ward.terminals import WardTerminal
from runtime.clock import SystemClock

BAY: Final = "bay-1"
CREW: Final = ("h-amal", "h-bronwen")
TAPS: Final = 64
"""As many as the demo's minute has: the memory budget is of then."""
BOOTS: Final = 10
IDLE_SAMPLES, IDLE_SAMPLE_S = 8, 5.0
QUIET_S: Final = 15.0
"""After the last tap: batches are receipted, the journal's log is folded, screens have dimmed."""
SHIFT_H, SHIFT_TAPS_AN_HOUR = 12, 20
"""A terminal shared by six: fifteen to twenty switches an hour."""
_BUILD: Final = Path("build/bench")


@dataclass(frozen=True, slots=True)
class Spent:
    """What the kernel has counted of a process up to a moment."""

    at_ns: int
    ticks: int
    switches: int
    """Voluntary, of all threads: each is an end of waiting, by a timer, a socket or a lock."""
    written: int
    """Bytes that were sent towards the disk."""
    journal: int
    """Bytes of the journal's pages."""


class Look:
    """Reads a running daemon's counts from outside."""

    def __init__(self, ward: Ward, terminal: WardTerminal) -> None:
        self._ward = ward
        self._terminal = terminal
        self._clock = SystemClock()

    def spent(self) -> Spent:
        process = Path(f"/proc/{self._terminal.process.pid}")
        ticks = process.joinpath("stat").read_text().rpartition(")")[2].split()[11:13]
        return Spent(
            at_ns=self._clock.monotonic_ns(),
            ticks=sum(map(int, ticks)),
            switches=sum(
                _number(task / "status", "voluntary_ctxt_switches")
                for task in process.joinpath("task").iterdir()
            ),
            written=_number(process / "io", "write_bytes"),
            journal=self._journal_bytes(),
        )

    def rss_mb(self) -> float:
        """VmRSS in the kernel's units: 1 MB = 1,024 kB."""
        status = Path(f"/proc/{self._terminal.process.pid}/status")
        return _number(status, "VmRSS") / 1024

    def _journal_bytes(self) -> int:
        path = journal_of(self._ward, self._terminal.name)
        ((pages,),), ((size,),) = query(path, "PRAGMA page_count"), query(path, "PRAGMA page_size")
        return int(pages) * int(size)


def idle_percent(before: Spent, after: Spent) -> float:
    """Of one core."""
    used_s = (after.ticks - before.ticks) / os.sysconf("SC_CLK_TCK")
    return 100 * used_s / _seconds(before, after)


def wakeups(before: Spent, after: Spent) -> float:
    """A second."""
    return (after.switches - before.switches) / _seconds(before, after)


def shift_mb(bytes_a_tap: float, idle_bytes_a_second: float) -> float:
    """What a shift leaves in the journal; 1 MB = 1,048,576 bytes."""
    taps = SHIFT_H * SHIFT_TAPS_AN_HOUR
    return (taps * bytes_a_tap + SHIFT_H * 3600 * idle_bytes_a_second) / 1024 / 1024


class Footprint(Workload):
    """One terminal of a ward: booted, tapped, left alone."""

    name: ClassVar = "footprint"
    title: ClassVar = "Footprint of the terminal daemon"
    about: ClassVar = (
        f"One terminal with eight readers, on a site with gateway and broker. It is booted {BOOTS} "
        f"times; then {TAPS} taps of two cards are made over one another, as in the demo's minute, "
        "and VmRSS is read (1 MB = 1,024 kB); then nobody taps, and every "
        f"{IDLE_SAMPLE_S:g} s the kernel's counts are read: CPU time, and voluntary context "
        "switches of all its threads, each of which is a wake-up. Meanwhile two heartbeats and a "
        "checkpoint a second arrive, as on any ward. Journal bytes are whole pages of its "
        f"database, over those taps and that rest; a shift is {SHIFT_H} h of "
        f"{SHIFT_TAPS_AN_HOUR} taps, {SHIFT_H * SHIFT_TAPS_AN_HOUR} in all."
    )

    def plan(self, *, quick: bool) -> list[Step]:
        if quick:
            return []
        seconds = 15 + 2 * BOOTS + TAPS / 2 + QUIET_S + IDLE_SAMPLES * IDLE_SAMPLE_S
        return [Step("boot, tap, rest", seconds, _measure)]

    def judge(self, cells: Sequence[Cell], *, quick: bool) -> list[Budget]:
        if quick:
            return []
        found = {figure.name: figure for cell in cells for figure in cell.figures}

        def cut(name: str, percent: str) -> float | None:
            figure = found.get(name)
            return None if figure is None else float(getattr(figure, percent))

        why = "DESIGN's budget"
        return [
            Budget.at_most(
                "terminal VmRSS", 64, cut("VmRSS", "p95"), "MB", f"{why}; after the taps"
            ),
            Budget.at_most(
                "terminal start to ready",
                2,
                cut("start to ready", "p95"),
                "s",
                f"{why}; p95 of boots",
            ),
            Budget.at_most(
                "terminal idle CPU", 1, cut("idle CPU", "p50"), "%", f"{why}; of a core, p50"
            ),
        ]

    def headlines(self, cells: Sequence[Cell]) -> list[Headline]:
        found = {figure.name: figure for cell in cells for figure in cell.figures}
        if not {"VmRSS", "start to ready", "idle CPU"} <= found.keys():
            return []
        said = (
            f"The terminal daemon takes {found['VmRSS'].p95:.0f} MB, is ready "
            f"{found['start to ready'].p50:.1f} s after its start, and idles at "
            f"{found['idle CPU'].p50:.1f} % of a core."
        )
        return [Headline("footprint", said)]


def _measure(progress: Progress) -> Iterable[Cell]:
    with _place() as folder, Ward(folder / "w", (BAY,)) as ward:
        bay = ward[BAY]
        look = Look(ward, bay)
        progress.phase(Phase.WARM_UP)
        bay.reboot()
        progress.phase(Phase.MEASURED)
        yield _boots(bay, progress)
        progress.phase(Phase.WARM_UP)
        crew = [ward.member(holder) for holder in CREW]
        for member in crew:
            bay.sign_on_with_pin(member)
        wait_delivered(ward)
        progress.phase(Phase.MEASURED)
        before = look.spent()
        for at, member in enumerate(islice(cycle(crew), TAPS)):
            tap(bay, ward.box, member)
            progress.done(BOOTS + at, BOOTS + TAPS + 2 * IDLE_SAMPLES)
        wait_delivered(ward)
        tapped, resident = look.spent(), look.rss_mb()
        progress.phase(Phase.WARM_UP)
        threading.Event().wait(QUIET_S)
        progress.phase(Phase.MEASURED)
        rest = list(_rest(look, progress))
        yield _cell(before, tapped, resident, rest)


def _boots(bay: WardTerminal, progress: Progress) -> Cell:
    ready: list[float] = []
    for at in range(BOOTS):
        bay.reboot()
        ready.append(bay.ready_s)
        progress.done(at, BOOTS + TAPS + 2 * IDLE_SAMPLES)
    frm, to = (
        "the daemon's process is started, power cut before",
        "the kiosk shows more than its start",
    )
    return Cell(
        Footprint.name, "boot", figures=(Figure("start to ready", "s", frm, to, tuple(ready)),)
    )


def _rest(look: Look, progress: Progress) -> Iterator[Spent]:
    yield look.spent()
    for at in range(IDLE_SAMPLES):
        threading.Event().wait(IDLE_SAMPLE_S)
        progress.done(BOOTS + TAPS + 2 * at, BOOTS + TAPS + 2 * IDLE_SAMPLES)
        yield look.spent()


def _cell(before: Spent, tapped: Spent, resident: float, rest: Sequence[Spent]) -> Cell:
    pairs = list(pairwise(rest))
    frm, to = "a reading of the kernel's counts", f"the next, {IDLE_SAMPLE_S:g} s later"
    bytes_a_tap = (tapped.journal - before.journal) / TAPS
    idle_bytes = (rest[-1].journal - rest[0].journal) / _seconds(rest[0], rest[-1])
    return Cell(
        Footprint.name,
        "after the demo's minute",
        parameters={"taps": TAPS, "shift h": SHIFT_H, "taps an hour": SHIFT_TAPS_AN_HOUR},
        figures=(
            Figure("VmRSS", "MB", "after the last tap's receipt", "the same moment", (resident,)),
            Figure("idle CPU", "%", frm, to, tuple(idle_percent(*pair) for pair in pairs)),
            Figure("wake-ups a second", "1/s", frm, to, tuple(wakeups(*pair) for pair in pairs)),
        ),
        counts={
            "journal bytes a tap": bytes_a_tap,
            "journal bytes an idle hour": 3600 * idle_bytes,
            "journal MB a shift": shift_mb(bytes_a_tap, idle_bytes),
            "bytes to disk a tap": (tapped.written - before.written) / TAPS,
        },
    )


def _seconds(before: Spent, after: Spent) -> float:
    return (after.at_ns - before.at_ns) / 1e9


def _number(path: Path, name: str) -> int:
    """The number behind ``name:`` in one of the kernel's lists."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(f"{path} has no {name}")


@contextmanager
def _place() -> Iterator[Path]:
    """A folder on the disk that the run speaks of, readable by unprivileged servers."""
    _BUILD.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="foot-", dir=_BUILD)).absolute()
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


WORKLOAD: Final = Footprint()
