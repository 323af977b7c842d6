"""From an operator's answered change until a tap is refused at every terminal of the site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles

import pytest

from benchmarks.ward.evidence import on_disk, wait_held
from benchmarks.ward.people import NURSE, STAFF, person
from benchmarks.ward.site import Ward
from contract.directory import Status
from contract.events import Reason
from contract.ids import Version
from runtime.clock import SystemClock
from tests.e2e.asking import LONG_DAY, NOT_HERE, Log, assert_neutral, at_work, online, turned_away

LIMIT_MS = 1000.0
NEWCOMERS = {
    Status.SUSPENDED: person("h-fflur", "Fflur Evans", "471902", NURSE),
    Status.REVOKED: person("h-gwen", "Gwen Morris", "582013", NURSE),
}


@pytest.fixture(scope="module")
def ward(module_tmp: Path) -> Iterator[Ward]:
    with Ward(module_tmp / "ward", staff=STAFF[:2], policy=LONG_DAY) as ward:
        yield ward


@pytest.mark.parametrize(
    ("status", "reason"), [(Status.SUSPENDED, Reason.SUSPENDED), (Status.REVOKED, Reason.REVOKED)]
)
def test_once_the_change_is_answered_the_next_tap_is_refused_at_every_terminal(
    ward: Ward, log: Log, status: Status, reason: Reason
) -> None:
    bronwen, ended = ward.member("h-bronwen"), ward.hire(NEWCOMERS[status])
    for terminal in ward.terminals.values():  # her grace lasts: a tap is enough
        at_work(ward, terminal, ended)
        at_work(ward, terminal, bronwen)

    ward.set_status(ended, status)

    refused = [turned_away(ward, terminal, ended) for terminal in ward.terminals.values()]
    for one in refused:
        assert one.words == NOT_HERE
        assert_neutral(one.view)
        assert log.outcome(one)["reason"] == reason


@pytest.mark.parametrize("changes", [40, pytest.param(400, marks=pytest.mark.full)])
def test_every_terminal_judges_by_a_change_within_a_second_of_its_answer(
    ward: Ward, changes: int
) -> None:
    amal, clock = ward.member("h-amal"), SystemClock()
    answered_ns: dict[Version, int] = {}
    for number in range(changes):
        version = ward.set_status(amal, (Status.SUSPENDED, Status.ACTIVE)[number % 2])
        answered_ns[version] = clock.monotonic_ns()
    wait_held(ward, max(answered_ns))

    late_ms = [
        max(0.0, event["monotonic_ms"] - answered_ns[judges_by] / 1e6)
        for name in ward.terminals
        for event in on_disk(ward, name)
        if event["detail"]["kind"] == "trust.changed"
        and (judges_by := Version(**event["detail"]["directory"])) in answered_ns
    ]

    # Every version was applied for itself, at both terminals, each measured by the same clock.
    assert len(late_ms) == changes * len(ward.terminals)
    cuts = quantiles(late_ms, n=100, method="inclusive")
    figures = (
        f"answer to applied: p50 {cuts[49]:.0f}, p99 {cuts[98]:.0f}, most {max(late_ms):.0f} ms"
    )
    print(figures)
    assert cuts[98] <= LIMIT_MS, figures


def test_a_terminal_that_was_away_judges_by_the_change_when_it_is_back(
    ward: Ward, log: Log
) -> None:
    amal, bay = ward.member("h-amal"), ward["bay-2"]
    bay.kill()
    ward.set_status(amal, Status.SUSPENDED)
    bay.boot()
    online(ward, bay)
    refused = turned_away(ward, bay, amal)
    assert log.outcome(refused)["reason"] == Reason.SUSPENDED
    log.verified()
