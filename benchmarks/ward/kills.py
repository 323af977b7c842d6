"""Kills terminal, gateway and broker by SIGKILL in every phase of a tap's way to the log.

No process has a hook for it. After each kill the process is started again and taps go on, while
another terminal taps all the time; what then stands in the log is held against what was seen.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import cycle
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.ward import outside
from benchmarks.ward.account import (
    Account,
    Death,
    Hand,
    account,
    everything_shown,
    exported_bodies,
    twice,
)
from benchmarks.ward.evidence import Evidence, gather, wait_covered, wait_delivered
from benchmarks.ward.people import Member
from benchmarks.ward.phases import Blow, Phase, Ways
from benchmarks.ward.processes import NotReady, Process, WardError
from benchmarks.ward.site import Ward

REPORT: Final = Path(__file__).resolve().parents[2] / "build" / "kills.json"
BAY: Final = "bay-1"
"""The terminal that is killed, and whose tap is in the phase; `OTHER` taps all the time."""
OTHER: Final = "bay-2"
CREW: Final = ((BAY, "h-amal"), (BAY, "h-bronwen"), (OTHER, "h-chidi"), (OTHER, "h-dafydd"))
"""Who taps where."""


class Victim(StrEnum):
    """Who is killed."""

    TERMINAL = "terminal"
    GATEWAY = "gateway"
    BROKER = "broker"


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill: what was aimed at, and where the tap was found to be."""

    phase: str
    victim: Victim
    seed: str
    offset_us: int
    observed: str
    back_s: float
    """From the start of the killed process until it serves."""

    def __str__(self) -> str:
        aim = f"{self.victim} in “{self.phase}” ({self.seed}; +{self.offset_us} µs)"
        return f"{aim}: {self.observed}; back after {self.back_s} s"


class Kills:
    """Kills on one ward, the driver's memory of them, and what is held against the log."""

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        self.hand = Hand(ward.box)
        self.bay = ward[BAY]
        self.done: list[Kill] = []
        self.exported: list[bytes] = []
        """The bodies of the latest audit's export."""
        self._deaths: list[Death] = []
        self._audits: list[dict[str, Any]] = []
        self._ways = Ways(ward, self.bay, crew_of(ward, BAY), self.hand)

    def sign_on(self, terminal: str, holder: str) -> None:
        """Card into the slot and PIN."""
        self.hand.sign_on(self.ward[terminal], self.ward.member(holder))

    def kill(self, phase: Phase, victim: Victim, seed: str) -> Kill:
        """One kill in one phase; returns when the ward works again. Raises WardError."""
        self._wait_receipted()
        blow = Blow(self._process(victim), random.Random(f"{seed} {phase} {victim}"))
        return self._after(blow, victim, seed, phase, self._ways.strike_in(phase, blow))

    def kill_in_a_burst(self, seed: str) -> Kill:
        """The terminal, somewhere within a row of quick taps. Raises WardError."""
        blow = Blow(self.bay.process, random.Random(f"{seed} burst"))
        killer = threading.Thread(target=blow.fall, args=(self.hand, 3.0))
        killer.start()
        taps = 0
        try:
            while blow.victim.alive:
                self._ways.tap(timeout_s=2.0)
                taps += 1
        except NotReady:
            if blow.victim.alive:
                raise
        killer.join()
        return self._after(blow, Victim.TERMINAL, seed, "burst of taps", f"{taps} taps shown")

    def audit(self, name: str) -> tuple[Evidence, Account]:
        """Everything delivered, exported, verified; and held against what the driver saw."""
        wait_delivered(self.ward, timeout_s=60.0)
        wait_covered(self.ward)
        folder = self.ward.folder / f"export {name}".replace(" ", "-")
        evidence = gather(self.ward, folder)
        self.exported = exported_bodies(folder)
        book = self.held_against(self.exported)
        counted = {"audit": name, "shown": book.shown, "signed": book.signed}
        counted |= {"unspent": book.unspent, "differences": book.differences()}
        self._audits.append(counted | evidence.to_json())
        self._write()
        return evidence, book

    def held_against(self, bodies: Sequence[bytes]) -> Account:
        """What the driver saw so far, against these events."""
        book = account(self.hand, everything_shown(self.ward), self._deaths, bodies)
        if again := twice(bodies):
            book.doubled.append(f"{again} events stand twice in the log")
        return book

    @property
    def histogram(self) -> dict[str, dict[str, int]]:
        """What was hit, by what was aimed at."""
        counts: dict[str, Counter[str]] = {}
        for kill in self.done:
            counts.setdefault(kill.phase, Counter())[f"{kill.victim}: {kill.observed}"] += 1
        return {phase: dict(sorted(seen.items())) for phase, seen in counts.items()}

    @property
    def hit(self) -> set[str]:
        """Phases in which a tap was found at least once when a blow fell."""
        return {kill.phase for kill in self.done if is_hit(kill)}

    def _after(self, blow: Blow, victim: Victim, seed: str, phase: str, observed: str) -> Kill:
        """Looks at what the killed process left, starts it again, and taps."""
        blow.victim.wait_ended()
        if victim is Victim.TERMINAL:
            self._look_at_the_terminal(blow.at_ns)
        elif victim is Victim.GATEWAY:
            self._look_at_the_gateway()
        began_ns = self.hand.clock.monotonic_ns()
        self._restart(victim)
        back_s = round((self.hand.clock.monotonic_ns() - began_ns) / 1e9, 3)
        self._ways.tap()
        kill = Kill(phase, victim, seed, blow.offset_us, observed, back_s)
        self.done.append(kill)
        self._write()
        return kill

    def _write(self) -> None:
        """Leaves seeds, offsets, histogram and counts in build/kills.json."""
        told = {
            "histogram": self.histogram,
            "kills": [asdict(kill) for kill in self.done],
            "audits": self._audits,
        }
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")

    def _wait_receipted(self) -> None:
        quiet = "every event of the terminal has its receipt"
        outside.wait_until(quiet, lambda: not outside.waiting_events(self.ward, BAY), 60.0)

    def _process(self, victim: Victim) -> Process:
        match victim:
            case Victim.TERMINAL:
                return self.bay.process
            case Victim.GATEWAY:
                return self.ward.gateway
            case Victim.BROKER:
                return self.ward.broker.process

    def _look_at_the_terminal(self, died_ns: int) -> None:
        """The chain holds, and every OPEN shown so far is there, on the dead terminal's disk."""
        self._deaths.append(Death(BAY, died_ns))
        shown = [one for one in everything_shown(self.ward) if one[0] == BAY]
        here = Hand(self.hand.box, [v for v in self.hand.visits if v.terminal == BAY])
        for flushed in (False, True):
            left = outside.events_left(outside.journal_of(self.ward, BAY), flushed=flushed)
            if wrong := account(here, shown, self._deaths, left).differences():
                raise outside.DiskBroken("\n".join(wrong))

    def _look_at_the_gateway(self) -> None:
        """Every receipt that a terminal has was kept, on the dead gateway's disk."""
        receipted = outside.receipted(self.ward)
        for flushed in (False, True):
            with outside.image(outside.log_of(self.ward), flushed=flushed) as connection:
                stored = {digest for (digest,) in connection.execute("SELECT digest FROM batches")}
            if missing := receipted - stored:
                raise outside.DiskBroken(f"receipts for batches that are not there: {missing}")

    def _restart(self, victim: Victim) -> None:
        match victim:
            case Victim.TERMINAL:
                mark, readers = self.bay.glass.mark(), len(self.bay.pcscd.readers)
                self.bay.boot()
                self.bay.glass.wait_screen("locked", mark=mark, timeout_s=20.0)
                # A card that is there when its reader is told of is no tap.
                outside.wait_until(
                    "all readers", lambda: outside.readers_watched(self.ward, BAY) >= readers
                )
            case Victim.GATEWAY:
                self.ward.gateway.start()
                self.ward.gateway.wait_for_port(self.ward.admin_port, timeout_s=20.0)
            case Victim.BROKER:
                self.ward.broker.start()


def crew_of(ward: Ward, terminal: str) -> list[Member]:
    """Those who tap at a terminal."""
    return [ward.member(who) for where, who in CREW if where == terminal]


def is_hit(kill: Kill) -> bool:
    """Whether a tap was found where the kill was aimed."""
    if kill.phase in {Phase.FLUSH, Phase.COMMIT}:
        return not kill.observed.endswith(outside.Commit.NONE)
    return kill.observed == kill.phase


class Shift:
    """Taps at the other terminal, one after the other, in a thread; pauses for an audit."""

    def __init__(self, kills: Kills) -> None:
        self._kills = kills
        self._terminal = kills.ward[OTHER]
        self._crew: Iterator[Member] = cycle(crew_of(kills.ward, OTHER))
        self._go, self._end = threading.Event(), threading.Event()
        self._idle = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="shift", daemon=True)
        self._failure: WardError | None = None

    def __enter__(self) -> Self:
        self._go.set()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._go.set()
        self._thread.join()

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Nobody taps there inside the block. Raises what a tap there came to."""
        self._go.clear()
        with self._idle:
            if self._failure is not None:
                raise self._failure
            try:
                yield
            finally:
                self._go.set()

    def _work(self) -> None:
        while self._go.wait() and not self._end.is_set():
            with self._idle:
                if not self._go.is_set():
                    continue
                try:
                    self._kills.hand.tap(self._terminal, next(self._crew))
                except WardError as failure:
                    self._failure = failure
                    return
