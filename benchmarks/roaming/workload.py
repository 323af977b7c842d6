"""What a move takes, seen from outside both daemons: by the clients of both kiosks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, ClassVar, Final

from benchmarks.harness.record import Budget, Cell, Figure
from benchmarks.harness.workload import Headline, Phase, Progress, Step, Workload
from benchmarks.ward.people import STAFF, Member
from benchmarks.ward.site import Ward
from benchmarks.ward.taps import tap
from benchmarks.ward.terminals import WardTerminal

NAME: Final = "roaming"
MOVES, QUICK_MOVES, WARM_UP = 200, 24, 4
MOVE_P99_MS: Final = 1_000.0
A_MOVE_S: Final = 1.0
_BUILD: Final = Path("build/bench")
_PAIRS: Final = ("First Contactless", "Second Contactless", "Third Contactless", "First Contact")
_ABOUT: Final = """\
One person works at two terminals in turn: she writes a line at the one, then holds her card to the
other. Daemons, pcscd, broker and gateway are the real ones; simulated are the card (typical
contactless), its reader (detection is by polling, and is in no figure here) and the network
(loopback). Both journals lie on this machine's disk with `synchronous=FULL`.

- **closed there** runs from the return of the new terminal's status wait (her card is in the field)
  to the moment at which a client of the *old* terminal's kiosk has received a covered, nameless
  screen: the tap itself, its outcome on disk, the request through the broker, two signatures
  verified, the parking on the other disk.
- **work here** runs from the same moment to the client of the *new* terminal's kiosk receiving the
  line that she wrote: parked, sealed, sent, opened, journalled, restored.
- **beyond the tap** is *closed there* less the time at which the new terminal had her session open.
"""


@dataclass(frozen=True, slots=True)
class Moved:
    """One move. Milliseconds."""

    closed_ms: float
    here_ms: float
    beyond_ms: float


class Roaming(Workload):
    """See `_ABOUT`."""

    name: ClassVar = NAME
    title: ClassVar = "A session moves: tap here, closes there"
    about: ClassVar = _ABOUT

    def plan(self, *, quick: bool) -> list[Step]:
        moves = QUICK_MOVES if quick else MOVES
        seconds = 20 + A_MOVE_S * (moves + WARM_UP)
        return [Step("move to and fro", seconds, lambda progress: _measure(progress, moves))]

    def judge(self, cells: Sequence[Cell], *, quick: bool) -> list[Budget]:
        del quick
        cell = next((cell for cell in cells if cell.name == NAME), None)
        why = "design §10: heard everywhere online; from the card in the field"
        return [
            Budget.at_most(
                f"session move: {name}, p99",
                MOVE_P99_MS,
                cell.figure(name).p99 if cell else None,
                "ms",
                why,
            )
            for name in ("closed there", "work here")
        ]

    def headlines(self, cells: Sequence[Cell]) -> list[Headline]:
        cell = next((cell for cell in cells if cell.name == NAME), None)
        if cell is None:
            return []
        closed, here = cell.figure("closed there"), cell.figure("work here")
        said = (
            f"A session moves in {closed.p50:.0f} ms (p99 {closed.p99:.0f}): from the card at one "
            f"terminal to the other's screen covered; her work is here after {here.p50:.0f} ms "
            f"(p99 {here.p99:.0f}; {len(here.samples)} moves)."
        )
        return [Headline("session move", said)]


def _measure(progress: Progress, moves: int) -> Iterable[Cell]:
    with _place() as folder, Ward(folder / "w", staff=STAFF[:1], pairs=_PAIRS) as ward:
        amal = ward.member(STAFF[0].holder.id)
        one, other = ward["bay-1"], ward["bay-2"]
        for bay in (one, other):
            bay.sign_on_with_pin(amal)
        found: list[Moved] = []
        progress.phase(Phase.WARM_UP)
        turns = cycle(((other, one), (one, other)))
        for at, (old, new) in zip(range(WARM_UP + moves), turns, strict=False):
            if at == WARM_UP:
                progress.phase(Phase.MEASURED)
            moved = _move(ward, amal, old, new, f"line {at}")
            if at >= WARM_UP:
                found.append(moved)
            progress.done(at + 1, WARM_UP + moves)
        yield _cell(found)


def _move(ward: Ward, member: Member, old: WardTerminal, new: WardTerminal, line: str) -> Moved:
    _write(old, line)
    there, here = old.glass.mark(), new.glass.mark()
    tapped = tap(new, ward.box, member)
    closed = old.glass.wait(lambda view: view["covered"] and view["name"] is None, there)
    came = new.glass.wait(lambda view: _line_in(view) == line, here)
    closed_ms = (closed.at_ns - tapped.seen_ns) / 1e6
    here_ms = (came.at_ns - tapped.seen_ns) / 1e6
    return Moved(closed_ms, here_ms, closed_ms - tapped.total_ms)


def _write(bay: WardTerminal, line: str) -> None:
    """Once more where what came from the other terminal came meanwhile."""
    refused: str | None = ""
    while refused is not None:
        refused = _written_under(bay, line, refused)


def _written_under(bay: WardTerminal, line: str, before: str) -> str | None:
    """Under another ticket than ``before``; the ticket, if the line was not taken."""
    mark = max(0, bay.glass.mark() - 1)
    shown = bay.glass.wait(lambda view: _ticket_in(view) not in (None, before), mark)
    ticket = _ticket_in(shown.view)
    bay.glass.post("typed", ticket=ticket, text=line)

    def over(view: dict[str, Any]) -> bool:
        return _line_in(view) == line or _ticket_in(view) not in (None, ticket)

    return None if _line_in(bay.glass.wait(over, mark).view) == line else ticket


def _ticket_in(view: dict[str, Any]) -> str | None:
    screen = view["panels"].get("screen")
    return str(screen["ticket"]) if screen else None


def _line_in(view: dict[str, Any]) -> str | None:
    """What is written in the work on the glass."""
    screen = view["panels"].get("screen")
    return str(screen["text"]) if screen else None


def _cell(moved: Sequence[Moved]) -> Cell:
    frm = "the new terminal's status wait has returned"
    figures = (
        Figure(
            "closed there",
            "ms",
            frm,
            "a client of the old terminal's kiosk has a covered screen",
            tuple(one.closed_ms for one in moved),
        ),
        Figure(
            "work here",
            "ms",
            frm,
            "a client of the new terminal's kiosk has the line written at the old one",
            tuple(one.here_ms for one in moved),
        ),
        Figure(
            "beyond the tap",
            "ms",
            "a client of the new terminal's kiosk has her open session",
            "a client of the old terminal's kiosk has a covered screen",
            tuple(one.beyond_ms for one in moved),
        ),
    )
    simulated = "the card (typical contactless), its reader (vsmartcard), the network (loopback)"
    return Cell(NAME, NAME, {"moves": len(moved)}, figures, facts={"simulated": simulated})


@contextmanager
def _place() -> Iterator[Path]:
    """A folder on the disk that the run speaks of, readable by unprivileged servers."""
    _BUILD.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="roam-", dir=_BUILD)).absolute()
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
