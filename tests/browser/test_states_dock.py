"""What anybody may do at a screen besides signing on: clean, information, help, language, PIN."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from benchmarks.ward.people import person
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal
from contract.directory import Position
from contract.ids import PositionId
from firmware_py.help.errand import SAY, Step
from tests.browser.eyes import Watched
from tests.browser.looking import PICTURES, inspected
from tests.browser.ward_life import (
    HAND_MS,
    held,
    names,
    nobody,
    press,
    press_digits,
    tap,
    there,
)
from tests.e2e.asking import shows
from tests.e2e.helping import SPARE_PIN, make_spare

pytestmark = pytest.mark.timeout(120)


def test_while_the_screen_is_cleaned_touch_and_keys_are_dead_and_a_card_ends_it(
    ward: Ward, bay: WardTerminal, screen: Watched
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
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    nobody(bay, screen)
    press(screen, "Information")
    text = inspected(screen, "information", "The rules of this ward")
    assert "What is recorded" in text
    assert "bay-1" in text
    assert screen.page.get_by_role("img", name="Checkpoint as a QR code").is_visible()
    press(screen, "Close")
    screen.wait("locked")


def test_help_with_a_card_offers_what_there_is(
    ward: Ward, bay: WardTerminal, screen: Watched
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
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    nobody(bay, screen)
    press(screen, "Help with a card")
    press(screen, "A temporary card")
    inspected(screen, "help-temporary-card", "Search")
    press(screen, "Cancel")
    shows(bay, lambda view: not view["panels"].get("help"))


def test_a_lead_gives_a_guest_a_spare_by_touch_alone(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    position = Position(id=PositionId("ed-guest"), role="R8001", name="Guest nurse")
    spare, elena = make_spare(ward, "spare-touch", guest=position), ward.member("h-elena")
    guest = person("guest", "Si\u00e2n Ll\u0177r", SPARE_PIN).holder.name
    hers = replace(spare, entitlement=spare.entitlement.model_copy(update={"name": guest}))
    nobody(bay, screen)
    press(screen, "Help with a card")
    press(screen, "A temporary card")
    screen.page.locator("#guest-name").tap()
    _letters(screen, "si\u00e2n ll\u0177r")
    inspected(screen, "help-letters")
    screen.page.locator("#guest-number").tap()
    _letters(screen, "12a3456e")
    press(screen, "Give the guest a card")
    screen.wait_says(SAY["spare", Step.CARD])
    with held(ward, bay, spare):
        screen.wait_says(SAY["spare", Step.COLLEAGUE])
    with held(ward, bay, elena, slot=True):
        screen.wait_says(SAY["spare", Step.PIN])
        press_digits(screen, elena.pin)
        screen.wait_says("The spare is ready")
    with held(ward, bay, hers, slot=True):
        screen.wait("pin")
        press_digits(screen, SPARE_PIN)
        screen.wait_name("Si\u00e2n L.")
    inspected(screen, "open-guest", "Guest nurse", named="Si\u00e2n L.")


def _letters(screen: Watched, text: str) -> None:
    for letter in text:
        press(screen, "Space" if letter == " " else letter)


def test_welsh_is_one_touch_away_and_hers_alone(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    amal = ward.member("h-amal")
    there(ward, bay, screen, amal)
    press(screen, "Cymraeg")
    screen.wait_language("cy")
    text = inspected(screen, "open-welsh", named=amal.shown)
    assert "Lock" not in text.split()
    press(screen, "English")
    screen.wait_language("en")


def test_her_name_stands_across_the_screen_and_takes_no_key_from_her(
    ward: Ward, bay: WardTerminal, screen: Watched
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
