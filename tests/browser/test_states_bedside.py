"""What two people do at one screen, and one person at two: each state by real cards, looked at."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from benchmarks.ward.chromium import Chromium
from benchmarks.ward.evidence import wait_held
from benchmarks.ward.people import LEAD, NURSE
from benchmarks.ward.screen import Screen
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from firmware_py.countersign.errand import ASK_S
from tests.browser.looking import inspected
from tests.browser.ward_life import (
    fresh,
    held,
    names,
    nobody,
    press,
    press_digits,
    tap,
    there,
    watching,
)
from tests.e2e.asking import shows

# Their quick siblings: tests/browser/test_states.py, and each state by real taps in tests/e2e.
pytestmark = [pytest.mark.timeout(120), pytest.mark.full]


def test_a_role_is_changed_from_the_bar_without_signing_on_again(
    ward: Ward, bay: WardTerminal, screen: Screen
) -> None:
    two = fresh(ward, NURSE, LEAD)
    nobody(bay, screen)
    with held(ward, bay, two, slot=True):
        screen.wait("pin")
        press_digits(screen, two.pin, touch=False)
        screen.wait("choose")
        press(screen, "Nurse")
        screen.wait_name(two.shown)
    press(screen, "Change role")
    inspected(screen, "change-role", "Nurse (now)")
    press(screen, "Nurse in charge")
    shows(bay, lambda view: view["role"] == "Nurse in charge" and view["screen"] == "open")
    inspected(screen, "role-changed", "Nurse in charge", named=two.shown)


def test_a_screen_held_open_says_so_by_its_border_and_offers_to_join(
    ward: Ward, bay: WardTerminal, screen: Screen
) -> None:
    amal, bronwen = ward.member("h-amal"), ward.member("h-bronwen")
    there(ward, bay, screen, bronwen)
    there(ward, bay, screen, amal)
    press(screen, "Hold open")
    shows(bay, lambda view: view["panels"]["hold"]["left_s"] is not None)
    inspected(screen, "hold", "Held open", named=amal.shown)
    mark = bay.glass.mark()
    with held(ward, bay, bronwen):
        bay.glass.wait(lambda view: bool(view["panels"].get("hold", {}).get("asks")), mark)
    screen.page.get_by_role("button", name="Join", exact=True).wait_for()
    text = inspected(screen, "hold-offer")
    assert "BP" in text
    press(screen, "Join")
    shows(bay, lambda view: bool(view["panels"]["hold"]["joined"]))
    text = inspected(screen, "hold-joined", named=amal.shown)
    assert "author uncertain" in text
    assert [name for name in names(ward) if name in text] == [amal.shown]


@pytest.mark.full
def test_who_takes_over_a_held_screen_gets_her_own(
    ward: Ward, bay: WardTerminal, screen: Screen
) -> None:
    amal, bronwen = ward.member("h-amal"), ward.member("h-bronwen")
    there(ward, bay, screen, bronwen)
    there(ward, bay, screen, amal)
    if bay.glass.latest and bay.glass.latest.view["panels"]["hold"]["left_s"] is None:
        press(screen, "Hold open")
    with held(ward, bay, bronwen):
        screen.page.get_by_role("button", name="Take over", exact=True).wait_for()
    press(screen, "Take over")
    screen.wait_name(bronwen.shown)


def test_a_card_left_in_the_slot_is_announced_with_initials_beside_the_work(
    ward: Ward, bay: WardTerminal, screen: Screen
) -> None:
    amal = ward.member("h-amal")
    wait_held(ward, ward.set_policy(left_card_s=5))
    try:
        there(ward, bay, screen, amal)
        mark = bay.glass.mark()
        with held(ward, bay, amal, slot=True):
            bay.glass.wait(lambda view: bool(view["panels"].get("left")), mark, timeout_s=20.0)
            text = inspected(screen, "left-card")
            assert "A card was left in the slot" in text
            assert "AH" in text
    finally:
        wait_held(ward, ward.set_policy())


def test_a_second_person_reads_what_she_signs_and_the_work_beside_it_is_put_aside(
    ward: Ward, bay: WardTerminal, screen: Screen
) -> None:
    amal, bronwen = ward.member("h-amal"), ward.member("h-bronwen")
    there(ward, bay, screen, bronwen)
    there(ward, bay, screen, amal)
    with application(bay) as client, ThreadPoolExecutor(1) as hands:
        session = client.get("/v1/session").json()["signed_on"]["session"]
        asked = {"session": session, "title": "Controlled drug", "text": "Morphine 10 mg i.v."}
        answer = hands.submit(client.post, "/v1/countersign", json=asked | {"document": "d0" * 32})
        screen.page.get_by_text("Morphine 10 mg i.v.").wait_for()
        text = inspected(screen, "countersign", "Controlled drug")
        assert [name for name in names(ward) if name in text] == [amal.shown]
        # A card that comes at once was on its way to something else.
        shows(bay, lambda view: view["panels"]["countersign"]["left_s"] <= ASK_S - 2)
        with held(ward, bay, bronwen):
            inspected(screen, "countersigned", "Countersigned.")
        assert answer.result().json()["result"] == "signed"
    screen.wait_name(amal.shown)


@contextmanager
def application(bay: WardTerminal) -> Iterator[httpx.Client]:
    """A program on that terminal, at its Unix socket."""
    socket = httpx.HTTPTransport(uds=str(bay.state / "run" / "local.sock"))
    with httpx.Client(transport=socket, base_url="http://localhost", timeout=60) as client:
        yield client


def test_tap_here_closes_there(
    ward: Ward, bay: WardTerminal, screen: Screen, chromium: Chromium
) -> None:
    amal, other = ward.member("h-amal"), ward["bay-2"]
    there(ward, bay, screen, amal)
    nobody(bay, screen)
    with watching(ward, chromium, other) as elsewhere:
        there(ward, other, elsewhere, amal)
        tap(ward, bay, screen, amal)
        shows(other, lambda view: view["screen"] == "locked" and view["name"] is None)
        elsewhere.wait("locked")
        text = inspected(elsewhere, "moved-away")
        assert [name for name in names(ward) if name in text] == []
        tap(ward, other, elsewhere, amal)
        inspected(elsewhere, "moved-here", named=amal.shown)
        shows(bay, lambda view: not is_open_for(view, amal))
