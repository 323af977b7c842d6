"""The gateway's own part: its rate in one process, what proof costs, how it goes on as it grows."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.harness.record import Cell, Figure
from benchmarks.harness.workload import Phase, Progress
from benchmarks.ingest.generator import Order, cpu_s
from benchmarks.ingest.inside import Round
from benchmarks.ingest.site import IngestSite
from benchmarks.ingest.through import STATE, site_of
from benchmarks.ward.processes import Command, Process

INSIDE: Final = "in one process"
RATE: Final = "rate"
PROOF: Final = "what proof costs"
GROWTH: Final = "growth"
GROWTH_S: Final = "TAPOVER_BENCH_GROWTH_S"
"""In the environment: seconds that growth may take; 0 is as long as the ten millions need."""
_MILLION: Final = 1_000_000
_GROWTH_SIZE: Final = 50
_PROOF_RATE: Final = 10_000.0
_PROOF_S: Final = 8.0
_DRAIN_S: Final = 20.0


@contextmanager
def _inside(kind: str, size: int, events: int, terminals: int, rounds: int) -> Iterator[Process]:
    STATE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=STATE.absolute()) as folder:
        argv = [sys.executable, "-m", "benchmarks.ingest.inside", f"{folder}/s", kind]
        argv += [str(each) for each in (size, events, terminals, rounds)]
        with Process(Command(f"inside-{kind}", argv, Path(folder) / "log")) as process:
            yield process


def _rounds(
    process: Process, count: int, progress: Progress, deadline: float | None = None
) -> Iterator[Round]:
    """One after the other, until the deadline (of time.monotonic)."""
    seen = 0
    for _ in range(count):
        if deadline is not None and time.monotonic() > deadline:
            return
        progress.phase(Phase.SET_UP)
        process.wait_for_line("^measured$", timeout_s=300.0, after=seen)
        progress.phase(Phase.MEASURED)
        line = process.wait_for_line(r"^\{.*\}$", timeout_s=600.0, after=seen)
        seen += 2
        yield Round(**json.loads(line[0]))
    progress.phase(Phase.SET_UP)


def _rate(rounds: list[Round]) -> Figure:
    return Figure(
        name=RATE,
        unit="events/s",
        frm="the first message of a round is offered to the gateway's ingest",
        to="the last one's commit is on the disk, and its receipt sealed",
        samples=tuple(one.events / one.seconds for one in rounds),
    )


def inside(sizes: Iterable[tuple[int, int]], rounds: int, progress: Progress) -> Iterable[Cell]:
    """Judged, durable and in the log; a cell for each (batch size, events a round)."""
    for size, events in sizes:
        with _inside("proven", size, events, 100, rounds) as process:
            done = list(_rounds(process, rounds, progress))
        yield Cell(
            workload="ingest",
            name=f"{INSIDE}, batches of {size}",
            parameters={"batch": size, "terminals": 100, "store": "SQLite", "events": events},
            figures=(_rate(done),),
            counts={
                "CPU µs an event": 1e6 * sum(r.cpu_s for r in done) / (events * rounds),
                "CPU % of a core": 100 * sum(r.cpu_s for r in done) / sum(r.seconds for r in done),
            },
            facts={"without": "a broker; everything else is the product's, on a real disk"},
        )


def proof(progress: Progress) -> Iterable[Cell]:
    """The same events by a consumer that proves nothing, in one process and through the broker."""
    figures, counts = [], {}
    for kind in ("proven", "plain"):
        with _inside(kind, 20, 120_000, 100, 3) as process:
            rounds = list(_rounds(process, 3, progress))
        rate = _rate(rounds)
        figures.append(Figure(f"{kind} {RATE}", rate.unit, rate.frm, rate.to, rate.samples))
        spent = sum(one.cpu_s for one in rounds) / sum(one.events for one in rounds)
        counts[f"{kind}, in one process, CPU µs an event"] = 1e6 * spent
    with site_of(100) as site:
        for kind in ("proven", "plain"):
            found = _through(site, kind, progress)
            counts |= {f"{kind}, through the broker, {name}": one for name, one in found.items()}
    yield Cell(
        workload="ingest",
        name=PROOF,
        parameters={"batch": 20, "terminals": 100, "store": "SQLite", "rate": _PROOF_RATE},
        figures=tuple(figures),
        counts=counts,
        facts={
            "plain": "hears the same messages by the same link and puts the bodies into the same "
            "table in transactions as large; no signature, chain, tree or receipt"
        },
    )


def _through(site: IngestSite, kind: str, progress: Progress) -> dict[str, float]:
    """CPU an event of broker and consumer at one rate that both keep."""
    order = Order(round(_PROOF_RATE * _PROOF_S / 20), 20, _PROOF_RATE, pids=site.pids)
    with site.generator(100) as generator:
        if kind == "proven":
            progress.phase(Phase.MEASURED)
            spent = generator.carry(order).cpu_s
        else:
            site.gateway.stop()
            with site.plain_consumer() as consumer:
                consumer.wait_for_line("plain consumer ready", timeout_s=20.0)
                pids = {"mosquitto": site.broker.process.pid}
                blind = Order(order.batches, 20, _PROOF_RATE, blind=True, pids=pids)
                before = cpu_s(consumer.pid)
                progress.phase(Phase.MEASURED)
                spent = generator.carry(blind).cpu_s
                consumer.wait_for_line(f"^stored {order.batches * 20}$", timeout_s=_DRAIN_S)
                spent = {**spent, "gateway": cpu_s(consumer.pid) - before}
    progress.phase(Phase.SET_UP)
    total = order.batches * 20
    return {f"{name} CPU µs an event": 1e6 * one / total for name, one in spent.items()}


def growth(millions: int, limit_s: float, progress: Progress) -> Iterable[Cell]:
    """A cell a million: the rate at which it came, and how large the database is then."""
    limit_s = float(os.environ.get(GROWTH_S, limit_s))
    deadline = time.monotonic() + limit_s if limit_s else None
    with _inside("proven", _GROWTH_SIZE, _MILLION, 100, millions) as process:
        for number, one in enumerate(_rounds(process, millions, progress, deadline), 1):
            yield Cell(
                workload="ingest",
                name=f"{GROWTH}, million {number}",
                parameters={"batch": _GROWTH_SIZE, "million": number, "store": "SQLite"},
                figures=(_rate([one]),),
                counts={
                    "bytes an event in the database": one.database_bytes / (number * _MILLION),
                    "database MB": one.database_bytes / 1e6,
                    "CPU µs an event": 1e6 * one.cpu_s / _MILLION,
                },
                facts={"asked for": f"{millions} millions, {limit_s:g} s at most (0: no limit)"},
            )
            progress.done(number, millions)
