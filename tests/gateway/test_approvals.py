"""What a second person's word does to what the guard stopped, and what no other word does."""

from __future__ import annotations

import pytest

from contract.administration import APPROVAL_MS, Decision
from contract.directory import Entitlement, Status
from contract.ids import Digest, Version
from contract.journal import split_lines
from contract.signing import sha256
from gateway.directory.requests import RequestConflicts, RequestRefused
from gateway.directory.source import Applied, Held
from gateway.directory.waiting import NothingWaits
from gateway.store import HeldState, StoreFailed
from tests.gateway.conftest import World
from tests.gateway.staff import Colleague, Hospital, ended, member, staff, with_status
from tests.gateway.test_evidence import failing


@pytest.fixture
def hospital(world: World) -> Hospital:
    return Hospital(world)


def test_what_stopped_is_a_leaf_and_an_event_and_is_answered_the_same_again(
    hospital: Hospital,
) -> None:
    people = staff()
    hospital.employ(people)
    message = hospital.ines.request(*(with_status(one, Status.REVOKED) for one in people[:9]))
    now = hospital.world.now
    held = hospital.directory.apply(message, hospital.ines.operator, now)
    assert isinstance(held, Held)
    assert hospital.leaves()[-2] == message.split(b"\n")[0]
    told = hospital.events()[-1]
    assert b'"kind":"change.held","operator":"ines"' in told
    assert held.subject.encode() in told
    size = hospital.world.evidence.log.edge().size
    hospital.world.reopen()
    hospital.reopen()
    assert hospital.directory.apply(message, hospital.ines.operator, now) == held
    assert hospital.world.evidence.log.edge().size == size + 1  # the gateway's start
    (waits,) = hospital.desk.waiting(now)
    assert (waits.row.state, waits.findings) == (HeldState.WAITING, held.findings)
    assert hospital.desk.request(held.subject, 0) == message


def stop(hospital: Hospital, people: list[Entitlement]) -> tuple[bytes, Held]:
    message = hospital.ines.request(*(with_status(one, Status.REVOKED) for one in people[:9]))
    held = hospital.directory.apply(message, hospital.ines.operator, hospital.world.now)
    assert isinstance(held, Held)
    return message, held


def test_another_operators_approval_carries_it_out_and_is_a_leaf(hospital: Hospital) -> None:
    people = staff()
    hospital.employ(people)
    message, held = stop(hospital, people)
    paper = hospital.otto.approval(held.subject, hospital.world.now)
    standing = hospital.desk.decide(paper, hospital.otto.operator, hospital.world.now)
    assert standing.row.state is HeldState.DONE
    assert standing.applied is not None
    assert hospital.version == standing.applied.version
    approval, change, _own = hospital.leaves()[-3:]
    assert approval == paper
    assert change == standing.applied.message.split(b"\n")[0]
    assert b'"result":"approved"' in hospital.events()[-2]
    again = hospital.directory.apply(message, hospital.ines.operator, hospital.world.now)
    assert again == Applied(standing.applied.version, standing.applied.message, is_new=False)
    # Two people looked at it: it leaves the next change its everyday room.
    assert isinstance(hospital.ask(with_status(people[20], Status.REVOKED)), Applied)
    repeated = hospital.desk.decide(paper, hospital.otto.operator, hospital.world.now)
    assert (repeated.row.state, repeated.applied) == (HeldState.DONE, None)


def test_an_approval_whose_commit_fails_leaves_it_waiting(hospital: Hospital) -> None:
    people = staff()
    hospital.employ(people)
    _, held = stop(hospital, people)
    before = hospital.version
    with failing(hospital.world, "before"), pytest.raises(StoreFailed):
        hospital.approve(held.subject, hospital.otto)
    assert hospital.version == before
    assert hospital.approve(held.subject, hospital.otto) is HeldState.DONE


def refused_approvals(hospital: Hospital, subject: Digest) -> dict[str, tuple[bytes, Colleague]]:
    now, ines, otto = hospital.world.now, hospital.ines, hospital.otto
    renamed = Colleague("otto")
    renamed.signer, renamed.operator = (
        ines.signer,
        type(ines.operator)(otto.operator.name, ines.signer.public),
    )
    return {
        "by who asked": (ines.approval(subject, now), ines),
        "by who asked, under another name": (renamed.approval(subject, now), renamed),
        "in another's name": (otto.approval(subject, now, name="ines"), otto),
        "by another's signature": (Colleague("otto").approval(subject, now), otto),
        "too late": (otto.approval(subject, now, lasts_ms=1), otto),
        "of another request": (otto.approval(sha256(b"another"), now), otto),
        "bent": (otto.approval(subject, now).replace(b"sig", b"sug"), otto),
    }


def test_no_other_word_serves_and_each_is_written_down(hospital: Hospital) -> None:
    people = staff()
    hospital.employ(people)
    _, held = stop(hospital, people)
    before = hospital.version
    papers = refused_approvals(hospital, held.subject)
    hospital.world.clock.advance(0.01)
    for how, (paper, who) in papers.items():
        with pytest.raises((RequestRefused, NothingWaits)):
            print(how, hospital.desk.decide(paper, who.operator, hospital.world.now))
    assert hospital.version == before
    assert hospital.desk.find(held.subject).row.state is HeldState.WAITING
    denied = [event for event in hospital.events() if b'"kind":"change.denied"' in event]
    assert len(denied) == len(papers)


def test_refused_or_late_it_comes_to_nothing(hospital: Hospital) -> None:
    people = staff()
    hospital.employ(people)
    message, held = stop(hospital, people)
    assert hospital.approve(held.subject, hospital.otto, decision=Decision.REFUSE) is (
        HeldState.REFUSED
    )
    with pytest.raises(RequestConflicts, match="refused"):
        hospital.approve(held.subject, hospital.otto)
    with pytest.raises(RequestConflicts, match="refused"):
        hospital.directory.apply(message, hospital.ines.operator, hospital.world.now)
    _, late = stop(hospital, people)
    hospital.world.clock.advance(APPROVAL_MS / 1000)
    with pytest.raises(RequestRefused, match="too long"):
        hospital.approve(late.subject, hospital.otto)
    assert hospital.desk.waiting(hospital.world.now) == []
    assert any(b'"result":"expired"' in event for event in hospital.events())
    with pytest.raises(NothingWaits):
        hospital.desk.request(late.subject, 0)


def test_who_asked_may_take_it_back(hospital: Hospital) -> None:
    people = staff()
    hospital.employ(people)
    _, held = stop(hospital, people)
    refused = hospital.approve(held.subject, hospital.ines, decision=Decision.REFUSE)
    assert refused is HeldState.REFUSED


def test_what_somebody_changed_meanwhile_is_not_approved_over_it(hospital: Hospital) -> None:
    people = staff()
    hospital.employ(people)
    gone = [ended(one, "without a position") for one in people[:9]]
    held = hospital.ask(*gone)
    assert isinstance(held, Held)
    hospital.ask(with_status(people[3], Status.LOST), who=hospital.otto)
    before = hospital.version
    with pytest.raises(RequestConflicts, match="meanwhile"):
        hospital.approve(held.subject, hospital.otto)
    assert hospital.version == before
    assert hospital.desk.find(held.subject).row.state is HeldState.OVERTAKEN


def test_what_would_end_more_by_now_is_shown_again(hospital: Hospital) -> None:
    leads = [member(900, "ed-lead"), member(901, "ed-lead")]
    hospital.employ([*staff(), *leads])
    gone = [with_status(one, Status.REVOKED) for one in [*staff()[:9], leads[0]]]
    held = hospital.ask(*gone)
    assert isinstance(held, Held)
    assert held.findings.leads == ()
    assert isinstance(hospital.ask(ended(leads[1], "revoked"), who=hospital.otto), Applied)
    with pytest.raises(RequestConflicts, match="look at it again"):
        hospital.approve(held.subject, hospital.otto)
    assert hospital.desk.find(held.subject).findings.leads == ("ed",)
    assert hospital.approve(held.subject, hospital.otto) is HeldState.DONE


def test_a_person_cannot_leave_a_heap_of_things_waiting(hospital: Hospital) -> None:
    people = staff()
    hospital.employ(people)
    for _ in range(16):
        stop(hospital, people)
    with pytest.raises(RequestRefused, match="wait already"):
        stop(hospital, people)


def test_the_changes_of_an_approved_request_read_as_any_others(hospital: Hospital) -> None:
    people = staff()
    hospital.employ(people)
    _, held = stop(hospital, people)
    hospital.approve(held.subject, hospital.otto)
    message = hospital.directory.changes_after(Version(1, hospital.version.n - 1))[0]
    _, lines = split_lines(message, len(message))
    assert len(lines) == 9
