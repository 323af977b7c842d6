"""A person at a screen: card to the reader, eyes on the page, hands on the keys once it is hers.

The page is in a real Chromium, which draws it. The card's time, what the terminal saw and what its
workspace took are read from outside; what the browser had drawn comes from the page's own diary.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from string import ascii_letters
from typing import Final

from benchmarks.sign_on.house import House, open_house
from benchmarks.sign_on.lane import CONTACTLESS, POLL_S, Lane
from benchmarks.ward.chromium import Chromium
from benchmarks.ward.people import Member
from benchmarks.ward.processes import WardError
from benchmarks.ward.screen import Look, Screen, notes_text
from benchmarks.ward.terminals import is_open_for

BAY: Final = "bay-1"
_SETTLED_S: Final = 0.1
"""Two frames and more: what was drawn has been noted by then."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One tap over somebody else's work. Milliseconds."""

    detect_ms: float
    """Card in the field → the terminal's status wait returns."""
    covered_ms: float
    """That return → the browser has drawn a screen that names nobody."""
    shown_ms: float
    """Card in the field → the browser has drawn her name."""
    usable_ms: float
    """Card in the field → her first key stands in her own notes, as the terminal tells."""


class Bedside:
    """For one thread. Made by `bedside`."""

    def __init__(self, house: House, lane: Lane, screen: Screen, crew: Sequence[Member]) -> None:
        self.house = house
        self._box = house.ward.box
        self._terminal = lane.terminal
        self._screen = screen
        self._crew = cycle(crew)
        self._letters = cycle(ascii_letters)
        self._readers = cycle(lane.terminal.contactless)
        self._when = random.Random(BAY)

    def slow_flushes_by(self, delay_ms: float) -> None:
        """From now on."""
        self.house.flushes[BAY].slow_by(delay_ms)

    def taps(self, count: int, profile: str) -> Iterator[Sample]:
        """Each of the crew in turn, over whoever was there, in step with nobody's polling."""
        for _ in range(count):
            time.sleep(self._when.uniform(0.0, POLL_S))
            yield self.tap(next(self._crew), profile)

    def tap(self, member: Member, profile: str) -> Sample:
        """One. Raises NotReady, WardError."""
        glass, letter = self._terminal.glass, next(self._letters)
        mark, looked = glass.mark(), len(self._screen.diary())
        reader = next(self._readers)
        told = self._box.insert(reader.port, member.card, profile=profile, access=CONTACTLESS)
        try:
            self._screen.wait_drawn(member.shown, looked)
            self._screen.page.keyboard.press(letter)
            taken = glass.wait(
                lambda view: is_open_for(view, member) and notes_text(view).endswith(letter), mark
            )
        finally:
            self._box.remove(reader.port)
        inserted_ns, seen_ns = int(told["inserted_ns"]), int(taken.view["seen_ns"])
        time.sleep(_SETTLED_S)
        looks = self._screen.diary()[looked:]
        covered = _first(looks, ())
        shown = _first(looks[looks.index(covered) :], (member.shown,))
        return Sample(
            detect_ms=(seen_ns - inserted_ns) / 1e6,
            covered_ms=(covered.painted_ns - seen_ns) / 1e6,
            shown_ms=(shown.painted_ns - inserted_ns) / 1e6,
            usable_ms=(taken.at_ns - inserted_ns) / 1e6,
        )


def _first(looks: Sequence[Look], names: tuple[str, ...]) -> Look:
    for look in looks:
        if look.names == names:
            return look
    raise WardError(f"the page never showed {names or 'a screen without a name'}: {looks}")


@contextmanager
def bedside() -> Iterator[Bedside]:
    """A ward, a crew that has begun its shift, and one of them at work before a real browser."""
    with open_house((BAY,)) as house:
        ward = house.ward
        people = [ward.members[name] for name in ward.members]
        with (
            house.lane(BAY, ()) as lane,
            Chromium(ward.folder / "chromium") as browser,
            browser.driven() as chromium,
            chromium.context() as context,
        ):
            screen = Screen(context, ward[BAY], [one.shown for one in people])
            screen.open()
            lane.begin_shift(people)
            screen.wait_name(people[-1].shown)
            yield Bedside(house, lane, screen, people)
