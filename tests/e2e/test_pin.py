"""The PIN: judged by the card alone, told nowhere, and worth nothing where it proves nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.ward.evidence import referred, wait_held
from benchmarks.ward.glass import Seen
from benchmarks.ward.people import STAFF, Member, person
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from contract.events import Reason
from firmware_py.glass.words import COLLEAGUE_HELPS, LAST_TRY, SLOT_ONCE, TAKE_CARD
from firmware_py.pin.words import FIRST
from tests.e2e.asking import (
    LONG_DAY,
    NOT_HERE,
    Log,
    Mark,
    assert_neutral,
    at_work,
    newcomer,
    tap,
    turned_away,
)

WRONG, VERIFY = "975310", 0x20
TAP, VERIFIED = 3, 5  # exchanges of a tap; of a PIN visit until VERIFY has been answered
GIVE_UP = {"card_deadline_s": 2.0}
UNGATED = person(
    "h-ungated", "Una Gates", "518203", *STAFF[0].holder.positions, faults=("ungated-9a",)
)


@pytest.fixture(scope="module")
def ward(module_tmp: Path) -> Iterator[Ward]:
    """One terminal; one card's 9A signed without a PIN when it was made at the desk."""
    with Ward(
        module_tmp / "ward", ("bay-1",), (*STAFF[:2], UNGATED), LONG_DAY, settings=GIVE_UP
    ) as ward:
        yield ward


@pytest.fixture
def bay(ward: Ward) -> WardTerminal:
    """The terminal, with Amal's work on its glass."""
    at_work(ward, ward["bay-1"], ward.member("h-amal"))
    return ward["bay-1"]


@pytest.fixture
def owing(ward: Ward) -> Member:
    """Somebody with a fresh card, who has not yet proved her PIN here."""
    number = len(ward.members)
    member = ward.hire(newcomer(f"h-{number}", f"Nurse Number{number}", "640917"))
    wait_held(ward, ward.publish(member.entitlement))
    return member


@contextmanager
def in_the_slot(
    ward: Ward, bay: WardTerminal, member: Member, faults: tuple[str, ...] = ()
) -> Iterator[int]:
    """The card in a contact slot, and a mark from before it came."""
    port, mark = bay.next_contact().port, bay.glass.mark()
    ward.box.insert(port, member.card, profile="fast", faults=faults)
    try:
        yield mark
    finally:
        ward.box.remove(port)


def pad(bay: WardTerminal, mark: int, attempts: int | None) -> Seen:
    """The pad, with that many attempts left."""
    return bay.glass.wait(
        lambda view: view["screen"] == "pin" and view["pin"]["attempts"] == attempts, mark
    )


def enter(bay: WardTerminal, digits: str) -> int:
    """Types a PIN; a mark from before it."""
    mark = bay.glass.mark()
    bay.glass.post("pin", pin=digits)
    return mark


def test_a_wrong_pin_is_told_with_the_attempts_left_and_the_right_one_opens(
    ward: Ward, bay: WardTerminal, owing: Member, log: Log
) -> None:
    at = Mark.now(ward, bay)
    with in_the_slot(ward, bay, owing) as mark:
        asked = pad(bay, mark, None)
        assert (asked.view["name"], asked.view["covered"]) == (None, True)  # Amal's is covered
        assert asked.view["pin"]["why_asked"] == FIRST
        again = pad(bay, enter(bay, WRONG), 2)
        assert again.view["words"] == "That PIN was not right. Try again."
        bay.glass.wait(lambda view: is_open_for(view, owing), enter(bay, owing.pin))

    assert at.outcomes() == [
        ("asked", Reason.PIN_NEEDED),
        ("refused", Reason.PIN_WRONG),
        ("proved", Reason.GRANTED),
        ("opened", Reason.GRANTED),
    ]
    wrong = at.since("card.outcome", lambda one: one["reason"] == Reason.PIN_WRONG)
    assert [one["attempts"] for one in wrong] == [2]
    assert wrong == [e["detail"] for e in log.events() if e["detail"] in wrong]


def test_amals_work_was_parked_for_the_newcomer_and_is_back_at_her_tap(
    ward: Ward, bay: WardTerminal, owing: Member
) -> None:
    amal = ward.member("h-amal")
    at = Mark.now(ward, bay)
    with in_the_slot(ward, bay, owing) as mark:
        pad(bay, mark, None)
        asked = bay.glass.mark()
        bay.glass.post("cancel")
        left = bay.glass.wait_screen("locked", mark=asked)

    assert (left.view["name"], left.view["covered"]) == (None, True)
    at.wait_for("card.outcome", lambda one: one["result"] == "refused")
    assert at.outcomes() == [("asked", Reason.PIN_NEEDED), ("refused", Reason.PIN_ABANDONED)]
    tap(ward, bay, amal)
    assert [one["change"] for one in at.since("session.changed")] == ["parked", "resumed"]


def test_three_wrong_pins_block_the_card_and_then_the_right_one_is_refused_too(
    ward: Ward, bay: WardTerminal, owing: Member, log: Log
) -> None:
    with in_the_slot(ward, bay, owing) as mark:
        pad(bay, mark, None)
        pad(bay, enter(bay, WRONG), 2)
        pad(bay, enter(bay, WRONG), 1)
        blocked = bay.glass.wait_screen("refused", mark=enter(bay, WRONG))
    with in_the_slot(ward, bay, owing) as mark:
        pad(bay, mark, None)
        still = bay.glass.wait_screen("refused", mark=enter(bay, owing.pin))

    seen = log.events()
    for refused in (blocked, still):
        assert refused.view["words"] == COLLEAGUE_HELPS
        assert refused.view["panels"]["help"]["step"] == "offered"
        assert_neutral(refused.view)
        outcome = referred(seen, refused.view["reference"])["detail"]
        assert (outcome["result"], outcome["reason"]) == ("refused", Reason.PIN_BLOCKED)


def test_a_card_whose_9a_was_seen_to_sign_without_a_pin_proves_none(
    ward: Ward, bay: WardTerminal, log: Log
) -> None:
    una, amal = ward.member("h-ungated"), ward.member("h-amal")

    refused = turned_away(ward, bay, una)

    assert refused.words == NOT_HERE
    assert_neutral(refused.view)
    assert (refused.view["name"], refused.view["covered"]) == (amal.shown, False)
    outcome = log.outcome(refused)
    assert (outcome["result"], outcome["reason"]) == ("refused", Reason.PIN_UNGATED)


def test_a_card_that_takes_any_pin_in_words_proves_nothing(
    ward: Ward, bay: WardTerminal, owing: Member, log: Log
) -> None:
    at = Mark.now(ward, bay)
    with in_the_slot(ward, bay, owing, faults=("any-pin-in-words",)) as mark:
        pad(bay, mark, None)
        refused = bay.glass.wait_screen("refused", mark=enter(bay, WRONG))

    assert_neutral(refused.view)
    outcome = referred(log.events(), refused.view["reference"])["detail"]
    assert (outcome["result"], outcome["reason"]) == ("refused", Reason.CARD_ERROR)
    assert "proved" not in {result for result, _ in at.outcomes()}


def test_a_strict_card_on_the_plate_is_sent_to_the_slot_once(
    ward: Ward, bay: WardTerminal, owing: Member
) -> None:
    at = Mark.now(ward, bay)
    asked = tap(ward, bay, owing, lambda view: view["screen"] == "notice")
    assert asked.words == "Put your card in the slot once, then tap for the rest of the shift."
    assert at.outcomes() == [("asked", Reason.PIN_NOT_HERE)]

    bay.sign_on_with_pin(owing)
    at_work(ward, bay, ward.member("h-amal"))
    tap(ward, bay, owing)  # now a tap is enough


def test_a_card_that_stays_in_the_slot_after_its_pin_is_reminded_of(
    ward: Ward, bay: WardTerminal, owing: Member
) -> None:
    wait_held(ward, ward.set_policy(left_card_s=5))
    try:
        tap(ward, bay, owing, lambda view: view["words"] == SLOT_ONCE)
        with in_the_slot(ward, bay, owing) as mark:
            pad(bay, mark, None)
            bay.glass.wait(lambda view: is_open_for(view, owing), enter(bay, owing.pin))
            left = bay.glass.wait(lambda view: view["words"] == TAKE_CARD, mark)
        assert left.view["name"] == owing.shown  # her work goes on beneath it
        at_work(ward, bay, ward.member("h-amal"))
        tap(ward, bay, owing)
    finally:
        wait_held(ward, ward.set_policy())


def test_a_copied_card_that_keeps_still_at_its_tap_is_not_given_the_pin(
    ward: Ward, bay: WardTerminal, owing: Member, log: Log
) -> None:
    """It takes the place of the card that was asked, and its own tap is nobody's refusal."""
    forged = ward.clone(owing)
    with in_the_slot(ward, bay, owing) as mark:
        pad(bay, mark, None)
    with in_the_slot(ward, bay, forged, faults=(f"status:sw=6F00,at={TAP}",)) as mark:
        bay.glass.wait(lambda view: view["screen"] == "checking", mark)
        pad(bay, mark, None)
        refused = bay.glass.wait_screen("refused", mark=enter(bay, owing.pin))
    assert_neutral(refused.view)
    outcome = referred(log.events(), refused.view["reference"])["detail"]
    assert (outcome["result"], outcome["reason"]) == ("refused", Reason.CARD_KEY_WRONG)
    asked = [one["ins"] for one in ward.box.log(forged.card)["exchanges"]]
    assert VERIFY not in asked
    bay.sign_on_with_pin(owing)


def test_the_last_try_is_not_spent_before_it_was_warned_of(
    ward: Ward, bay: WardTerminal, owing: Member
) -> None:
    with in_the_slot(ward, bay, owing) as mark:
        pad(bay, mark, None)
        for attempts in (2, 1):
            pad(bay, enter(bay, WRONG), attempts)
        bay.glass.post("cancel")
    with in_the_slot(ward, bay, owing) as mark:  # another pad, which nobody has told
        pad(bay, mark, None)
        warned = pad(bay, enter(bay, WRONG), 1)
        assert warned.view["words"] == LAST_TRY
        bay.glass.wait(lambda view: is_open_for(view, owing), enter(bay, owing.pin))


def test_a_card_taken_out_too_soon_is_asked_for_again(
    ward: Ward, bay: WardTerminal, owing: Member
) -> None:
    with in_the_slot(ward, bay, owing) as mark:
        pad(bay, mark, None)
    bay.glass.wait(lambda view: "card back" in view["words"], enter(bay, owing.pin))
    bay.sign_on_with_pin(owing)


def test_a_card_torn_out_after_its_pin_proves_nothing_until_it_is_back(
    ward: Ward, bay: WardTerminal, owing: Member
) -> None:
    at = Mark.now(ward, bay)
    with in_the_slot(ward, bay, owing, faults=(f"torn:after={TAP + VERIFIED}",)) as mark:
        pad(bay, mark, None)
        bay.glass.wait(lambda view: "card back" in view["words"], enter(bay, owing.pin))
    at.wait_for("card.outcome", lambda one: one["reason"] == Reason.CARD_TORN)
    assert "proved" not in {result for result, _ in at.outcomes()}
    bay.sign_on_with_pin(owing)


@pytest.mark.full
def test_a_card_that_hangs_after_its_pin_is_given_up(
    ward: Ward, bay: WardTerminal, owing: Member, log: Log
) -> None:
    with in_the_slot(ward, bay, owing, faults=(f"hung:at={TAP + VERIFIED + 1}",)) as mark:
        pad(bay, mark, None)
        refused = bay.glass.wait_screen("refused", mark=enter(bay, owing.pin))
    assert_neutral(refused.view)
    outcome = referred(log.events(), refused.view["reference"])["detail"]
    assert (outcome["result"], outcome["reason"]) == ("refused", Reason.CARD_HUNG)
    bay.sign_on_with_pin(owing)


def test_a_shorter_grace_counts_at_once(ward: Ward, bay: WardTerminal, owing: Member) -> None:
    bay.sign_on_with_pin(owing)
    at_work(ward, bay, ward.member("h-amal"))
    wait_held(ward, ward.set_policy(grace_s=0))
    try:
        tap(ward, bay, owing, lambda view: view["screen"] == "notice")
    finally:
        wait_held(ward, ward.set_policy())
        bay.glass.post("cancel")


def test_no_pin_stands_in_anything_that_was_kept_or_sent(ward: Ward, log: Log) -> None:
    log.verified()
    pins = "|".join({member.pin for member in ward.members.values()} | {WRONG})
    alone = re.compile(rf"(?<![0-9A-Za-z])(?:{pins})(?![0-9A-Za-z])".encode())
    kept = [path for path in ward["bay-1"].folder.rglob("*") if path.is_file()]
    kept += [log.export() / "bodies", ward.folder / "gateway.log"]
    assert {"terminal.log", "journal.sqlite", "bodies"} <= {path.name for path in kept}
    for path in kept:
        assert not alone.search(path.read_bytes()), path
