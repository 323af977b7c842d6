"""Whose session was open when, by the terminal's own journal; and what the glass showed meanwhile.

The journal is durable before the glass follows it. So a name may stand there only from its
session's opening on, and what remains of it afterwards is the time that a page needs to cover.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from benchmarks.ward.screen import Look

SHOWS: Final = frozenset({"opened", "resumed", "unlocked"})
HIDES: Final = frozenset({"parked", "locked", "closed"})
CLOCKS_NS: Final = 5_000_000
"""The browser's clock against ours, and an event's whole milliseconds."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A session on the glass (monotonic nanoseconds)."""

    holder: str
    session: str
    from_ns: int
    until_ns: int


def turns(events: Iterable[Mapping[str, Any]], deaths_ns: Sequence[int], now_ns: int) -> list[Turn]:
    """From one terminal's journals in their order; a daemon's death ends what it had open."""
    found: list[Turn] = []
    standing: tuple[str, str, int] | None = None

    def end(at_ns: int) -> None:
        nonlocal standing
        if standing is not None:
            holder, session, since = standing
            died = [death for death in deaths_ns if since <= death <= at_ns]
            found.append(Turn(holder, session, since, min([at_ns, *died])))
        standing = None

    for event in events:
        detail, at_ns = event["detail"], event["monotonic_ms"] * 1_000_000
        if detail["kind"] != "session.changed":
            continue
        if detail["change"] in SHOWS:
            end(at_ns)
            standing = (detail["holder"], detail["session"], at_ns)
        elif detail["change"] in HIDES and standing and standing[1] == detail["session"]:
            end(at_ns)
    end(now_ns)
    return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """``wrong`` is empty where all is well; ``late_ns``: the longest that a name outstayed."""

    wrong: tuple[str, ...]
    named: int
    late_ns: int


def judged(
    looks: Sequence[Look], turns_: Sequence[Turn], holder_of: Mapping[str, str], lag_ns: int
) -> Verdict:
    """Holds every look that names somebody against the turns.

    ``looks`` of one page in their order, ended by one that names nobody.
    """
    wrong, named, late_ns = [], 0, 0
    for look, after in pairwise(looks):
        if not look.names:
            continue
        named += 1
        if len(look.names) > 1:
            wrong.append(f"{look.screen} names {' and '.join(look.names)}")
            continue
        holder = holder_of[look.names[0]]
        mine = [
            turn
            for turn in turns_
            if turn.holder == holder
            and turn.from_ns <= look.changed_ns + CLOCKS_NS
            and look.changed_ns <= turn.until_ns + lag_ns
        ]
        if not mine:
            wrong.append(f"{look.names[0]} on {look.screen}, and no session of hers was open")
            continue
        outstayed = min(after.changed_ns - turn.until_ns for turn in mine)
        late_ns = max(late_ns, outstayed)
        if outstayed > lag_ns:
            wrong.append(f"{look.names[0]} still stood there {outstayed / 1e6:.0f} ms after")
    return Verdict(tuple(wrong), named, late_ns)
