"""What anybody may do at a screen besides signing on: clean, information, help, language, PIN."""

from __future__ import annotations

import time

import pytest

from benchmarks.ward.screen import Screen
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from tests.browser.looking import PICTURES, inspected
from tests.browser.ward_life import (
    HAND_MS,
    fresh,
    held,
    names,
    nobody,
    press,
    tap,
    there,
)
from tests.e2e.asking import shows

# Their quick siblings: tests/browser/test_states.py, and each state by real taps in tests/e2e.
pytestmark = [pytest.mark.timeout(120), pytest.mark.full]

NEW_PIN = "849217"


def test_while_the_screen_is_cleaned_touch_and_keys_are_dead_and_a_card_ends_it(
    ward: Ward, bay: WardTerminal, screen: Screen
) -> None:
    amal, bronwen = ward.member("h-amal"), ward.member("h-bronwen")
    there(ward, bay, screen, bronwen)
    there(ward, bay, screen, amal)
    press(screen, "Clean screen")
    inspected(screen, "clean")
    seen = bay.glass.mark()
    screen.page.touchscreen.tap(960, 540)
    screen.page.keyboard.type("abc", delay=HAND_MS)
    screen.page.mouse.click(960, 540)
    tap(ward, bay, screen, bronwen)
    typed = [one.view["panels"].get("screen", {}).get("text", "") for one in bay.glass.since(seen)]
    assert not [text for text in typed if "abc" in text]
    assert screen.page.get_by_text("Wipe the screen now").is_hidden()


def test_the_information_page_tells_rules_record_and_checkpoint(
    ward: Ward, bay: WardTerminal, screen: Screen
) -> None:
    nobody(bay, screen)
    press(screen, "Information")
    screen.page.get_by_role("heading", name="The rules of this ward").wait_for()
    text = inspected(screen, "information")
    assert "What is recorded" in text
    assert "bay-1" in text
    assert screen.page.get_by_role("img", name="Checkpoint as a QR code").is_visible()
    press(screen, "Close")
    screen.wait("locked")


def test_help_with_a_card_offers_what_there_is(
    ward: Ward, bay: WardTerminal, screen: Screen
) -> None:
    nobody(bay, screen)
    press(screen, "Help with a card")
    inspected(screen, "help")
    press(screen, "My PIN is blocked or forgotten")
    shows(bay, lambda view: bool(view["panels"].get("help")))
    inspected(screen, "help-blocked-pin")
    press(screen, "Cancel")
    shows(bay, lambda view: not view["panels"].get("help"))


def test_a_temporary_card_is_asked_for_by_name(
    ward: Ward, bay: WardTerminal, screen: Screen
) -> None:
    nobody(bay, screen)
    press(screen, "Help with a card")
    press(screen, "A temporary card")
    screen.page.get_by_role("button", name="Search", exact=True).wait_for()
    inspected(screen, "help-temporary-card")
    press(screen, "Cancel")
    shows(bay, lambda view: not view["panels"].get("help"))


def test_she_changes_her_pin_and_the_card_takes_it(
    ward: Ward, bay: WardTerminal, screen: Screen
) -> None:
    newcomer = fresh(ward)
    there(ward, bay, screen, newcomer)
    press(screen, "Help with a card")
    press(screen, "Change my PIN")
    with held(ward, bay, newcomer, slot=True):
        for number, digits in enumerate((newcomer.pin, NEW_PIN, NEW_PIN)):
            title = ("present PIN", "new PIN of six", "new PIN once more")[number]
            screen.page.get_by_role("heading").filter(has_text=title).wait_for()
            inspected(screen, f"pin-change-{number + 1}")
            screen.page.keyboard.type(digits, delay=HAND_MS)
            screen.page.keyboard.press("Enter")
        shows(bay, lambda view: not view["panels"].get("pin"))
    nobody(bay, screen)
    with held(ward, bay, newcomer, slot=True):
        if screen.wait("pin", "open") == "pin":
            screen.page.keyboard.type(NEW_PIN, delay=HAND_MS)
            screen.page.keyboard.press("Enter")
        shows(bay, lambda view: is_open_for(view, newcomer))


def test_welsh_is_one_touch_away_and_hers_alone(
    ward: Ward, bay: WardTerminal, screen: Screen
) -> None:
    amal = ward.member("h-amal")
    there(ward, bay, screen, amal)
    press(screen, "Cymraeg")
    screen.page.locator('html[lang="cy"]').wait_for()
    text = inspected(screen, "open-welsh", named=amal.shown)
    assert "Lock" not in text.split()
    press(screen, "English")
    screen.page.locator('html[lang="en"]').wait_for()


def test_her_name_stands_across_the_screen_and_takes_no_key_from_her(
    ward: Ward, bay: WardTerminal, screen: Screen
) -> None:
    amal, bronwen = ward.member("h-amal"), ward.member("h-bronwen")
    there(ward, bay, screen, amal)
    there(ward, bay, screen, bronwen)
    tap(ward, bay, screen, amal)
    screen.picture(PICTURES / "across.png")
    mark = bay.glass.mark()
    began = time.monotonic()
    screen.page.keyboard.press("k")
    bay.glass.wait(lambda view: view["panels"]["screen"]["text"].endswith("k"), mark)
    assert time.monotonic() - began < 1.0
    assert [name for name in names(ward) if name in screen.text] == [amal.shown]
