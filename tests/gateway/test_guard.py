"""The guard against the bad feed: what stops, what a second person's word does, and what does not.

A site of some hundred people; operators send what their tools send.
"""

from __future__ import annotations

import secrets

import pytest

from contract.administration import APPROVAL_MS, Decision, Stop
from contract.directory import Entitlement, Entry, EntryKind, Removed, Status
from contract.ids import Digest, Version
from contract.journal import split_lines
from contract.signing import sha256
from gateway.desk import Desk
from gateway.directory import Applied, Directory, Held
from gateway.guard import OPERATOR_WINDOW_MS, SITE_WINDOW_MS
from gateway.register import Register
from gateway.requests import RequestConflicts, RequestRefused
from gateway.store import HeldState, StoreFailed
from gateway.waiting import NothingWaits
from tests.gateway.conftest import World
from tests.gateway.identities import SITE
from tests.gateway.staff import Colleague, cut, member, with_status
from tests.gateway.test_evidence import Stranger, failing

PEOPLE = 200


class Hospital:
    """Two operators, and a directory of a few hundred people."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ines, self.otto = Colleague("ines"), Colleague("otto")
        self.reopen()

    def reopen(self) -> None:
        world = self.world
        register = Register(world.authority.statement)
        self.directory = Directory(world.store, world.evidence, world.authority, register)
        self.desk = Desk(world.store, world.evidence, self.directory, SITE)

    def employ(self, staff: list[Entitlement]) -> None:
        for piece in cut(staff, 500):
            assert isinstance(self.ask(*piece), Applied)

    def ask(self, *entries: Entry, who: Colleague | None = None) -> Applied | Held:
        who = who or self.ines
        return self.directory.apply(who.request(*entries), who.operator, self.world.now)

    def approve(self, subject: Digest, who: Colleague, **how: object) -> HeldState:
        paper = who.approval(subject, self.world.now, **how)  # type: ignore[arg-type]
        return self.desk.decide(paper, who.operator, self.world.now).row.state

    @property
    def version(self) -> Version:
        return self.directory.head.version

    def stands(self, number: int) -> bytes:
        key = (EntryKind.ENTITLEMENT, f"{number + 1:032x}")
        with self.world.store.read() as tx:
            return tx.directory.entries({key})[key]

    def events(self) -> list[bytes]:
        stranger = Stranger(self.world.database)
        stranger.check()
        return [body for _, body in sorted(stranger.events.items())]

    def leaves(self) -> list[bytes]:
        return Stranger(self.world.database).leaves


@pytest.fixture
def hospital(world: World) -> Hospital:
    return Hospital(world)


def staff(count: int = PEOPLE) -> list[Entitlement]:
    return [member(n) for n in range(count)]


def ended(one: Entitlement, how: str) -> Entitlement | Removed:
    """The ways in which a feed ends somebody."""
    match how:
        case "removed":
            return Removed(kind=EntryKind.ENTITLEMENT, id=one.guid, salt=secrets.token_hex(16))
        case "without a position":
            return one.model_copy(update={"positions": (), "salt": secrets.token_hex(16)})
        case "over":
            return one.model_copy(update={"not_after_ms": 1, "salt": secrets.token_hex(16)})
        case "put off":
            later = {"not_before_ms": 2**49, "salt": secrets.token_hex(16)}
            return one.model_copy(update=later)
        case _:
            return with_status(one, Status(how))


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
