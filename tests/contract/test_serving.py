"""Whether a ward can be served by a policy: what is held against one, and what is left of it."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from contract.ids import HolderId, PositionId, TerminalId, WardId
from contract.policy import BreakGlass, Downtime, GraceScope, Policy
from contract.serving import Interface, Objection, Unservable, served, unservable

HERE, THERE, AWAY = TerminalId("bay-1"), TerminalId("bay-2"), TerminalId("theatre-1")
BOTH: frozenset[Interface] = frozenset({"contact", "contactless"})
PLATE: frozenset[Interface] = frozenset({"contactless"})
GLASS = BreakGlass(allowed=True, position=PositionId("ed-emergency"), reasons=("E1",), limit_s=600)


def policy(**changes: object) -> Policy:
    return Policy.model_validate({"ward": WardId("ed"), "salt": "0" * 32, **changes})


class Staff:
    """Who holds which role, and which positions there are."""

    def __init__(self, positions: Collection[str] = (), **roles: int) -> None:
        self.positions = positions
        self.roles = roles

    def is_position(self, position: PositionId) -> bool:
        return position in self.positions

    def with_roles(self, roles: Collection[str], most: int) -> int:
        return min(most, sum(self.roles.get(role, 0) for role in roles))


def why(found: Collection[Objection]) -> list[Unservable]:
    return [one.why for one in found]


def test_the_defaults_are_served_by_any_ward() -> None:
    slot: frozenset[Interface] = frozenset({"contact"})
    wards: list[dict[TerminalId, frozenset[Interface] | None]]
    wards = [{}, {HERE: None}, {HERE: BOTH}, {HERE: slot}]
    for interfaces in wards:
        assert unservable(policy(), interfaces, Staff()) == ()


@pytest.mark.parametrize(
    ("interfaces", "changes", "refused"),
    [
        ({HERE: PLATE}, {}, True),
        ({HERE: PLATE}, {"pin_contactless": True}, False),
        ({HERE: BOTH}, {}, False),
        ({HERE: BOTH, THERE: PLATE}, {}, True),  # nobody could ever sign on at the second
        ({HERE: BOTH, THERE: PLATE}, {"grace_scope": GraceScope.WARD}, False),
        ({HERE: PLATE, THERE: PLATE}, {"grace_scope": GraceScope.WARD}, True),
        ({HERE: BOTH, THERE: PLATE}, {"grace_scope": GraceScope.WARD, "grace_s": 0}, True),
        ({HERE: PLATE, THERE: None}, {"grace_scope": GraceScope.WARD}, False),  # it may have a slot
        ({HERE: None}, {}, False),
    ],
)
def test_somewhere_a_pin_must_be_taken(
    interfaces: dict[TerminalId, frozenset[Interface] | None],
    changes: dict[str, object],
    *,
    refused: bool,
) -> None:
    if "grace_scope" in changes:
        changes = {**changes, "grace_approved_by": HolderId("h-elena")}
    found = unservable(policy(**changes), interfaces)
    assert why(found) == [Unservable.PIN_NOWHERE] * refused
    assert all("bay-" in one.words for one in found)


def test_break_glass_without_a_card_is_for_the_wards_own_terminals() -> None:
    glass = GLASS.model_copy(update={"without_card": (HERE, AWAY)})
    asked = policy(break_glass=glass)
    (found,) = unservable(asked, {HERE: BOTH})
    assert (found.why, found.field) == (
        Unservable.TERMINAL_ELSEWHERE,
        "break_glass.without_card",
    )
    assert "theatre-1" in found.words
    left = served(asked, [found]).break_glass
    assert left is not None
    assert (left.position, left.without_card) == (GLASS.position, ())


@pytest.mark.parametrize(
    ("position", "staff", "known"),
    [
        ("ed-emergency", Staff(), True),  # the ward's own need not be held by anybody
        ("emergency", Staff(), False),
        ("emergency", Staff({"emergency"}), True),
        ("theatre-emergency", Staff(), False),
        ("emergency", None, True),  # a terminal does not know
    ],
)
def test_break_glass_opens_a_position_that_is_known(
    position: str, staff: Staff | None, *, known: bool
) -> None:
    glass = GLASS.model_copy(update={"position": position})
    asked = policy(break_glass=glass)
    found = unservable(asked, {}, staff)
    assert why(found) == [Unservable.POSITION_UNKNOWN] * (not known)
    assert (served(asked, found).break_glass is not None) is known


@pytest.mark.parametrize(
    ("downtime", "roles", "objection"),
    [
        (Downtime(roles=("R1",)), (), None),
        (Downtime(roles=("R2",)), (), Unservable.DOWNTIME_NOBODY),  # one person alone
        (Downtime(roles=("R3",)), (), Unservable.DOWNTIME_NOBODY),
        (Downtime(roles=("R2", "R3", "R1")), (), None),
        (Downtime(roles=("R1",)), ("R2",), Unservable.DOWNTIME_NOBODY),  # they may not sign on here
        (Downtime(roles=("R1",), off=("R1",)), (), Unservable.DOWNTIME_OFF),
        (Downtime(roles=("R1", "R2"), off=("R2",)), (), None),
    ],
)
def test_two_people_can_declare_downtime(
    downtime: Downtime, roles: tuple[str, ...], objection: Unservable | None
) -> None:
    asked = policy(downtime=downtime, roles=roles)
    found = unservable(asked, {}, Staff(R1=5, R2=1))
    assert why(found) == ([objection] if objection else [])
    assert (served(asked, found).downtime is None) is (objection is not None)


def test_roles_that_nobody_holds_shut_everybody_out_and_nothing_widens_them() -> None:
    asked = policy(roles=("R9",))
    found = unservable(asked, {}, Staff(R1=5))
    assert why(found) == [Unservable.ROLES_NOBODY]
    assert served(asked, found).roles == ("R9",)


def test_everything_that_stands_against_it_is_said_at_once() -> None:
    glass = GLASS.model_copy(update={"position": "emergency", "without_card": (AWAY,)})
    asked = policy(break_glass=glass, downtime=Downtime(roles=("R9",)), roles=("R9",))
    found = unservable(asked, {HERE: PLATE}, Staff(R1=5))
    assert set(why(found)) == set(Unservable) - {Unservable.DOWNTIME_OFF}
    assert all(one.words and one.field for one in found)
