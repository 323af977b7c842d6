"""A large hospital: import, publishing, a terminal that catches up from nothing and from a gap.

Real processes: the command, the gateway, a terminal daemon. What is bounded is memory, wherever
entitlements pass; times are printed for whoever reads them. The second import moves everybody to
another position, so that every entitlement is published twice.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.ward.evidence import wait_held
from benchmarks.ward.site import OPERATOR, Ward
from contract.ids import OperatorId, Version
from provisioning.directory import sets
from provisioning.directory.administration import Administration, Gateway, Operator
from provisioning.directory.mirror import Mirror
from runtime.clock import SystemClock
from tests.provisioning.office import HEADER, member

CLOCK = SystemClock()
# A terminal's budget is 64 MB after a minute's work; half as much again for a chunk of a mebibyte,
# parsed, or for two mebibytes of changes on their way.
TERMINAL_MB = 96.0
# A gateway that serves starts at some 75 MB. It holds a request of 960 KiB parsed, answers of two
# mebibytes, a page cache of SQLite's for each thread: never a directory, which is 70 MB at 100,000.
GATEWAY_GROWTH_MB = 64.0
# The interpreter with its libraries is 60 MB; beside it a request, an answer, SQLite's pages.
COMMAND_MB = 128.0
SAYING_ITS_PEAK = """
import atexit, pathlib, runpy, sys
atexit.register(lambda: sys.stderr.write(pathlib.Path("/proc/self/status").read_text()))
runpy.run_module("provisioning", run_name="__main__", alter_sys=True)
"""


@dataclass
class Figures:
    """What is printed; `peak` in MB of 1,024 kB."""

    lines: list[str] = field(default_factory=list)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        began_ns = CLOCK.monotonic_ns()
        yield
        self.say(f"{what}: {(CLOCK.monotonic_ns() - began_ns) / 1e9:.1f} s")

    def say(self, line: str) -> None:
        self.lines.append(line)
        print(line)


def peak_mb(pid: int) -> float:
    """VmHWM: the most that was ever resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kib) / 1024


def employ(ward: Ward, folder: Path, count: int) -> sets.Sent:
    """Everybody's entitlement, as one change set."""
    gateway = Gateway(ward.site.site, "127.0.0.1", ward.admin_port)
    ca = ward.site.gateway / "operator_ca.crt.pem"
    operator = Operator(OperatorId(OPERATOR), ward.site.operator(OPERATOR), ca)
    with Administration(gateway, operator) as administration, Mirror.open(ward.site) as mirror:
        base = mirror.sync(administration)
        lines = (member(n).to_bytes() for n in range(count))
        wish = sets.prepare(folder / "wish", administration, base, lines, CLOCK.wall_ms())
        assert wish is not None
        return sets.send(administration, wish)


def import_feed(ward: Ward, feed: Path) -> float:
    """`tapover staff import`, as a process that says its own peak in MB at its end.

    What the kernel tells the parent (`ru_maxrss`) would begin with the parent's own memory.
    """
    argv = [sys.executable, "-c", SAYING_ITS_PEAK, "staff", "import", str(feed), "--yes"]
    argv += ["--folder", str(ward.site.path), "--as", OPERATOR]
    argv += ["--gateway", f"127.0.0.1:{ward.admin_port}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *_, peak = (line for line in done.stderr.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.full)])
def test_memory_is_bounded_on_both_sides_however_many_the_entitlements(
    module_tmp: Path, count: int
) -> None:
    figures = Figures([f"{count} entitlements"])
    feed = module_tmp / f"feed-{count}.csv"
    rows = (f"h-{n},Person {n},P. {n},PN,porter,R8002,Porter" for n in range(count))
    everybody_keeps = (f"h-{n},Person {n},P. {n},PN,nurse,R8001,Nurse" for n in range(count))
    feed.write_text("\n".join([HEADER, *everybody_keeps, *rows]) + "\n")
    folder = module_tmp / f"ward-{count}"
    with Ward(folder, terminals=(), asleep=("bay-1",), staff=()) as ward:
        bay = ward["bay-1"]
        before_mb = peak_mb(ward.gateway.pid)
        with figures.timed("published as one change set"):
            sent = employ(ward, module_tmp, count)
        assert sent.requests == count // 500

        with figures.timed("a terminal from nothing: start, snapshot, in place"):
            bay.start()
            wait_held(ward, sent.version, timeout_s=300)
        nothing_mb = peak_mb(bay.process.pid)
        bay.kill()

        with figures.timed("`tapover staff import`: read, compared, shown, sent, carried out"):
            command_mb = import_feed(ward, feed)
        newest = Version(**ward.ask("/healthz")["directory"])
        assert newest.n == sent.version.n + count // 500

        with figures.timed("a terminal from a gap: start, every change between"):
            bay.boot()
            wait_held(ward, newest, timeout_s=600)
        gap_mb = peak_mb(bay.process.pid)
        after_mb = peak_mb(ward.gateway.pid)
        figures.say(f"peak of the command: {command_mb:.0f} MB")
        figures.say(f"peak of the gateway: {before_mb:.0f} MB before, {after_mb:.0f} MB after")
        figures.say(f"peak of the terminal: {nothing_mb:.0f} MB snapshot, {gap_mb:.0f} MB changes")
    assert command_mb <= COMMAND_MB, figures.lines
    assert after_mb - before_mb <= GATEWAY_GROWTH_MB, figures.lines
    assert max(nothing_mb, gap_mb) <= TERMINAL_MB, figures.lines
