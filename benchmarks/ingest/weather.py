"""Bad days: the broker is gone and comes back, and a site that was alone for a shift."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from benchmarks.harness.record import Cell, Figure
from benchmarks.harness.workload import Phase, Progress
from benchmarks.ingest import cells
from benchmarks.ingest.generator import Order
from benchmarks.ingest.scribe import TAP_EVENTS
from benchmarks.ingest.site import Generator, IngestSite
from benchmarks.ingest.through import RATE, TOGETHER, site_of
from contract.journal import MAX_BATCH_EVENTS

STORM: Final = "storm"
BACKLOG: Final = "backlog of eight hours"
LOST: Final = "events lost"
TWICE: Final = "events counted twice"
_STORM_S: Final = 20.0
_CALM_S: Final = 5.0
_SHIFT_H: Final = 8
_TAPS_AN_HOUR: Final = 20


def storm(terminals: int, progress: Progress) -> Iterable[Cell]:
    """The broker is killed under way and started again; everybody comes back and delivers."""
    progress.phase(Phase.SET_UP)
    with site_of(terminals) as site, site.generator(terminals) as generator:
        before = site.stored()
        count = round(RATE * _STORM_S / TAP_EVENTS)
        generator.order(Order(count, TAP_EVENTS, RATE, pids={"gateway": site.gateway.pid}))
        generator.wait_begun()
        progress.phase(Phase.MEASURED)
        time.sleep(_CALM_S)  # the calm before it, which is part of what is measured
        site.broker.kill()
        site.broker.start()
        back_ns = time.monotonic_ns()
        answer = generator.answer()
        progress.phase(Phase.SET_UP)
        back_s = (back_ns - answer.began_ns) / 1e9
        again = Figure(
            name="broker back to terminal connected",
            unit="s",
            frm="the broker says that it runs again",
            to="a terminal that had lost it is connected and subscribed",
            samples=tuple(max(0.0, at - back_s) for at in answer.back_s),
        )
        owed = [at / 1e9 - back_s for due, at, _ in answer.receipts if due / 1e9 <= back_s]
        yield Cell(
            workload="ingest",
            name=STORM,
            parameters={"terminals": terminals, "batch": TAP_EVENTS, "rate": RATE},
            figures=(again, cells.latency(answer, 0.0)),
            counts={
                **lost(site, before, count * TAP_EVENTS),
                "terminals that fell": float(answer.falls),
                "terminals back": float(len(answer.back_s)),
                "s until all that waited was receipted": max(0.0, *owed),
                "batches sent again": float(answer.resent),
            },
            facts={"simulated": TOGETHER, "reconnecting": "the product's back-off, full jitter"},
        )


def backlog(terminals: int, progress: Progress) -> Iterable[Cell]:
    """Everybody delivers a shift's events at once, in batches as large as a terminal cuts them."""
    progress.phase(Phase.SET_UP)
    events = _SHIFT_H * _TAPS_AN_HOUR * TAP_EVENTS
    each = -(-events // MAX_BATCH_EVENTS)
    with site_of(terminals) as site, site.generator(terminals) as generator:
        before, size_before = site.stored(), site.database_bytes()
        order = Order(each * terminals, MAX_BATCH_EVENTS, timeout_s=240.0, pids=site.pids)
        _wait(generator, order, progress)
        answer = generator.answer()
        progress.phase(Phase.SET_UP)
        total = each * terminals * MAX_BATCH_EVENTS
        yield Cell(
            workload="ingest",
            name=BACKLOG,
            parameters={"terminals": terminals, "batch": MAX_BATCH_EVENTS, "events": total},
            counts={
                **lost(site, before, total),
                "s until drained": answer.seconds,
                cells.SUSTAINED: cells.sustained(answer),
                "bytes an event in the database": (site.database_bytes() - size_before) / total,
                "batches sent again": float(answer.resent),
                **cells.cpu(answer, "meanwhile", total),
            },
            facts={"simulated": f"{TOGETHER}; {_TAPS_AN_HOUR} taps an hour at each terminal"},
        )


def _wait(generator: Generator, order: Order, progress: Progress) -> None:
    generator.order(order)
    generator.wait_begun()
    progress.phase(Phase.MEASURED)


def lost(site: IngestSite, before: dict[str, int], sent: int) -> dict[str, float]:
    """Counted in the database itself, which knows nothing of what the generator believes.

    The gateway's own events of the time (none in calm weather) would show as counted twice.
    """
    after = site.stored()
    bodies = after["events"] - before["events"]
    heads = after["in_journals"] - before["in_journals"]
    return {
        LOST: float(max(0, sent - bodies, sent - heads)),
        TWICE: float(max(0, bodies - sent, heads - sent)),
        "journals forked": float(after["forks"] - before["forks"]),
    }
