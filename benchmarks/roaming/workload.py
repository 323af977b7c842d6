"""What a move takes, seen from outside both daemons: by the clients of both kiosks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, ClassVar, Final

from benchmarks.harness.record import Budget, Cell, Figure
from benchmarks.harness.workload import Headline, Phase, Progress, Step, Workload
from benchmarks.ward.flushes import Flushes
from benchmarks.ward.people import STAFF, Member
from benchmarks.ward.site import Ward
from benchmarks.ward.taps import tap
from benchmarks.ward.terminals import WardTerminal

NAME: Final = "roaming"
MOVES, QUICK_MOVES, WARM_UP = 200, 24, 4
MOVE_P99_MS: Final = 1_000.0
SLOWED_MS: Final = 20
SLOWED: Final = f"{NAME}, flushes slowed by {SLOWED_MS} ms"
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
- Flushes are slowed inside both daemons: each fsync and fdatasync is carried out in full and then
  waits.
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
        seconds = 20 + 2 * A_MOVE_S * (moves + WARM_UP)
        return [Step("move to and fro", seconds, lambda progress: _measure(progress, moves))]

    def judge(self, cells: Sequence[Cell], *, quick: bool) -> list[Budget]:
        del quick
        found = {cell.name: cell for cell in cells}
        why = "design §10: heard everywhere online; from the card in the field"
        return [
            Budget.at_most(
                f"session move{slower}: {name}, p99",
                MOVE_P99_MS,
                found[cell].figure(name).p99 if cell in found else None,
                "ms",
                why,
            )
            for cell, slower in ((NAME, ""), (SLOWED, f", each flush {SLOWED_MS} ms slower"))
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
            f"(p99 {here.p99:.0f}; {len(here.samples)} moves)"
        )
        if (slowed := next((one for one in cells if one.name == SLOWED), None)) is not None:
            there, come = slowed.figure("closed there"), slowed.figure("work here")
            said += (
                f"; p99 {there.p99:.0f} and {come.p99:.0f} with each flush {SLOWED_MS} ms slower"
            )
        return [Headline("session move", f"{said}.")]


def _measure(progress: Progress, moves: int) -> Iterable[Cell]:
    bays = ("bay-1", "bay-2")
    with ExitStack() as stack:
        folder = stack.enter_context(_place())
        flushes = [stack.enter_context(Flushes(folder / f"flushes-{name}")) for name in bays]
        around = {name: one.environment for name, one in zip(bays, flushes, strict=True)}
        ward = stack.enter_context(
            Ward(folder / "w", bays, STAFF[:1], pairs=_PAIRS, environments=around)
        )
        amal = ward.member(STAFF[0].holder.id)
        for name in bays:
            ward[name].sign_on_with_pin(amal)
        for number, (cell, slowed_ms) in enumerate(((NAME, 0), (SLOWED, SLOWED_MS))):
            for one in flushes:
                one.slow_by(slowed_ms)
            yield _cell(cell, slowed_ms, _moves(progress, ward, amal, moves, number))


def _moves(progress: Progress, ward: Ward, member: Member, moves: int, number: int) -> list[Moved]:
    one, other = ward["bay-1"], ward["bay-2"]
    found: list[Moved] = []
    progress.phase(Phase.WARM_UP)
    turns = cycle(((other, one), (one, other)))
    for at, (old, new) in zip(range(WARM_UP + moves), turns, strict=False):
        if at == WARM_UP:
            progress.phase(Phase.MEASURED)
        moved = _move(ward, member, old, new, f"line {number} {at}")
        if at >= WARM_UP:
            found.append(moved)
        progress.done(number * (WARM_UP + moves) + at + 1, 2 * (WARM_UP + moves))
    progress.phase(Phase.SET_UP)
    return found


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


def _cell(name: str, slowed_ms: int, moved: Sequence[Moved]) -> Cell:
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
    parameters = {"moves": len(moved), "flushes slowed, ms": slowed_ms}
    return Cell(NAME, name, parameters, figures, facts={"simulated": simulated})


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
