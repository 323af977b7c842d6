"""One measured tap: from the card in the field to the glass, by clocks outside the daemon.

detection   card in the field → the daemon's status wait returns (a virtual reader polls: to 0.4 s)
total       that return → the kiosk client has received the state
card        inside PC/SC calls, as the tap's own timing event says; the card's record checks it
flush       waited for the journal's disk, likewise
software    total − card − flush
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import quantiles
from typing import Any, Final

from benchmarks.ward.glass import Seen
from benchmarks.ward.pcscd import VirtualReader
from benchmarks.ward.people import Member
from benchmarks.ward.processes import WardError
from benchmarks.ward.terminals import WardTerminal, is_open_for
from hardware.virtual.control import BoxError, CardBox
from hardware.virtual.names import Access

View = dict[str, Any]
TAP_TIMEOUT_S: Final = 10.0
_PERCENTILES: Final = {"p50": 50, "p95": 95, "p99": 99}


class WrongRefusal(WardError):
    """The glass refused somebody before it came to what was wanted, or for no tap at all."""


@dataclass(frozen=True, slots=True)
class Tap:
    """What was seen of one tap. Times in milliseconds."""

    terminal: str
    who: str
    screen: str
    words: str
    online: bool
    detect_ms: float
    total_ms: float
    covered_ms: float
    """From the same return until the glass showed that it is checking: nobody's work any more."""
    card_ms: float
    """By the card's own record: between a command's arrival and its answer's departure."""
    exchanges: int
    signed: str
    """The digest that the card signed, by its own record; empty when it signed none."""
    seen_ns: int
    view: View
    """All that the glass showed in answer."""

    @property
    def reference(self) -> str | None:
        """By which a person asks for the reason."""
        found: str | None = self.view["reference"]
        return found


def tap(
    terminal: WardTerminal,
    box: CardBox,
    member: Member,
    wanted: Callable[[View], bool] | None = None,
    *,
    profile: str = "typical",
    access: Access = Access.CONTACTLESS_STRICT,
    faults: Sequence[str] = (),
    reader: VirtualReader | None = None,
) -> Tap:
    """Holds a card to a reader until the glass answers, then takes it away.

    `wanted` tells the answer; left out, it is the holder's open session. Raises NotReady, and
    WrongRefusal when the glass refused first: a refusal that passes after 4 s is none the less one.
    """
    answer = wanted or (lambda view: is_open_for(view, member))
    reader = reader or terminal.next_contactless()
    before, mark = terminal.glass.latest, terminal.glass.mark()
    visit = box.insert(reader.port, member.card, profile=profile, access=access, faults=faults)
    inserted_ns = int(visit["inserted_ns"])

    def answered(view: View) -> bool:
        return (view["seen_ns"] or 0) >= inserted_ns and answer(view)

    def over(view: View) -> bool:
        return answered(view) or _refused_anew(view, inserted_ns, before)

    try:
        seen = terminal.glass.wait(over, mark, TAP_TIMEOUT_S)
    finally:
        with suppress(BoxError):  # a torn card has left by itself
            box.remove(reader.port)
    if not answered(seen.view):
        said, reference = seen.view["words"], seen.view["reference"]
        raise WrongRefusal(
            f"wrong refusal at {terminal.name}: {member.shown} was told “{said}” ({reference})"
        )
    record = box.log(member.card)
    mine = [e for e in record["exchanges"] if e["visit"] == visit["visit"]]
    signed = [s["prepared"][-64:] for s in record["signatures"] if s["visit"] == visit["visit"]]
    seen_ns = int(seen.view["seen_ns"])
    return Tap(
        terminal=terminal.name,
        who=member.shown,
        screen=seen.screen,
        words=str(seen.view["words"]),
        online=seen.view["link"] == "online",
        detect_ms=(seen_ns - inserted_ns) / 1e6,
        total_ms=(seen.at_ns - seen_ns) / 1e6,
        covered_ms=_covered_ms(terminal, mark, seen),
        card_ms=sum(e["ended_ns"] - e["started_ns"] for e in mine) / 1e6,
        exchanges=len(mine),
        signed=signed[0] if signed else "",
        seen_ns=seen_ns,
        view=seen.view,
    )


def _refused_anew(view: View, inserted_ns: int, before: Seen | None) -> bool:
    """Refused after the card came, or about nothing; not a word from before that still stands."""
    standing = before.view["reference"] if before else None
    anew = view["reference"] not in {None, standing}
    return view["screen"] == "refused" and (anew or (view["seen_ns"] or 0) >= inserted_ns)


def _covered_ms(terminal: WardTerminal, mark: int, answer: Seen) -> float:
    """Of the first view about this card; the answer itself where none came before it."""
    card = answer.view["seen_ns"]
    first = next((s for s in terminal.glass.since(mark) if s.view["seen_ns"] == card), answer)
    return float(first.at_ns - int(card)) / 1e6


@dataclass(frozen=True, slots=True)
class Split:
    """Where one tap's time went, in milliseconds, as the terminal's timing event has it."""

    tap: Tap
    exchanges: int
    card_ms: float
    flush_ms: float

    @property
    def software_ms(self) -> float:
        """What is neither the card's nor the disk's."""
        return self.tap.total_ms - self.card_ms - self.flush_ms


def split(taps: Sequence[Tap], timings: Mapping[str, View]) -> list[Split]:
    """Joins taps with their timing events by what the card signed; those without are left out."""
    return [
        Split(one, told["exchanges"], told["card_us"] / 1000, told["flush_us"] / 1000)
        for one in taps
        if (told := timings.get(one.signed)) is not None
    ]


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99, rounded to a hundredth; empty for fewer than two values."""
    if len(values) < 2:
        return {}
    cuts = quantiles(values, n=100, method="inclusive")
    return {name: round(cuts[at - 1], 2) for name, at in _PERCENTILES.items()}
