"""The guard against the bad feed: what stops, and what does not.

A site of some hundred people; operators send what their tools send.
"""

from __future__ import annotations

import secrets

import pytest

from contract.administration import Stop
from contract.directory import EntryKind, Removed, Status
from gateway.directory.guard import OPERATOR_WINDOW_MS, SITE_WINDOW_MS
from gateway.directory.requests import RequestConflicts
from gateway.directory.source import Applied, Held
from tests.gateway.conftest import World
from tests.gateway.staff import PEOPLE, Hospital, ended, member, staff, with_status


@pytest.fixture
def hospital(world: World) -> Hospital:
    return Hospital(world)


WAYS = ["removed", "without a position", "over", "put off", "suspended", "revoked", "lost"]


@pytest.mark.parametrize("how", WAYS)
def test_more_than_one_in_fifty_stops_whatever_ends_them_and_nothing_is_changed(
    hospital: Hospital, how: str
) -> None:
    people = staff()
    hospital.employ(people)
    before = hospital.version
    held = hospital.ask(*(ended(one, how) for one in people[:5]))
    assert isinstance(held, Held)
    assert held.findings.stops == (Stop.SHARE,)
    assert (held.findings.people, held.findings.site) == (5, PEOPLE)
    assert hospital.version == before
    assert all(hospital.stands(n) == people[n].to_bytes() for n in range(5))


@pytest.mark.parametrize("how", WAYS)
def test_one_in_fifty_is_an_everyday_change(hospital: Hospital, how: str) -> None:
    people = staff()
    hospital.employ(people)
    assert isinstance(hospital.ask(*(ended(one, how) for one in people[:4])), Applied)


def test_more_than_twenty_stop_at_a_site_of_any_size(hospital: Hospital) -> None:
    people = staff(1500)
    hospital.employ(people)
    gone = [with_status(one, Status.REVOKED) for one in people[:21]]
    held = hospital.ask(*gone)
    assert isinstance(held, Held)
    assert held.findings.stops == (Stop.PEOPLE,)
    assert isinstance(hospital.ask(*gone[:20]), Applied)


def test_cut_into_many_requests_it_is_the_same_change(hospital: Hospital) -> None:
    people = staff(1500)
    hospital.employ(people)
    answers = [hospital.ask(with_status(one, Status.REVOKED)) for one in people[:21]]
    assert all(isinstance(one, Applied) for one in answers[:20])
    assert isinstance(answers[20], Held)
    assert answers[20].findings.counted == 21
    hospital.world.clock.advance(OPERATOR_WINDOW_MS / 1000 + 1)
    assert isinstance(hospital.ask(with_status(people[21], Status.REVOKED)), Applied)


def test_cut_among_two_operators_it_is_the_same_change_within_the_hour(hospital: Hospital) -> None:
    people = staff(1500)
    hospital.employ(people)
    gone = [with_status(one, Status.REVOKED) for one in people]
    assert isinstance(hospital.ask(*gone[:11]), Applied)
    assert isinstance(hospital.ask(*gone[11:22], who=hospital.otto), Held)
    hospital.world.clock.advance(SITE_WINDOW_MS / 1000 + 1)
    assert isinstance(hospital.ask(*gone[11:22], who=hospital.otto), Applied)


def test_who_is_back_no_longer_counts(hospital: Hospital) -> None:
    people = staff()
    hospital.employ(people)
    for one in people[:4]:
        hospital.ask(ended(one, "without a position"))
    for one in people[:4]:
        hospital.ask(one)
    assert isinstance(
        hospital.ask(*(with_status(one, Status.LOST) for one in people[4:8])), Applied
    )


def test_a_person_with_another_card_is_not_ended(hospital: Hospital) -> None:
    people = staff()
    spare = [one.model_copy(update={"guid": f"{n + 9000:032x}"}) for n, one in enumerate(people)]
    hospital.employ(people)
    hospital.employ(spare)
    answer = hospital.ask(*(with_status(one, Status.LOST) for one in people))
    assert isinstance(answer, Applied)
    assert isinstance(hospital.ask(*(with_status(one, Status.LOST) for one in spare)), Held)


def test_a_whole_position_stops_and_one_persons_own_does_not(hospital: Hospital) -> None:
    people = [*staff(), member(900, "porter"), member(901, "porter"), member(902, "chaplain")]
    hospital.employ(people)
    moved = [member(900, "nurse"), member(901, "nurse")]
    held = hospital.ask(*moved)
    assert isinstance(held, Held)
    assert (held.findings.stops, held.findings.people) == ((Stop.POSITION,), 0)
    assert held.findings.positions == ("porter",)
    assert isinstance(hospital.ask(moved[0]), Applied)
    assert isinstance(hospital.ask(moved[1]), Held), "one after the other it is the same"
    assert isinstance(hospital.ask(member(902, "nurse")), Applied)


@pytest.mark.parametrize("how", ["removed", "revoked", "without a position"])
def test_a_wards_last_lead_stops(hospital: Hospital, how: str) -> None:
    leads = [member(900, "ed-lead"), member(901, "ed-lead", "nurse")]
    hospital.employ([*staff(), *leads])
    assert isinstance(hospital.ask(ended(leads[0], how)), Applied)
    held = hospital.ask(ended(leads[1], how))
    assert isinstance(held, Held)
    assert Stop.LEAD in held.findings.stops
    assert held.findings.leads == ("ed",)


@pytest.mark.parametrize("status", [Status.LOST, Status.SUSPENDED])
def test_a_lost_card_is_locked_at_once_also_the_last_leads_and_that_is_flagged(
    hospital: Hospital, status: Status
) -> None:
    lead = member(900, "ed-lead")
    hospital.employ([*staff(), lead])
    assert isinstance(hospital.ask(with_status(lead, status)), Applied)
    assert b'"kind":"lock.flagged"' in hospital.events()[-2]
    assert b'"leads":1' in hospital.events()[-2]


def test_locks_one_by_one_stop_at_twenty_too(hospital: Hospital) -> None:
    people = staff()
    hospital.employ(people)
    answers = [hospital.ask(with_status(one, Status.SUSPENDED)) for one in people[:21]]
    assert [isinstance(one, Applied) for one in answers] == [True] * 20 + [False]


@pytest.mark.parametrize("status", [Status.REVOKED, Status.LOST])
@pytest.mark.parametrize("back", [Status.ACTIVE, Status.SUSPENDED])
def test_only_a_suspension_is_lifted(hospital: Hospital, status: Status, back: Status) -> None:
    one = member(1)
    hospital.employ(staff())
    hospital.ask(with_status(one, status))
    removed = Removed(kind=EntryKind.ENTITLEMENT, id=one.guid, salt=secrets.token_hex(16))
    with pytest.raises(RequestConflicts, match="revoked or lost"):
        hospital.ask(with_status(one, back))
    with pytest.raises(RequestConflicts, match="revoked or lost"):
        hospital.ask(removed, with_status(one, back))
    hospital.ask(removed)
    hospital.world.reopen()
    hospital.reopen()
    with pytest.raises(RequestConflicts, match="revoked or lost"):
        hospital.ask(with_status(one, back))
    with pytest.raises(RequestConflicts, match="revoked or lost"):
        hospital.ask(with_status(member(2), status), with_status(member(2), back))
    hospital.ask(with_status(one, Status.LOST))


def test_a_suspension_is_lifted(hospital: Hospital) -> None:
    hospital.employ(staff())
    hospital.ask(with_status(member(1), Status.SUSPENDED))
    assert isinstance(hospital.ask(with_status(member(1), Status.ACTIVE)), Applied)
