"""A blocked PIN at 03:00: another person's card witnesses it, and the ward goes on (FIELD 11)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ward.people import STAFF, Member
from benchmarks.ward.site import Ward
from contract.ids import Guid
from firmware_py.glass import words
from firmware_py.glass.words import TOO_EASY
from firmware_py.help.errand import NEW_PIN_SET, NOT_GIVEN, NOT_SET, SAY, Step
from provisioning.cards.desk import Desk
from runtime.clock import SystemClock
from tests.e2e.asking import LONG_DAY, NOT_HERE, Log, offline, online, shows
from tests.e2e.helping import Night, exchange

pytestmark = pytest.mark.timeout(150)
NEW_PIN = "720358"
TAP, UNTIL_SET = 3, 4  # exchanges of a tap; then SELECT, GUID, 9E, and the PIN by the PUK
LIMITED = {"roles": ("R8001",), "limit_s": 60}


@pytest.fixture
def ward(short_tmp: Path) -> Iterator[Ward]:
    """One terminal; Amal, Bronwen; the gateway holds the PUKs of their cards."""
    policy = {**LONG_DAY, "countersigned": LIMITED}
    with Ward(short_tmp / "ward", ("bay-1",), staff=STAFF[:2], policy=policy) as ward:
        online(ward, ward["bay-1"])
        assert exchange(ward)["deposited"] == 2
        yield ward


def _left(attempts: int, view: dict[str, Any]) -> bool:
    return bool(view["pin"]) and view["pin"]["attempts"] == attempts


def blocked(ward: Ward, night: Night, member: Member) -> None:
    """Three wrong PINs."""
    port = night.bay.next_contact().port
    ward.box.insert(port, member.card, profile="instant")
    try:
        for attempts in (2, 1):
            shows(night.bay, lambda view: view["screen"] == "pin")
            mark = night.bay.glass.mark()
            night.bay.glass.post("pin", pin="975310")
            night.bay.glass.wait(partial(_left, attempts), mark)
        night.pin("975310", words.COLLEAGUE_HELPS)
    finally:
        ward.box.remove(port)
    night.acts.clear()


def test_online_the_puk_comes_once_and_another_takes_its_place(ward: Ward, log: Log) -> None:
    amal, bronwen, bay = ward.member("h-amal"), ward.member("h-bronwen"), ward["bay-1"]
    night = Night(ward, bay)
    blocked(ward, night, amal)

    night.ask("newpin")
    night.card(amal, SAY["puk", Step.COLLEAGUE])
    night.countersigned("puk", bronwen, bronwen.pin, SAY["puk", Step.NEW_PIN])
    with night.in_slot(amal):
        night.pin("240689", TOO_EASY)  # and the card was not asked
        night.pin(NEW_PIN, NEW_PIN_SET)
    print(f"\nblocked PIN to a new one: {len(night.acts)} acts")

    again = amal.person.__class__(amal.person.holder, NEW_PIN)
    bay.sign_on_with_pin(Member(again, amal.card, amal.entitlement))
    judged = [e["detail"] for e in log.events() if e["detail"]["kind"] == "help.judged"]
    assert [(one["what"], one["reason"]) for one in judged] == [("puk", "granted")]
    log.verified()
    assert exchange(ward)["taken_over"] == 1
    record = Desk.open(ward.site, SystemClock()).book.recall(Guid(amal.entitlement.guid))
    assert record is not None
    assert record.puk is not None
    assert record.puk.generation == 2
    for text in (ward.folder / "bay-1").rglob("*"):
        if text.is_file():
            assert NEW_PIN.encode() not in text.read_bytes()


@pytest.mark.full
def test_torn_away_before_its_next_puk_the_card_is_helped_again(ward: Ward) -> None:
    amal, bronwen, bay = ward.member("h-amal"), ward.member("h-bronwen"), ward["bay-1"]
    night = Night(ward, bay)
    night.ask("newpin")
    night.card(amal, SAY["puk", Step.COLLEAGUE])
    night.countersigned("puk", bronwen, bronwen.pin, SAY["puk", Step.NEW_PIN])
    with night.in_slot(amal, f"torn:after={TAP + UNTIL_SET}"):
        night.pin(NEW_PIN, NOT_SET)

    def once_more() -> bool:
        night.ask("newpin")
        night.card(amal, SAY["puk", Step.COLLEAGUE])
        wanted = (SAY["puk", Step.NEW_PIN], NOT_GIVEN)
        said = night.countersigned("puk", bronwen, bronwen.pin, wanted)["words"]
        return bool(said == SAY["puk", Step.NEW_PIN])

    deadline = time.monotonic() + 60.0
    while not once_more():  # the release before may still be used, for a moment
        assert time.monotonic() < deadline
        threading.Event().wait(3.0)
    with night.in_slot(amal):
        night.pin(NEW_PIN, NEW_PIN_SET)
    assert exchange(ward) == {"deposited": 0, "taken_over": 1}


def test_the_holder_cannot_witness_herself(ward: Ward) -> None:
    amal, bay = ward.member("h-amal"), ward["bay-1"]
    night = Night(ward, bay)
    night.ask("newpin")
    night.card(amal, SAY["puk", Step.COLLEAGUE])
    assert night.card(amal, NOT_HERE)["reference"]


@pytest.mark.full
def test_offline_a_countersign_opens_a_limited_session(ward: Ward, log: Log) -> None:
    amal, bronwen, bay = ward.member("h-amal"), ward.member("h-bronwen"), ward["bay-1"]
    night = Night(ward, bay)
    blocked(ward, night, amal)
    ward.gateway.kill()
    offline(bay)

    night.ask("newpin")
    night.card(amal, SAY["puk", Step.COLLEAGUE])
    view = night.countersigned("puk", bronwen, bronwen.pin, words.OPEN)
    assert (view["screen"], view["name"]) == ("open", amal.shown)
    shows(bay, lambda view: view["screen"] == "locked", timeout_s=80.0)  # its minute is over

    ward.start_gateway()
    online(ward, bay)
    (given,) = [e["detail"] for e in log.events() if e["detail"]["kind"] == "help.given"]
    assert (given["what"], given["online"], given["holder"]) == ("session", False, "h-amal")
    log.verified()


def test_where_the_policy_has_no_such_session_nothing_opens_offline(ward: Ward) -> None:
    amal, bronwen, bay = ward.member("h-amal"), ward.member("h-bronwen"), ward["bay-1"]
    night = Night(ward, bay)
    ward.set_policy(countersigned=None)
    ward.gateway.kill()
    offline(bay)
    night.ask("newpin")
    night.card(amal, SAY["puk", Step.COLLEAGUE])
    night.countersigned("puk", bronwen, bronwen.pin, NOT_GIVEN)
