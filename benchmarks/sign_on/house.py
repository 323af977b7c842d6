"""The ward that is tapped at: one or two terminals with eight readers each, six people a key."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.harness.record import Cell
from benchmarks.sign_on.figures import first_cell, told, warm_cell
from benchmarks.sign_on.lane import PAIRS, Lane
from benchmarks.sign_on.specs import P256, RSA, WARM_UP_TAPS, Sizes, Spec, State
from benchmarks.ward.flushes import Flushes
from benchmarks.ward.people import NURSE, STAFF, Member, person
from benchmarks.ward.processes import WardError
from benchmarks.ward.site import Ward
from contract.directory import Position
from contract.ids import PositionId
from contract.signing import CardAlgorithm
from firmware_py.stores import JOURNAL

FOLDER: Final = Path("build/bench")
_NUMBERS: Final = itertools.count(1)

AGENCY: Final = Position(id=PositionId("ed-agency"), role="R8009", name="Agency nurse", areas=())
"""A role without grace: it owes the PIN at each sign-on, as everybody does once a shift."""

_CREW: Final = (*STAFF, person("h-farah", "Farah Idris", "730582", NURSE))
_RSA_CREW: Final = tuple(
    person(f"h-rsa-{number}", f"{first} Anders", f"55120{number}", NURSE)
    for number, first in enumerate(("Gwen", "Hana", "Iris", "Jana"))
)
_NEWCOMERS: Final = {
    key: tuple(
        person(f"h-{words}-{number}", f"{first} Banks", f"66310{number}", AGENCY)
        for number, first in enumerate(names)
    )
    for key, words, names in (
        (P256, "new", ("Ivo", "Jude", "Kit", "Lev")),
        (RSA, "new-rsa", ("Kim", "Lou", "Max", "Nan")),
    )
}


@dataclass(frozen=True, slots=True)
class House:
    """A ward at work, and who may be asked to tap."""

    ward: Ward
    flushes: dict[str, Flushes]
    """By terminal."""

    def crew(self, spec: Spec, terminal: str = "bay-1") -> list[Member]:
        """Who taps in a cell; nobody is at two terminals at a time."""
        names = list(self.flushes)
        settled = _CREW if spec.key is P256 else _RSA_CREW
        people = _NEWCOMERS[spec.key] if spec.first else settled
        here = people[names.index(terminal) :: len(names)]
        return [self.ward.member(one.holder.id) for one in here]

    def hire(self, keys: Collection[CardAlgorithm], specs: Sequence[Spec]) -> None:
        """Those whom the cells want, and whose cards were not made at the desk."""
        if RSA in keys:
            for somebody in _RSA_CREW:
                self.ward.hire(somebody, RSA)
        for key in sorted({spec.key for spec in specs if spec.first}):
            for somebody in _NEWCOMERS[key]:
                self.ward.hire(somebody, key)

    @contextmanager
    def lane(self, terminal: str, keys: Sequence[CardAlgorithm]) -> Iterator[Lane]:
        """A terminal whose crew has begun its shift."""
        lane = Lane(self.ward, self.ward[terminal])
        try:
            for key in keys:
                lane.begin_shift(self.crew(Spec(key=key), terminal))
            yield lane
        finally:
            lane.close()

    def cell(self, lane: Lane, spec: Spec, sizes: Sizes, on_tap: OnTap) -> Cell:
        """Warms up with each of the crew, then measures. Raises WardError where a state is not."""
        terminal = lane.terminal
        crew, flushes = self.crew(spec, terminal.name), self.flushes[terminal.name]
        flushes.slow_by(spec.slowed_ms)
        try:
            go = lane.first_taps if spec.first else lane.taps
            on_tap.warming()
            for _ in go(crew, WARM_UP_TAPS, spec.profile):
                on_tap()
            mark, samples = flushes.count, []
            on_tap.measuring()
            for sample in go(crew, sizes.of(spec), spec.profile):
                samples.append(sample)
                on_tap()
            seen = flushes.since(mark)
        finally:
            flushes.slow_by(0)
        if {sample.online for sample in samples} != {spec.state is not State.OFFLINE}:
            raise WardError(f"{terminal.name} was not {spec.state} at every tap")
        facts = {
            "simulated": SIMULATED,
            "terminals at once": str(len(self.flushes)),
            "terminal VmRSS": f"{terminal.footprint()['rss_mb']:g} MB",
        }
        if spec.first:
            return first_cell(spec.name, spec.parameters, samples, facts)
        timings = told(terminal.state / JOURNAL, samples)
        return warm_cell(spec.name, spec.parameters, samples, timings, seen, facts)


SIMULATED: Final = (
    "the card (a virtual PIV card with the times of public measurements), its reader (vsmartcard "
    "behind the real pcscd, which polls: a card is noticed up to 0.4 s late), and the network"
)


class OnTap:
    """What a cell tells of its progress; silent unless overridden."""

    def __call__(self) -> None:
        """One more."""

    def warming(self) -> None:
        """Taps that do not count begin."""

    def measuring(self) -> None:
        """Taps that count begin."""


@contextmanager
def open_house(terminals: Sequence[str] = ("bay-1",)) -> Iterator[House]:
    """A working ward in a folder of its own; the folder stays where something failed."""
    folder = (FOLDER / f"taps-{os.getpid()}-{next(_NUMBERS)}").absolute()
    with ExitStack() as stack:
        flushes = {
            name: stack.enter_context(Flushes(folder / f"flushes-{name}")) for name in terminals
        }
        ward = Ward(
            folder,
            terminals,
            _CREW,
            {"grace_by_role": ({"role": AGENCY.role, "grace_s": 0},)},
            pairs=PAIRS,
            environments={name: one.environment for name, one in flushes.items()},
        )
        with ward:
            yield House(ward, flushes)
    ward.remove_folder()
