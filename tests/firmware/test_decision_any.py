"""The sign-on decision, whatever comes together: only good proof of good rights opens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contract.directory import Entitlement, Slot, Status, TerminalState
from contract.events import ClockTrust, Reason
from contract.ids import Guid, KeyId, PositionId, Version
from contract.policy import BreakGlassState, Downtime, OfflineBoot
from firmware_py.signon.decision import (
    ChoosePosition,
    NeedsPin,
    OfferBreakGlass,
    Open,
    Proof,
    Refuse,
    break_glass_from,
    decide,
    only_says,
)
from firmware_py.signon.grace import ProvenPin
from firmware_py.trust.here import Place
from firmware_py.trust.sitetime import Freshness
from hardware.readers import Interface
from tests.firmware.rights import (
    GUID,
    NOW_MS,
    OTHER_GUID,
    card_key,
    credential,
    entitlement,
    policy,
    position,
    terminal,
)
from tests.firmware.taps import (
    BREAK_GLASS,
    HOUR_MS,
    HOUR_S,
    NINE_A,
    NINE_E,
    NOW,
    proved,
)

TWO = (position("nurse"), position("site-manager", "R0270"))


KEYS = [None, *(card_key(slot) for slot in Slot), KeyId("00" * 32)]
PROOFS = st.builds(
    Proof,
    guid=st.sampled_from([GUID, OTHER_GUID]),
    interface=st.sampled_from(Interface),
    slot=st.sampled_from(Slot),
    key=st.sampled_from(KEYS),
    pin_verified=st.booleans(),
    pin_refused_here=st.booleans(),
)
RIGHTS = st.none() | st.builds(
    entitlement,
    guid=st.just(Guid(GUID)),
    status=st.sampled_from(Status),
    credentials=st.sampled_from(
        [
            (credential(NINE_E),),
            (credential(NINE_E), credential(NINE_A)),
            entitlement().credentials,
            (credential(NINE_A, pin_gated=True),),
            (credential(NINE_A),),
        ]
    ),
    positions=st.sampled_from([(), (position(),), TWO, (position(areas=["theatre"]),)]),
    not_before_ms=st.sampled_from([0, NOW_MS + 1]),
    not_after_ms=st.sampled_from([NOW_MS, NOW_MS + 10]),
)
POLICIES = st.builds(
    policy,
    grace_s=st.sampled_from([0, 600, 4 * HOUR_S]),
    pin_contactless=st.booleans(),
    roles=st.sampled_from([(), ("R8001",), ("R0260",)]),
    offline_limit_s=st.sampled_from([0, 4 * HOUR_S]),
    offline_boot=st.sampled_from(OfflineBoot),
    offline_boot_s=st.sampled_from([0, 4 * HOUR_S]),
    break_glass=st.none()
    | st.builds(
        lambda states, allowed: BREAK_GLASS.model_copy(
            update={"states": tuple(states), "allowed": allowed}
        ),
        st.lists(st.sampled_from(BreakGlassState), unique=True),
        st.booleans(),
    ),
)
DOWNTIMES = st.none() | st.builds(
    Downtime, roles=st.just(("R8001L",)), off=st.sampled_from([(), ("R8001",), ("R0270",)])
)
PLACES = st.builds(
    Place,
    directory=st.sampled_from([None, Version(1, 5)]),
    terminal=st.sampled_from([None, terminal(), terminal(TerminalState.RETIRED)]),
    policy=POLICIES,
)
GRACES = st.none() | st.builds(
    proved,
    st.integers(0, 600),
    guid=st.sampled_from([GUID, OTHER_GUID]),
    key=st.sampled_from(KEYS[1:]),
)
FRESHNESSES = st.builds(
    Freshness,
    clock=st.sampled_from(ClockTrust),
    now_ms=st.just(NOW_MS),
    age_ms=st.none() | st.integers(0, 5 * HOUR_MS),
    powered_ms=st.integers(0, 5 * HOUR_MS),
)


@given(
    *(PROOFS, RIGHTS, PLACES, GRACES, FRESHNESSES),
    *(st.sampled_from([None, PositionId("nurse")]), DOWNTIMES),
)
def test_whatever_comes_together_only_good_proof_of_good_rights_opens(
    proof: Proof,
    rights: Entitlement | None,
    here: Place,
    grace: ProvenPin | None,
    freshness: Freshness,
    preferred: PositionId | None,
    downtime: Downtime | None,
) -> None:
    decision = decide(
        proof, rights, here, grace, freshness, NOW, preferred=preferred, downtime=downtime
    )
    if isinstance(decision, Refuse | OfferBreakGlass):
        assert decision.reason not in {Reason.GRANTED, Reason.PIN_NEEDED, Reason.POSITION_NEEDED}
        state = break_glass_from(decision.reason, here.policy)
        silent = here.directory and here.terminal and only_says(proof, rights)
        assert isinstance(decision, OfferBreakGlass) is (state is not None and not silent)
        if isinstance(decision, OfferBreakGlass) and rights and here.directory:
            assert rights.status not in (Status.LOST, Status.REVOKED)
            assert (proof.guid, proof.key) == (rights.guid, card_key(proof.slot))
        return
    if only_says(proof, rights):
        assert isinstance(decision, NeedsPin)  # whatever grace there is
        assert rights is not None
        assert rights.status is Status.ACTIVE
        return
    # Whatever does not refuse has a good card, of an entitlement in force, at a known terminal,
    # by knowledge that is fresh enough.
    assert rights is not None
    assert proof.guid == rights.guid
    assert proof.key == card_key(proof.slot)
    assert rights.credential(proof.slot) is not None
    assert rights.status is Status.ACTIVE
    assert rights.not_before_ms <= NOW_MS < rights.not_after_ms
    assert here.directory is not None
    assert here.terminal is not None
    assert here.terminal.state is TerminalState.ACTIVE
    fresh = freshness.within(here.policy.offline_limit_s, here.policy.offline_boot_s)
    assert fresh or downtime is not None
    if isinstance(decision, Open | ChoosePosition):
        shown = (decision.position,) if isinstance(decision, Open) else decision.positions
        assert set(shown) <= set(rights.positions)
        assert all(not here.policy.roles or p.role in here.policy.roles for p in shown)
        assert downtime is None or not {p.role for p in shown} & set(downtime.off)
        nine_a = rights.credential(NINE_A)
        assert nine_a is not None
        assert nine_a.pin_gated
        by_pin = proof.slot is NINE_A and proof.pin_verified
        by_grace = grace is not None and grace.guid == rights.guid and not rights.by_pin_alone
        assert by_pin or (by_grace and freshness.clock is not ClockTrust.UNCONFIRMED)
