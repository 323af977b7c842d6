"""A typist and a wristband scanner never pause while people tap over each other (`typists`).

No character lands on the other side. So that this is seen to be able to fail: the same typists
before a page that queues, and before a daemon that takes whatever a late page says.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest

from benchmarks.ward.chromium import Chromium
from benchmarks.ward.processes import Process
from benchmarks.ward.screen import notes_text
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from runtime.clock import SystemClock
from tests.browser.eyes import Watched
from tests.browser.typists import Stay, Taps, crews, crossed, play
from tests.browser.ward_life import held, there
from tests.browser.wedge import Press

QUICK: Final = 100
WHOLE: Final = 1000
CONTROL: Final = 10


@pytest.mark.timeout(240)
def test_no_character_crosses_in_a_hundred_tap_overs(ward: Ward, chromium: Chromium) -> None:
    played = play(ward, chromium, Taps(QUICK, "a busy hour", crews(ward)))
    assert played.wrong == []
    assert played.landed > played.pressed // 4


@pytest.mark.full
@pytest.mark.timeout(2400)
def test_no_character_crosses_in_a_thousand_tap_overs(ward: Ward, chromium: Chromium) -> None:
    played = play(ward, chromium, Taps(WHOLE, "a busy week", crews(ward)))
    assert played.wrong == []
    assert played.landed > played.pressed // 4


# A page as any other would be: what is typed while nobody's work is there waits for the next.
QUEUES: Final = """
(() => {
  let waiting = "";
  const field = () => document.getElementById("notes");
  window.addEventListener("keydown", (event) => {
    const written = event.key === "Enter" ? "\\n" : event.key;
    if (!field() && written.length === 1) waiting += written;
  }, { capture: true });
  new MutationObserver(() => {
    if (!field() || !waiting) return;
    field().value += waiting;
    waiting = "";
    field().dispatchEvent(new Event("input"));
  }).observe(document, { subtree: true, childList: true });
})();
"""


@pytest.mark.timeout(120)
def test_on_a_page_that_queues_instead_of_discarding_the_same_typist_is_seen_to_cross(
    ward: Ward, chromium: Chromium
) -> None:
    taps = Taps(CONTROL, "an ordinary page", {"bay-1": crews(ward)["bay-1"]}, "typical")
    assert len(play(ward, chromium, taps, QUEUES).wrong) >= CONTROL // 2


# A page on a slow machine: what it says of somebody's notes comes when somebody else is there.
LATE: Final = """
(() => {
  const now = window.fetch;
  const late = (...asked) => new Promise((done) => setTimeout(() => done(now(...asked)), 250));
  window.fetch = (path, ...given) => (path === "/typed" ? late : now)(path, ...given);
})();
"""


@pytest.fixture
def careless(ward: Ward) -> Iterator[WardTerminal]:
    """A terminal whose daemon looks at no ticket (`tests.browser.careless`)."""
    bay = ward["bay-2"]
    right, settings = bay.process, str(bay.folder / "terminal.toml")
    argv = [sys.executable, "-m", "tests.browser.careless", "--settings", settings]
    bay.kill()
    bay.process = Process(replace(right.command, argv=argv))
    try:
        bay.boot()
        yield bay
    finally:
        bay.kill()
        bay.process = right
        bay.boot()


@pytest.mark.full
@pytest.mark.timeout(120)
def test_what_a_late_page_says_lands_nowhere(ward: Ward, chromium: Chromium) -> None:
    taps = Taps(CONTROL, "a slow page", {"bay-2": crews(ward)["bay-2"]})
    assert play(ward, chromium, taps, LATE).wrong == []


@pytest.mark.full
@pytest.mark.timeout(120)
def test_where_no_ticket_is_looked_at_a_late_page_is_seen_to_cross(
    ward: Ward, chromium: Chromium, careless: WardTerminal
) -> None:
    taps = Taps(CONTROL, "a slow page", {careless.name: crews(ward)["bay-2"]})
    assert len(play(ward, chromium, taps, LATE).wrong) >= CONTROL // 2


def test_a_key_held_down_across_a_tap_over_writes_nothing_until_it_is_pressed_anew(
    ward: Ward, chromium: Chromium
) -> None:
    bay, amal, bronwen = ward["bay-1"], ward.member("h-amal"), ward.member("h-bronwen")
    with chromium.context() as context:
        screen = Watched(context, bay)
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
