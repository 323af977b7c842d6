"""Somebody changes her PIN at the screen: real cards, real readers, and an auditor who looks on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ward.evidence import wait_held
from benchmarks.ward.people import STAFF, Member
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal
from contract.events import Reason
from firmware_py.glass import words as glass
from firmware_py.pin import words
from tests.attack.test_card_and_pin import files_with
from tests.e2e.asking import LONG_DAY, Log, Mark, at_work, newcomer, tap

OLD, NEW, WRONG = "83920174", "71948205", "95831047"
"""Eight digits, so that no digest shows them by chance."""
UNTIL_TOLD = 3 + 4
"""Exchanges of her card in the slot until it is told: a tap; SELECT, CHUID, 9E, tries left."""


@pytest.fixture(scope="module")
def ward(module_tmp: Path) -> Iterator[Ward]:
    settings: dict[str, Any] = {"card_deadline_s": 3.0, "log_level": "debug"}
    with Ward(module_tmp / "ward", ("bay-1",), STAFF[:2], LONG_DAY, settings=settings) as ward:
        ward.wait_linked(timeout_s=20.0)
        yield ward


@pytest.fixture
def bay(ward: Ward) -> WardTerminal:
    return ward["bay-1"]


@pytest.fixture
def nia(ward: Ward, bay: WardTerminal) -> Member:
    """Somebody new, signed on, her card in her pocket."""
    number = len(ward.members)
    member = ward.hire(newcomer(f"h-{number}", f"Nia Number{number}", OLD))
    wait_held(ward, ward.publish(member.entitlement))
    bay.sign_on_with_pin(member)
    return member


def step(name: str) -> Callable[[dict[str, Any]], bool]:
    """The page's dialogue is there."""

    def is_there(view: dict[str, Any]) -> bool:
        drawn = view["panels"].get("pin") or {}
        return drawn.get("step") == name and view["screen"] != "checking"

    return is_there


@contextmanager
def changing(ward: Ward, bay: WardTerminal, member: Member, *faults: str) -> Iterator[None]:
    """She asked to change it, and put her card in the slot."""
    mark, port = bay.glass.mark(), bay.next_contact().port
    bay.glass.post("pin_change")
    bay.glass.wait(step("card"), mark)
    mark = bay.glass.mark()
    ward.box.insert(port, member.card, profile="fast", faults=faults)
    try:
        bay.glass.wait(step("old"), mark)
        yield
    finally:
        ward.box.remove(port)


def enter(bay: WardTerminal, old: str, new: str) -> int:
    mark = bay.glass.mark()
    bay.glass.post("new_pin", old=old, new=new)
    return mark


def with_pin(member: Member, pin: str) -> Member:
    return replace(member, person=replace(member.person, pin=pin))


def test_the_new_pin_opens_and_the_old_one_does_not(
    ward: Ward, bay: WardTerminal, nia: Member, log: Log
) -> None:
    at = Mark.now(ward, bay)
    with changing(ward, bay, nia):
        done = bay.glass.wait(lambda v: v["words"] == words.CHANGED, enter(bay, OLD, NEW))
    assert (done.view["name"], done.view["panels"].get("pin")) == (nia.shown, None)
    (changed,) = at.since("pin.changed")
    assert (changed["result"], changed["interface"]) == ("changed", "contact")
    assert at.since("session.changed") == []  # her work stayed where it was

    at_work(ward, bay, ward.member("h-amal"))
    wait_held(ward, ward.set_policy(grace_s=0))
    try:
        port, mark = bay.next_contact().port, bay.glass.mark()
        ward.box.insert(port, nia.card, profile="fast")
        bay.glass.wait_screen("pin", mark=mark)
        mark = bay.glass.mark()
        bay.glass.post("pin", pin=OLD)
        bay.glass.wait(lambda view: (view["pin"] or {}).get("attempts") == 2, mark)
        ward.box.remove(port)
        bay.glass.post("cancel")
        bay.sign_on_with_pin(with_pin(nia, NEW))
    finally:
        wait_held(ward, ward.set_policy())
    log.verified()


def test_a_wrong_pin_and_a_poor_one_leave_the_card_as_it_was(
    ward: Ward, bay: WardTerminal, nia: Member
) -> None:
    """A wrong one locks: perhaps it is not she who stands before her open screen."""
    at = Mark.now(ward, bay)
    with changing(ward, bay, nia):
        poor = bay.glass.wait(step("new"), enter(bay, OLD, "24061989"))
        assert poor.view["panels"]["pin"]["why"] == glass.TOO_EASY
        locked = bay.glass.wait_screen("refused", mark=enter(bay, WRONG, NEW))
        assert (locked.view["words"], locked.view["name"]) == (glass.WRONG_HERE, None)
        assert locked.view["reference"]
    assert at.since("pin.changed") == []
    assert ("refused", Reason.PIN_WRONG) in at.outcomes()
    assert at.since("session.changed")[-1]["change"] == "locked"
    bay.sign_on_with_pin(nia)  # her grace would have gone on; here it is over
    with changing(ward, bay, nia):
        bay.glass.wait(lambda view: view["words"] == words.CHANGED, enter(bay, OLD, NEW))


@pytest.mark.parametrize("after", [0, 1])
def test_torn_away_in_its_midst_the_glass_says_that_nobody_knows(
    ward: Ward, bay: WardTerminal, nia: Member, after: int
) -> None:
    at, port = Mark.now(ward, bay), bay.next_contact().port
    mark = bay.glass.mark()
    bay.glass.post("pin_change")
    bay.glass.wait(step("card"), mark)
    mark = bay.glass.mark()
    ward.box.insert(port, nia.card, profile="fast", faults=(f"torn:after={UNTIL_TOLD + after}",))
    bay.glass.wait(step("old"), mark)
    told = bay.glass.wait(lambda v: v["words"] == words.UNCERTAIN, enter(bay, OLD, NEW))
    assert told.view["reference"]
    (changed,) = at.since("pin.changed")
    assert (changed["result"], changed["record"]) == ("uncertain", None)


def test_another_persons_card_is_a_tap_as_always(
    ward: Ward, bay: WardTerminal, nia: Member
) -> None:
    amal = ward.member("h-amal")
    at_work(ward, bay, amal)
    tap(ward, bay, nia)
    mark = bay.glass.mark()
    bay.glass.post("pin_change")
    bay.glass.wait(step("card"), mark)
    taken = tap(ward, bay, amal)
    assert taken.view["panels"].get("pin") is None
    assert taken.view["name"] == amal.shown


def test_neither_pin_is_found_in_anything_that_was_kept_or_sent(
    ward: Ward, bay: WardTerminal, tmp_path: Path
) -> None:
    export = Log(ward, tmp_path / "log").export()
    pins = (OLD, NEW, WRONG)
    written = files_with(bay.folder, pins) + files_with(export, pins)
    written += files_with(ward.folder / "gateway-state", pins)
    assert written == []
    assert files_with(ward.folder / "cards", (NEW,)), "the search finds it where it is"
