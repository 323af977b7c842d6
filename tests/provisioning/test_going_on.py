"""A large change that is cut off anywhere goes on where it was, by the same command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contract.directory import Position
from provisioning.directory import plan, sets
from provisioning.directory.administration import Administration, Answer, ChangeWaits, MovedOn
from provisioning.directory.mirror import Mirror
from provisioning.directory.staff import Met, wanted
from provisioning.directory.staff_feed import Feed
from provisioning.errors import GatewayAway
from tests.provisioning.office import CLOCK, Office, answer, made_office, member, row

PEOPLE = 1_200
REQUESTS = 3
# The set, its requests, a step for each.
EXCHANGES = 1 + 2 * REQUESTS


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with made_office(tmp_path_factory.mktemp("office")) as office:
        office.send(member(n) for n in range(PEOPLE))
        yield office


class CutOff(Administration):
    """A connection that breaks at the n-th thing said: before it is heard, or after."""

    def __init__(self, office: Office, at: int, *, heard: bool) -> None:
        honest = office.administration()
        super().__init__(honest.gateway, honest.operator)
        self.left, self.heard = at, heard

    def post(self, path: str, body: bytes = b"") -> Answer:
        self.left -= 1
        if self.left == 0 and not self.heard:
            raise GatewayAway("cut off before")
        said = super().post(path, body)
        if self.left == 0:
            raise GatewayAway("cut off after")
        return said


def feed_of(office: Office, position: str) -> Feed:
    return Feed(office.feed(*(row(n, position) for n in range(PEOPLE))))


def carry_out(office: Office, administration: Administration, position: str) -> sets.Sent | None:
    """What `tapover staff import` does, begun or gone on with."""
    name = f"staff-{position}"
    if wish := sets.prepared(plan.set_folder(office.site, name)):
        return plan.finish(administration, office.site, wish)
    with feed_of(office, position) as feed, Mirror.open(office.site) as mirror:
        mirror.sync(administration)
        entries = wanted(feed, mirror, full=False, met=Met())
        with plan.Plan(mirror, entries) as planned:
            return planned.carry_out(administration, office.site, name, CLOCK.wall_ms())


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("at", range(1, EXCHANGES + 1))
def test_it_is_carried_out_once_wherever_it_was_cut_off(
    office: Office, at: int, *, heard: bool
) -> None:
    before = office.version
    position = f"place-{at}-{int(heard)}"
    # Somebody stays, or nobody would be left where they were.
    office.send([member(PEOPLE + 2 * at + heard, *positions_of(office, 0))])
    with CutOff(office, at, heard=heard) as cut_off, pytest.raises(GatewayAway):
        carry_out(office, cut_off, position)
    with office.administration() as administration:
        sent = carry_out(office, administration, position)
    assert sent is not None
    assert sent.requests == REQUESTS
    assert office.version.n == before.n + 1 + REQUESTS
    assert positions_of(office, PEOPLE - 1)[0].id == position
    assert sets.prepared(plan.set_folder(office.site, f"staff-{position}")) is None


def test_a_gateway_that_is_killed_and_comes_back_goes_on_with_it(office: Office) -> None:
    office.send([member(PEOPLE + 100, *positions_of(office, 0))])
    with CutOff(office, EXCHANGES - 1, heard=True) as cut_off, pytest.raises(GatewayAway):
        carry_out(office, cut_off, "elsewhere")
    office.gateway.kill()
    with office.administration() as administration, pytest.raises(GatewayAway):
        carry_out(office, administration, "elsewhere")
    office.restart()
    with office.administration() as administration:
        assert carry_out(office, administration, "elsewhere") is not None
    assert positions_of(office, PEOPLE - 1)[0].id == "elsewhere"


def test_a_connection_that_was_kept_and_closed_meanwhile_is_made_anew(office: Office) -> None:
    """A gateway closes what is idle; making a large difference takes longer than that."""
    with office.administration() as administration:
        administration.get("/healthz")
        office.gateway.stop()
        office.restart()
        assert administration.get("/healthz").json()["log_size"]


def test_approved_meanwhile_the_same_command_ends_well(office: Office) -> None:
    """Nobody is left behind: the position ends whole, and a second operator must say so."""
    with office.administration() as administration, pytest.raises(ChangeWaits) as waits:
        carry_out(office, administration, "nobody-left")
    subject = waits.value.subject
    done = answer(office.tapover("directory", "approve", subject, "--yes", who="otto"))
    assert done["state"] == "done"
    with office.administration() as administration:
        sent = carry_out(office, administration, "nobody-left")
    assert sent is not None
    assert sent.version == office.version


def test_overtaken_it_is_forgotten_and_begun_anew(office: Office) -> None:
    office.send([member(PEOPLE + 101, *positions_of(office, 0))])
    with CutOff(office, REQUESTS + 1, heard=True) as cut_off, pytest.raises(GatewayAway):
        carry_out(office, cut_off, "late")
    office.send([member(5, *positions_of(office, 0))], "otto")
    with office.administration() as administration:
        with pytest.raises(MovedOn):
            carry_out(office, administration, "late")
        sent = carry_out(office, administration, "late")
    assert sent is not None
    assert positions_of(office, 5)[0].id == "late"


def positions_of(office: Office, number: int) -> tuple[Position, ...]:
    found = office.entitlement(number)
    assert found is not None
    return found.positions
