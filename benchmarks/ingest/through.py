"""Through the broker: how much, how quickly, at what CPU, by terminals and size of batch."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.harness.record import Cell, Figure
from benchmarks.harness.workload import Phase, Progress
from benchmarks.ingest import cells
from benchmarks.ingest.generator import Answer, Order
from benchmarks.ingest.site import Generator, IngestSite

STATE: Final = Path("build/ingest")
"""On the checkout's own disk: never a file system in memory."""
RATE: Final = 1_500.0
"""Events a second: the national backbone's peak, in messages."""
WARM_S: Final = 2.0
P99_LIMIT_MS: Final = 250.0
_PROBE_S: Final = 5.0
_PROBES: Final = 4
_STEP: Final = 0.85  # from one probed rate to the next lower one

TOGETHER: Final = (
    "broker, gateway, database and generator share this machine's cores; every simulated terminal "
    "has its own key, certificate and TLS 1.3 connection, a window of four batches, and hears "
    "heartbeats and checkpoints as a real one does; batches are signed beforehand, their events "
    "are a warm tap's five, generated"
)


@dataclass(frozen=True, slots=True)
class Mix:
    """A cell of the matrix. `expected` events a second size the load to some seconds."""

    terminals: int
    size: int
    expected: float
    measured_s: float = 10.0
    search: bool = False
    """Whether the highest rate that keeps p99 below the limit is looked for."""

    @property
    def batches(self) -> int:
        return max(200, round(self.expected * 6 / self.size))


@contextmanager
def site_of(terminals: int, *, on_postgres: bool = False) -> Iterator[IngestSite]:
    """A site in a folder of its own, gone afterwards."""
    STATE.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=STATE.absolute()) as folder,
        IngestSite(Path(folder) / "s", terminals, on_postgres=on_postgres) as site,
    ):
        yield site


def matrix(
    mixes: Sequence[Mix], progress: Progress, *, on_postgres: bool = False
) -> Iterable[Cell]:
    """A cell for each mix; the log grows from one to the next, as a site's does."""
    progress.phase(Phase.SET_UP)
    done = 0
    with site_of(max(mix.terminals for mix in mixes), on_postgres=on_postgres) as site:
        for terminals in sorted({mix.terminals for mix in mixes}):
            progress.phase(Phase.SET_UP)
            with site.generator(terminals) as generator:
                for mix in (each for each in mixes if each.terminals == terminals):
                    yield _cell(site, generator, mix, progress)
                    done += 1
                    progress.done(done, len(mixes))


def _cell(site: IngestSite, generator: Generator, mix: Mix, progress: Progress) -> Cell:
    store = "SQLite" if site.postgres is None else "PostgreSQL"
    size_before = site.database_bytes()
    drained = _carry(generator, Order(mix.batches, mix.size, pids=site.pids), progress)
    grown = site.database_bytes() - size_before
    total = cells.events(drained)
    rate = cells.sustained(drained)
    counts = {
        cells.SUSTAINED: rate,
        "bytes an event in the database": grown / total,
        "bytes an event on the wire": drained.bytes / total,
        "batches sent again": float(drained.resent),
        **cells.cpu(drained, "at the most", total),
    }
    figures: list[Figure] = []
    if mix.size > 1 or mix.terminals > 1:
        count = round(RATE * mix.measured_s / mix.size)
        order = Order(count, mix.size, RATE, pids=site.pids)
        answer = _carry(generator, order, progress)
        figures.append(cells.latency(answer, WARM_S))
        counts |= cells.cpu(answer, "at 1,500/s", cells.events(answer))
        counts["generator late p99 ms"] = cells.lateness([answer])
    if mix.search:
        found, at = _highest(site, generator, mix, rate, progress)
        counts["events/s with p99 ≤ 250 ms"] = found
        if at is not None:
            figures.append(cells.latency(at, 1.0, f"{cells.LATENCY} at the highest rate"))
    return Cell(
        workload="ingest",
        name=f"{store}, {mix.terminals} terminals, batches of {mix.size}",
        parameters={"terminals": mix.terminals, "batch": mix.size, "store": store},
        figures=tuple(figures),
        counts=counts,
        facts=_facts(site, mix),
    )


def _facts(site: IngestSite, mix: Mix) -> dict[str, str]:
    facts = {"simulated": TOGETHER}
    if site.postgres is not None:
        facts["database"] = f"{site.postgres.version}; {site.postgres.command_line}"
    if mix.size == mix.terminals == 1:
        facts["no rate of 1,500/s"] = (
            "four batches of one event without receipt are all that one terminal may send"
        )
    return facts


def _highest(
    site: IngestSite, generator: Generator, mix: Mix, most: float, progress: Progress
) -> tuple[float, Answer | None]:
    """The first of falling rates that keeps the limit, and what was measured at it."""
    rate = most
    for _ in range(_PROBES):
        rate *= _STEP
        order = Order(round(rate * _PROBE_S / mix.size), mix.size, rate, pids=site.pids)
        answer = _carry(generator, order, progress)
        if cells.p99_ms(answer, 1.0) <= P99_LIMIT_MS:
            return rate, answer
    return 0.0, None


def _carry(generator: Generator, order: Order, progress: Progress) -> Answer:
    """Signed in set-up, measured from the first batch to the last receipt."""
    progress.phase(Phase.SET_UP)
    generator.order(order)
    generator.wait_begun()
    progress.phase(Phase.MEASURED)
    answer = generator.answer()
    progress.phase(Phase.SET_UP)
    return answer
