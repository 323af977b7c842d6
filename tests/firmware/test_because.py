"""Why a PIN is asked: the sentence on the pad is the reason of the decision."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.directory import Entitlement
from contract.events import ClockTrust
from contract.ids import BootId, HolderId, KeyId, PositionId, Version
from contract.policy import GraceScope, Policy, PositionGrace, RoleGrace
from firmware_py.pin.words import WHY_ASKED
from firmware_py.signon.because import UNHEARD_MS, Because, why_not
from firmware_py.signon.decision import ChoosePosition, Decision, NeedsPin, Open, decide
from firmware_py.signon.grace import ProvenPin, remaining_ms
from firmware_py.trust.here import Place
from firmware_py.trust.sitetime import Freshness, Moment
from tests.firmware.rights import (
    NOW_MS,
    TERMINAL,
    entitlement,
    policy,
    position,
    terminal,
)
from tests.firmware.taps import BOOT, NOW, ONLINE, TAP, UNCONFIRMED, proved

WARD_WIDE = policy(grace_scope=GraceScope.WARD, grace_approved_by="h-lead")
SHORT_ROLE = policy(grace_by_role=(RoleGrace(role="R8001", grace_s=300),))
SHORT_POSITION = policy(
    grace_by_position=(PositionGrace(position=PositionId("nurse"), grace_s=300),)
)


def judged(
    grace: ProvenPin | None = None,
    ward: Policy | None = None,
    freshness: Freshness = ONLINE,
    rights: Entitlement | None = None,
) -> Decision:
    place = Place(Version(1, 5), terminal(), ward or policy())
    return decide(TAP, rights or entitlement(not_before_ms=0), place, grace, freshness, NOW)


def because(decision: Decision) -> Because:
    assert isinstance(decision, NeedsPin)
    return decision.because


UNHEARD = Freshness(ClockTrust.SITE, NOW_MS, UNHEARD_MS + 1, 0)
CASES: dict[str, tuple[Decision, Because]] = {
    "the first tap of a shift": (judged(), Because.FIRST),
    "the ward's grace is over": (judged(proved(241)), Because.GRACE_OVER),
    "the role's is": (judged(proved(6), SHORT_ROLE), Because.SHORT_GRACE),
    "the position's is": (judged(proved(6), SHORT_POSITION), Because.SHORT_GRACE),
    "both are": (judged(proved(241), SHORT_ROLE), Because.GRACE_OVER),
    "offline, where it may have been proved elsewhere": (
        judged(None, WARD_WIDE, UNHEARD),
        Because.OFFLINE,
    ),
    "offline, where it counts here alone": (judged(None, None, UNHEARD), Because.FIRST),
    "online, where it may have been proved elsewhere": (judged(None, WARD_WIDE), Because.FIRST),
    "offline, and known to be over": (judged(proved(241), WARD_WIDE, UNHEARD), Because.GRACE_OVER),
    "no confirmed clock": (judged(proved(1), None, UNCONFIRMED), Because.CLOCK),
    "no confirmed clock, first tap": (judged(None, WARD_WIDE, UNCONFIRMED), Because.CLOCK),
    "put into use again": (
        judged(proved(10), rights=entitlement(not_before_ms=NOW_MS - 60_000)),
        Because.RESTORED,
    ),
    "another key since": (judged(proved(1, key=KeyId("00" * 32))), Because.FIRST),
    "another holder since": (judged(proved(1, holder=HolderId("bea"))), Because.FIRST),
    "another boot": (judged(proved(1, at=Moment(BootId("b1" * 16), 5))), Because.FIRST),
}


@pytest.mark.parametrize(("decision", "reason"), CASES.values(), ids=CASES)
def test_the_pad_knows_why_it_asks(decision: Decision, reason: Because) -> None:
    assert because(decision) is reason


def test_every_reason_has_its_own_sentence() -> None:
    assert set(WHY_ASKED) == set(Because)
    assert len(set(WHY_ASKED.values())) == len(Because)


def test_a_position_may_have_a_shorter_grace_than_its_role() -> None:
    """FIELD 3: the widest rights get the shortest grace."""
    manager = holding("manager")
    ward = policy(
        grace_s=3600,
        grace_by_role=(RoleGrace(role="R8001", grace_s=1800),),
        grace_by_position=(PositionGrace(position=PositionId("manager"), grace_s=60),),
    )
    assert isinstance(judged(proved(2), ward, rights=manager), NeedsPin)
    assert isinstance(judged(proved(2), ward), Open)  # as a nurse, of the same role
    assert isinstance(judged(proved(31), ward), NeedsPin)


def holding(id_: str) -> Entitlement:
    return entitlement(positions=(position(id_, "R8001"),), not_before_ms=0)


def test_of_two_positions_the_one_that_lasts_longer_can_be_chosen_without_a_pin() -> None:
    two = entitlement(positions=(position("nurse"), position("manager", "R8001")), not_before_ms=0)
    ward = policy(grace_by_position=(PositionGrace(position=PositionId("manager"), grace_s=0),))
    assert isinstance(judged(proved(1), ward, rights=two), ChoosePosition)
    both = policy(
        grace_by_position=(
            PositionGrace(position=PositionId("manager"), grace_s=0),
            PositionGrace(position=PositionId("nurse"), grace_s=30),
        )
    )
    assert because(judged(proved(1), both, rights=two)) is Because.SHORT_GRACE


@given(
    minutes=st.floats(-5, 800),
    grace_s=st.sampled_from([0, 60, 600, 4 * 3600]),
    role_s=st.sampled_from([None, 0, 60, 4 * 3600]),
    position_s=st.sampled_from([None, 0, 60, 4 * 3600]),
    boot=st.sampled_from([BOOT, BootId("b1" * 16)]),
    begins_ms=st.sampled_from([0, NOW_MS - 60_000, NOW_MS]),
)
def test_no_reason_is_given_exactly_where_the_pin_still_stands(
    minutes: float,
    grace_s: int,
    role_s: int | None,
    position_s: int | None,
    boot: BootId,
    begins_ms: int,
) -> None:
    by_role = () if role_s is None else (RoleGrace(role="R8001", grace_s=role_s),)
    by_position = (
        ()
        if position_s is None
        else (PositionGrace(position=PositionId("nurse"), grace_s=position_s),)
    )
    ward = policy(grace_s=grace_s, grace_by_role=by_role, grace_by_position=by_position)
    fact = proved(minutes)
    fact = replace(fact, at=Moment(boot, fact.at.monotonic_ms))
    rights = entitlement(not_before_ms=begins_ms)
    reason = why_not(fact, rights, position(), ward, TERMINAL, NOW_MS, NOW)
    left_ms = remaining_ms(fact, ward, "R8001", TERMINAL, NOW, PositionId("nurse"))
    passed_ms = NOW.monotonic_ms - fact.at.monotonic_ms
    stands = left_ms > 0 and NOW_MS - passed_ms >= begins_ms
    assert (reason is None) == stands
    least_s = min(s for s in (grace_s, role_s, position_s) if s is not None)
    if reason is None:
        assert boot == NOW.boot
        assert 0 <= passed_ms < least_s * 1000
    if reason is Because.SHORT_GRACE:
        assert least_s * 1000 <= passed_ms < grace_s * 1000
    if reason is Because.GRACE_OVER:
        assert passed_ms >= grace_s * 1000
