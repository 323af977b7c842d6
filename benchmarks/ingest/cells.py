"""From an answer of the generator to figures and counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.harness.record import Figure, percentile
from benchmarks.ingest.generator import Answer

LATENCY: Final = "event to receipt"
SUSTAINED: Final = "events/s sustained"
_MS: Final = 1e6
_TENTH: Final = 10


def latency(answer: Answer, warm_s: float, name: str = LATENCY) -> Figure:
    """Of each batch that fell due after the warm-up; its events share its time."""
    return Figure(
        name=name,
        unit="ms",
        frm="the terminal has cut a batch, its journal's flush behind it (the moment it fell due)",
        to="its receipt is read from the terminal's socket",
        samples=tuple((at - due) / _MS for due, at, _ in answer.receipts if due >= warm_s * 1e9),
    )


def p99_ms(answer: Answer, warm_s: float) -> float:
    return percentile(latency(answer, warm_s).samples, 99)


def sustained(answer: Answer) -> float:
    """Events a second between the tenth and the last tenth of the receipts."""
    receipts = answer.receipts
    low, high = len(receipts) // _TENTH, len(receipts) - 1 - len(receipts) // _TENTH
    events = sum(count for _, _, count in receipts[low + 1 : high + 1])
    return events / ((receipts[high][1] - receipts[low][1]) / 1e9)


def events(answer: Answer) -> int:
    """That were receipted."""
    return sum(count for _, _, count in answer.receipts)


def cpu(answer: Answer, when: str, total: int) -> dict[str, float]:
    """Of each process: share of a core, and microseconds an event."""
    found = {}
    for process, spent in answer.cpu_s.items():
        found[f"{process} CPU % of a core {when}"] = 100 * spent / answer.seconds
        found[f"{process} CPU µs an event {when}"] = 1e6 * spent / total
    return found


def lateness(answers: Sequence[Answer]) -> float:
    """99th percentile of how late the generator itself looked at a batch that fell due, in ms."""
    return percentile([late for answer in answers for late in answer.late_ms], 99)
