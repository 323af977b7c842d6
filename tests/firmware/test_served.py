"""A terminal with a policy that it cannot serve, or cannot read: it keeps working, and says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.directory import Terminal, TerminalState
from contract.ids import PositionId, TerminalId, Version, WardId
from contract.policy import BreakGlass, Downtime, Policy
from contract.wire import WireError
from firmware_py.trust.here import Place, default_policy
from firmware_py.trust.serving import Served
from firmware_py.trust.statements import Apply, Held, judge_change
from firmware_py.trust.store import Directory
from tests.firmware.rights import (
    GUID,
    KEYS,
    TERMINAL,
    WARD,
    Gateway,
    entitlement,
    policy,
    terminal,
)
from tests.firmware.test_store import load

PLATE, SLOT = frozenset({"contactless"}), frozenset({"contact"})
THEATRE = TerminalId("theatre-1")
GLASS = BreakGlass(
    allowed=True,
    position=PositionId("resus-emergency"),
    reasons=("E1",),
    limit_s=600,
    without_card=(TERMINAL, THEATRE),
)


def beyond(**changes: object) -> Policy:
    """Signed by a gateway that does not know our ceilings."""
    return Policy.model_construct(**{**policy().model_dump(), **changes})


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    made, trouble = Directory.open_or_replace(tmp_path / "directory.sqlite", Held())
    assert trouble is None
    yield made
    made.close()


class Seen:
    """A terminal's view of its ward, and the alarms that it raised."""

    def __init__(self, interfaces: frozenset[str] = frozenset()) -> None:
        self.alarms: list[str] = []
        self.register = {TERMINAL: terminal()}
        self.served = Served(self.register.get, lambda _, why: self.alarms.append(why))
        self.served.interfaces = lambda: interfaces  # type: ignore[assignment,return-value]

    def policy(self, asked: Policy, unread: str = "") -> Policy:
        return self.served.place(Place(Version(1, 1), terminal(), asked, unread)).policy


def test_what_can_be_served_is_served_as_it_is() -> None:
    seen = Seen(SLOT)
    asked = policy(downtime=Downtime(roles=("R8001",)), hold_s=60)
    assert seen.policy(asked) == asked
    assert seen.alarms == []


def test_a_ward_without_a_slot_keeps_its_rule_and_tells_it_once() -> None:
    seen = Seen(PLATE)
    for _ in range(3):
        assert seen.policy(policy()) == policy()  # no PIN without contact: that is never given up
    assert len(seen.alarms) == 1
    assert "pin_contactless" in seen.alarms[0]
    seen.policy(policy(pin_contactless=True))
    seen.policy(policy())
    assert len(seen.alarms) == 2


def test_readers_that_are_not_known_yet_are_held_against_nobody() -> None:
    seen = Seen()
    assert seen.policy(policy()) == policy()
    assert seen.alarms == []


def test_break_glass_without_a_card_is_left_out_where_it_names_another_wards_terminal() -> None:
    seen = Seen(SLOT)
    left = seen.policy(policy(break_glass=GLASS)).break_glass
    assert left is not None
    assert (left.without_card, left.position) == ((), GLASS.position)
    assert "theatre-1" in seen.alarms[0]


def test_downtime_that_locks_out_who_declares_it_is_none() -> None:
    seen = Seen(SLOT)
    asked = policy(downtime=Downtime(roles=("R8001",), off=("R8001",)))
    assert seen.policy(asked).downtime is None
    assert len(seen.alarms) == 1


def test_a_place_is_judged_once_a_version() -> None:
    looked: list[TerminalId] = []

    def find(name: TerminalId) -> Terminal | None:
        looked.append(name)
        return None

    served = Served(find, lambda *_: None)
    place = Place(Version(1, 1), terminal(), policy(break_glass=GLASS))
    assert served.place(place) is served.place(place)
    assert looked == [TERMINAL, THEATRE]


def test_an_unreadable_policy_keeps_no_revocation_from_the_terminal(directory: Directory) -> None:
    gateway = Gateway()
    with pytest.raises(WireError):
        Policy.from_bytes(beyond(idle_lock_s=99_999).to_bytes())
    message = gateway.change(entitlement(), terminal(), beyond(idle_lock_s=99_999))
    verdict = judge_change(message, KEYS, Held())
    assert isinstance(verdict, Apply)
    directory.apply(verdict.change)
    place = directory.place(TERMINAL)
    assert place.policy == default_policy(WARD)
    assert "idle_lock_s" in place.unread
    assert directory.entitlement(GUID) is not None
    seen = Seen(SLOT)
    assert seen.policy(place.policy, place.unread) == default_policy(WARD)
    assert len(seen.alarms) == 1
    later = judge_change(gateway.change(policy(grace_s=60)), KEYS, directory.held)
    assert isinstance(later, Apply)
    directory.apply(later.change)
    assert (directory.place(TERMINAL).policy.grace_s, directory.place(TERMINAL).unread) == (60, "")


def test_nor_does_one_in_a_snapshot(directory: Directory) -> None:
    gateway = Gateway()
    gateway.change(entitlement(), terminal(), beyond(grace_s=-1))
    load(directory, gateway)
    assert directory.place(TERMINAL).policy == default_policy(WARD)
    assert directory.entitlement(GUID) is not None


def test_any_other_entry_that_cannot_be_read_is_refused_as_ever() -> None:
    gateway = Gateway()
    wrong = Terminal.model_construct(
        **{**terminal().model_dump(), "state": TerminalState.ACTIVE, "ward": WardId("NO WARD")}
    )
    assert not isinstance(judge_change(gateway.change(wrong), KEYS, Held()), Apply)
    nameless = beyond(ward=WardId("NO WARD"))
    assert not isinstance(judge_change(Gateway().change(nameless), KEYS, Held()), Apply)
