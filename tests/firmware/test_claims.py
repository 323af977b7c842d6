"""Whoever breaks the glass: from which states, in whose name, and in whose never (pure)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.directory import Entitlement, Status
from contract.ids import TerminalId
from contract.policy import BreakGlassState, Policy
from firmware_py.emergency.claims import confirms, judge_card, judge_nobody
from firmware_py.signon.decision import Proof
from tests.firmware.rights import (
    ALICE,
    GUID,
    NOW_MS,
    OTHER_GUID,
    TERMINAL,
    card_key,
    entitlement,
    policy,
)
from tests.firmware.taps import BREAK_GLASS, NINE_A, TAP

EVERY = tuple(BreakGlassState)
BY_CARD = tuple(state for state in BreakGlassState if state is not BreakGlassState.NO_CARD)
STRANGER = replace(TAP, guid=OTHER_GUID, key=None)
CLONE = replace(TAP, key=None)


def ward(*states: BreakGlassState, **changes: object) -> Policy:
    glass = BREAK_GLASS.model_copy(update={"states": states, **changes})
    return policy(break_glass=glass)


@pytest.mark.parametrize("state", BY_CARD)
def test_a_good_card_stands_for_its_holder_from_every_state_the_ward_names(
    state: BreakGlassState,
) -> None:
    claim = judge_card(state, TAP, entitlement(), ward(*EVERY))
    assert claim is not None
    assert (claim.holder, claim.guid, claim.state) == (ALICE, GUID, state)


@pytest.mark.parametrize("state", EVERY)
def test_from_a_state_that_the_ward_does_not_name_nothing_is_to_be_had(
    state: BreakGlassState,
) -> None:
    others = tuple(one for one in EVERY if one is not state)
    assert judge_card(state, TAP, entitlement(), ward(*others)) is None
    forbidden = ward(*EVERY, allowed=False, without_card=(TERMINAL,))
    assert judge_card(state, TAP, entitlement(), forbidden) is None
    assert judge_nobody(forbidden, TERMINAL) is None
    assert judge_card(state, TAP, entitlement(), policy()) is None


proofs = st.builds(
    replace,
    st.just(TAP),
    guid=st.sampled_from([GUID, OTHER_GUID]),
    key=st.sampled_from([None, TAP.key, card_key(NINE_A)]),
)
cards = st.one_of(
    st.none(),
    st.builds(
        lambda status, guid: entitlement(status=status, guid=guid),
        st.sampled_from(Status),
        st.sampled_from([GUID, OTHER_GUID]),
    ),
)
wards = st.builds(
    lambda states, allowed: ward(*states, allowed=allowed),
    st.lists(st.sampled_from(EVERY), unique=True),
    st.booleans(),
)


@given(state=st.sampled_from(EVERY), proof=proofs, card=cards, here=wards)
def test_never_in_the_name_of_a_card_that_is_lost_revoked_or_fails_its_key(
    state: BreakGlassState, proof: Proof, card: Entitlement | None, here: Policy
) -> None:
    claim = judge_card(state, proof, card, here)
    if claim is None:
        return
    assert here.break_glass is not None
    assert state in here.break_glass.states
    assert claim.guid == proof.guid
    if card is None:
        assert claim.holder is None
    else:
        assert claim.holder == card.holder
        assert card.status not in (Status.LOST, Status.REVOKED)
        assert (proof.guid, proof.key) == (card.guid, TAP.key)


@pytest.mark.parametrize("status", [Status.LOST, Status.REVOKED])
@pytest.mark.parametrize("state", BY_CARD)
def test_a_lost_or_revoked_card_breaks_nothing_also_not_in_nobodys_name(
    state: BreakGlassState, status: Status
) -> None:
    assert judge_card(state, TAP, entitlement(status=status), ward(*EVERY)) is None


@pytest.mark.parametrize("state", BY_CARD)
def test_a_copied_guid_breaks_nothing(state: BreakGlassState) -> None:
    assert judge_card(state, CLONE, entitlement(), ward(*EVERY)) is None


def test_a_card_that_nobody_knows_stands_for_nobody_and_what_it_says_is_data() -> None:
    claim = judge_card(BreakGlassState.CARD_UNKNOWN, STRANGER, None, ward(*EVERY))
    assert claim is not None
    assert (claim.holder, claim.guid) == (None, OTHER_GUID)


@pytest.mark.parametrize(
    "state", [BreakGlassState.PIN_OWED, BreakGlassState.EXPIRED, BreakGlassState.SUSPENDED]
)
def test_a_card_that_vanished_from_the_directory_since_its_tap_breaks_nothing(
    state: BreakGlassState,
) -> None:
    assert judge_card(state, TAP, None, ward(*EVERY)) is None


def test_without_a_card_only_where_the_ward_says_that_only_staff_come() -> None:
    here = ward(*EVERY, without_card=(TERMINAL,))
    claim = judge_nobody(here, TERMINAL)
    assert claim is not None
    assert (claim.holder, claim.guid) == (None, None)
    assert judge_nobody(here, TerminalId("corridor-1")) is None
    assert judge_nobody(ward(BreakGlassState.PIN_OWED, without_card=(TERMINAL,)), TERMINAL) is None


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"status": Status.SUSPENDED}, False),
        ({"status": Status.LOST}, False),
        ({"not_after_ms": NOW_MS}, False),
        ({"not_before_ms": NOW_MS + 1}, False),
    ],
)
def test_a_colleague_confirms_with_a_card_in_use(
    changes: dict[str, object],
    counts: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert confirms(TAP, entitlement(**changes), NOW_MS) is counts
    assert not confirms(CLONE, entitlement(), NOW_MS)
    assert not confirms(TAP, None, NOW_MS)
