"""What one person's hands were doing when the screen changed reaches nobody else (DESIGN §5).

The page alone, with made-up views: the wards of the other tests cannot hold a key at a chosen
moment. What the terminal throws away by itself is tested with it.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Page

from benchmarks.ward.chromium import Chromium
from firmware_py.glass.commands import Activity, LanguageChosen, PinEntered, PositionChosen
from firmware_py.glass.view import Person, View
from firmware_py.kiosk.commands import Command
from firmware_py.workspace.commands import Typed
from tests.kiosk_fixture.serving import Fixture
from tests.kiosk_fixture.views import VIEWS

HAND_MS = 45
HERS = VIEWS["open"]
HIS = replace(
    HERS,
    person=Person("Bryn Parry", "Doctor", "BP"),
    panels={"screen": {"ticket": "another-ticket", "text": "his"}},
)


@pytest.fixture(scope="module")
def fixture() -> Iterator[Fixture]:
    with Fixture() as fixture:
        yield fixture


@pytest.fixture(scope="module")
def shown(chromium: Chromium, fixture: Fixture) -> Iterator[Page]:
    with chromium.context() as context:
        page = context.new_page()
        page.goto(fixture.url)
        page.locator("body[data-connected]").wait_for()
        yield page


@pytest.fixture
def page(shown: Page, fixture: Fixture) -> Page:
    """Her work has just come, and nothing was said to the terminal yet."""
    fixture.drawn("locked")
    fixture.drawn("checking")
    fixture.drawn(HERS)
    shown.evaluate("() => delete window.scanBegan")
    heard(fixture)
    return shown


def heard(fixture: Fixture, *kinds: type[Command]) -> list[Command]:
    found = []
    while True:
        try:
            found.append(fixture.heard.get_nowait())
        except queue.Empty:
            return [one for one in found if isinstance(one, kinds)]


def over(fixture: Fixture, *views: View | str) -> None:
    for view in views:
        fixture.drawn(view)


def notes(page: Page) -> str:
    return page.locator("#notes").input_value()


def test_her_own_keys_reach_her_own_notes_at_once(page: Page, fixture: Fixture) -> None:
    page.keyboard.type("ab", delay=HAND_MS)
    assert notes(page).endswith("ab") or notes(page).startswith("ab")
    typed = fixture.heard.get(timeout=5)
    while not isinstance(typed, Typed):
        typed = fixture.heard.get(timeout=5)


def test_a_key_held_down_is_dead_until_it_is_let_go(page: Page, fixture: Fixture) -> None:
    page.keyboard.down("a")
    over(fixture, "checking", HIS)
    page.keyboard.down("a")  # what a held key goes on to say
    page.keyboard.down("a")
    page.keyboard.up("a")
    assert notes(page) == "his"
    page.keyboard.press("b")
    assert sorted(notes(page)) == sorted("hisb")


def test_keys_pressed_under_cover_are_not_kept_for_later(page: Page, fixture: Fixture) -> None:
    over(fixture, "checking")
    page.keyboard.type("secret", delay=HAND_MS)
    page.keyboard.press("Enter")
    over(fixture, HIS)
    assert notes(page) == "his"


def test_a_finger_that_was_down_presses_nothing_of_what_came_under_it(
    page: Page, fixture: Fixture
) -> None:
    over(fixture, "choose")
    button = page.get_by_role("button", name="Nurse in charge").bounding_box()
    assert button is not None
    over(fixture, HERS)
    page.mouse.move(button["x"] + 20, button["y"] + 20)
    page.mouse.down()
    over(fixture, "checking", "choose")
    page.mouse.up()
    page.evaluate("() => 0")
    assert heard(fixture, PositionChosen) == []
    page.mouse.down()
    page.mouse.up()
    assert isinstance(next_of(fixture, PositionChosen), PositionChosen)


def next_of(fixture: Fixture, kind: type[Command]) -> Command:
    while True:
        found = fixture.heard.get(timeout=5)
        if isinstance(found, kind):
            return found


def test_undo_and_paste_bring_nothing_of_the_person_before(page: Page, fixture: Fixture) -> None:
    page.keyboard.type("hers", delay=HAND_MS)
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+c")
    page.keyboard.press("Control+x")
    over(fixture, "checking", HIS)
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+v")
    assert notes(page) == "his"


def test_she_can_copy_and_paste_within_her_own_notes(page: Page) -> None:
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.type("ab", delay=HAND_MS)
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+c")
    page.keyboard.press("End")
    page.keyboard.press("Control+v")
    assert notes(page) == "abab"


def test_covered_there_is_no_field_and_no_text_of_hers_in_the_page(
    page: Page, fixture: Fixture
) -> None:
    over(fixture, "checking")
    assert page.locator("#notes").count() == 0
    assert "analgesia" not in page.content()


# A scanner of our own, whose pace is exact: each key so many milliseconds after the first.
_SCAN = """
(keys) => keys.map(([key, at]) => {
  window.scanBegan ??= performance.now();
  const dead = ["keydown", "keyup"].map((kind) => {
    const code = key === "Enter" ? key : "Digit" + key;
    const event = new KeyboardEvent(kind, { key, code, bubbles: true, cancelable: true });
    Object.defineProperty(event, "timeStamp", { value: window.scanBegan + at });
    document.body.dispatchEvent(event);
    return event.defaultPrevented;
  });
  return dead[0];
})
"""
SCANNER_MS = 8


def keys(first: int, after: int, pace_ms: int = SCANNER_MS) -> list[tuple[str, int]]:
    return [("7", pace_ms * n) for n in range(first, after)]


def test_the_rest_of_a_scan_begun_under_cover_is_thrown_away(page: Page, fixture: Fixture) -> None:
    over(fixture, "checking")
    under = page.evaluate(_SCAN, keys(0, 10))
    over(fixture, HIS)
    rest = page.evaluate(_SCAN, keys(10, 20))
    assert under == [True] * 10
    assert rest == [True] * 10, "the tail of her wristband is none of his"


def test_a_hand_that_types_on_is_heard_at_once(page: Page, fixture: Fixture) -> None:
    over(fixture, "checking")
    under = page.evaluate(_SCAN, keys(0, 4, HAND_MS))
    over(fixture, HIS)
    assert under == [True] * 4
    assert page.evaluate(_SCAN, keys(4, 8, HAND_MS)) == [False] * 4


def test_a_scanner_that_never_pauses_keeps_nobody_from_the_screen(
    page: Page, fixture: Fixture
) -> None:
    over(fixture, "checking", HIS)
    long = page.evaluate(_SCAN, keys(0, 60))
    assert not long[-1]
    page.wait_for_timeout(60 * SCANNER_MS)  # its last keys are stamped as late as that


def test_a_wristband_read_at_the_pin_pad_costs_no_try(page: Page, fixture: Fixture) -> None:
    over(fixture, "checking", "pin")
    wristband = [(digit, SCANNER_MS * n) for n, digit in enumerate("4857773456")]
    page.evaluate(_SCAN, [*wristband, ("Enter", SCANNER_MS * 10)])
    page.get_by_text("That came from a scanner").wait_for()
    assert heard(fixture, PinEntered) == []
    page.wait_for_timeout(2 * HAND_MS)  # hands begin after a pause
    page.keyboard.type("135790", delay=HAND_MS)
    page.keyboard.press("Enter")
    assert isinstance(next_of(fixture, PinEntered), PinEntered)


_KEYPAD = """
(digits) => [...digits].forEach((digit, at) => {
  const event = new KeyboardEvent("keydown",
    { key: "Unidentified", code: "Numpad" + digit, bubbles: true, cancelable: true });
  Object.defineProperty(event, "timeStamp", { value: performance.now() + 50 * at });
  document.body.dispatchEvent(event);
})
"""


def test_a_keypad_whose_numbers_are_switched_off_still_gives_digits(
    page: Page, fixture: Fixture
) -> None:
    over(fixture, "checking", "pin")
    page.evaluate(_KEYPAD, "135790")
    page.get_by_label("6 digits entered").wait_for()
    page.wait_for_timeout(6 * 50)  # as late as its last key is stamped
    page.get_by_role("button", name="Enter", exact=True).click()
    assert isinstance(next_of(fixture, PinEntered), PinEntered)


def test_a_stray_enter_answers_no_question(page: Page, fixture: Fixture) -> None:
    over(fixture, "checking", "choose")
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    page.evaluate("() => 0")
    assert heard(fixture, PositionChosen) == []


def test_while_it_is_wiped_nothing_is_pressed_and_nothing_wakes_it(
    page: Page, fixture: Fixture
) -> None:
    page.click("#do-clean")
    heard(fixture)
    page.mouse.click(960, 540)
    page.keyboard.type("abc", delay=HAND_MS)
    page.mouse.move(100, 100)
    page.evaluate("() => 0")
    assert heard(fixture, Activity, Typed) == []
    over(fixture, "checking")
    assert page.locator("#clean").is_hidden()


def test_her_language_is_said_to_the_terminal_and_comes_back_with_her(
    page: Page, fixture: Fixture
) -> None:
    page.click("#do-language")
    assert isinstance(next_of(fixture, LanguageChosen), LanguageChosen)
    welsh = replace(HERS, panels={**HERS.panels, "language": {"code": "cy"}})
    over(fixture, welsh)
    assert page.locator("html").get_attribute("lang") == "cy"
    assert "Cloi" in page.locator("#lock").inner_text()
    over(fixture, "checking", "locked")
    assert page.locator("html").get_attribute("lang") == "en"
    assert "Tap your card." in page.locator("#words").inner_text()


def test_what_stands_for_a_name_is_said_in_her_language_and_a_name_never_is(
    page: Page, fixture: Fixture
) -> None:
    glass = VIEWS["breakglass-unrecorded"]
    over(fixture, replace(glass, panels={**glass.panels, "language": {"code": "cy"}}))
    assert page.locator("#bar-name").inner_text() == "Heb ei adnabod"
    assert page.locator("#bar-role").inner_text() == "Mynediad brys"
    other = replace(HERS, person=Person("Open", "Other staff", "O"))
    over(fixture, replace(other, panels={**HERS.panels, "language": {"code": "cy"}}))
    assert page.locator("#bar-name").inner_text() == "Open"
    assert page.locator("#bar-role").inner_text() == "Other staff"
