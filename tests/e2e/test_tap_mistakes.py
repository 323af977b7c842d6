"""What a hurried hand does with a card, by real taps through pcscd (tests/firmware/mistakes.py)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ward.evidence import wait_held
from benchmarks.ward.people import LEAD, NURSE, STAFF, person
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from contract.directory import Status
from contract.events import Reason
from contract.policy import LeftCard
from hardware.virtual.control import CardBox
from hardware.virtual.names import Access
from tests.e2e.asking import (
    LONG_DAY,
    Mark,
    at_work,
    newcomer,
    shows,
    tap,
    turned_away,
)

DAY: dict[str, object] = {**LONG_DAY, "hold_s": 1800, "pin_pad_s": 30, "still_you_s": 3}


@pytest.fixture(scope="module")
def ward(module_tmp: Path) -> Iterator[Ward]:
    with Ward(module_tmp / "ward", ("bay-1",), STAFF[:3], DAY) as ward:
        yield ward


@pytest.fixture
def bay(ward: Ward) -> WardTerminal:
    """The terminal, with Amal's work on its glass, and Bronwen's PIN proved."""
    bay = ward["bay-1"]
    at_work(ward, bay, ward.member("h-bronwen"))
    at_work(ward, bay, ward.member("h-amal"))
    return bay


def panel(view: dict[str, Any], name: str) -> dict[str, Any]:
    return dict(view["panels"].get(name) or {})


def test_the_same_card_at_once_is_still_you_and_later_parks_with_a_way_back(
    ward: Ward, bay: WardTerminal
) -> None:
    amal, at = ward.member("h-amal"), Mark.now(ward, bay)
    tap(ward, bay, ward.member("h-bronwen"))
    tap(ward, bay, amal)
    wait_past(3.2)
    parked = tap(ward, bay, amal, lambda view: view["screen"] == "locked")
    assert (parked.view["name"], parked.view["covered"]) == (None, True)
    back = tap(ward, bay, amal)  # at once: the way back stands there
    still = tap(ward, bay, amal, reader=bay.contactless[0])
    assert [result for result, _ in at.outcomes()][-3:] == ["parked-by-tap", "resumed", "still-you"]
    assert is_open_for(back.view, amal)
    assert is_open_for(still.view, amal)


def wait_past(seconds: float) -> None:
    """The ward's three seconds of "still you" are real ones here; no state is waited for."""
    threading.Event().wait(seconds)


def test_ones_own_card_wakes_a_dimmed_screen(ward: Ward, bay: WardTerminal) -> None:
    amal, at = ward.member("h-amal"), Mark.now(ward, bay)
    wait_held(ward, ward.set_policy(**{**DAY, "idle_dim_s": 5}))
    try:
        shows(bay, lambda view: view["screen"] == "dimmed")
        tap(ward, bay, amal)
    finally:
        wait_held(ward, ward.set_policy(**DAY))
    assert at.outcomes() == [("woken", Reason.GRANTED)]
    assert at.since("session.changed") == []


def test_a_foreign_card_leaves_whoever_is_there(ward: Ward, bay: WardTerminal) -> None:
    at = Mark.now(ward, bay)
    refused = turned_away(ward, bay, ward.member("h-bronwen"), faults=("status:sw=6A82,ins=A4",))
    assert_goes_on(ward, bay, refused.view, at)


def test_a_card_torn_away_leaves_whoever_is_there(ward: Ward, bay: WardTerminal) -> None:
    at = Mark.now(ward, bay)
    torn = turned_away(ward, bay, ward.member("h-bronwen"), faults=("torn:after=2",))
    assert "still" in torn.words
    assert_goes_on(ward, bay, torn.view, at)


def test_a_suspended_card_leaves_whoever_is_there(ward: Ward, bay: WardTerminal) -> None:
    gone = ward.hire(newcomer("h-gone", "Gwen Gone"), status=Status.SUSPENDED)
    wait_held(ward, ward.publish(gone.entitlement))
    at = Mark.now(ward, bay)
    refused = turned_away(ward, bay, gone)
    assert_goes_on(ward, bay, refused.view, at)


def test_two_cards_at_once_end_with_one_person_on_the_glass(ward: Ward, bay: WardTerminal) -> None:
    amal, bronwen = ward.member("h-amal"), ward.member("h-bronwen")
    wait_past(3.2)
    tap(ward, bay, amal, lambda view: view["screen"] == "locked")
    at, one, other = Mark.now(ward, bay), bay.contactless[0], bay.contactless[2]
    for member, reader in ((amal, one), (bronwen, other)):
        ward.box.insert(reader.port, member.card, access=Access.CONTACTLESS_STRICT)
    try:
        at.wait_for("session.changed", lambda e: e["change"] == "parked")
        changes = at.since("session.changed")
    finally:
        for reader in (one, other):
            ward.box.remove(reader.port)
    assert [e["change"] for e in changes] == ["resumed", "parked", "resumed"]
    first, loser, last = (e["holder"] for e in changes)
    assert first == loser != last
    winner = next(m for m in (amal, bronwen) if m.entitlement.holder == last)
    shows(bay, lambda view: is_open_for(view, winner))


def test_who_owes_a_pin_and_walks_away_leaves_the_work_kept(ward: Ward, bay: WardTerminal) -> None:
    amal, chidi = ward.member("h-amal"), ward.member("h-chidi")
    at = Mark.now(ward, bay)
    asked = tap(ward, bay, chidi, lambda view: view["screen"] == "notice")
    assert (asked.view["name"], asked.view["covered"]) == (None, True)
    bay.glass.post("cancel")
    shows(bay, lambda view: view["screen"] == "locked")
    tap(ward, bay, amal)
    changes = [(e["holder"], e["change"], e["cause"]) for e in at.since("session.changed")]
    assert changes == [("h-amal", "parked", "tap-over"), ("h-amal", "resumed", "tap")]


@pytest.mark.parametrize("where", ["contact", "contactless"])
def test_a_left_card_is_announced_and_a_card_over_it_works(
    ward: Ward, bay: WardTerminal, where: str
) -> None:
    amal, bronwen = ward.member("h-amal"), ward.member("h-bronwen")
    at_work(ward, bay, bronwen)
    at = Mark.now(ward, bay)
    wait_held(ward, ward.set_policy(**{**DAY, "left_card_s": 5, "left_card": LeftCard(cap_s=5)}))
    reader = bay.contact[0] if where == "contact" else bay.contactless[0]
    access = Access.CONTACT if where == "contact" else Access.CONTACTLESS_STRICT
    mark = bay.glass.mark()
    ward.box.insert(reader.port, amal.card, access=access)
    try:
        bay.glass.wait(lambda view: is_open_for(view, amal), mark)
        told = bay.glass.wait(lambda view: bool(panel(view, "left")), mark, timeout_s=15)
        assert panel(told.view, "left") == {"initials": "AH", "interface": where}
        tap(ward, bay, bronwen, reader=bay.contactless[3])
        tapped_over = at.wait_for("card.left", lambda e: e["state"] == "tapped-over")
        assert tapped_over["holder"] == "h-amal"
        assert tapped_over["by"] == bronwen.entitlement.guid
    finally:
        ward.box.remove(reader.port)
        wait_held(ward, ward.set_policy(**DAY))
    at.wait_for("card.left", lambda e: e["state"] == "taken")
    tap(ward, bay, amal)  # gone and come back


def test_a_left_card_locks_the_session_that_it_opened(ward: Ward, bay: WardTerminal) -> None:
    bronwen, at = ward.member("h-bronwen"), Mark.now(ward, bay)
    wait_held(ward, ward.set_policy(**{**DAY, "left_card_s": 5, "left_card": LeftCard(cap_s=5)}))
    mark, reader = bay.glass.mark(), bay.contact[1]
    ward.box.insert(reader.port, bronwen.card)
    try:
        bay.glass.wait(lambda view: is_open_for(view, bronwen), mark)
        at.wait_for("card.left", lambda e: e["state"] == "limit")
        shows(bay, lambda view: view["screen"] == "locked")
    finally:
        ward.box.remove(reader.port)
        wait_held(ward, ward.set_policy(**DAY))
    locked = at.since("session.changed")[-1]
    assert (locked["holder"], locked["change"], locked["cause"]) == (
        "h-bronwen",
        "locked",
        "left-card",
    )
    tap(ward, bay, bronwen)


def test_a_card_that_lay_there_at_the_start_is_no_tap(ward: Ward, bay: WardTerminal) -> None:
    amal, reader, at = ward.member("h-amal"), bay.next_contactless(), Mark.now(ward, bay)
    bay.kill()
    ward.box.insert(reader.port, amal.card, access=Access.CONTACTLESS_STRICT)
    ward.box.wait(amal.card, 5.0, powered=True)
    try:
        bay.boot()
        shows(bay, lambda view: not view["waits_for"], timeout_s=45)
        bay.glass.post("activity")
        tap(ward, bay, ward.member("h-bronwen"), lambda v: v["screen"] in {"open", "notice"})
        bay.glass.post("cancel")
        assert "h-amal" not in {one.get("holder") for one in at.since("card.outcome")}
    finally:
        ward.box.remove(reader.port)
    tap(ward, bay, amal, lambda v: v["screen"] in {"open", "notice"})
    bay.glass.post("cancel")


def test_a_held_screen_is_joined_and_taken_over(ward: Ward, bay: WardTerminal) -> None:
    amal, bronwen, at = ward.member("h-amal"), ward.member("h-bronwen"), Mark.now(ward, bay)
    bay.glass.post("hold")
    shows(bay, lambda view: panel(view, "hold").get("left_s") is not None)
    asked = tap(ward, bay, bronwen, lambda view: bool(panel(view, "hold").get("asks")))
    assert (asked.view["name"], asked.view["covered"]) == (amal.shown, True)
    bay.glass.post("join")
    shows(bay, lambda view: is_open_for(view, amal) and bool(panel(view, "hold").get("joined")))
    tap(ward, bay, bronwen, lambda view: bool(panel(view, "hold").get("asks")))
    bay.glass.post("takeover")
    shows(bay, lambda view: is_open_for(view, bronwen))
    inside = [e for e in at.since("card.outcome") if e["reason"] == Reason.SHARED]
    assert [e["result"] for e in inside] == ["offered", "joined", "offered"]
    assert all(e["shared"] for e in inside)
    assert [e["change"] for e in at.since("session.held")] == ["begun", "joined", "taken-over"]


def test_a_position_is_chosen_once_a_shift_and_changed_from_the_top_bar(
    ward: Ward, bay: WardTerminal
) -> None:
    both = ward.hire(person("h-both", "Bethan Both", "274913", NURSE, LEAD))
    wait_held(ward, ward.publish(both.entitlement))
    box: CardBox = ward.box
    mark, reader = bay.glass.mark(), bay.next_contact()
    box.insert(reader.port, both.card, profile="fast")
    try:
        bay.glass.wait_screen("pin", mark=mark)
        bay.glass.post("pin", pin=both.pin)
        asked = bay.glass.wait_screen("choose", mark=mark)
    finally:
        box.remove(reader.port)
    assert [choice["id"] for choice in asked.view["positions"]] == [NURSE.id, LEAD.id]
    bay.glass.post("position", id=LEAD.id)
    opened = bay.glass.wait(lambda view: is_open_for(view, both), mark)
    assert (opened.view["role"], panel(opened.view, "positions")["current"]) == (LEAD.name, LEAD.id)
    mark = bay.glass.mark()
    bay.glass.post("change_position", id=NURSE.id)
    bay.glass.wait(lambda view: is_open_for(view, both) and view["role"] == NURSE.name, mark)
    tap(ward, bay, ward.member("h-amal"))
    again = tap(ward, bay, both)
    assert again.view["role"] == NURSE.name  # neither asked again, nor where she was before


def assert_goes_on(ward: Ward, bay: WardTerminal, view: dict[str, Any], at: Mark) -> None:
    """Amal's work stayed on the glass, and takes input again at a touch."""
    amal = ward.member("h-amal")
    assert (view["name"], view["covered"]) == (amal.shown, False)
    mark = bay.glass.mark()
    bay.glass.post("activity")
    bay.glass.wait(lambda seen: is_open_for(seen, amal), mark)
    assert at.since("session.changed") == []
