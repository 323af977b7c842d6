"""A spare is assigned by a ward's lead in person, once, to one person, and to nobody else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.directory import Entitlement, Entry, Status, parse_entry
from contract.help import Guest, HelpRefused, Named
from contract.helping import HelpReason
from contract.ids import Digest, OperatorId, TerminalId
from contract.journal import split_lines
from contract.signing import sha256
from contract.witness import Assigned, open_assignment
from gateway.directory.register import Register
from gateway.directory.requests import Operator
from gateway.directory.source import Applied, Directory
from gateway.help.spares import Seen, Spares, judge
from gateway.store import AssignmentRow
from tests.gateway.conftest import World
from tests.gateway.identities import SITE
from tests.gateway.night import (
    BAY,
    ED,
    ELSEWHERE,
    LEAD,
    SALT,
    Card,
    assignment,
    countersign,
    key,
    terms,
)
from tests.gateway.requests import request, terminal_entry

HOUR_MS = 3600 * 1000


class Site:
    """A directory with a lead, two nurses, two spares and two terminals."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ines = key()
        self.register = Register(world.authority.statement)
        self.directory = Directory(world.store, world.evidence, world.authority, self.register)
        self.spares = Spares(
            world.store, world.evidence, self.directory, self.register, world.authority
        )
        self.batch, self.other = key(), key()
        self.lead = Card("h-elena", (LEAD,))
        self.amal, self.bronwen = Card("h-amal"), Card("h-bronwen")
        self.one, self.two = Card(), Card()
        self.publish(
            terminal_entry(BAY, self.batch.public),
            terminal_entry("bay-2", self.other.public),
            *(each.entitlement for each in (self.lead, self.amal, self.bronwen)),
            *(each.spare for each in (self.one, self.two)),
        )

    @property
    def now_ms(self) -> int:
        return self.world.now.wall_ms

    def publish(self, *entries: Entry) -> None:
        operator = Operator(OperatorId("ines"), self.ines.public)
        message = request(entries, self.ines)
        assert isinstance(self.directory.apply(message, operator, self.world.now), Applied)

    def assign(self, spare: Card, person: Named | Guest, begins_ms: int | None = None) -> bytes:
        begins_ms = self.now_ms if begins_ms is None else begins_ms
        return assignment(self.batch, terms(spare, person, begins_ms), self.lead)

    def take(self, message: bytes, terminal: str = BAY) -> HelpReason:
        return self.spares.take(message, TerminalId(terminal), self.world.now)[0].reason

    def entries(self, message: bytes) -> list[Entitlement]:
        """What a change wrote."""
        found = [parse_entry(line) for line in split_lines(message, 2**20)[1]]
        return [each for each in found if isinstance(each, Entitlement)]


@pytest.fixture
def site(world: World) -> Site:
    return Site(world)


def test_a_spare_becomes_the_named_persons_in_that_ward_until_its_time(site: Site) -> None:
    wanted = terms(site.one, site.amal.named.model_copy(update={"lost": True}), site.now_ms)
    message = assignment(site.batch, wanted, site.lead)
    answer, applied = site.spares.take(message, BAY, site.world.now)
    assert answer.reason is HelpReason.GRANTED
    assert applied is not None
    card, lost = site.entries(applied.message)
    assert (card.guid, card.holder, card.not_after_ms) == (
        site.one.guid,
        "h-amal",
        wanted.until_ms,
    )
    assert [position.areas for position in card.positions] == [(ED,)]
    assert (lost.guid, lost.status) == (site.amal.guid, Status.SUSPENDED)


def test_the_same_assignment_again_changes_nothing(site: Site) -> None:
    message = site.assign(site.one, site.amal.named)
    assert site.take(message) is HelpReason.GRANTED
    before = site.directory.head
    answer, applied = site.spares.take(message, BAY, site.world.now)
    assert (answer.reason, applied) == (HelpReason.GRANTED, None)
    # The same terms and countersign in an envelope that was signed anew.
    envelope, (line,) = split_lines(message, 2**20)
    opened = open_assignment(message, SITE, BAY, site.batch.public)
    again = assignment(site.batch, opened.terms, site.lead, opened.proof)
    assert again != message
    assert site.take(again) is HelpReason.GRANTED
    assert site.directory.head == before
    assert line == opened.line
    assert envelope.digest == opened.digest


def test_a_lead_without_her_pin_assigns_nothing(site: Site) -> None:
    wanted = terms(site.one, site.amal.named, site.now_ms)
    line = wanted.to_bytes()
    tapped = countersign(site.lead, wanted.words(), line, site.now_ms, signer=site.lead.tap)
    assert site.take(assignment(site.batch, wanted, site.lead, tapped)) is HelpReason.NOT_PROVED
    ungated = Card("h-gwen", (LEAD,), gated=False)
    site.publish(ungated.entitlement)
    assert site.take(assignment(site.batch, wanted, ungated)) is HelpReason.NOT_PROVED


@pytest.mark.parametrize("who", ["nurse", "lead of another ward", "lead on a spare"])
def test_nobody_else_assigns(site: Site, who: str) -> None:
    card = Card("h-gwen", (ELSEWHERE,)) if who == "lead of another ward" else Card("h-gwen")
    if who == "lead on a spare":
        card = Card("h-gwen", (LEAD,))
        site.publish(card.spare)
    site.publish(card.entitlement)
    wanted = terms(site.one, site.amal.named, site.now_ms)
    assert site.take(assignment(site.batch, wanted, card)) is HelpReason.NOT_LEAD


def test_a_lead_does_not_assign_to_herself(site: Site) -> None:
    assert site.take(site.assign(site.one, site.lead.named)) is HelpReason.SAME_PERSON


def test_a_countersign_holds_for_its_terms_and_its_terminal_alone(site: Site) -> None:
    agreed = terms(site.one, site.amal.named, site.now_ms)
    proof = countersign(site.lead, agreed.words(), agreed.to_bytes(), site.now_ms)
    other = terms(site.one, site.bronwen.named, site.now_ms)
    forged = assignment(site.batch, other, site.lead, proof)
    assert site.take(forged) is HelpReason.NOT_BELIEVED
    honest = assignment(site.batch, agreed, site.lead, proof)
    assert site.take(honest, "bay-2") is HelpReason.NOT_BELIEVED
    stolen = assignment(site.other, agreed, site.lead, proof)
    assert site.take(stolen, "bay-2") is HelpReason.NOT_BELIEVED
    assert site.take(honest, "bay-9") is HelpReason.TERMINAL_UNKNOWN


def test_a_person_holds_one_and_a_spare_is_used_once(site: Site) -> None:
    first = terms(site.one, site.amal.named, site.now_ms, length_ms=HOUR_MS)
    assert site.take(assignment(site.batch, first, site.lead)) is HelpReason.GRANTED
    site.world.clock.advance(1.0)
    assert site.take(site.assign(site.two, site.amal.named)) is HelpReason.HAS_ONE
    assert site.take(site.assign(site.one, site.bronwen.named)) is HelpReason.LATER
    site.world.clock.advance(3600.0)
    assert site.take(site.assign(site.one, site.bronwen.named)) is HelpReason.SPARE_USED
    assert site.take(site.assign(site.two, site.amal.named)) is HelpReason.GRANTED


def test_what_is_over_or_of_the_future_is_refused(site: Site) -> None:
    now_ms = site.now_ms
    late = site.assign(site.one, site.amal.named, now_ms - 12 * HOUR_MS)
    assert site.take(late) is HelpReason.NOT_NOW
    early = site.assign(site.one, site.amal.named, now_ms + HOUR_MS)
    assert site.take(early) is HelpReason.NOT_NOW


@pytest.mark.parametrize("same_spare", [True, False])
@pytest.mark.parametrize("earlier_first", [True, False])
def test_of_two_the_earlier_stands_whichever_comes_first(
    site: Site,
    *,
    same_spare: bool,
    earlier_first: bool,
) -> None:
    other = (site.one, site.bronwen) if same_spare else (site.two, site.amal)
    earlier = site.assign(site.one, site.amal.named, site.now_ms - 2000)
    later = site.assign(other[0], other[1].named, site.now_ms - 1000)
    order = (earlier, later) if earlier_first else (later, earlier)
    reasons = [site.take(message) for message in order]
    if earlier_first:
        assert reasons == [
            HelpReason.GRANTED,
            HelpReason.LATER if same_spare else HelpReason.HAS_ONE,
        ]
    else:
        assert reasons == [HelpReason.GRANTED, HelpReason.GRANTED]
    standing = [row for row in site.spares.newest() if row.reason is HelpReason.GRANTED]
    assert [row.begins_ms for row in standing] == [site.now_ms - 2000]
    # What had to give way stays settled, also when it is sent again.
    assert site.take(later) is not HelpReason.GRANTED


def test_a_card_that_is_suspended_vouches_for_nobody(site: Site) -> None:
    suspended = site.amal.entitlement.model_copy(update={"status": Status.SUSPENDED})
    seen = _seen(site.lead, site.one, site.amal, own=suspended)
    with pytest.raises(HelpRefused) as refused:
        judge(_opened(site.lead, site.one, site.amal, 1000), seen, 2000, SALT)
    assert refused.value.reason is HelpReason.PERSON_UNKNOWN


# --- the judge alone ----------------------------------------------------------------------------

_LEAD, _BATCH = Card("h-elena", (LEAD,)), key()
_SPARES = [Card(), Card()]
_PEOPLE = [Card(f"h-{name}") for name in ("amal", "bronwen", "dafydd")]


def _opened(lead: Card, spare: Card, person: Card, begins_ms: int) -> Assigned:
    message = assignment(_BATCH, terms(spare, person.named, begins_ms), lead)
    return open_assignment(message, SITE, BAY, _BATCH.public)


def _seen(
    lead: Card,
    spare: Card,
    person: Card,
    rows: Sequence[AssignmentRow] = (),
    held: Entitlement | None = None,
    own: Entitlement | None = None,
) -> Seen:
    others = tuple(row for row in rows if row.spare == spare.guid or row.holder == person.holder)
    return Seen(
        ward=ED,
        lead=lead.entitlement,
        lead_on_spare=False,
        spare=spare.spare,
        held=held,
        own=own or person.entitlement,
        own_on_spare=False,
        others=others,
    )


def _row(assigned: Assigned) -> AssignmentRow:
    return AssignmentRow(
        terms=sha256(assigned.line),
        digest=Digest(assigned.digest),
        spare=assigned.terms.spare,
        holder=assigned.terms.holder,
        terminal=BAY,
        begins_ms=assigned.terms.begins_ms,
        until_ms=assigned.terms.until_ms,
        received_ms=0,
        reason=HelpReason.GRANTED,
        message=b"",
    )


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=6
    )
)
def test_whatever_comes_in_whatever_order_nobody_holds_two_and_no_spare_is_two_peoples(
    wishes: list[tuple[int, int, int]],
) -> None:
    standing: dict[str, AssignmentRow] = {}
    cards: dict[str, Entitlement] = {}
    for which, who, at in wishes:
        spare, person = _SPARES[which], _PEOPLE[who]
        assigned = _opened(_LEAD, spare, person, 1000 + at)
        held = cards.get(spare.guid)
        seen = _seen(_LEAD, spare, person, list(standing.values()), held)
        # Refused only for one that was there before by site time, or a spare that was used.
        earlier = [row for row in seen.others if row.order <= assigned.order]
        used = held is not None and not [row for row in seen.others if row.spare == spare.guid]
        if earlier or used:
            with pytest.raises(HelpRefused):
                judge(assigned, seen, 2000, SALT)
            continue
        ruling = judge(assigned, seen, 2000, SALT)
        assert all(loser.order > assigned.order for loser in ruling.losers)
        for loser in ruling.losers:
            del standing[loser.terms]
        standing[sha256(assigned.line)] = _row(assigned)
        cards |= {card.guid: card for card in ruling.cards}
    rows = list(standing.values())
    assert len({row.spare for row in rows}) == len(rows)
    assert len({row.holder for row in rows}) == len(rows)
    for row in rows:
        assert cards[row.spare].holder == row.holder


@given(st.binary(max_size=400))
def test_any_bytes_end_in_a_refusal(data: bytes) -> None:
    with pytest.raises(HelpRefused):
        open_assignment(data, SITE, BAY, _BATCH.public)
