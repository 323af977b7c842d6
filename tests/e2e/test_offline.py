"""Without the network: the same gesture, a banner, and everything delivered and proven afterwards.

And what stands against somebody who would use the silence to set a terminal's rights back.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ward.evidence import gather, on_disk, wait_covered, wait_delivered, wait_held
from benchmarks.ward.people import STAFF
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal
from contract.directory import Status
from contract.events import Reason
from contract.ids import Version
from contract.policy import BreakGlass
from contract.signing import sha256
from contract.topics import Site
from provisioning.directory.entries import restate
from runtime.clock import SystemClock
from tests.e2e.asking import (
    LONG_DAY,
    NOT_HERE,
    Log,
    Mark,
    assert_neutral,
    at_work,
    mend,
    offline,
    online,
    shows,
    tap,
    turned_away,
)
from tests.e2e.insider import Insider, SetBack, head_of

pytestmark = pytest.mark.timeout(120)  # links that fell wait before they try again
NOBODY_NOW = "Nobody can sign on at this screen just now."
LIMIT_S = 2
BREAK_GLASS = BreakGlass(
    allowed=True, position=STAFF[0].holder.positions[0].id, reasons=("E1",), limit_s=600
)


@pytest.fixture(scope="module")
def whole(module_tmp: Path) -> Iterator[Ward]:
    """Two terminals; Amal and Bronwen work at the first, Elena at none yet."""
    with Ward(module_tmp / "ward", staff=(*STAFF[:2], STAFF[4]), policy=LONG_DAY) as ward:
        for holder in ("h-amal", "h-bronwen"):
            ward["bay-1"].sign_on_with_pin(ward.member(holder))
        yield ward


@pytest.fixture
def ward(whole: Ward) -> Iterator[Ward]:
    """Broker and gateway work when a test begins, and are made to work when it ends."""
    yield whole
    mend(whole)


def over_and_back(ward: Ward, bay: WardTerminal) -> list[bool]:
    """Taps each over the other; whether the glass said online at each."""
    return [
        tap(ward, bay, ward.member(holder)).online
        for holder in ("h-amal", "h-bronwen", "h-amal", "h-bronwen")
    ]


def test_the_broker_dies_and_the_gesture_stays_the_same(ward: Ward, module_tmp: Path) -> None:
    elena, bay, other = ward.member("h-elena"), ward["bay-1"], ward["bay-2"]
    ward.broker.kill()
    offline(bay)
    offline(other)

    assert over_and_back(ward, bay) == [False] * 4
    other.sign_on_with_pin(elena)  # who was never at this terminal before
    assert on_disk(ward, "bay-2")[-1]["terminal"] == "bay-2"

    ward.broker.start()
    online(ward, bay)
    online(ward, other)
    assert over_and_back(ward, bay) == [True] * 4
    wait_delivered(ward)
    wait_covered(ward)
    evidence = gather(ward, module_tmp / "after-the-broker")
    assert evidence.verified, evidence.words
    assert (evidence.lost, evidence.duplicated, evidence.unproven) == (0, 0, 0)


def test_the_gateway_dies_and_the_gesture_stays_the_same(ward: Ward, log: Log) -> None:
    bay = ward["bay-1"]
    ward.gateway.kill()
    missed = shows(bay, lambda view: "gateway" in view["waits_for"])
    assert missed.view["link"] == "offline"

    assert over_and_back(ward, bay) == [False] * 4

    ward.start_gateway()
    online(ward, bay)
    log.verified()


def test_a_cable_is_pulled_without_a_word_and_nobody_waits_for_it(ward: Ward, log: Log) -> None:
    bay = ward["bay-1"]
    ward.broker.process.signal(signal.SIGSTOP)
    try:
        over_and_back(ward, bay)  # whether noticed already or not
        offline(bay)
        assert over_and_back(ward, bay) == [False] * 4
    finally:
        ward.broker.process.signal(signal.SIGCONT)
    online(ward, bay)
    log.verified()


@pytest.mark.parametrize(
    ("break_glass", "broker_too", "screen", "result"),
    [
        (None, False, "refused", "refused"),
        (BREAK_GLASS, False, "offer", "offered"),
        pytest.param(None, True, "refused", "refused", marks=pytest.mark.full),
    ],
    ids=["without break-glass", "with break-glass", "broker gone too"],
)
def test_rights_older_than_the_wards_limit_open_nothing(
    ward: Ward,
    log: Log,
    break_glass: BreakGlass | None,
    broker_too: bool,  # noqa: FBT001 - a parameter of the test
    screen: str,
    result: str,
) -> None:
    bay, elena = ward["bay-1"], ward.member("h-elena")
    at_work(ward, bay, ward.member("h-amal"))
    wait_held(ward, ward.set_policy(offline_limit_s=LIMIT_S, break_glass=break_glass))
    ward.gateway.kill()
    if broker_too:
        ward.broker.kill()
        shows(bay, lambda view: view["rights_age_s"] > LIMIT_S)
    offline(bay)  # said after a longer silence than the limit
    at = Mark.now(ward, bay)

    stale = turned_away(ward, bay, elena)

    assert stale.screen == screen
    assert stale.words == NOBODY_NOW
    assert_neutral(stale.view)
    assert at.since("session.changed") == []  # Amal's work stays as it is
    mend(ward)
    wait_held(ward, ward.set_policy())
    outcome = log.outcome(stale)
    assert (outcome["result"], outcome["reason"]) == (result, Reason.DIRECTORY_STALE)
    bay.glass.post("activity")
    at_work(ward, bay, elena)


def test_a_change_played_again_gives_no_right_back(ward: Ward, log: Log) -> None:
    elena, bay = ward.member("h-elena"), ward["bay-1"]
    at_work(ward, bay, elena)
    wait_held(ward, ward.set_status(elena, Status.SUSPENDED))
    (first, *_) = Insider.terminal(ward, "bay-1").changes(Version(0, 0))
    ward.gateway.kill()

    SetBack(ward).repeat(first)  # in which she was active

    at_work(ward, bay, ward.member("h-amal"))
    refused = turned_away(ward, bay, elena)
    assert refused.words == NOT_HERE
    mend(ward)
    assert log.outcome(refused)["reason"] == Reason.SUSPENDED
    wait_held(ward, ward.set_status(elena, Status.ACTIVE))


def test_a_gateway_that_was_set_back_is_refused_with_an_alarm(ward: Ward, log: Log) -> None:
    elena = ward.member("h-elena")
    for terminal in ward.terminals.values():
        at_work(ward, terminal, ward.member("h-amal"))
    revoked = ward.set_status(elena, Status.SUSPENDED)
    wait_held(ward, revoked)
    changes = changes_of(ward, "bay-1")
    older, head = head_of(changes[-2])
    ward.gateway.kill()
    set_back = SetBack(ward)
    at = {name: Mark.now(ward, ward[name]) for name in ward.terminals}

    # It names yesterday's directory as the newest; then it makes another history of it.
    beat = set_back.heartbeat(older, head, SystemClock().wall_ms())
    again = restate(elena.entitlement, Status.ACTIVE)
    fork = set_back.change(revoked, head, again)
    set_back.change(Version(revoked.epoch, revoked.n + 1), head_of(fork)[1], again)

    refused = [turned_away(ward, terminal, elena) for terminal in ward.terminals.values()]
    for one in refused:
        assert one.words == NOT_HERE
        assert at[one.terminal].since("trust.changed") == []  # it keeps the newer
        alarms = at[one.terminal].since("alarm")
        # One alarm of a kind is journalled a minute; all of them are counted.
        assert [(alarm["code"], alarm["subject"]) for alarm in alarms] == [
            ("statement-refused", sha256(beat))
        ]
    mend(ward)
    assert log.outcome(refused[0])["reason"] == Reason.SUSPENDED
    counted = [one["status"]["counts"]["alarms"] for one in ward.ask("/v1/fleet")["terminals"]]
    assert all(count >= 3 for count in counted), counted
    log.verified()
    wait_held(ward, ward.set_status(elena, Status.ACTIVE))


def test_an_old_heartbeat_makes_no_rights_younger(ward: Ward, log: Log) -> None:
    bay, elena, clock = ward["bay-1"], ward.member("h-elena"), SystemClock()
    at_work(ward, bay, ward.member("h-amal"))
    wait_held(ward, ward.set_policy(offline_limit_s=2 * LIMIT_S))
    version, head = head_of(changes_of(ward, "bay-1")[-1])
    ward.gateway.kill()
    set_back, last_ms = SetBack(ward), clock.wall_ms()

    beat = set_back.heartbeat(version, head, last_ms)
    while clock.wall_ms() <= last_ms + 2 * LIMIT_S * 1000:
        set_back.repeat(beat, Site.HEARTBEAT)

    stale = turned_away(ward, bay, elena)
    assert stale.words == NOBODY_NOW
    mend(ward)
    assert log.outcome(stale)["reason"] == Reason.DIRECTORY_STALE
    wait_held(ward, ward.set_policy())


def changes_of(ward: Ward, terminal: str) -> list[bytes]:
    """Every change of the site, as the gateway tells a terminal that catches up."""
    asker, after = Insider.terminal(ward, terminal), Version(0, 0)
    changes: list[bytes] = []
    while more := asker.changes(after):
        changes += more
        after, _ = head_of(changes[-1])
    return changes
