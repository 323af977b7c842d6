"""A typist and a wristband scanner never pause while people tap over each other.

No character lands on the other side: what stands in somebody's notes was pressed while her work was
on the glass. Her notes are the terminal's word, a key's time is the driver's, a turn begins with
the journal's event and ends when a watcher of the kiosk has heard that the glass is covered.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest

from benchmarks.ward.chromium import SMALL, Chromium
from benchmarks.ward.evidence import on_disk
from benchmarks.ward.glass import Seen
from benchmarks.ward.people import STAFF, Member
from benchmarks.ward.screen import Screen, notes, notes_text
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from runtime.clock import SystemClock
from tests.browser.truth import SHOWS
from tests.browser.ward_life import held, nobody, there
from tests.browser.wedge import Press, Wedge

QUICK: Final = 100
WHOLE: Final = 1000
ROOM: Final = 3000
"""Notes longer than this are deleted by the typist: 4,096 bytes are all there is."""
DWELL_S: Final = (0.02, 0.3)


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

    def __init__(self, ward: Ward, bay: WardTerminal, count: int, luck: random.Random) -> None:
        super().__init__(name="tapping", daemon=True)
        self.taps = 0
        self.fault: BaseException | None = None
        self._ward, self._bay, self._count, self._luck = ward, bay, count, luck
        self._pause = threading.Event()

    def run(self) -> None:
        """Ends early with a `fault`."""
        crew = [self._ward.member(one.holder.id) for one in STAFF[:3]]
        here = crew[0]
        try:
            for _ in range(self._count):
                here = self._luck.choice([one for one in crew if one is not here])
                self._over(here)
                self._pause.wait(self._luck.uniform(*DWELL_S))
        except BaseException as fault:  # noqa: BLE001 - told in the test's own thread
            self.fault = fault

    def _over(self, member: Member) -> None:
        mark = self._bay.glass.mark()
        with held(self._ward, self._bay, member) as inserted_ns:
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


def play(ward: Ward, chromium: Chromium, count: int, seed: str) -> None:
    bay, luck = ward["bay-1"], random.Random(seed)
    with chromium.context(SMALL) as context:
        screen = Screen(context, bay)
        screen.open()
        for one in reversed(STAFF[:3]):
            there(ward, bay, screen, ward.member(one.holder.id))
        mark = bay.glass.mark()
        tapping, wedge = Tapping(ward, bay, count, luck), Wedge(screen, context, luck)
        tapping.start()
        while tapping.is_alive():
            wedge.work()
            if (
                bay.glass.latest
                and len((notes(bay.glass.latest.view) or {}).get("text", "")) > ROOM
            ):
                wedge.clear()
        nobody(bay, screen)
        if tapping.fault is not None:
            raise tapping.fault
        found = stays(on_disk(ward, bay.name), bay.glass.since(mark), ward)
    landed = sum(len(text) for stay in found for text, _ in stay.growth)
    print(f"{tapping.taps} tap-overs, {len(wedge.presses)} keys, {landed} landed")
    assert tapping.taps == count
    assert len(found) >= count
    assert landed > len(wedge.presses) // 4
    assert crossed(found, wedge.presses) == []


@pytest.mark.timeout(240)
def test_no_character_crosses_in_a_hundred_tap_overs(ward: Ward, chromium: Chromium) -> None:
    play(ward, chromium, QUICK, "a busy hour")


@pytest.mark.full
@pytest.mark.timeout(2400)
def test_no_character_crosses_in_a_thousand_tap_overs(ward: Ward, chromium: Chromium) -> None:
    play(ward, chromium, WHOLE, "a busy week")


def test_a_key_held_down_across_a_tap_over_writes_nothing_until_it_is_pressed_anew(
    ward: Ward, chromium: Chromium
) -> None:
    bay, amal, bronwen = ward["bay-1"], ward.member("h-amal"), ward.member("h-bronwen")
    with chromium.context() as context:
        screen = Screen(context, bay)
        screen.open()
        there(ward, bay, screen, bronwen)
        there(ward, bay, screen, amal)
        screen.page.keyboard.down("-")
        bay.glass.wait(lambda view: "-" in notes_text(view))
        mark = bay.glass.mark()
        with held(ward, bay, bronwen):
            until = SystemClock().monotonic_ns() + 5_000_000_000
            while screen.face != "open" or bronwen.shown not in screen.text:
                screen.page.keyboard.down("-")  # the keyboard repeats it
                assert SystemClock().monotonic_ns() < until
            for _ in range(30):
                screen.page.keyboard.down("-")
        screen.page.keyboard.up("-")
        screen.page.keyboard.press("+")
        seen = bay.glass.wait(
            lambda view: is_open_for(view, bronwen) and "+" in notes_text(view), mark
        )
        assert "-" not in seen.view["panels"]["screen"]["text"]


def test_who_looks_for_crossed_characters_finds_them() -> None:
    presses = [Press("a", 10, 11), Press("b", 20, 21), Press("c", 30, 31)]
    assert crossed([Stay("h", 15, 40, (("bc", 35),))], presses) == []
    assert len(crossed([Stay("h", 15, 40, (("abc", 35),))], presses)) == 1
    assert len(crossed([Stay("h", 15, 25, (("bc", 35),))], presses)) == 1
    assert len(crossed([Stay("h", 15, 40, (("cb", 35),))], presses)) == 1
