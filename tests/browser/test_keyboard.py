"""Every flow by keyboard alone: a card in one hand, a wipeable keyboard under the other."""

from __future__ import annotations

import pytest

from benchmarks.ward.evidence import wait_held
from benchmarks.ward.people import LEAD, NURSE
from benchmarks.ward.screen import Screen
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from tests.browser.keys import keypad, press, stops
from tests.browser.looking import targets
from tests.browser.ward_life import HAND_MS, fresh, held, nobody, there
from tests.e2e.asking import shows

pytestmark = pytest.mark.timeout(120)


def test_the_pin_by_keys_with_a_slip_taken_back(
    ward: Ward, bay: WardTerminal, screen: Screen
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


def test_the_pin_by_a_number_block(ward: Ward, bay: WardTerminal, screen: Screen) -> None:
    newcomer = fresh(ward)
    nobody(bay, screen)
    with held(ward, bay, newcomer, slot=True):
        screen.wait("pin")
        keypad(screen.page, newcomer.pin)
        screen.wait_name(newcomer.shown)


def test_the_pad_by_its_own_keys_and_tab_alone(
    ward: Ward, bay: WardTerminal, screen: Screen
) -> None:
    newcomer = fresh(ward)
    nobody(bay, screen)
    with held(ward, bay, newcomer, slot=True):
        screen.wait("pin")
        for digit in newcomer.pin:
            press(screen.page, digit)
        press(screen.page, "Enter")
        screen.wait_name(newcomer.shown)


def test_escape_turns_the_pad_down(ward: Ward, bay: WardTerminal, screen: Screen) -> None:
    nobody(bay, screen)
    with held(ward, bay, fresh(ward), slot=True):
        screen.wait("pin")
        screen.page.keyboard.type("12345", delay=HAND_MS)
        screen.page.keyboard.press("Escape")
        screen.wait("locked", "notice")


def test_a_position_is_chosen_by_keys(ward: Ward, bay: WardTerminal, screen: Screen) -> None:
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
    ward: Ward, bay: WardTerminal, screen: Screen
) -> None:
    there(ward, bay, screen, ward.member("h-amal"))
    everything = {label for label, _, _ in targets(screen.page)}
    assert "Lock" in everything
    assert everything <= stops(screen.page)
    press(screen.page, "Lock")
    screen.wait("locked")


def test_any_key_wakes_a_dimmed_screen(ward: Ward, bay: WardTerminal, screen: Screen) -> None:
    amal = ward.member("h-amal")
    there(ward, bay, screen, amal)
    wait_held(ward, ward.set_policy(idle_dim_s=5, idle_lock_s=600))
    try:
        screen.wait("dimmed", timeout_s=20.0)
        mark = bay.glass.mark()
        screen.page.keyboard.press("Shift")
        bay.glass.wait(lambda view: is_open_for(view, amal), mark)
        screen.wait("open")
    finally:
        wait_held(ward, ward.set_policy())
    shows(bay, lambda view: is_open_for(view, amal))


def test_what_the_dock_offers_is_begun_and_ended_by_keys(
    ward: Ward, bay: WardTerminal, screen: Screen
) -> None:
    amal, page = ward.member("h-amal"), screen.page
    there(ward, bay, screen, amal)
    press(page, "Information")
    page.get_by_role("heading", name="The rules of this ward").wait_for()
    press(page, "Close")
    press(page, "Help with a card")
    page.get_by_role("heading", name="Help with a card").wait_for()
    press(page, "Cancel")
    press(page, "Hold open")
    shows(bay, lambda view: view["panels"]["hold"]["left_s"] is not None)
    press(page, "End hold")
    shows(bay, lambda view: view["panels"]["hold"]["left_s"] is None)
    press(page, "Cymraeg")
    page.locator('html[lang="cy"]').wait_for()
    press(page, "English")
    page.locator('html[lang="en"]').wait_for()
    assert is_open_for(shows(bay, lambda view: view["screen"] == "open").view, amal)


def test_a_role_is_changed_by_keys(ward: Ward, bay: WardTerminal, screen: Screen) -> None:
    two = fresh(ward, NURSE, LEAD)
    nobody(bay, screen)
    with held(ward, bay, two, slot=True):
        screen.wait("pin")
        screen.page.keyboard.type(two.pin, delay=HAND_MS)
        screen.page.keyboard.press("Enter")
        screen.wait("choose")
        press(screen.page, "Nurse")
        screen.wait_name(two.shown)
    press(screen.page, "Change role")
    screen.page.get_by_role("heading", name="Change role").wait_for()
    press(screen.page, "Nurse in charge")
    shows(bay, lambda view: view["role"] == "Nurse in charge" and view["screen"] == "open")
