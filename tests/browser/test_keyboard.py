"""Every flow by keyboard alone: a card in one hand, a wipeable keyboard under the other."""

from __future__ import annotations

import pytest

from benchmarks.ward.people import LEAD, NURSE
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from tests.browser.eyes import Watched
from tests.browser.keys import keypad, press, stands_at, stops
from tests.browser.looking import inspected, targets
from tests.browser.ward_life import HAND_MS, fresh, held, nobody, there
from tests.e2e.asking import shows

pytestmark = pytest.mark.timeout(120)


def test_the_pin_by_keys_with_a_slip_taken_back(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    newcomer = fresh(ward)
    nobody(bay, screen)
    mark = bay.glass.mark()
    with held(ward, bay, newcomer, slot=True):
        screen.wait("pin")
        screen.page.keyboard.type(newcomer.pin[:3] + "9", delay=HAND_MS)
        screen.page.keyboard.press("Backspace", delay=HAND_MS)
        screen.page.keyboard.type(newcomer.pin[3:], delay=HAND_MS)
        screen.page.keyboard.press("Enter")
        bay.glass.wait(lambda view: is_open_for(view, newcomer), mark)
    screen.wait_name(newcomer.shown)


def test_the_pin_by_a_number_block(ward: Ward, bay: WardTerminal, screen: Watched) -> None:
    newcomer = fresh(ward)
    nobody(bay, screen)
    with held(ward, bay, newcomer, slot=True):
        screen.wait("pin")
        keypad(screen.page, newcomer.pin)
        screen.wait_name(newcomer.shown)


def test_the_pad_by_its_own_keys_and_tab_alone(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    newcomer = fresh(ward)
    nobody(bay, screen)
    with held(ward, bay, newcomer, slot=True):
        screen.wait("pin")
        for digit in newcomer.pin:
            press(screen.page, digit)
        press(screen.page, "Enter")
        screen.wait_name(newcomer.shown)


def test_escape_turns_the_pad_down(ward: Ward, bay: WardTerminal, screen: Watched) -> None:
    nobody(bay, screen)
    with held(ward, bay, fresh(ward), slot=True):
        screen.wait("pin")
        screen.page.keyboard.type("12345", delay=HAND_MS)
        screen.page.keyboard.press("Escape")
        screen.wait("locked", "notice")


def test_a_position_is_chosen_by_keys(ward: Ward, bay: WardTerminal, screen: Watched) -> None:
    two = fresh(ward, NURSE, LEAD)
    nobody(bay, screen)
    with held(ward, bay, two, slot=True):
        screen.wait("pin")
        screen.page.keyboard.type(two.pin, delay=HAND_MS)
        screen.page.keyboard.press("Enter")
        screen.wait("choose")
        press(screen.page, "Nurse in charge")
        screen.wait_name(two.shown)


def test_everything_that_can_be_pressed_is_come_to_by_tab_and_she_leaves_by_it(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    there(ward, bay, screen, ward.member("h-amal"))
    everything = {label for label, _, _ in targets(screen.page)}
    assert "Lock" in everything
    assert everything <= stops(screen.page)
    press(screen.page, "Lock")
    screen.wait("locked")


def test_what_the_dock_offers_is_begun_and_ended_by_keys(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    amal, page = ward.member("h-amal"), screen.page
    there(ward, bay, screen, amal)
    press(page, "Information")
    screen.wait_says("The rules of this ward")
    press(page, "Close")
    stands_at(page, "#notes")
    press(page, "Help with a card")
    stands_at(page, "#sheet-title")
    press(page, "Cancel")
    stands_at(page, "#notes")
    press(page, "Hold open")
    shows(bay, lambda view: view["panels"]["hold"]["left_s"] is not None)
    press(page, "End hold")
    shows(bay, lambda view: view["panels"]["hold"]["left_s"] is None)
    press(page, "Cymraeg")
    screen.wait_language("cy")
    press(page, "English")
    screen.wait_language("en")
    assert is_open_for(shows(bay, lambda view: view["screen"] == "open").view, amal)


def test_a_role_is_changed_by_keys(ward: Ward, bay: WardTerminal, screen: Watched) -> None:
    two = fresh(ward, NURSE, LEAD)
    nobody(bay, screen)
    with held(ward, bay, two, slot=True):
        screen.wait("pin")
        screen.page.keyboard.type(two.pin, delay=HAND_MS)
        screen.page.keyboard.press("Enter")
        screen.wait("choose")
        press(screen.page, "Nurse")
        screen.wait_name(two.shown)
    stands_at(screen.page, "#notes")
    press(screen.page, "Change role")
    stands_at(screen.page, "#sheet-title")
    inspected(screen, "change-role", "Nurse (now)")
    press(screen.page, "Nurse in charge")
    shows(bay, lambda view: view["role"] == "Nurse in charge" and view["screen"] == "open")
    inspected(screen, "role-changed", "Nurse in charge", named=two.shown)
    stands_at(screen.page, "#notes")
