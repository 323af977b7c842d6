"""What people do with each other, with their PINs and in an emergency: by card and keys alone.

After each step the keyboard stands where hands expect it: on the question, at the pad, in the work;
at the button that opened what was closed again; and nowhere at rest, where the next step is a card.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.ward.chromium import Chromium
from benchmarks.ward.evidence import wait_held
from benchmarks.ward.people import Member
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from firmware_py.countersign.errand import ASK_S, READ_S
from firmware_py.emergency.words import DOWNTIME_OVER, END_CARD
from firmware_py.glass import words
from firmware_py.help.errand import NEW_PIN_SET, SAY, Step
from firmware_py.pin import words as pin_words
from tests.browser.eyes import Watched
from tests.browser.keys import hold, pin, press, stands_at, stops, tab_to
from tests.browser.looking import inspected
from tests.browser.ward_life import (
    EMERGENCY,
    HAND_MS,
    PAST_ITS_LIMIT_S,
    application,
    fresh,
    gateway_silent,
    held,
    names,
    nobody,
    tap,
    there,
    watching,
)
from tests.e2e.asking import RECOVERY_S, shows
from tests.e2e.helping import SPARE_PIN, exchange, held_by, make_spare

pytestmark = pytest.mark.timeout(120)

QUESTION, PAD, WORK, REST = "#sheet-title", "#pad-title", "#notes", "body"
NEW_PIN, POOR, WRONG = "849217", "123456", "975310"


@pytest.fixture(scope="module", autouse=True)
def emergencies(ward: Ward) -> Iterator[None]:
    """The ward has break-glass and downtime."""
    wait_held(ward, ward.set_policy(**EMERGENCY))
    yield
    wait_held(ward, ward.set_policy())


def test_a_held_screen_is_turned_down_joined_and_taken_over(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    amal, bronwen, page = ward.member("h-amal"), ward.member("h-bronwen"), screen.page
    there(ward, bay, screen, bronwen)
    there(ward, bay, screen, amal)
    press(page, "Hold open")
    shows(bay, lambda view: view["panels"]["hold"]["left_s"] is not None)
    stands_at(page, WORK)
    inspected(screen, "hold", "Held open", named=amal.shown)

    asks_to_share(ward, bay, screen, bronwen)
    assert "BP" in inspected(screen, "hold-offer")
    page.keyboard.press("Escape", delay=HAND_MS)
    shows(bay, lambda view: is_open_for(view, amal) and not view["panels"]["hold"]["asks"])
    stands_at(page, WORK)

    asks_to_share(ward, bay, screen, bronwen)
    press(page, "Join")
    shows(bay, lambda view: bool(view["panels"]["hold"]["joined"]))
    stands_at(page, WORK)
    text = inspected(screen, "hold-joined", "author uncertain", named=amal.shown)
    assert [name for name in names(ward) if name in text] == [amal.shown]

    asks_to_share(ward, bay, screen, bronwen)
    press(page, "Take over")
    screen.wait_name(bronwen.shown)
    stands_at(page, WORK)


def asks_to_share(ward: Ward, bay: WardTerminal, screen: Watched, member: Member) -> None:
    mark = bay.glass.mark()
    with held(ward, bay, member):
        bay.glass.wait(lambda view: bool(view["panels"].get("hold", {}).get("asks")), mark)
    screen.wait_says("Take over")
    stands_at(screen.page, QUESTION)


def test_a_pin_is_changed_with_a_poor_one_and_a_slip_on_the_way(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    newcomer, page = fresh(ward), screen.page
    there(ward, bay, screen, newcomer)
    press(page, "Help with a card")
    stands_at(page, QUESTION)
    press(page, "Change my PIN")
    screen.wait_says(pin_words.CHANGE_SLOT)
    stands_at(page, QUESTION)
    with held(ward, bay, newcomer, slot=True):
        entered(screen, "Enter your present PIN.", newcomer.pin, "pin-change-1")
        entered(screen, "Enter a new PIN of six to eight digits.", POOR, "pin-change-2")
        entered(screen, "Enter the new PIN once more.", POOR, "pin-change-3")
        screen.wait_says(words.TOO_EASY)
        entered(screen, "Enter a new PIN of six to eight digits.", NEW_PIN)
        entered(screen, "Enter the new PIN once more.", NEW_PIN[::-1])
        screen.wait_says("The two were not the same.")
        entered(screen, "Enter a new PIN of six to eight digits.", NEW_PIN)
        entered(screen, "Enter the new PIN once more.", NEW_PIN)
        screen.wait_says(pin_words.CHANGED)
    stands_at(page, WORK)
    nobody(bay, screen)
    wait_held(ward, ward.set_policy(**EMERGENCY, grace_s=0))
    with held(ward, bay, newcomer, slot=True):
        entered(screen, "Enter your PIN.", NEW_PIN)
        screen.wait_name(newcomer.shown)
    wait_held(ward, ward.set_policy(**EMERGENCY))


def entered(screen: Watched, title: str, digits: str, picture: str = "") -> None:
    """The pad asks so, and gets its digits."""
    screen.wait_says(title)
    stands_at(screen.page, PAD)
    if picture:
        inspected(screen, picture)
    pin(screen.page, digits)


def test_a_lead_gives_a_spare_to_somebody_found_by_a_part_of_her_name(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    spare, elena, page = make_spare(ward, "spare-keys"), ward.member("h-elena"), screen.page
    lost = fresh(ward)
    nobody(bay, screen)
    press(page, "Help with a card")
    stands_at(page, QUESTION)
    page.keyboard.press("Escape", delay=HAND_MS)
    stands_at(page, "#do-help")
    page.keyboard.press("Enter", delay=HAND_MS)
    press(page, "A temporary card")
    screen.wait_says("part of the name")
    stands_at(page, QUESTION)
    tab_to(page, "find")
    page.keyboard.type(lost.entitlement.name.full.split()[1], delay=HAND_MS)
    page.keyboard.press("Enter", delay=HAND_MS)
    label = f"{lost.entitlement.name.initials} · Nurse · {lost.entitlement.holder}"
    screen.wait_says(label)
    stands_at(page, "#find")
    tab_to(page, "minutes")
    page.keyboard.press("ArrowRight", delay=HAND_MS)
    stands_at(page, '[name="minutes"][value="240"]')
    press(page, label)
    screen.wait_says(SAY["spare", Step.CARD])
    stands_at(page, QUESTION)
    shows(bay, lambda view: view["panels"]["help"]["minutes"] == 240)
    shown(ward, bay, screen, spare, SAY["spare", Step.COLLEAGUE])
    with held(ward, bay, elena, slot=True):
        entered(screen, SAY["spare", Step.PIN], WRONG)
        screen.wait_says("2 tries left")
        stands_at(page, PAD)
        pin(page, elena.pin)
        screen.wait_says("The spare is ready")
    stands_at(page, REST)
    hers = held_by(spare, lost)
    with held(ward, bay, hers, slot=True):
        screen.wait("pin")
        stands_at(page, PAD)
        pin(page, SPARE_PIN)
        screen.wait_name(hers.shown)
    stands_at(page, WORK)


def shown(ward: Ward, bay: WardTerminal, screen: Watched, member: Member, then: str) -> None:
    """A card is held to a reader, and the next question follows."""
    with held(ward, bay, member):
        screen.wait_says(then)
    stands_at(screen.page, QUESTION)


def test_a_blocked_pin_is_mended_with_a_colleague(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    dafydd, bronwen, page = ward.member("h-dafydd"), ward.member("h-bronwen"), screen.page
    assert exchange(ward)["deposited"]
    wait_held(ward, ward.set_policy(**EMERGENCY, grace_s=0))
    nobody(bay, screen)
    with held(ward, bay, dafydd, slot=True):
        for said in ("Enter your PIN.", "2 tries left", "1 try left"):
            entered(screen, said, WRONG)
        screen.wait_says(words.COLLEAGUE_HELPS)
    stands_at(page, QUESTION)
    press(page, "A colleague helps now")
    screen.wait_says(SAY["puk", Step.CARD])
    stands_at(page, QUESTION)
    shown(ward, bay, screen, dafydd, SAY["puk", Step.COLLEAGUE])
    with held(ward, bay, bronwen, slot=True):
        entered(screen, SAY["puk", Step.PIN], bronwen.pin)
        screen.wait_says("Enter a new PIN of six to eight digits.")
    mark = bay.glass.mark()
    with held(ward, bay, dafydd, slot=True) as inserted_ns:
        bay.glass.wait(lambda view: view["screen"] != "checking" and seen(view, inserted_ns), mark)
        entered(screen, "Enter a new PIN of six to eight digits.", NEW_PIN)
        entered(screen, "Enter the new PIN once more.", NEW_PIN)
        screen.wait_says(NEW_PIN_SET)
    stands_at(page, REST)
    ward.members["h-dafydd"] = replace(dafydd, person=replace(dafydd.person, pin=NEW_PIN))
    wait_held(ward, ward.set_policy(**EMERGENCY))


def seen(view: dict[str, Any], inserted_ns: int) -> bool:
    """Whether this is said of a card that came then, or of a later one."""
    return (view["seen_ns"] or 0) >= inserted_ns


def test_the_glass_is_broken_by_either_key_held_down_and_a_reason(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    page = screen.page
    nobody(bay, screen)
    tap(ward, bay, screen, fresh(ward), "notice", "offer")
    tab_to(page, "Emergency access")
    for key in ("Space", "Enter"):
        page.keyboard.press(key, delay=300)  # a sleeve
        stands_at(page, "[data-hold]")
    assert "Emergency access: why?" not in screen.text
    hold(page, "Space")
    stands_at(page, QUESTION)
    inspected(screen, "emergency-reasons", "Emergency access: why?")
    page.keyboard.press("Escape", delay=HAND_MS)
    stands_at(page, "[data-hold]")
    hold(page, "Enter")
    stands_at(page, QUESTION)
    press(page, "Stroke")
    shows(bay, lambda view: bool((view["panels"].get("breakglass") or {}).get("active")))
    stands_at(page, WORK)
    press(page, "Lock")
    screen.wait("locked")
    stands_at(page, REST)


def test_without_a_card_she_goes_on_alone_to_read(ward: Ward, chromium: Chromium) -> None:
    bay = ward["bay-2"]
    with watching(ward, chromium, bay) as screen:
        nobody(bay, screen)
        tab_to(screen.page, "Emergency access")
        hold(screen.page, "Enter")
        stands_at(screen.page, QUESTION)
        press(screen.page, "Resuscitation")
        inspected(screen, "emergency-without-card", "A colleague taps now")
        stands_at(screen.page, QUESTION)
        press(screen.page, "Go on alone, read only")
        shows(bay, lambda view: bool((view["panels"].get("breakglass") or {}).get("active")))
        stands_at(screen.page, REST)
        text = inspected(screen, "emergency-alone", "Not identified")
        assert [name for name in names(ward) if name in text] == []
        press(screen.page, "Lock")
        screen.wait("locked")


def test_downtime_is_declared_by_two_and_ended_by_one_of_them(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    elena, chidi, page = ward.member("h-elena"), ward.member("h-chidi"), screen.page
    there(ward, bay, screen, elena)  # her PIN, while it can be asked for
    wait_held(ward, ward.set_policy(**EMERGENCY, offline_limit_s=PAST_ITS_LIMIT_S))
    nobody(bay, screen)
    try:
        with gateway_silent(ward):
            shows(bay, lambda view: downtime(view) == "offered")
            tap(ward, bay, screen, ward.member("h-amal"), "offer")
            stands_at(page, QUESTION)
            text = inspected(screen, "offer", "Emergency access")
            assert [name for name in names(ward) if name in text] == []
            press(page, "Cancel")
            press(page, "Downtime")
            stands_at(page, QUESTION)
            inspected(screen, "downtime-asked")
            press(page, "Declare downtime")
            shows(bay, lambda view: downtime(view) == "declaring")
            stands_at(page, QUESTION)
            for number, member in enumerate((elena, chidi)):
                inspected(screen, f"downtime-{number + 1}")
                with held(ward, bay, member, slot=True):
                    entered(screen, "Your PIN, for this", member.pin, f"downtime-{number + 1}-pin")
                    screen.wait_says(member.entitlement.name.initials)
            shows(bay, lambda view: downtime(view) == "on")
            stands_at(page, REST)
            inspected(screen, "downtime", "Downtime")
            there(ward, bay, screen, elena)
            press(page, "End downtime")
            screen.wait_says(END_CARD)
            screen.wait_says("One person of a named role")
            stands_at(page, QUESTION)
            with held(ward, bay, elena, slot=True):
                entered(screen, "Your PIN, for this", elena.pin)
                screen.wait_says(DOWNTIME_OVER)
            stands_at(page, REST)
    finally:
        wait_held(ward, ward.set_policy(**EMERGENCY))
        shows(bay, lambda view: view["link"] == "online", timeout_s=RECOVERY_S)


def downtime(view: dict[str, Any]) -> str | None:
    """How far it is."""
    state: str | None = (view["panels"].get("downtime") or {}).get("state")
    return state


def test_a_countersign_is_read_and_given_and_another_turned_down(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    amal, bronwen, page = ward.member("h-amal"), ward.member("h-bronwen"), screen.page
    there(ward, bay, screen, bronwen)
    there(ward, bay, screen, amal)
    with application(bay) as client, ThreadPoolExecutor(1) as hands:
        session = client.get("/v1/session").json()["signed_on"]["session"]
        asked = {"session": session, "title": "Controlled drug", "text": "Morphine 10 mg i.v."}
        asked |= {"document": "d0" * 32}
        answer = hands.submit(client.post, "/v1/countersign", json=asked)
        screen.wait_says("Morphine 10 mg i.v.")
        stands_at(page, QUESTION)
        text = inspected(screen, "countersign", "Controlled drug")
        assert [name for name in names(ward) if name in text] == [amal.shown]
        tab_to(page, "Morphine 10 mg i.v.")  # to be read on by arrows
        # A card that comes at once was on its way to something else.
        shows(bay, lambda view: view["panels"]["countersign"]["left_s"] < ASK_S - READ_S)
        with held(ward, bay, bronwen):
            inspected(screen, "countersigned", "Countersigned.")
        assert answer.result().json()["result"] == "signed"
        shows(bay, lambda view: is_open_for(view, amal) and not view["panels"].get("countersign"))
        stands_at(page, WORK)
        answer = hands.submit(client.post, "/v1/countersign", json=asked)
        screen.wait_says("Morphine 10 mg i.v.")
        page.keyboard.press("Escape", delay=HAND_MS)
        assert answer.result().json()["result"] != "signed"


def test_cleaning_deadens_every_key_and_a_card_brings_the_work_back(
    ward: Ward, bay: WardTerminal, screen: Watched
) -> None:
    amal, page = ward.member("h-amal"), screen.page
    there(ward, bay, screen, amal)
    press(page, "Clean screen")
    screen.wait_says("Wipe the screen now")
    for key in ("Tab", "Enter", "Escape", "x"):
        page.keyboard.press(key, delay=HAND_MS)
        stands_at(page, REST)
    screen.wait_says("Wipe the screen now")
    tap(ward, bay, screen, ward.member("h-bronwen"))
    stands_at(page, WORK)
    assert "x" not in page.locator(WORK).input_value()


def test_the_information_page_keeps_the_keyboard_until_it_is_closed(
    bay: WardTerminal, screen: Watched
) -> None:
    page = screen.page
    nobody(bay, screen)
    for way_out in ("Close", "Escape"):
        press(page, "Information")
        screen.wait_says("The rules of this ward")
        stands_at(page, "#page-title")
        within = stops(page)
        assert "Close" in within
        assert not within & {"Information", "Clean screen", "Help with a card"}
        if way_out == "Close":
            press(page, "Close")
        else:
            page.keyboard.press("Escape", delay=HAND_MS)
        stands_at(page, "#do-information")


def test_the_language_is_changed_and_changed_back_in_one_place(
    bay: WardTerminal, screen: Watched
) -> None:
    page = screen.page
    nobody(bay, screen)
    press(page, "Cymraeg")
    screen.wait_language("cy")
    stands_at(page, "#do-language")
    page.keyboard.press("Enter", delay=HAND_MS)
    screen.wait_language("en")
    stands_at(page, "#do-language")
