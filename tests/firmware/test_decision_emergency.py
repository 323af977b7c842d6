"""What a ward offers instead, from each state, and what a declared downtime changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from contract.directory import Entitlement, Status
from contract.events import ClockTrust, Reason
from contract.ids import Version
from contract.policy import BreakGlassState, Downtime, Policy
from firmware_py.signon.decision import (
    Decision,
    NeedsPin,
    OfferBreakGlass,
    Open,
    Proof,
    Refuse,
    decide,
)
from firmware_py.trust.here import Place, default_policy
from firmware_py.trust.sitetime import Freshness
from tests.firmware.rights import NOW_MS, entitlement, policy, position, terminal
from tests.firmware.taps import BREAK_GLASS, HOUR_S, NOW, ONLINE, PIN, TAP, proved

NOWHERE = Place(directory=None, terminal=None, policy=default_policy())
STALE = Freshness(ClockTrust.SITE, NOW_MS, 5 * HOUR_S * 1000, 0)
DOWNTIME = Downtime(roles=("R8001L",), off=("R0270",))


def ward(*states: BreakGlassState, **changes: Any) -> Policy:  # noqa: ANN401 - by field
    glass = BREAK_GLASS.model_copy(update={"states": states})
    return policy(**{"break_glass": glass, **changes})


def judged(
    card: Entitlement | None,
    here: Policy,
    proof: Proof = PIN,
    freshness: Freshness = ONLINE,
    downtime: Downtime | None = None,
) -> Decision:
    at = Place(Version(1, 5), terminal(), here)
    return decide(proof, card, at, proved(), freshness, NOW, downtime=downtime)


@pytest.mark.parametrize(
    ("card", "reason", "state"),
    [
        (None, Reason.CARD_UNKNOWN, BreakGlassState.CARD_UNKNOWN),
        (entitlement(not_after_ms=NOW_MS), Reason.EXPIRED, BreakGlassState.EXPIRED),
        (entitlement(status=Status.SUSPENDED), Reason.SUSPENDED, BreakGlassState.SUSPENDED),
        (entitlement(positions=()), Reason.ROLE_NOT_ALLOWED, BreakGlassState.ROLE_NOT_ALLOWED),
    ],
)
def test_where_the_ward_names_the_state_it_is_offered_and_else_refused(
    card: Entitlement | None, reason: Reason, state: BreakGlassState
) -> None:
    assert judged(card, ward(state)) == OfferBreakGlass(reason)
    others = tuple(one for one in BreakGlassState if one is not state)
    assert judged(card, ward(*others)) == Refuse(reason)
    assert judged(card, policy()) == Refuse(reason)


@pytest.mark.parametrize("freshness", [ONLINE, STALE])
def test_a_card_lost_revoked_copied_or_not_yet_valid_is_offered_nothing(
    freshness: Freshness,
) -> None:
    here = ward(*BreakGlassState)
    bad = {
        Reason.LOST: entitlement(status=Status.LOST),
        Reason.REVOKED: entitlement(status=Status.REVOKED),
        Reason.NOT_YET_VALID: entitlement(not_before_ms=NOW_MS + 1),
    }
    for reason, card in bad.items():
        assert judged(card, here, freshness=freshness) == Refuse(reason)
    clone = replace(PIN, key=None)
    assert judged(entitlement(), here, clone, freshness) == Refuse(Reason.CARD_KEY_WRONG)


def test_a_wards_break_glass_outlives_its_directory() -> None:
    nowhere = Place(None, None, ward(BreakGlassState.NO_DIRECTORY))
    assert decide(PIN, None, nowhere, None, ONLINE, NOW) == OfferBreakGlass(Reason.NO_DIRECTORY)
    assert decide(PIN, None, NOWHERE, None, ONLINE, NOW) == Refuse(Reason.NO_DIRECTORY)


def test_a_pin_that_is_owed_is_asked_for_first() -> None:
    """What is offered beside the pad is the pad's; the decision is to ask."""
    at = Place(Version(1, 5), terminal(), ward(*BreakGlassState))
    assert isinstance(decide(TAP, entitlement(), at, None, ONLINE, NOW), NeedsPin)


def test_in_a_declared_downtime_the_same_gesture_opens_the_same_position() -> None:
    assert judged(entitlement(), policy(), freshness=STALE) == Refuse(Reason.DIRECTORY_STALE)
    assert judged(entitlement(), policy(), freshness=STALE, downtime=DOWNTIME) == Open(position())


def test_a_pin_proved_before_downtime_counts_as_it_did() -> None:
    opened = judged(entitlement(), policy(), TAP, STALE, DOWNTIME)
    assert isinstance(opened, Open)
    assert opened.pin == proved()


def test_downtime_switches_the_widest_rights_off() -> None:
    both = entitlement(positions=(position(), position("site-manager", "R0270")))
    assert judged(both, policy(), freshness=STALE, downtime=DOWNTIME) == Open(position())
    widest = entitlement(positions=(position("site-manager", "R0270"),))
    refused = judged(widest, policy(), freshness=STALE, downtime=DOWNTIME)
    assert refused == Refuse(Reason.ROLE_NOT_ALLOWED)


@pytest.mark.parametrize("status", [Status.LOST, Status.REVOKED, Status.SUSPENDED])
def test_downtime_makes_no_bad_card_good(status: Status) -> None:
    refused = judged(entitlement(status=status), policy(), freshness=STALE, downtime=DOWNTIME)
    assert refused == Refuse(Reason[status.name])
    assert judged(None, policy(), freshness=STALE, downtime=DOWNTIME) == Refuse(Reason.CARD_UNKNOWN)
