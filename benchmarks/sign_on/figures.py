"""From samples to figures: where a tap's time went, by three who do not know of each other.

The card says how long it took; the terminal's own timing event says how long it was inside PC/SC
calls and waited for its disk; whoever measures saw the beginning and the end. The flushes come from
a preloaded part (`ward.flushes`).
"""

from __future__ import annotations

import json
import sqlite3
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from benchmarks.harness.record import Cell, Figure, Parameter
from benchmarks.sign_on.lane import Sample
from benchmarks.ward.flushes import Flush
from benchmarks.ward.processes import NotReady
from contract.tap import card_digest

NAME: Final = "sign_on"
_TOLD_S: Final = 8.0
_LOOK_S: Final = 0.1

_FIELD = "the card is in the field"
_SEEN = "the terminal's status wait returns"
_SHOWN = "the kiosk's client has received the holder's open session"
_TOUCHED = "the kiosk has accepted her first touch (POST /activity, sent on receipt of that)"


def told(journal: Path, wanted: Sequence[Sample]) -> dict[str, dict[str, Any]]:
    """The timing event of each tap by the digest that its card signed. Raises NotReady."""
    digests = {sample.signed for sample in wanted}
    deadline = time.monotonic() + _TOLD_S
    while (found := _timings(journal)).keys() & digests != digests:
        if time.monotonic() > deadline:
            missing = len(digests - found.keys())
            raise NotReady(f"{missing} of {len(digests)} taps have no timing event in {journal}")
        time.sleep(_LOOK_S)
    return found


def _timings(journal: Path) -> dict[str, dict[str, Any]]:
    signed: dict[tuple[str, int], str] = {}
    timings: dict[tuple[str, int], dict[str, Any]] = {}
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=10.0)) as connection:
        for (data,) in connection.execute("SELECT data FROM event ORDER BY position"):
            event = json.loads(data)
            detail = event["detail"]
            if detail["kind"] == "card.record":
                signed[event["journal"], event["sequence"]] = card_digest(data).hex()
            elif detail["kind"] == "tap.timing":
                timings[event["journal"], detail["record"]] = detail
    return {signed[place]: detail for place, detail in timings.items()}


def warm_cell(
    name: str,
    parameters: Mapping[str, Parameter],
    samples: Sequence[Sample],
    timings: Mapping[str, Mapping[str, Any]],
    flushes: Sequence[Flush],
    facts: Mapping[str, str],
) -> Cell:
    """Of taps: the whole way, and its parts."""
    parts = [(sample, timings[sample.signed]) for sample in samples]
    ended = sorted(flush.ended_ns for flush in flushes)
    figures = (
        _figure("total", _SEEN, _SHOWN, [s.total_ms for s in samples]),
        _figure(
            "software",
            _SEEN,
            f"{_SHOWN}; less the time inside PC/SC calls and the flush waited for",
            [s.total_ms - (t["card_us"] + t["flush_us"]) / 1000 for s, t in parts],
        ),
        _figure(
            "screen",
            "the last flush before it has returned: the outcome is durable",
            f"{_SHOWN} (a part of software)",
            [_since_flush(sample, ended) for sample in samples],
        ),
        _figure(
            "driver",
            "PC/SC is called: the card taken, each exchange",
            "it returns; less the card's own time",
            [t["card_us"] / 1000 - s.card_ms for s, t in parts],
        ),
        _card(samples),
        _figure(
            "flush",
            "the outcome is handed to the journal",
            "it is durable",
            [t["flush_us"] / 1000 for _, t in parts],
        ),
        _figure("detection", _FIELD, _SEEN, [s.detect_ms for s in samples]),
        _figure("tap to usable", _FIELD, _TOUCHED, [s.usable_ms for s in samples]),
        _ratio(samples),
    )
    counts = _counts(samples) | {"flushes a tap": round(len(flushes) / len(samples), 2)}
    return Cell(NAME, name, parameters, figures, counts, facts)


def first_cell(
    name: str,
    parameters: Mapping[str, Parameter],
    samples: Sequence[Sample],
    facts: Mapping[str, str],
) -> Cell:
    """Of first sign-ons of a shift: two visits of the terminal to one card, a pad between them."""
    figures = (
        _figure(
            "total",
            f"{_SEEN}; and again from the PIN's being posted",
            f"the kiosk's client has received the pad; and again until {_SHOWN}",
            [s.total_ms for s in samples],
        ),
        _figure(
            "beyond the card",
            "as total",
            "as total, less the card's own time",
            [s.total_ms - s.card_ms for s in samples],
        ),
        _card(samples),
        _figure("detection", _FIELD, _SEEN, [s.detect_ms for s in samples]),
        _figure("tap to usable", _FIELD, _TOUCHED, [s.usable_ms for s in samples]),
        _ratio(samples),
    )
    return Cell(NAME, name, parameters, figures, _counts(samples), facts)


def _since_flush(sample: Sample, ended: Sequence[int]) -> float:
    """Milliseconds between the last flush before the open session's receipt and that receipt."""
    last = ended[bisect_right(ended, sample.open_ns) - 1] if ended else 0
    if last <= sample.quiet_ns:
        raise NotReady("an open session was shown before its outcome was flushed")
    return (sample.open_ns - last) / 1e6


def _card(samples: Sequence[Sample]) -> Figure:
    return _figure(
        "card",
        "a command has arrived at the card",
        "its answer leaves; all exchanges, by the card's own record",
        [s.card_ms for s in samples],
    )


def _ratio(samples: Sequence[Sample]) -> Figure:
    ratios = tuple(s.total_ms / s.card_ms if s.card_ms else 0.0 for s in samples)
    return Figure("total ÷ card", "×", "as total", "as card", ratios)


def _counts(samples: Sequence[Sample]) -> dict[str, float]:
    return {"exchanges a tap": sum(sample.exchanges for sample in samples) / len(samples)}


def _figure(name: str, frm: str, to: str, samples: Sequence[float]) -> Figure:
    return Figure(name, "ms", frm, to, tuple(samples))
