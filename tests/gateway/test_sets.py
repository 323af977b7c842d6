"""Many requests that are one wish: judged as one, carried out one by one, gone on with."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from contract.administration import APPROVAL_MS, Decision, Stop
from contract.directory import Entry, Status, parse_entry
from contract.ids import Digest, Version
from contract.signing import Envelope
from gateway.directory.requests import RequestConflicts, RequestRefused
from gateway.directory.source import Applied, Held
from gateway.directory.waiting import NothingWaits, Standing
from gateway.store import HeldState, StoreFailed
from tests.gateway.conftest import World
from tests.gateway.staff import PEOPLE, Colleague, Hospital, cut, ended, member, staff, with_status
from tests.gateway.test_evidence import failing


class Wish:
    """A set of one operator's, as the `tapover` command sends it."""

    def __init__(
        self,
        hospital: Hospital,
        entries: Sequence[Entry],
        size: int = 10,
        base: Version | None = None,
        who: Colleague | None = None,
    ) -> None:
        self.hospital = hospital
        self.who = who or hospital.ines
        self.requests = [self.who.request(*piece) for piece in cut(entries, size)]
        now = hospital.world.now
        self.envelope = self.who.change_set(base or hospital.version, self.requests, now)

    @property
    def subject(self) -> Digest:
        return self.envelope.digest

    def open(self, who: Colleague | None = None) -> Standing:
        who = who or self.who
        message, now = self.envelope.to_bytes(), self.hospital.world.now
        return self.hospital.desk.open_set(message, who.operator, now)

    def stage(self, place: int) -> Standing:
        message, now = self.requests[place], self.hospital.world.now
        return self.hospital.desk.stage(self.subject, message, self.who.operator, now)

    def step(self, who: Colleague | None = None) -> Standing:
        who = who or self.who
        return self.hospital.desk.advance(self.subject, who.operator, self.hospital.world.now)

    def bring(self) -> None:
        self.open()
        for place in range(len(self.requests)):
            self.stage(place)


@pytest.fixture
def hospital(world: World) -> Hospital:
    hospital = Hospital(world)
    hospital.employ(staff())
    return hospital


def promoted(count: int = PEOPLE) -> list[Entry]:
    return [member(n, "nurse", "senior-nurse") for n in range(count)]


def test_a_set_is_carried_out_request_by_request_when_all_of_it_is_here(
    hospital: Hospital,
) -> None:
    before = hospital.version
    wish = Wish(hospital, promoted(), size=50)
    assert wish.open().missing == (0, 1, 2, 3)
    with pytest.raises(RequestRefused, match="missing"):
        wish.step()
    for place in (2, 0, 3, 1):
        wish.stage(place)
    standing = wish.stage(1)
    assert (standing.missing, standing.row.state) == ((), HeldState.OPEN)
    assert hospital.version == before
    steps = [wish.step() for _ in range(4)]
    assert [step.left for step in steps] == [3, 2, 1, 0]
    assert [step.applied.version.n for step in steps if step.applied] == [
        before.n + n for n in (1, 2, 3, 4)
    ]
    assert steps[-1].row.state is HeldState.DONE
    assert all(hospital.stands(n) == entry.to_bytes() for n, entry in enumerate(promoted_as(wish)))
    leaves = hospital.leaves()
    for paper in (wish.envelope.to_bytes(), *(one.split(b"\n")[0] for one in wish.requests)):
        assert leaves.count(paper) == 1
    assert wish.step().applied is None
    with pytest.raises(NothingWaits):
        hospital.desk.request(wish.subject, 0)


def promoted_as(wish: Wish) -> list[Entry]:
    """The very entries of a wish, in order."""
    return [parse_entry(line) for one in wish.requests for line in one.split(b"\n")[1:]]


@pytest.mark.parametrize("size", [1, 3, 40])
def test_however_it_is_cut_a_bad_feed_stops_before_its_first_request(
    hospital: Hospital, size: int
) -> None:
    before = hospital.version
    gone = [ended(member(n), "without a position") for n in range(40)]
    wish = Wish(hospital, gone, size)
    wish.bring()
    standing = wish.step()
    assert standing.row.state is HeldState.WAITING
    assert standing.findings.stops == (Stop.PEOPLE,)
    assert standing.findings.people == 40
    assert len(standing.findings.names) == 40
    assert wish.step().row.state is HeldState.WAITING
    assert hospital.version == before
    assert wish.envelope.to_bytes() in hospital.leaves()
    assert b'"kind":"change.held"' in hospital.events()[-1]


def test_a_whole_position_stops_also_when_it_ends_in_many_requests(hospital: Hospital) -> None:
    hospital.ask(*(member(n, "nurse", "porter") for n in range(3)))
    wish = Wish(hospital, [member(n) for n in range(3)], size=1)
    wish.bring()
    assert wish.step().findings.positions == ("porter",)


def test_people_who_leave_one_request_and_come_in_another_are_not_ended(
    hospital: Hospital,
) -> None:
    """Cards are replaced: the old ones go in one request, the new ones come in a later one."""
    gone = [with_status(member(n), Status.REVOKED) for n in range(30)]
    fresh = [member(n).model_copy(update={"guid": f"{n + 9000:032x}"}) for n in range(30)]
    wish = Wish(hospital, [*gone, *fresh], size=30)
    wish.bring()
    assert wish.step().row.state is HeldState.RELEASED


def test_released_by_a_second_operator_anybody_may_go_on_with_it(hospital: Hospital) -> None:
    gone = [ended(member(n), "suspended") for n in range(40)]
    wish = Wish(hospital, gone)
    wish.bring()
    wish.step()
    with pytest.raises(RequestRefused, match="another operator"):
        hospital.approve(wish.subject, hospital.ines)
    assert hospital.approve(wish.subject, hospital.otto) is HeldState.RELEASED
    states = [wish.step(hospital.otto).row.state for _ in range(4)]
    assert states == [HeldState.RELEASED] * 3 + [HeldState.DONE]
    assert b"suspended" in hospital.stands(39)


def test_cut_off_anywhere_it_goes_on_where_it_was(hospital: Hospital) -> None:
    wish = Wish(hospital, promoted(40))
    for act in (
        wish.open,
        *(lambda place=place: wish.stage(place) for place in range(4)),
        *(wish.step for _ in range(4)),
    ):
        for when in ("before", "after"):
            with failing(hospital.world, when), pytest.raises(StoreFailed):
                act()
        hospital.world.reopen()
        hospital.reopen()
    while wish.step().row.state is not HeldState.DONE:
        pass
    assert b"senior-nurse" in hospital.stands(39)
    leaves = hospital.leaves()
    assert all(leaves.count(one.split(b"\n")[0]) == 1 for one in wish.requests)


@pytest.mark.parametrize("steps", [0, 1])
def test_what_somebody_else_changed_meanwhile_ends_it(hospital: Hospital, steps: int) -> None:
    wish = Wish(hospital, promoted(40))
    wish.bring()
    for _ in range(steps):
        wish.step()
    hospital.ask(with_status(member(33), Status.SUSPENDED), who=hospital.otto)
    with pytest.raises(RequestConflicts, match="meanwhile"):
        wish.step()
    assert hospital.desk.find(wish.subject).row.state is HeldState.OVERTAKEN
    assert b"suspended" in hospital.stands(33)


def test_what_others_change_elsewhere_is_no_matter(hospital: Hospital) -> None:
    wish = Wish(hospital, promoted(40))
    wish.bring()
    for n in range(4):
        hospital.ask(with_status(member(100 + n), Status.SUSPENDED), who=hospital.otto)
        assert isinstance(wish.step().applied, Applied)
    assert wish.step().row.state is HeldState.DONE


def bad_sets(hospital: Hospital) -> dict[str, Wish]:
    twice = [member(1), member(2), member(1, "porter")]
    other = Wish(hospital, [member(3)])
    repeated = Wish(hospital, [member(4)])
    repeated.envelope = hospital.ines.change_set(
        hospital.version, [repeated.requests[0]] * 2, hospital.world.now
    )
    strange = Wish(hospital, [member(5)])
    strange.requests = other.requests
    forged = Wish(hospital, [member(6)])
    forged.envelope = Colleague("ines").change_set(
        hospital.version, forged.requests, hospital.world.now
    )
    return {
        "an entry in two requests": Wish(hospital, twice, size=1),
        "an entry twice in one": Wish(hospital, twice, size=3),
        "a request twice": repeated,
        "a request that it does not name": strange,
        "signed by another key": forged,
        "on a version that is not there": Wish(hospital, [member(7)], base=Version(1, 99)),
    }


def test_what_is_no_set_is_refused_and_changes_nothing(hospital: Hospital) -> None:
    before = hospital.version
    for why, wish in bad_sets(hospital).items():
        with pytest.raises(RequestRefused):
            wish.bring()
        if why.startswith("an entry"):
            hospital.approve(wish.subject, hospital.ines, decision=Decision.REFUSE)
    assert hospital.version == before
    denied = [event for event in hospital.events() if b'"kind":"change.denied"' in event]
    assert len(denied) == 6


def test_an_operator_has_two_sets_under_way_and_takes_back_what_is_left(
    hospital: Hospital,
) -> None:
    wishes = [Wish(hospital, [member(n)]) for n in range(3)]
    for wish in wishes[:2]:
        wish.bring()
    with pytest.raises(RequestRefused, match="under way"):
        wishes[2].open()
    with pytest.raises(RequestRefused, match="another operator's"):
        wishes[0].step(hospital.otto)
    hospital.approve(wishes[0].subject, hospital.ines, decision=Decision.REFUSE)
    assert hospital.desk.find(wishes[0].subject).row.state is HeldState.REFUSED
    assert wishes[2].open().row.state is HeldState.OPEN
    hospital.world.clock.advance(APPROVAL_MS / 1000)
    with pytest.raises(RequestConflicts, match="too old"):
        wishes[1].step()
    assert wishes[0].step().row.state is HeldState.REFUSED


def test_the_papers_are_kept_as_they_were_signed(hospital: Hospital) -> None:
    wish = Wish(hospital, promoted(40))
    wish.bring()
    standing = hospital.desk.find(wish.subject)
    assert Envelope.from_bytes(standing.row.envelope) == wish.envelope
    assert [hospital.desk.request(wish.subject, n) for n in range(4)] == wish.requests


def test_a_request_of_its_own_is_not_a_way_around_its_set(hospital: Hospital) -> None:
    """Sent alone, each request of a set is judged alone: the window counts what came before."""
    gone = [ended(member(n), "revoked") for n in range(40)]
    wish = Wish(hospital, gone, size=4)
    answers = [
        hospital.directory.apply(one, hospital.ines.operator, hospital.world.now)
        for one in wish.requests
    ]
    assert isinstance(answers[0], Applied)
    assert all(isinstance(one, Held) for one in answers[1:])
