"""Every state of the glass in a real browser, each reached by real cards through pcscd.

Each is looked at from every side (`looking.inspected`): axe-core, sizes in millimetres, no word too
small, nothing to scroll on a small screen; its picture lies in build/screens.
"""

from __future__ import annotations

import pytest

from benchmarks.ward.chromium import Chromium
from benchmarks.ward.evidence import wait_held
from benchmarks.ward.people import LEAD, NURSE, Member
from benchmarks.ward.processes import NotReady
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from tests.browser.eyes import Watched
from tests.browser.looking import inspected
from tests.browser.ward_life import (
    fresh,
    held,
    names,
    nobody,
    press_digits,
    tap,
    there,
    watching,
)
from tests.e2e.asking import RECOVERY_S, shows

pytestmark = pytest.mark.timeout(120)

IDLE: dict[str, object] = {"idle_dim_s": 5, "idle_warn_s": 5, "idle_lock_s": 13}
SIGNS_FIRST = ("hung:at=2",)


def nobody_is_named(ward: Ward, text: str) -> None:
    assert [name for name in names(ward) if name in text] == []


def test_locked_a_terminal_at_rest_says_what_to_do_and_names_nobody(
    ward: Ward, screen: Watched
) -> None:
    screen.wait("locked")
    text = inspected(screen, "locked")
    assert "Tap your card" in text
    nobody_is_named(ward, text)


def test_the_card_is_felt_before_anything_is_verified(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    nobody(bay, screen)
    with held(ward, bay, ward.member("h-amal"), faults=SIGNS_FIRST):
        screen.wait("checking")
        nobody_is_named(ward, inspected(screen, "checking"))
        screen.wait("refused", timeout_s=15.0)
        inspected(screen, "refused-hung", "Keep your card still")


def test_the_first_tap_over_the_contactless_reader_is_sent_to_the_slot(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    nobody(bay, screen)
    tap(ward, bay, screen, fresh(ward), "notice")
    text = inspected(screen, "slot-once")
    assert "slot" in text
    nobody_is_named(ward, text)


def test_the_pad_takes_gloves_and_says_how_many_tries_are_left(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    newcomer = fresh(ward)
    nobody(bay, screen)
    with held(ward, bay, newcomer, slot=True):
        screen.wait("pin")
        nobody_is_named(ward, inspected(screen, "pin"))
        press_digits(screen, "975310")
        shows(bay, lambda view: view["screen"] == "pin" and view["pin"]["attempts"] == 2)
        inspected(screen, "pin-wrong", "2 tries left")
        mark = bay.glass.mark()
        press_digits(screen, newcomer.pin)
        bay.glass.wait(lambda view: is_open_for(view, newcomer), mark)
    screen.wait_name(newcomer.shown)


def test_open_the_name_is_large_and_the_role_beside_it(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    amal = ward.member("h-amal")
    there(ward, bay, screen, amal)
    text = inspected(screen, "open", named=amal.shown)
    assert "Nurse" in text
    assert "Online" in text
    assert [name for name in names(ward) if name in text] == [amal.shown]


def test_another_card_parks_her_and_only_initials_stay(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    amal, bronwen = ward.member("h-amal"), ward.member("h-bronwen")
    there(ward, bay, screen, amal)
    there(ward, bay, screen, bronwen)
    tap(ward, bay, screen, amal)
    text = inspected(screen, "open-with-parked", named=amal.shown)
    assert "BP" in text
    assert [name for name in names(ward) if name in text] == [amal.shown]


def test_a_holder_of_two_positions_chooses_by_one_touch(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    two = fresh(ward, NURSE, LEAD)
    nobody(bay, screen)
    with held(ward, bay, two, slot=True):
        screen.wait("pin")
        press_digits(screen, two.pin)
        screen.wait("choose")
        nobody_is_named(ward, inspected(screen, "choose"))
        screen.page.get_by_role("button", name="Nurse in charge", exact=True).tap()
        screen.wait_name(two.shown)
    inspected(screen, "open-chosen", "Nurse in charge", named=two.shown)


def test_a_card_that_may_not_open_is_refused_beside_her_untouched_work(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    amal = ward.member("h-amal")
    there(ward, bay, screen, amal)
    forged = ward.clone(ward.member("h-bronwen"))
    tap(ward, bay, screen, forged, "refused")
    text = inspected(screen, "refused")
    assert "This card cannot be used here." in text
    assert [name for name in names(ward) if name in text] == [amal.shown]
    screen.page.touchscreen.tap(960, 540)  # whoever is there works on
    shows(bay, lambda view: is_open_for(view, amal))


def test_her_own_card_again_is_still_her_and_later_takes_her_off_the_glass(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    amal, bronwen = ward.member("h-amal"), ward.member("h-bronwen")
    there(ward, bay, screen, bronwen)
    tap(ward, bay, screen, amal)
    tap(ward, bay, screen, amal, "open")
    inspected(screen, "still-you", "Still you", named=amal.shown)
    while tap(ward, bay, screen, amal, "open", "locked") == "open":
        pass  # within three seconds of her sign-on it is still she
    text = inspected(screen, "tap-to-return")
    assert "Tap to return" in text
    nobody_is_named(ward, text)


def test_idle_it_dims_warns_and_locks_while_elsewhere_a_card_was_left(
    ward: Ward, bay: WardTerminal, screen: Watched, chromium: Chromium
) -> None:
    amal, bronwen, other = ward.member("h-amal"), ward.member("h-bronwen"), ward["bay-2"]
    wait_held(ward, ward.set_policy(**IDLE, left_card_s=5))
    try:
        with watching(ward, chromium, other) as elsewhere:
            nobody(other, elsewhere)
            there(ward, other, elsewhere, bronwen)
            nobody(bay, screen)
            there(ward, bay, screen, amal)
            elsewhere.wait("dimmed", "warning", timeout_s=20.0)
            _any_key_wakes(other, elsewhere, bronwen)
            screen.wait("dimmed", timeout_s=20.0)
            inspected(screen, "dimmed")
            mark = other.glass.mark()
            with held(ward, other, bronwen, slot=True):
                screen.wait("warning", timeout_s=20.0)
                inspected(screen, "warning")
                other.glass.wait(lambda view: bool(view["panels"].get("left")), mark, 20.0)
                assert "BP" in inspected(elsewhere, "left-card", "A card was left in the slot")
            screen.wait("locked", timeout_s=20.0)
            nobody_is_named(ward, inspected(screen, "locked-idle"))
    finally:
        wait_held(ward, ward.set_policy())


def _any_key_wakes(bay: WardTerminal, screen: Watched, member: Member) -> None:
    mark = bay.glass.mark()
    screen.page.keyboard.press("Shift")
    bay.glass.wait(lambda view: is_open_for(view, member), mark)
    screen.wait("open")


def test_offline_is_said_by_word_and_the_rest_stays(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    amal = ward.member("h-amal")
    there(ward, bay, screen, amal)
    ward.broker.kill()
    try:
        shows(bay, lambda view: view["link"] == "offline")
        inspected(screen, "open-offline", "Offline", named=amal.shown)
    finally:
        ward.broker.start()
        shows(bay, lambda view: view["link"] == "online", timeout_s=RECOVERY_S)


def test_without_readers_it_waits_and_says_for_what(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    nobody(bay, screen)
    bay.pcscd.kill()
    try:
        screen.wait("waiting")
        text = inspected(screen, "waiting")
        assert "card" in text.lower()
        nobody_is_named(ward, text)
    finally:
        bay.pcscd.start()
        screen.wait("locked", timeout_s=RECOVERY_S)


def test_a_page_that_does_not_hear_its_terminal_hides_everything(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    there(ward, bay, screen, ward.member("h-amal"))
    bay.kill()
    screen.wait_covered()
    text = inspected(screen, "covered")
    assert "locked" in text
    nobody_is_named(ward, text + screen.page.title())
    bay.boot()
    screen.open()
    screen.wait("locked")


def test_a_terminal_fresh_from_its_box_says_what_its_enrolment_waits_for(
    ward: Ward, chromium: Chromium
) -> None:
    new = ward["bay-9"]
    try:
        new.start()
    except NotReady:
        pytest.fail(f"a blank terminal showed nothing: {new.process.lines[-5:]}")
    with watching(ward, chromium, new) as screen:
        screen.wait("enrolling")
        inspected(screen, "enrolling")
    new.kill()


@pytest.mark.full
def test_by_night_the_same_is_dark_and_as_readable(
    ward: Ward, bay: WardTerminal, chromium: Chromium, screen: Watched
) -> None:
    there(ward, bay, screen, amal := ward.member("h-amal"))
    with watching(ward, chromium, bay, night=True) as dark:
        dark.wait("locked")  # a page that comes finds nobody's work open
        tap(ward, bay, dark, amal)
        inspected(dark, "open-night", named=amal.shown)
