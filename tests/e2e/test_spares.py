"""A lost card at 03:00: a working spare for a named person, online and offline."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ward.evidence import wait_held
from benchmarks.ward.people import STAFF, Member, Person, person
from benchmarks.ward.processes import NotReady
from benchmarks.ward.site import Ward
from contract.directory import Position
from contract.ids import PositionId, WardId
from firmware_py.glass import words
from firmware_py.help.errand import GIVEN, GIVEN_HERE, NOT_GIVEN, SAY, Step
from tests.e2e.asking import (
    LONG_DAY,
    NOT_HERE,
    Log,
    offline,
    online,
    shows,
    tap,
    turned_away,
)
from tests.e2e.helping import Night, held_by, make_spare

pytestmark = pytest.mark.timeout(150)


@pytest.fixture
def ward(short_tmp: Path) -> Iterator[Ward]:
    """Two terminals; Amal, Bronwen, Dafydd; Elena leads."""
    staff = (STAFF[0], STAFF[1], STAFF[3], STAFF[4])
    with Ward(short_tmp / "ward", staff=staff, policy=LONG_DAY) as ward:
        for bay in ward.terminals.values():
            online(ward, bay)
        yield ward


def spare_of(ward: Ward, name: str = "spare-1", **changes: object) -> Member:
    made = make_spare(ward, name, **changes)
    wait_held(ward, ward.set_policy())
    return made


def judged_at(ward: Ward, count: int) -> list[dict[str, Any]]:
    """The assignments, once the gateway has judged so many; the newest first."""
    deadline = time.monotonic() + 40.0
    while True:
        found: list[dict[str, Any]] = ward.ask("/v1/assignments")["assignments"]
        if len(found) >= count:
            return found
        if time.monotonic() > deadline:
            raise NotReady(f"{len(found)} of {count} assignments were judged")
        threading.Event().wait(0.05)


def told(night: Night, how: str) -> None:
    """The figure that the issue asks for."""
    print(f"\nlost card to working spare, {how}: {len(night.acts)} acts, {night.seconds:.1f} s")


def test_online_a_spare_is_somebodys_in_seconds_and_everywhere(ward: Ward, log: Log) -> None:
    amal, elena, bay = ward.member("h-amal"), ward.member("h-elena"), ward["bay-1"]
    spare = spare_of(ward)
    assert turned_away(ward, bay, spare).words == NOT_HERE  # it is nobody's yet

    night = Night(ward, bay)
    night.assign(spare, elena, GIVEN, holder="h-amal", lost=True)
    hers = held_by(spare, amal)
    night.signs_on(hers)
    told(night, "online")

    ward["bay-2"].sign_on_with_pin(hers)
    bay.sign_on_with_pin(ward.member("h-bronwen"))
    assert turned_away(ward, bay, amal).words == NOT_HERE  # the lost one is suspended
    (given,) = [e for e in log.events() if e["detail"]["kind"] == "help.given"]
    (judged,) = [e for e in log.events() if e["detail"]["kind"] == "help.judged"]
    assert given["detail"]["online"]
    assert (judged["detail"]["priority"], judged["detail"]["reason"]) == ("routine", "granted")
    assert judged["detail"]["subject"] == given["detail"]["subject"]
    (reviewed,) = ward.tapover("spare", "review")["assignments"]
    assert (reviewed["lead"], reviewed["holder"], reviewed["ward"]) == ("h-elena", "h-amal", "ed")
    assert (reviewed["checked"], reviewed["offline"], reviewed["reason"]) == ("", False, "granted")
    (listed,) = ward.tapover("spare", "list")["spares"]
    assert (listed["guid"], listed["state"]) == (reviewed["spare"], "used")
    log.verified()


def test_who_needs_it_is_found_by_initials_and_never_named(ward: Ward) -> None:
    elena, bay = ward.member("h-elena"), ward["bay-1"]
    spare = spare_of(ward)
    night, mark = Night(ward, bay), bay.glass.mark()
    bay.glass.post("find_person", text="ah")
    night.acts.append("initials")
    found = bay.glass.wait(lambda view: bool(drawn(view).get("found")), mark)
    (person_found,) = drawn(found.view)["found"]
    assert person_found == {"holder": "h-amal", "initials": "AH", "role": "Nurse"}
    night.assign(spare, elena, GIVEN, holder=person_found["holder"], lost=True)
    panels = [drawn(seen.view) for seen in bay.glass.since(mark)]
    steps = [panel["step"] for panel in panels if panel]
    assert list(dict.fromkeys(steps)) == [
        "person",
        "looking",
        "card",
        "colleague",
        "pin",
        "gateway",
    ]
    assert "Haddad" not in json.dumps(panels)
    told(night, "online, by initials")


def drawn(view: dict[str, Any]) -> dict[str, Any]:
    """What the page draws of the help desk."""
    return view["panels"].get("help") or {}


def test_offline_it_works_here_at_once_and_on_the_ward_when_it_hears(ward: Ward, log: Log) -> None:
    amal, elena = ward.member("h-amal"), ward.member("h-elena")
    here, there = ward["bay-1"], ward["bay-2"]
    spare = spare_of(ward)
    ward.gateway.kill()
    offline(here)

    night = Night(ward, here)
    night.assign(spare, elena, GIVEN_HERE, holder="h-amal", lost=True)
    hers = held_by(spare, amal)
    night.signs_on(hers)
    told(night, "offline")
    there.sign_on_with_pin(hers)  # by the broker, without the gateway
    for bay in (here, there):
        bay.process.stop()  # and after a restart of either
        bay.boot()
        tap(ward, bay, hers)

    ward.start_gateway()
    for bay in (here, there):
        online(ward, bay)
    (judged,) = judged_at(ward, 1)
    assert judged["reason"] == "granted"
    (event,) = [e for e in log.events() if e["detail"]["kind"] == "help.given"]
    assert not event["detail"]["online"]
    log.verified()


def test_a_guest_gets_what_the_spare_is_for_by_name_and_number(ward: Ward) -> None:
    guest = person("guest", "Farah Idris", "503817")
    position = Position(id=PositionId("ed-guest"), role="R8001", name="Guest nurse")
    spare = spare_of(ward, guest=position)
    night = Night(ward, ward["bay-1"])
    night.assign(spare, ward.member("h-elena"), GIVEN, name="Farah Idris", number="12A3456E")
    holder = spare.entitlement.model_copy(update={"name": guest.holder.name})
    night.signs_on(replace(spare, entitlement=holder))
    view = ward["bay-1"].glass.latest
    assert view is not None
    assert view.view["role"] == "Guest nurse"


def test_without_the_leads_pin_or_by_anybody_else_nothing_is_assigned(ward: Ward) -> None:
    bay, elena = ward["bay-1"], ward.member("h-elena")
    spare = spare_of(ward)
    elsewhere = ward.hire(lead_of("icu"))
    wait_held(ward, ward.set_policy())
    night = Night(ward, bay)

    night.ask("spare", holder="h-amal")
    night.card(spare, SAY["spare", Step.COLLEAGUE])
    night.countersigned("spare", elena, "000000", words.PIN_AGAIN)
    night.bay.glass.post("cancel")
    for somebody in (ward.member("h-bronwen"), elsewhere, ward.member("h-amal")):
        night.ask("spare", holder="h-amal")
        night.card(spare, SAY["spare", Step.COLLEAGUE])
        assert night.card(somebody, NOT_HERE)["reference"]
    night.ask("spare", holder="h-elena")  # for herself
    night.card(spare, SAY["spare", Step.COLLEAGUE])
    assert night.card(elena, NOT_HERE)["reference"]

    assert ward.ask("/v1/assignments")["assignments"] == []
    assert turned_away(ward, bay, spare).words == NOT_HERE


def test_of_two_assignments_in_a_split_the_earlier_stands_and_the_other_is_locked(
    ward: Ward, log: Log
) -> None:
    elena, here, there = ward.member("h-elena"), ward["bay-1"], ward["bay-2"]
    spare = spare_of(ward)
    ward.gateway.kill()
    ward.broker.kill()
    for bay in (here, there):
        offline(bay)
    first, second = Night(ward, here), Night(ward, there)
    first.assign(spare, elena, GIVEN_HERE, holder="h-amal")
    second.assign(spare, elena, GIVEN_HERE, holder="h-bronwen")
    second.signs_on(held_by(spare, ward.member("h-bronwen")))

    ward.broker.start()
    ward.start_gateway()
    judged = judged_at(ward, 2)

    reasons = {each["terminal"]: each["reason"] for each in judged}
    assert reasons["bay-1"] == "granted"
    assert reasons["bay-2"] in ("later", "overtaken")
    online(ward, there)
    shows(there, lambda view: view["screen"] == "locked", timeout_s=45.0)
    there.sign_on_with_pin(held_by(spare, ward.member("h-amal")))
    flagged = [e["detail"] for e in log.events() if e["detail"]["kind"] == "help.judged"]
    assert any(detail["priority"] == "high" for detail in flagged)
    log.verified()


@pytest.mark.full
def test_a_spare_ends_by_itself_also_without_the_network(ward: Ward) -> None:
    spare, bay = spare_of(ward), ward["bay-1"]
    ward.gateway.kill()
    offline(bay)
    night = Night(ward, bay)
    night.assign(spare, ward.member("h-elena"), GIVEN_HERE, holder="h-amal", minutes=1)
    hers = held_by(spare, ward.member("h-amal"))
    night.signs_on(hers)
    bay.sign_on_with_pin(ward.member("h-bronwen"))
    deadline = time.monotonic() + 90.0
    while True:
        seen = tap(ward, bay, hers, lambda view: view["screen"] in ("open", "refused"))
        if seen.screen == "refused":
            return
        assert time.monotonic() < deadline
        threading.Event().wait(2.0)
        tap(ward, bay, ward.member("h-bronwen"), lambda view: view["screen"] == "open")


def test_a_person_holds_one_spare_and_a_spare_is_used_once(ward: Ward) -> None:
    elena, bay = ward.member("h-elena"), ward["bay-1"]
    one, other = spare_of(ward), spare_of(ward, "spare-2")
    night = Night(ward, bay)
    night.assign(one, elena, GIVEN, holder="h-amal")
    wait_held(ward, ward.set_policy())
    night.assign(other, elena, NOT_GIVEN, holder="h-amal")
    assert [each["reason"] for each in judged_at(ward, 2)] == ["has-one", "granted"]


def lead_of(ward: str) -> Person:
    position = Position(
        id=PositionId(f"{ward}-lead"), role="R8001L", name="Lead", areas=(WardId(ward),)
    )
    return person(f"h-{ward}", "Gwen Lead", "640917", position)
