"""Typists and scanners who never pause, where people tap over each other; and who judges them.

What stands in somebody's notes was pressed while her work was on the glass. Her notes are the
terminal's word, a key's time is the driver's, a turn begins with the journal's event and ends when
a watcher of the kiosk has heard that the glass is covered.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.ward.chromium import SMALL, Chromium
from benchmarks.ward.evidence import on_disk
from benchmarks.ward.glass import Seen
from benchmarks.ward.people import STAFF, Member
from benchmarks.ward.screen import notes, notes_text
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from tests.browser.eyes import Watched
from tests.browser.truth import SHOWS
from tests.browser.ward_life import fresh, held, nobody
from tests.browser.wedge import Press, Wedge
from tests.e2e.asking import at_work

ROOM: Final = 3000
"""Notes longer than this are deleted by the typist: 4,096 bytes are all there is."""
DWELL_S: Final = (0.0, 0.1)
"""Somebody works until the next card is in the field; until it is detected, she types on."""


@dataclass(frozen=True, slots=True)
class Stay:
    """One person's work on the glass, from the journal's event to the covering (monotonic ns)."""

    holder: str
    from_ns: int
    until_ns: int
    growth: tuple[tuple[str, int], ...]
    """What was added to her notes, and by when."""


class Tapping(threading.Thread):
    """So many taps, each over somebody else's work."""

    def __init__(
        self,
        ward: Ward,
        bay: WardTerminal,
        crew: Sequence[Member],
        count: int,
        luck: random.Random,
        profile: str,
    ) -> None:
        """The first of the crew is there now."""
        super().__init__(name=f"tapping-{bay.name}", daemon=True)
        self.taps = 0
        self.fault: BaseException | None = None
        self._ward, self._bay, self._count, self._luck = ward, bay, count, luck
        self._crew, self._profile = crew, profile
        self._pause = threading.Event()

    def run(self) -> None:
        """Ends early with a `fault`."""
        here = self._crew[0]
        try:
            for _ in range(self._count):
                here = self._luck.choice([one for one in self._crew if one is not here])
                self._over(here)
                self._pause.wait(self._luck.uniform(*DWELL_S))
        except BaseException as fault:  # noqa: BLE001 - told in the test's own thread
            self.fault = fault

    def _over(self, member: Member) -> None:
        mark = self._bay.glass.mark()
        with held(self._ward, self._bay, member, profile=self._profile) as inserted_ns:
            self._bay.glass.wait(
                lambda view: is_open_for(view, member) and (view["seen_ns"] or 0) >= inserted_ns,
                mark,
            )
        self.taps += 1


def stays(events: Sequence[Mapping[str, Any]], seen: Sequence[Seen], ward: Ward) -> list[Stay]:
    """Whose work took input when, and what came into it."""
    opened = [
        (event["detail"]["holder"], event["monotonic_ms"] * 1_000_000)
        for event in events
        if event["detail"]["kind"] == "session.changed" and event["detail"]["change"] in SHOWS
    ]
    holder_of = {one.shown: one.person.holder.id for one in ward.members.values()}
    found: list[Stay] = []
    ticket, holder, text, first_ns = "", "", "", 0
    growth: list[tuple[str, int]] = []
    for one in seen:
        here = notes(one.view)
        if ticket and (here is None or here["ticket"] != ticket):
            since = max(at for who, at in opened if who == holder and at <= first_ns)
            found.append(Stay(holder, since, one.at_ns, tuple(growth)))
            ticket = ""
        if here is None:
            continue
        if not ticket:
            ticket, holder, growth = here["ticket"], holder_of[one.view["name"]], []
            text, first_ns = here["text"], one.at_ns
        elif here["text"] != text:
            kept = text if here["text"].startswith(text) else ""
            growth.append((here["text"][len(kept) :], one.at_ns))
            text = here["text"]
    return found


def crossed(stays_: Sequence[Stay], presses: Sequence[Press]) -> list[str]:
    """Characters that stand where nobody pressed them, in words."""
    wrong = []
    for stay in stays_:
        rest = iter([p for p in presses if p.after_ns >= stay.from_ns])
        for text, by_ns in stay.growth:
            for char in text:
                limit = min(by_ns, stay.until_ns)
                press = next((p for p in rest if p.char == char), None)
                if press is None or press.before_ns > limit:
                    wrong.append(_words(stay, char, presses))
                    rest = iter([p for p in presses if p.after_ns >= stay.from_ns])
    return wrong


def _words(stay: Stay, char: str, presses: Sequence[Press]) -> str:
    before = [p for p in presses if p.char == char and p.before_ns <= stay.until_ns]
    early_ms = (stay.from_ns - before[-1].after_ns) / 1e6 if before else float("nan")
    return f"{stay.holder} has {char!r}, pressed {early_ms:.1f} ms before her work was there"


@dataclass(frozen=True, slots=True)
class Station:
    """A screen with its own people, its typist and its scanner."""

    bay: WardTerminal
    screen: Watched
    tapping: Tapping
    wedge: Wedge
    mark: int

    def work(self) -> None:
        """A key, or some."""
        self.wedge.work()
        latest = self.bay.glass.latest
        if latest is not None and len(notes_text(latest.view)) > ROOM:
            self.wedge.clear()


def stations(
    ward: Ward, chromium: Chromium, taps: Taps, contexts: ExitStack, page: str = ""
) -> list[Station]:
    """One at each terminal, between whose people nothing is shared; ``page`` is run before its."""
    made = []
    for number, (bay, crew) in enumerate(taps.crews.items()):
        luck = random.Random(f"{taps.seed} {number}")
        context = contexts.enter_context(chromium.context(SMALL))
        if page:
            context.add_init_script(page)
        screen = Watched(context, ward[bay])
        screen.open()
        for one in reversed(crew):
            at_work(ward, ward[bay], one)
        count = taps.count // len(taps.crews)
        tapping = Tapping(ward, ward[bay], crew, count, luck, taps.profile)
        mark = ward[bay].glass.mark()
        made.append(Station(ward[bay], screen, tapping, Wedge(screen, context, luck), mark))
    return made


@dataclass(frozen=True, slots=True)
class Taps:
    """How many, of whom where, and by which cards."""

    count: int
    seed: str
    crews: Mapping[str, Sequence[Member]]
    profile: str = "instant"


@dataclass
class Played:
    """What came of it, over all screens."""

    wrong: list[str] = field(default_factory=list)
    """Each character that crossed, in words."""
    pressed: int = 0
    landed: int = 0


def play(ward: Ward, chromium: Chromium, taps: Taps, page: str = "") -> Played:
    """Every tap-over was one, and everybody's work was seen."""
    played = Played()
    with ExitStack() as contexts:
        here = stations(ward, chromium, taps, contexts, page)
        for one in here:
            one.tapping.start()
        while any(one.tapping.is_alive() for one in here):
            for one in here:
                one.work()
            here[0].wedge.rest()
        for one in here:
            nobody(one.bay, one.screen)
            if one.tapping.fault is not None:
                raise one.tapping.fault
            found = stays(on_disk(ward, one.bay.name), one.bay.glass.since(one.mark), ward)
            landed = sum(len(text) for stay in found for text, _ in stay.growth)
            presses = one.wedge.presses
            print(f"{one.tapping.taps} tap-overs, {len(presses)} keys, {landed} landed")
            assert one.tapping.taps == taps.count // len(here)
            assert len(found) >= one.tapping.taps
            played.wrong += crossed(found, presses)
            played.pressed += len(presses)
            played.landed += landed
    return played


def crews(ward: Ward) -> dict[str, list[Member]]:
    """Three at one screen, three at the other: whose work moves between them stops nobody here."""
    everybody = [ward.member(one.holder.id) for one in STAFF]
    return {"bay-1": everybody[:3], "bay-2": [*everybody[3:], fresh(ward)]}
