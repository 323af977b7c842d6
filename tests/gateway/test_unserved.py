"""A reader is changed long after its ward's policy was judged: found, told, and over again."""

from __future__ import annotations

from typing import Any

import pytest

from contract.directory import TerminalState
from contract.events import Event
from contract.governing import PolicyUnserved
from contract.ids import HolderId, TerminalId
from contract.policy import GraceScope
from contract.serving import Interface
from gateway.directory.source import Applied
from gateway.evidence.journal import Moment
from gateway.link.unserved import SETTLE_S, Unserved
from gateway.store import StoreFailed
from tests.gateway.conftest import World
from tests.gateway.staff import Hospital, staff
from tests.gateway.test_policies import policy, terminal

BAY, RESUS = TerminalId("bay-1"), TerminalId("resus-1")
BOTH: frozenset[Interface] = frozenset({"contact", "contactless"})
PLATE: frozenset[Interface] = frozenset({"contactless"})


class Watched:
    """A site with two terminals in one ward, and what they say of their readers."""

    def __init__(self, world: World, **changes: Any) -> None:  # noqa: ANN401 - a policy's fields
        self.world, self.hospital = world, Hospital(world)
        self.says: dict[TerminalId, frozenset[Interface]] = {BAY: BOTH, RESUS: BOTH}
        ward = (terminal(BAY), terminal(RESUS), policy(**changes))
        assert isinstance(self.hospital.ask(*ward, *staff(5)), Applied)
        self.reopen()

    def reopen(self) -> None:
        world, register = self.world, self.hospital.register
        self.unserved = Unserved(
            world.store, world.evidence, register, lambda: self.says, world.clock
        )

    def look(self, after_s: float = 0) -> None:
        self.world.clock.advance(after_s)
        self.unserved.look(Moment.of(self.world.clock))

    def told(self) -> list[tuple[str, str]]:
        details = [Event.from_bytes(line).detail for line in self.hospital.events()]
        return [(d.terminal, d.state) for d in details if isinstance(d, PolicyUnserved)]


@pytest.fixture
def site(world: World) -> Watched:
    return Watched(world)


def test_a_reader_without_a_slot_is_found_and_its_end_too(site: Watched) -> None:
    site.look()
    site.says[BAY] = PLATE
    site.look()
    site.look(SETTLE_S - 1)
    assert (site.told(), site.unserved.stands(BAY)) == ([], False)
    site.look(1)
    assert site.told() == [(BAY, "begun")]
    assert (site.unserved.stands(BAY), site.unserved.stands(RESUS)) == (True, False)
    site.look(3600)
    assert site.told() == [(BAY, "begun")], "once"
    site.says[BAY] = BOTH
    site.look()
    site.look(SETTLE_S)
    assert site.told() == [(BAY, "begun"), (BAY, "ended")]
    assert not site.unserved.stands(BAY)


def test_a_reader_that_is_put_in_again_is_no_finding(site: Watched) -> None:
    for kinds in (PLATE, BOTH, PLATE, BOTH):
        site.says[BAY] = kinds
        site.look(SETTLE_S - 1)
    site.look(SETTLE_S)
    assert site.told() == []


def test_a_terminal_that_is_away_says_nothing_new(site: Watched) -> None:
    site.says[BAY] = PLATE
    site.look()
    site.look(SETTLE_S)
    del site.says[BAY]
    site.look()
    site.look(SETTLE_S)
    assert site.told() == [(BAY, "begun")]


@pytest.mark.parametrize("how", ["policy", "retired"])
def test_what_the_directory_mends_ends_it(site: Watched, how: str) -> None:
    site.says[BAY] = PLATE
    site.look()
    site.look(SETTLE_S)
    retired = terminal(BAY, state=TerminalState.RETIRED)
    entry = policy(pin_contactless=True) if how == "policy" else retired
    assert isinstance(site.hospital.ask(entry), Applied)
    site.look()
    site.look(SETTLE_S)
    assert site.told() == [(BAY, "begun"), (BAY, "ended")]


def test_where_a_pin_counts_in_the_whole_ward_one_slot_is_enough(world: World) -> None:
    shared = {"grace_scope": GraceScope.WARD, "grace_approved_by": HolderId("h-elena")}
    site = Watched(world, **shared)
    site.says[BAY] = PLATE
    site.look()
    site.look(SETTLE_S)
    assert site.told() == []
    site.says[RESUS] = PLATE
    site.look()
    site.look(SETTLE_S)
    assert site.told() == [(BAY, "begun"), (RESUS, "begun")]


def test_what_stands_is_told_anew_by_the_next_gateway(site: Watched) -> None:
    site.says[BAY] = PLATE
    site.look()
    site.look(SETTLE_S)
    site.reopen()
    site.look()
    site.look(SETTLE_S)
    assert site.told() == [(BAY, "begun"), (BAY, "begun")]


def test_what_could_not_be_written_is_told_later(
    site: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.says[BAY] = PLATE
    site.look()

    def full(*_: object) -> None:
        raise StoreFailed("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(site.world.evidence, "write_own", full)
        with pytest.raises(StoreFailed):
            site.look(SETTLE_S)
    assert not site.unserved.stands(BAY)
    site.look()
    assert site.told() == [(BAY, "begun")]
