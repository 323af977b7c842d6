"""Something is missing, from the start of the day or in the middle of it.

The kiosk says what it waits for, the terminal goes on with what there is, and recovers unasked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ward.evidence import on_disk
from benchmarks.ward.people import STAFF
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import PAIRS, WardTerminal
from contract.events import Reason
from hardware.virtual.names import Access
from tests.e2e.asking import (
    LONG_DAY,
    RECOVERY_S,
    Log,
    Mark,
    assert_neutral,
    at_work,
    online,
    shows,
    tap,
)

pytestmark = pytest.mark.timeout(120)  # links that fell wait before they try again


@pytest.fixture(scope="module")
def ward(module_tmp: Path) -> Iterator[Ward]:
    """A terminal at work, and one that nobody has ever switched on."""
    with Ward(module_tmp / "ward", ("bay-1",), STAFF[:2], LONG_DAY, asleep=("bay-2",)) as ward:
        yield ward


@pytest.fixture
def bay(ward: Ward) -> WardTerminal:
    """The terminal, with Amal's work on its glass."""
    at_work(ward, ward["bay-1"], ward.member("h-amal"))
    return ward["bay-1"]


def waits_for(bay: WardTerminal, *missing: str) -> dict[str, object]:
    """What the glass shows once it waits for these."""
    return shows(bay, lambda view: set(missing) <= set(view["waits_for"])).view


def has_all(bay: WardTerminal) -> None:
    shows(bay, lambda view: not view["waits_for"], timeout_s=RECOVERY_S)


def test_a_terminal_switched_on_for_the_first_time_waits_for_its_site(ward: Ward, log: Log) -> None:
    new, amal = ward["bay-2"], ward.member("h-amal")
    ward.gateway.kill()
    ward.broker.kill()
    new.start()
    view = waits_for(new, "broker", "directory")
    assert (view["screen"], view["link"]) == ("waiting", "offline")
    refused = tap(ward, new, amal, lambda view: view["screen"] == "refused")
    assert_neutral(refused.view)

    ward.broker.start()
    waits_for(new, "gateway", "directory")
    ward.start_gateway()

    has_all(new)
    # A directory that nothing has confirmed yet opens nothing: the answer comes a moment later.
    shows(new, lambda view: view["screen"] == "locked" and view["clock"] == "site")
    new.sign_on_with_pin(amal)
    assert log.outcome(refused)["reason"] == Reason.NO_DIRECTORY
    log.verified()


def test_a_terminal_restarted_in_the_silence_goes_on_with_what_it_holds(
    ward: Ward, bay: WardTerminal, log: Log
) -> None:
    bronwen = ward.member("h-bronwen")
    at_work(ward, bay, bronwen)
    ward.gateway.kill()
    ward.broker.kill()
    bay.kill()
    bay.boot()
    view = waits_for(bay, "broker")
    assert (view["screen"], view["name"]) == ("locked", None)

    at_work(ward, bay, bronwen)
    tap(ward, bay, ward.member("h-amal"))  # the PIN of before the restart still counts

    ward.broker.start()
    ward.start_gateway()
    online(ward, bay)
    has_all(bay)
    log.verified()


def test_pcscd_dies_and_comes_back(ward: Ward, bay: WardTerminal) -> None:
    bay.pcscd.kill()
    view = waits_for(bay, "pcscd")
    assert view["name"] == ward.member("h-amal").shown  # her work stays
    bay.pcscd.start()
    has_all(bay)
    tap(ward, bay, ward.member("h-bronwen"), lambda view: view["screen"] in {"open", "notice"})
    bay.glass.post("cancel")


def test_every_reader_is_unplugged_and_comes_back(ward: Ward, bay: WardTerminal) -> None:
    bay.glass.post("lock")
    bay.pcscd.restart(without=PAIRS)
    view = waits_for(bay, "readers")
    assert view["name"] is None
    bay.pcscd.restart()
    has_all(bay)
    tap(ward, bay, ward.member("h-amal"))


def test_one_reader_is_unplugged_and_the_others_serve(ward: Ward, bay: WardTerminal) -> None:
    at = Mark.now(ward, bay)
    bay.pcscd.restart(without=PAIRS[:1])
    has_all(bay)
    left = [reader for reader in bay.contactless if reader.name.startswith(PAIRS[1])]
    at_work(ward, bay, ward.member("h-amal"))
    known = {"open", "notice"}
    for reader in left:
        tap(ward, bay, ward.member("h-bronwen"), lambda v: v["screen"] in known, reader=reader)
        bay.glass.post("cancel")
    bay.pcscd.restart()
    has_all(bay)
    detached = at.since("reader.changed", lambda one: one["state"] == "detached")
    assert len({one["reader"] for one in detached}) >= 2


def test_a_card_that_lay_there_when_the_daemon_started_is_no_tap(
    ward: Ward, bay: WardTerminal
) -> None:
    amal, reader = ward.member("h-amal"), bay.next_contactless()
    bay.kill()
    at = len(on_disk(ward, "bay-1"))
    ward.box.insert(reader.port, amal.card, access=Access.CONTACTLESS_STRICT)
    ward.box.wait(amal.card, 5.0, powered=True)
    try:
        bay.boot()
        has_all(bay)
        bay.glass.post("activity")
        tap(ward, bay, ward.member("h-bronwen"), lambda v: v["screen"] in {"open", "notice"})
        bay.glass.post("cancel")
    finally:
        ward.box.remove(reader.port)
    seen = [event["detail"] for event in on_disk(ward, "bay-1")[at:]]
    holders = {one.get("holder") for one in seen if one["kind"] == "card.outcome"}
    assert amal.entitlement.holder not in holders
    tap(ward, bay, amal)  # taken away and held there again, it is one


def test_switched_off_in_order_every_session_ends_in_the_journal(
    ward: Ward, bay: WardTerminal, log: Log
) -> None:
    at = Mark.now(ward, bay)
    assert bay.process.stop() == 0
    closed = at.since("session.changed", lambda one: one["cause"] == "shutdown")
    assert [one["holder"] for one in closed].count("h-amal") == 1
    assert len(at.since("terminal.stopped")) == 1
    bay.boot()
    has_all(bay)
    at_work(ward, bay, ward.member("h-amal"))
    log.verified()
