"""A terminal that boots without the network: what it believes of the time, and whom it lets in.

DESIGN §6: with a clock chip that was right while online, the ordinary offline limit; without one,
the policy's `offline_boot`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ward.evidence import wait_held
from benchmarks.ward.people import STAFF, Member
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal
from contract.directory import Status
from contract.events import Reason
from contract.policy import OfflineBoot
from tests.e2e.asking import (
    LONG_DAY,
    NOT_HERE,
    Log,
    Mark,
    assert_neutral,
    at_work,
    mend,
    shows,
    tap,
    turned_away,
)

pytestmark = pytest.mark.timeout(120)  # links that fell wait before they try again
NOBODY_NOW = "Nobody can sign on at this screen just now."
SLOT_ONCE = "Put your card in the slot once, then tap for the rest of the shift."


@pytest.fixture(scope="module")
def whole(module_tmp: Path) -> Iterator[Ward]:
    """One terminal, where Amal and Bronwen have proved their PINs."""
    with Ward(module_tmp / "ward", ("bay-1",), STAFF[:3], LONG_DAY) as ward:
        yield ward


@pytest.fixture
def ward(whole: Ward) -> Iterator[Ward]:
    """Everything works, and both can sign on with a tap alone; afterwards it works again."""
    for holder in ("h-amal", "h-bronwen"):
        at_work(whole, whole["bay-1"], whole.member(holder))
    yield whole
    mend(whole)
    wait_held(whole, whole.set_policy())


@pytest.fixture
def bay(ward: Ward) -> WardTerminal:
    return ward["bay-1"]


def cut_off(ward: Ward) -> None:
    """No network: the broker and the gateway are gone."""
    ward.gateway.kill()
    ward.broker.kill()


def owes_pin(ward: Ward, bay: WardTerminal, member: Member) -> None:
    """A tap on the plate is not enough for her now."""
    asked = tap(ward, bay, member, lambda view: view["screen"] == "notice")
    assert asked.words == SLOT_ONCE
    bay.glass.post("cancel")


def test_with_an_unconfirmed_clock_every_tap_asks_for_the_pin_and_is_marked(
    ward: Ward, bay: WardTerminal, log: Log
) -> None:
    amal, bronwen = ward.member("h-amal"), ward.member("h-bronwen")
    cut_off(ward)
    bay.reboot()
    at = Mark.now(ward, bay)
    shows(bay, lambda view: (view["clock"], view["link"]) == ("unconfirmed", "offline"))

    owes_pin(ward, bay, amal)
    bay.sign_on_with_pin(amal)
    bay.sign_on_with_pin(bronwen)
    owes_pin(ward, bay, amal)  # though she has just proved it here

    opened = at.since("card.outcome", lambda one: one["result"] in {"opened", "proved"})
    assert [(one["holder"], one["result"], one["clock"]) for one in opened] == [
        ("h-amal", "proved", "unconfirmed"),
        ("h-amal", "opened", "unconfirmed"),
        ("h-bronwen", "proved", "unconfirmed"),
        ("h-bronwen", "opened", "unconfirmed"),
    ]
    asked = at.since("card.outcome", lambda one: one["result"] == "asked")
    assert {one["reason"] for one in asked} == {Reason.CLOCK_UNCONFIRMED, Reason.PIN_NOT_HERE}

    # The network comes back: the clock is the site's again, unasked, and a tap is enough.
    mend(ward)
    shows(bay, lambda view: view["clock"] == "site")
    tap(ward, bay, amal)
    seen = [event["detail"] for event in log.events()]
    assert [one for one in opened if one not in seen] == []
    log.verified()


def test_where_the_ward_refuses_such_a_boot_nobody_signs_on(
    ward: Ward, bay: WardTerminal, log: Log
) -> None:
    wait_held(ward, ward.set_policy(offline_boot=OfflineBoot.REFUSE))
    cut_off(ward)
    bay.reboot()

    refused = turned_away(ward, bay, ward.member("h-amal"))

    assert refused.words == NOBODY_NOW
    assert_neutral(refused.view)
    mend(ward)
    outcome = log.outcome(refused)
    assert (outcome["result"], outcome["reason"]) == ("refused", Reason.CLOCK_UNCONFIRMED)
    assert outcome["clock"] == "unconfirmed"
    at_work(ward, bay, ward.member("h-amal"))


def test_after_the_powered_time_that_the_ward_allows_nobody_signs_on(
    ward: Ward, bay: WardTerminal, log: Log
) -> None:
    wait_held(ward, ward.set_policy(offline_boot_s=0))
    cut_off(ward)
    bay.reboot()

    refused = turned_away(ward, bay, ward.member("h-amal"))

    assert refused.words == NOBODY_NOW
    mend(ward)
    assert log.outcome(refused)["reason"] == Reason.DIRECTORY_STALE


def test_a_card_revoked_before_the_power_cut_stays_revoked_after_it(
    ward: Ward, bay: WardTerminal, log: Log
) -> None:
    chidi = ward.member("h-chidi")
    wait_held(ward, ward.set_status(chidi, Status.REVOKED))
    cut_off(ward)
    bay.reboot()

    refused = turned_away(ward, bay, chidi)

    assert refused.words == NOT_HERE
    mend(ward)
    assert log.outcome(refused)["reason"] == Reason.REVOKED


def test_a_clock_chip_that_was_right_while_online_carries_the_ordinary_limit(
    ward: Ward, bay: WardTerminal, log: Log
) -> None:
    amal, bronwen = ward.member("h-amal"), ward.member("h-bronwen")
    bay.reboot(rtc=True)
    shows(bay, lambda view: view["clock"] == "site")
    cut_off(ward)
    bay.reboot(rtc=True)
    at = Mark.now(ward, bay)
    assert (shown := bay.glass.latest) is not None
    assert (shown.view["clock"], shown.view["link"]) == ("rtc", "offline")

    bay.sign_on_with_pin(amal)  # another boot: grace starts anew
    bay.sign_on_with_pin(bronwen)
    tap(ward, bay, amal)
    at_work(ward, bay, bronwen)

    clocks = {one["clock"] for one in at.since("card.outcome")}
    assert clocks == {"rtc"}
    mend(ward)
    shows(bay, lambda view: view["clock"] == "site")
    log.verified()


def test_a_directory_set_back_on_the_terminals_own_disk_gives_no_right_back(
    ward: Ward, bay: WardTerminal, log: Log, tmp_path: Path
) -> None:
    bronwen = ward.member("h-bronwen")
    bay.kill()
    files = [path.name for path in bay.state.glob("directory.sqlite*")]
    for name in files:
        shutil.copy2(bay.state / name, tmp_path / name)
    bay.boot()
    wait_held(ward, ward.set_status(bronwen, Status.SUSPENDED))
    bay.kill()
    for path in bay.state.glob("directory.sqlite*"):
        path.unlink()
    for name in files:
        shutil.copy2(tmp_path / name, bay.state / name)
    cut_off(ward)
    bay.boot()

    shows(bay, lambda view: "directory" in view["waits_for"])
    refused = turned_away(ward, bay, bronwen)

    assert refused.words == NOBODY_NOW
    assert_neutral(refused.view)
    mend(ward)
    shows(bay, lambda view: not view["waits_for"])  # it has fetched the whole anew
    again = turned_away(ward, bay, bronwen)
    assert log.outcome(refused)["reason"] == Reason.NO_DIRECTORY
    assert log.outcome(again)["reason"] == Reason.SUSPENDED
    wait_held(ward, ward.set_status(bronwen, Status.ACTIVE))
