"""The sign-on decision, told as the ward's rules."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from contract.directory import Entitlement, Status, TerminalState
from contract.events import ClockTrust, Reason
from contract.ids import BootId, HolderId, KeyId, PositionId, TerminalId, Version
from contract.policy import BreakGlassState, OfflineBoot, Policy, RoleGrace
from firmware_py.signon.because import Because
from firmware_py.signon.decision import (
    ChoosePosition,
    Decision,
    NeedsPin,
    OfferBreakGlass,
    Open,
    Proof,
    Refuse,
    decide,
    is_holders,
)
from firmware_py.signon.grace import ProvenPin
from firmware_py.trust.here import Place
from firmware_py.trust.sitetime import Freshness, Moment
from hardware.readers import Interface
from tests.firmware.rights import (
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
    BOOT,
    BREAK_GLASS,
    HOUR_MS,
    HOUR_S,
    NINE_A,
    NINE_E,
    NOW,
    ONLINE,
    PIN,
    TAP,
    UNCONFIRMED,
    proved,
)


def place(ward: Policy | None = None) -> Place:
    return Place(Version(1, 5), terminal(), ward or policy())


def judged(
    proof: Proof = TAP,
    rights: Entitlement | None = None,
    ward: Policy | None = None,
    grace: ProvenPin | None = None,
    freshness: Freshness = ONLINE,
    preferred: str | None = None,
) -> Decision:
    """A tap by Alice, online, without grace, unless told otherwise."""
    chosen = PositionId(preferred) if preferred else None
    rights = rights or entitlement()
    return decide(proof, rights, place(ward), grace, freshness, NOW, preferred=chosen)


# ---- who may not ---------------------------------------------------------------------------


def test_a_terminal_without_a_directory_signs_nobody_on() -> None:
    empty = Place(None, None, policy())
    assert decide(PIN, None, empty, None, ONLINE, NOW) == Refuse(Reason.NO_DIRECTORY)


def test_a_terminal_that_the_site_does_not_know_signs_nobody_on() -> None:
    stranger = Place(Version(1, 5), None, policy())
    assert decide(PIN, entitlement(), stranger, None, ONLINE, NOW) == Refuse(
        Reason.TERMINAL_UNKNOWN
    )


def test_a_retired_terminal_signs_nobody_on() -> None:
    retired = Place(Version(1, 5), terminal(TerminalState.RETIRED), policy())
    assert decide(PIN, entitlement(), retired, None, ONLINE, NOW) == Refuse(Reason.TERMINAL_RETIRED)


def test_an_unknown_card_opens_nothing() -> None:
    assert decide(PIN, None, place(), None, ONLINE, NOW) == Refuse(Reason.CARD_UNKNOWN)


def test_a_cloned_guid_with_another_key_opens_nothing_even_within_grace() -> None:
    clone = replace(TAP, key=None)
    assert judged(clone, grace=proved()) == Refuse(Reason.CARD_KEY_WRONG)


def test_a_signature_by_the_other_slots_key_is_a_wrong_key() -> None:
    crossed = replace(TAP, key=card_key(NINE_A))
    assert judged(crossed, grace=proved()) == Refuse(Reason.CARD_KEY_WRONG)


def test_a_signature_for_a_slot_that_the_directory_does_not_list_is_a_wrong_key() -> None:
    only_tap = entitlement(credentials=(credential(NINE_E),))
    assert judged(PIN, only_tap) == Refuse(Reason.CARD_KEY_WRONG)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (Status.SUSPENDED, Reason.SUSPENDED),
        (Status.REVOKED, Reason.REVOKED),
        (Status.LOST, Reason.LOST),
    ],
)
@pytest.mark.parametrize("proof", [TAP, PIN])
def test_a_card_out_of_use_is_refused_with_its_own_reason(
    proof: Proof, status: Status, reason: Reason
) -> None:
    assert judged(proof, entitlement(status=status), grace=proved()) == Refuse(reason)


def test_a_card_is_refused_before_its_first_and_from_its_last_moment_on() -> None:
    early = entitlement(not_before_ms=NOW_MS + 1)
    late = entitlement(not_after_ms=NOW_MS)
    assert judged(PIN, early) == Refuse(Reason.NOT_YET_VALID)
    assert judged(PIN, late) == Refuse(Reason.EXPIRED)
    exact = entitlement(not_before_ms=NOW_MS, not_after_ms=NOW_MS + 1)
    assert isinstance(judged(PIN, exact), Open)


def test_a_role_that_the_ward_does_not_take_is_refused() -> None:
    ward = policy(roles=("R0260",))
    assert judged(PIN, ward=ward) == Refuse(Reason.ROLE_NOT_ALLOWED)


def test_a_position_held_on_another_ward_is_refused_here() -> None:
    elsewhere = entitlement(positions=(position(areas=["theatre"]),))
    assert judged(PIN, elsewhere) == Refuse(Reason.ROLE_NOT_ALLOWED)


# ---- PIN and grace -------------------------------------------------------------------------


def test_the_first_tap_of_a_shift_asks_for_the_pin() -> None:
    in_slot = replace(TAP, interface=Interface.CONTACT)
    assert judged(in_slot) == NeedsPin(Reason.PIN_NEEDED, here=True)


def test_a_proven_pin_opens_the_position() -> None:
    assert judged(PIN) == Open(position())


def test_within_grace_a_tap_alone_opens_and_names_the_pin_it_rests_on() -> None:
    assert judged(grace=proved()) == Open(position(), proved())


def test_a_card_restored_after_a_suspension_owes_its_pin_anew() -> None:
    """Restoring begins the entitlement anew: a PIN proved before that is of another time."""
    grace = proved()
    passed_ms = NOW.monotonic_ms - grace.at.monotonic_ms
    proved_at_ms = ONLINE.now_ms - passed_ms
    still = judged(TAP, entitlement(not_before_ms=proved_at_ms), grace=grace)
    assert isinstance(still, Open)
    restored = judged(TAP, entitlement(not_before_ms=proved_at_ms + 1), grace=grace)
    assert restored == NeedsPin(Reason.PIN_NEEDED, here=False)


def test_grace_ends_to_the_millisecond() -> None:
    ward = policy(grace_s=600)
    just = proved(10, at=Moment(BOOT, NOW.monotonic_ms - 599_999))
    over = proved(10, at=Moment(BOOT, NOW.monotonic_ms - 600_000))
    assert isinstance(judged(ward=ward, grace=just), Open)
    assert isinstance(judged(ward=ward, grace=over), NeedsPin)


@pytest.mark.parametrize(
    "other",
    [
        proved(guid=OTHER_GUID),
        proved(key=KeyId("00" * 32)),
        proved(terminal=TerminalId("resus-2")),
        proved(at=Moment(BootId("b1" * 16), NOW.monotonic_ms - 1000)),
        proved(at=Moment(BOOT, NOW.monotonic_ms + 1)),
        replace(proved(), holder=HolderId("h-nobody")),
    ],
    ids=[
        *("another card", "an earlier key", "another terminal", "another boot", "from the future"),
        "another holder of the same card",
    ],
)
def test_a_pin_proved_otherwise_gives_no_grace(other: ProvenPin) -> None:
    assert isinstance(judged(grace=other), NeedsPin)


def test_the_widest_rights_get_the_shortest_grace() -> None:
    ward = policy(grace_by_role=(RoleGrace(role="R0260", grace_s=0),))
    consultant = entitlement(positions=(position("consultant", "R0260"),))
    assert isinstance(judged(rights=consultant, ward=ward, grace=proved()), NeedsPin)
    assert isinstance(judged(PIN, consultant, ward), Open)


def test_a_contactless_reader_sends_a_strict_card_to_the_slot_once() -> None:
    asked = judged()
    assert asked == NeedsPin(Reason.PIN_NEEDED, here=False)
    assert isinstance(asked, NeedsPin)
    assert asked.logged is Reason.PIN_NOT_HERE


def test_a_ward_may_take_pins_without_contact_unless_the_card_refuses() -> None:
    ward = policy(pin_contactless=True)
    assert judged(ward=ward) == NeedsPin(Reason.PIN_NEEDED, here=True)
    strict = replace(TAP, pin_refused_here=True)
    assert judged(strict, ward=ward) == NeedsPin(Reason.PIN_NEEDED, here=False)
    in_the_air = replace(PIN, interface=Interface.CONTACTLESS)
    assert isinstance(judged(in_the_air, ward=ward), Open)
    assert judged(in_the_air) == NeedsPin(Reason.PIN_NEEDED, here=False)


def test_a_9a_key_that_signs_without_a_pin_proves_none() -> None:
    ungated = entitlement(
        credentials=(
            credential(NINE_E),
            credential(NINE_A, pin_gated=False),
        )
    )
    for proof, grace in itertools.product((TAP, PIN), (None, proved())):
        assert judged(proof, ungated, grace=grace) == Refuse(Reason.PIN_UNGATED)


def test_a_9a_signature_without_verify_is_a_tap_and_no_pin() -> None:
    unverified = replace(PIN, pin_verified=False)
    assert judged(unverified) == NeedsPin(Reason.PIN_NEEDED, here=True)


def test_verify_told_beside_a_9e_signature_is_no_pin() -> None:
    told = replace(TAP, interface=Interface.CONTACT, pin_verified=True)
    assert judged(told) == NeedsPin(Reason.PIN_NEEDED, here=True)


# ---- a card without a key for taps ------------------------------------------------------------

BY_PIN = entitlement(credentials=(credential(NINE_A, pin_gated=True),))
SAYS = replace(TAP, key=None)


def test_a_card_without_9e_owes_its_pin_at_each_tap_whatever_grace_there_is() -> None:
    for grace in (None, proved()):
        asked = judged(SAYS, BY_PIN, grace=grace)
        assert asked == NeedsPin(Reason.PIN_NEEDED, here=False)
        assert isinstance(asked, NeedsPin)
        assert asked.because is Because.BY_PIN
        assert judged(replace(PIN, pin_verified=False), BY_PIN, grace=grace) == NeedsPin(
            Reason.PIN_NEEDED, here=True
        )
    assert judged(PIN, BY_PIN) == Open(position())


def test_what_it_says_at_its_tap_is_not_its_holder() -> None:
    assert not is_holders(SAYS, BY_PIN)
    assert judged(replace(SAYS, guid=OTHER_GUID), BY_PIN) == Refuse(Reason.CARD_KEY_WRONG)
    assert judged(SAYS) == Refuse(Reason.CARD_KEY_WRONG)  # of a card that could have signed
    ungated = entitlement(credentials=(credential(NINE_A),))
    assert judged(SAYS, ungated) == Refuse(Reason.CARD_KEY_WRONG)


def test_a_tap_that_is_not_signed_is_offered_no_break_glass() -> None:
    glass = BREAK_GLASS.model_copy(update={"states": tuple(BreakGlassState)})
    ward, late = policy(break_glass=glass), entitlement(not_after_ms=NOW_MS)
    assert judged(TAP, late, ward) == OfferBreakGlass(Reason.EXPIRED)
    unsigned = BY_PIN.model_copy(update={"not_after_ms": NOW_MS})
    assert judged(SAYS, unsigned, ward) == Refuse(Reason.EXPIRED)


# ---- several positions -------------------------------------------------------------------

TWO = (position("nurse"), position("site-manager", "R0270"))


def test_several_positions_ask_for_the_choice_after_the_pin() -> None:
    two = entitlement(positions=TWO)
    assert isinstance(judged(rights=two), NeedsPin)
    assert judged(PIN, two) == ChoosePosition(TWO)
    assert judged(rights=two, grace=proved()) == ChoosePosition(TWO)


def test_the_chosen_or_remembered_position_opens_at_once() -> None:
    two = entitlement(positions=TWO)
    assert judged(PIN, two, preferred="site-manager") == Open(TWO[1])
    assert judged(rights=two, grace=proved(), preferred="nurse") == Open(TWO[0], proved())


def test_a_remembered_position_that_is_no_longer_held_is_forgotten() -> None:
    two = entitlement(positions=TWO)
    assert judged(PIN, two, preferred="ward-clerk") == ChoosePosition(TWO)
    assert judged(PIN, preferred="site-manager") == Open(position())


def test_the_chosen_position_is_judged_for_its_own_grace() -> None:
    ward = policy(grace_by_role=(RoleGrace(role="R0270", grace_s=0),))
    two = entitlement(positions=TWO)
    assert judged(rights=two, ward=ward, grace=proved()) == ChoosePosition(TWO)
    chosen = judged(rights=two, ward=ward, grace=proved(), preferred="site-manager")
    assert isinstance(chosen, NeedsPin)


# ---- old knowledge ------------------------------------------------------------------------


def aged(seconds: float, clock: ClockTrust = ClockTrust.SITE) -> Freshness:
    return Freshness(clock, NOW_MS, int(seconds * 1000), 0)


@pytest.mark.parametrize("clock", [ClockTrust.SITE, ClockTrust.RTC])
def test_within_the_offline_limit_the_same_gesture_works(clock: ClockTrust) -> None:
    assert isinstance(judged(grace=proved(), freshness=aged(4 * HOUR_S, clock)), Open)


def test_beyond_the_offline_limit_nobody_is_signed_on() -> None:
    stale = aged(4 * HOUR_S + 0.001)
    assert judged(PIN, freshness=stale) == Refuse(Reason.DIRECTORY_STALE)
    ward = policy(break_glass=BREAK_GLASS)
    assert judged(PIN, ward=ward, freshness=stale) == OfferBreakGlass(Reason.DIRECTORY_STALE)
    forbidden = policy(break_glass=BREAK_GLASS.model_copy(update={"allowed": False}))
    assert judged(PIN, ward=forbidden, freshness=stale) == Refuse(Reason.DIRECTORY_STALE)


def test_a_card_known_to_be_bad_stays_refused_when_knowledge_is_old() -> None:
    ward, stale = policy(break_glass=BREAK_GLASS), aged(5 * HOUR_S)
    revoked = entitlement(status=Status.REVOKED)
    assert judged(PIN, revoked, ward, freshness=stale) == Refuse(Reason.REVOKED)
    clone = replace(PIN, key=None)
    assert judged(clone, ward=ward, freshness=stale) == Refuse(Reason.CARD_KEY_WRONG)


def test_a_card_unknown_to_an_old_directory_may_be_newer_than_it() -> None:
    ward = place(policy(break_glass=BREAK_GLASS))
    stale = aged(5 * HOUR_S)
    assert decide(PIN, None, ward, None, stale, NOW) == OfferBreakGlass(Reason.DIRECTORY_STALE)


def test_a_directory_that_was_never_confirmed_is_old() -> None:
    never = Freshness(ClockTrust.SITE, NOW_MS, None, 0)
    assert judged(PIN, freshness=never) == Refuse(Reason.DIRECTORY_STALE)


def test_with_an_unconfirmed_clock_every_tap_needs_a_pin() -> None:
    in_slot = replace(TAP, interface=Interface.CONTACT)
    asked = judged(in_slot, grace=proved(), freshness=UNCONFIRMED)
    assert asked == NeedsPin(Reason.CLOCK_UNCONFIRMED, here=True)
    assert judged(PIN, freshness=UNCONFIRMED) == Open(position())


def test_with_an_unconfirmed_clock_powered_time_is_limited() -> None:
    last = replace(UNCONFIRMED, powered_ms=4 * HOUR_MS)
    over = replace(UNCONFIRMED, powered_ms=4 * HOUR_MS + 1)
    assert isinstance(judged(PIN, freshness=last), Open)
    assert judged(PIN, freshness=over) == Refuse(Reason.DIRECTORY_STALE)


def test_a_ward_may_refuse_an_unconfirmed_clock() -> None:
    ward = policy(offline_boot=OfflineBoot.REFUSE)
    assert judged(PIN, ward=ward, freshness=UNCONFIRMED) == Refuse(Reason.CLOCK_UNCONFIRMED)
    offering = policy(offline_boot=OfflineBoot.REFUSE, break_glass=BREAK_GLASS)
    offered = judged(PIN, ward=offering, freshness=UNCONFIRMED)
    assert offered == OfferBreakGlass(Reason.CLOCK_UNCONFIRMED)


# ---- tapping out --------------------------------------------------------------------------


def test_leaving_asks_for_no_right_but_for_the_holders_own_card() -> None:
    suspended = entitlement(status=Status.SUSPENDED)
    assert is_holders(TAP, suspended)
    assert not is_holders(replace(TAP, key=None), suspended)
    assert not is_holders(replace(TAP, guid=OTHER_GUID), suspended)
    assert not is_holders(TAP, None)
