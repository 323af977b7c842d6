"""Ingest: from a terminal's batch to the site's receipt, through real parts on one machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from benchmarks.harness.record import Budget, Cell, Figure, percentile
from benchmarks.harness.workload import Chart, Headline, Kind, Series, Step, Workload
from benchmarks.ingest import price, through, weather
from benchmarks.ingest.cells import LATENCY, SUSTAINED
from benchmarks.ingest.through import RATE, Mix

# (terminals, batch, about how many events a second it takes here)
_SQLITE: Final = (
    Mix(1, 1, 700),
    Mix(1, 20, 8_000),
    Mix(1, 50, 12_000),
    Mix(100, 1, 1_700),
    Mix(100, 20, 24_000),
    Mix(100, 50, 32_000),
    Mix(1_000, 1, 1_600, search=True),
    Mix(1_000, 20, 24_000, measured_s=15.0, search=True),
    Mix(1_000, 50, 32_000, search=True),
)
_POSTGRES: Final = (
    Mix(1_000, 1, 1_300),
    Mix(1_000, 20, 16_000, search=True),
    Mix(1_000, 50, 20_000),
)
_QUICK: Final = (Mix(100, 20, 24_000, measured_s=8.0),)
_HEADLINE: Final = "SQLite, 1000 terminals, batches of 20"
_QUICK_HEADLINE: Final = "SQLite, 100 terminals, batches of 20"
_INSIDE: Final = f"{price.INSIDE}, batches of 20"


class IngestWorkload(Workload):
    """What item 3 of the benchmarks asks."""

    name: ClassVar[str] = "ingest"
    title: ClassVar[str] = "Ingest: batches to receipts"
    about: ClassVar[str] = """\
Simulated terminals in one process, each with its own key, certificate and TLS connection, publish
batches that were signed beforehand to a real mosquitto; the real `tapover-gateway` judges them,
commits them to a real disk (SQLite in WAL with `synchronous=FULL`; PostgreSQL with Debian's own
settings) and answers with signed receipts. *Event to receipt* begins when a batch falls due at its
terminal, whether or not the generator or the window of four is ready for it, and ends when the
receipt is read: a queue shows as time, never as a lower rate. *Sustained* is a load that is all due
at once, between the tenth and the last tenth of its receipts. Broker, gateway, database and
generator share this machine's cores, so each process's CPU time stands beside. *In one process* is
the gateway's own `Ingest` with the store and no broker."""

    def plan(self, *, quick: bool) -> list[Step]:
        if quick:
            return [
                Step("ingest, in one process", 12, lambda p: price.inside([(20, 100_000)], 2, p)),
                Step("ingest, through the broker", 20, lambda p: through.matrix(_QUICK, p)),
            ]
        sizes = [(20, 120_000), (50, 200_000), (1, 10_000)]
        return [
            Step("ingest, in one process", 50, lambda p: price.inside(sizes, 5, p)),
            Step("ingest on SQLite", 260, lambda p: through.matrix(_SQLITE, p)),
            Step(
                "ingest on PostgreSQL",
                90,
                lambda p: through.matrix(_POSTGRES, p, on_postgres=True),
            ),
            Step("ingest, reconnect storm", 35, lambda p: weather.storm(1_000, p)),
            Step("ingest, backlog", 60, lambda p: weather.backlog(1_000, p)),
            Step("ingest, what proof costs", 60, price.proof),
            Step("ingest, growth", 170, lambda p: price.growth(10, 160.0, p)),
        ]

    def judge(self, cells: Sequence[Cell], *, quick: bool) -> list[Budget]:
        by_name = {cell.name: cell for cell in cells}
        headline = _QUICK_HEADLINE if quick else _HEADLINE
        budgets = [
            Budget.at_least(
                "events/s in one gateway process",
                30_000,
                _at(by_name.get(_INSIDE), price.RATE, 50),
                "events/s",
                f"judged, durable and in the log, batches of 20, SQLite: median of {_INSIDE!r}",
            ),
            Budget.at_most(
                "event to receipt at 1,500/s, p99",
                50,
                _at(by_name.get(headline), LATENCY, 99),
                "ms",
                f"through the broker: {headline!r}",
            ),
        ]
        if quick:
            return budgets
        storm = by_name.get(weather.STORM)
        for name in (weather.LOST, weather.TWICE):
            value = None if storm is None else storm.counts[name]
            words = f"1,000 terminals, the broker killed and started again: {weather.STORM!r}"
            budgets.append(Budget.at_most(f"storm: {name}", 0, value, "events", words))
        back = None
        if storm is not None:
            back = storm.counts["terminals that fell"] - storm.counts["terminals back"]
        budgets.append(
            Budget.at_most("storm: terminals not back", 0, back, "terminals", "all are back")
        )
        return budgets

    def headlines(self, cells: Sequence[Cell]) -> list[Headline]:
        by_name = {cell.name: cell for cell in cells}
        said = []
        if (rate := _at(by_name.get(_INSIDE), price.RATE, 50)) is not None:
            words = f"{rate:,.0f} events/s judged, durable and in the log by one gateway process"
            said.append(Headline("ingest rate", words))
        for name in (_HEADLINE, _QUICK_HEADLINE):
            cell = by_name.get(name)
            if cell is not None and (p99 := _at(cell, LATENCY, 99)) is not None:
                rate = cell.counts[SUSTAINED]
                words = f"p99 {p99:.0f} ms from event to receipt at 1,500 events/s ({name})"
                said.append(Headline("ingest latency", words))
                words = f"{rate:,.0f} events/s sustained through the broker ({name})"
                said.append(Headline("ingest through the broker", words))
                break
        return said

    def charts(self, cells: Sequence[Cell]) -> list[Chart]:
        many = [
            Series(f"{cell.parameters['store']}, batches of {cell.parameters['batch']}", figure)
            for cell in cells
            if cell.parameters.get("terminals") == 1_000
            and "store" in cell.parameters
            and (figure := _figure(cell, LATENCY)) is not None
        ]
        charts = []
        if many:
            title = f"Event to receipt at {RATE:,.0f} events/s, 1,000 terminals"
            marks = {"budget for p99": 50.0}
            charts.append(
                Chart("ingest-latency", title, tuple(many), logarithmic=True, marks=marks)
            )
        storm = next((cell for cell in cells if cell.name == weather.STORM), None)
        if storm is not None:
            series = (Series("terminals", storm.figures[0]),)
            title = "1,000 terminals after the broker came back"
            charts.append(Chart("ingest-storm", title, series))
        if grown := [cell for cell in cells if "million" in cell.parameters]:
            charts.append(_growth(grown))
        return charts


def _growth(cells: Sequence[Cell]) -> Chart:
    first = cells[0].figure(price.RATE)
    rates = tuple(cell.figure(price.RATE).samples[0] for cell in cells)
    figure = Figure(first.name, first.unit, first.frm, first.to, rates)
    at = tuple(float(cell.parameters["million"]) for cell in cells)
    return Chart(
        "ingest-growth",
        "One gateway process, batches of 50, as its log grows",
        (Series("events/s", figure, at=at),),
        kind=Kind.COURSE,
        along="millions of events in the log",
    )


def _figure(cell: Cell, name: str) -> Figure | None:
    found = [figure for figure in cell.figures if figure.name == name and figure.samples]
    return found[0] if found else None


def _at(cell: Cell | None, name: str, percent: float) -> float | None:
    figure = None if cell is None else _figure(cell, name)
    return None if figure is None else percentile(figure.samples, percent)


WORKLOAD: Final = IngestWorkload()
