"""What a person sees while a ward is played: titles, a live row for each tap, a table at the end.

On a terminal the newest taps stand in one table that is drawn over; in a log every line stays.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

if TYPE_CHECKING:
    from benchmarks.ward.taps import Tap

_ROWS: Final = 12  # of the live table: the newest taps


class Board:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._lock = threading.Lock()
        self._taps: deque[Tap] = deque(maxlen=_ROWS)
        self._count = 0
        self._live: Live | None = None

    def title(self, words: str) -> None:
        """A new chapter."""
        self._end_table()
        self._console.print(f"\n[bold]{words}[/bold]")

    def say(self, words: str) -> None:
        """A line."""
        with self._lock:
            self._console.print(words, markup=False, soft_wrap=True)

    def tap(self, one: Tap) -> None:
        """A row of the live table; in a log, every eighth tap is a line."""
        with self._lock:
            self._taps.append(one)
            self._count += 1
            if not self._console.is_terminal:
                if self._count % 8 == 0:
                    self._console.print(_line(one), markup=False)
                return
            if self._live is None:
                self._live = Live(console=self._console, auto_refresh=False)
                self._live.start()
            self._live.update(self._table(), refresh=True)

    def _end_table(self) -> None:
        with self._lock:
            self._taps.clear()
            if self._live is not None:
                self._live.stop()
                self._live = None

    def _table(self) -> Table:
        table = Table(title=f"{self._count} taps", title_justify="left")
        for name in ("terminal", "who", "shown", "detection", "card", "flush + software", "total"):
            table.add_column(
                name, justify="left" if name in {"terminal", "who", "shown"} else "right"
            )
        for one in self._taps:
            table.add_row(
                one.terminal,
                one.who,
                one.screen,
                f"{one.detect_ms:.0f} ms",
                f"{one.card_ms:.0f} ms",
                f"{one.total_ms - one.card_ms:.1f} ms",
                f"{one.total_ms:.0f} ms",
            )
        return table

    def summary(self, summary: dict[str, Any]) -> None:
        """Figures and budgets, and what broke."""
        self._end_table()
        table = Table(title="\nFigures (milliseconds)", title_justify="left")
        for name in ("what", "p50", "p95", "p99"):
            table.add_column(name, justify="left" if name == "what" else "right")
        figures = {
            "software, online": summary["software_ms"],
            "software, offline": summary["offline"]["software_ms"],
            "card": summary["card_ms"],
            "flush": summary["flush_ms"],
            "detection (virtual reader)": summary["detect_ms"],
            "card, by its own record": summary["card_own_record_ms"],
            "revocation, from the answer": summary["revocation_ms"],
            "revocation, from the request": summary["revocation_from_request_ms"],
        }
        for name, cuts in figures.items():
            table.add_row(name, *(f"{cuts[p]:.1f}" if cuts else "–" for p in ("p50", "p95", "p99")))
        self._console.print(table)
        self._console.print(self._budgets(summary["budgets"]))
        counts = ", ".join(f"{name} {value}" for name, value in summary["events"].items())
        self._console.print(f"Events: {counts}. Exchanges a warm tap: {summary['exchanges']}.")
        for broken in summary["broken"]:
            self._console.print(f"[bold red]broken promise:[/bold red] {broken}", markup=True)

    def _budgets(self, rows: dict[str, dict[str, Any]]) -> Table:
        table = Table(title="\nBudgets", title_justify="left")
        for name in ("budget", "limit", "value", ""):
            table.add_column(name, justify="right" if name in {"limit", "value"} else "left")
        for name, row in rows.items():
            value = "–" if row["value"] is None else f"{row['value']:.1f}"
            table.add_row(name, f"{row['limit']:.0f}", value, "held" if row["held"] else "MISSED")
        return table


def _line(one: Tap) -> str:
    return (
        f"{one.terminal}  {one.who:<12} {one.screen:<8} detection {one.detect_ms:4.0f} ms  "
        f"card {one.card_ms:4.0f} ms  flush + software {one.total_ms - one.card_ms:5.1f} ms  "
        f"total {one.total_ms:4.0f} ms"
    )
