"""The sign-on decision: what one tap may open (DESIGN §4, §6).

Pure; the first rule that fits decides:

* Wherever a reason to turn somebody away is one of the ward's break-glass states, it offers that
  instead. A card that is lost, revoked or fails its key is never offered anything.
* No directory held: NO_DIRECTORY (a ward's break-glass outlives its directory).
* The terminal is not in the register, or retired: TERMINAL_UNKNOWN, TERMINAL_RETIRED.
* The card is not in the directory: CARD_UNKNOWN. Where the directory is stale, what stale says: the
  card may be newer than it.
* The signature did not hold under the very key that the entitlement lists for that slot:
  CARD_KEY_WRONG (a GUID is easily copied, a key is not). Also where directory knowledge is old.
* A card that has no 9E and a gated 9A signs nothing at its tap: it only says whose it is
  (`only_says`). It is judged as far as the PIN, which is owed at each tap; it is offered no
  break-glass, and no grace makes such a tap enough.
* Lost, revoked, suspended; not yet valid; expired: their own reasons. With an unconfirmed clock
  "now" is the latest time that is certainly past.
* Directory knowledge beyond the ward's limit: DIRECTORY_STALE. Clock unconfirmed where the ward
  refuses that: CLOCK_UNCONFIRMED. In a declared downtime neither counts, and the roles that it
  switches off cannot be held.
* None of the card's positions may be held here (ward, role): ROLE_NOT_ALLOWED.
* A position needs a PIN unless its grace lasts; with an unconfirmed clock it needs one at each tap.
  A PIN proved before the entitlement began (`not_before_ms`) counts no longer: a card put into use
  again after a suspension begins anew.
  A PIN counts only if 9A signed, enrolment saw 9A gated by the PIN, and the interface is the
  contact one or the ward takes PINs without contact. If 9A is not gated a PIN would be no proof:
  PIN_UNGATED.
* A PIN owed for whatever could be opened: NeedsPin, before any choice (the card is still there).
* Several positions, none remembered and none that the ward picks: ChoosePosition; the chosen one
  is then judged for itself.
* One: Open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from contract.directory import (
    Credential,
    Entitlement,
    Position,
    Slot,
    Status,
    TerminalState,
)
from contract.events import ClockTrust, Reason
from contract.ids import Guid, KeyId, PositionId
from contract.policy import BreakGlassState, Downtime, OfflineBoot, Policy
from firmware_py.signon.because import Because, why_asked, why_not
from firmware_py.signon.grace import ProvenPin
from firmware_py.signon.positions import picked
from firmware_py.trust.here import Place
from firmware_py.trust.sitetime import Freshness, Moment
from hardware.readers import Interface


@dataclass(frozen=True, slots=True)
class Proof:
    """What a card showed in one transaction, already checked against the record it signed."""

    guid: Guid
    interface: Interface
    slot: Slot
    """Which of its keys signed: 9E for a tap, 9A for a PIN."""
    key: KeyId | None
    """The public key under which the signature held; null when it held under none."""
    pin_verified: bool = False
    """The card answered VERIFY with success in this transaction, before it signed."""
    pin_refused_here: bool = False
    """The card itself refused VERIFY over this interface (a strict one, without contact)."""


@dataclass(frozen=True, slots=True)
class Open:
    """The session may open (or resume). `pin` is the earlier PIN it rests on; null: this one."""

    position: Position
    pin: ProvenPin | None = None
    reason: Reason = Reason.GRANTED


@dataclass(frozen=True, slots=True)
class NeedsPin:
    """A PIN is owed: PIN_NEEDED, or CLOCK_UNCONFIRMED. `here`: this reader can take it.

    When it cannot, the glass says "put your card in the slot once, then tap for the rest of the
    shift", and the log PIN_NOT_HERE. `because` is for the glass alone: the same is asked.
    """

    reason: Reason
    here: bool
    because: Because = field(default=Because.FIRST, compare=False)

    @property
    def logged(self) -> Reason:
        """The reason to write into the outcome."""
        return self.reason if self.here else Reason.PIN_NOT_HERE


@dataclass(frozen=True, slots=True)
class ChoosePosition:
    """Ask which; then decide again with `preferred` (which may then need a PIN)."""

    positions: tuple[Position, ...]
    reason: Reason = Reason.POSITION_NEEDED


@dataclass(frozen=True, slots=True)
class OfferBreakGlass:
    """Rights cannot be judged here and now; the ward's emergency position may be taken instead."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nothing opens. Whatever is on the glass stays as it is."""

    reason: Reason


Decision = Open | NeedsPin | ChoosePosition | OfferBreakGlass | Refuse


def decide(
    proof: Proof,
    entitlement: Entitlement | None,
    place: Place,
    grace: ProvenPin | None,
    freshness: Freshness,
    now: Moment,
    *,
    preferred: PositionId | None = None,
    downtime: Downtime | None = None,
) -> Decision:
    """What this proof opens, here and now.

    `entitlement` is the directory's under the proof's GUID, `grace` the newest proven PIN of that
    card here, `preferred` the position chosen now or in this shift, or the one this holder has work
    in, `downtime` the one that is declared here.
    """
    if (reason := _wrong_place(place)) is not None:
        return _without_rights(reason, place.policy)
    stale = stale_here(place.policy, freshness) if downtime is None else None
    if entitlement is None:
        return _without_rights(stale or Reason.CARD_UNKNOWN, place.policy)
    unsigned = only_says(proof, entitlement)
    reason = _wrong_card(proof, entitlement, freshness.now_ms) or stale
    if reason is not None:
        return Refuse(reason) if unsigned else _without_rights(reason, place.policy)
    off = downtime.off if downtime else ()
    positions = tuple(p for p in allowed_here(entitlement, place) if p.role not in off)
    if not positions:
        reason = Reason.ROLE_NOT_ALLOWED
        return Refuse(reason) if unsigned else _without_rights(reason, place.policy)
    chosen = next((p for p in positions if p.id == preferred), None)
    chosen = chosen or picked(positions, place.policy)
    return _judge(
        _Case(proof, entitlement, place, grace, freshness, now),
        (chosen,) if chosen else positions,
    )


def is_holders(proof: Proof, entitlement: Entitlement | None) -> bool:
    """Whether a card of this entitlement signed: enough to tap *out* of its holder's own session.

    Leaving asks for no right: a card suspended or a directory gone stale since must not keep
    somebody's session open.
    """
    return entitlement is not None and _signed(proof, entitlement) is not None


def only_says(proof: Proof, entitlement: Entitlement | None) -> bool:
    """A tap of a card that signs on by its PIN alone: it names a card, and proves nothing."""
    return (
        entitlement is not None
        and entitlement.by_pin_alone
        and (proof.guid, proof.slot, proof.key)
        == (entitlement.guid, Slot.CARD_AUTHENTICATION, None)
    )


def allowed_here(entitlement: Entitlement, place: Place) -> tuple[Position, ...]:
    """The positions that may be held on this ward, in the directory's order."""
    ward, roles = place.policy.ward, place.policy.roles
    return tuple(
        position
        for position in entitlement.positions
        if (not position.areas or ward in position.areas) and (not roles or position.role in roles)
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """What is left to judge once card and place are good."""

    proof: Proof
    entitlement: Entitlement
    place: Place
    grace: ProvenPin | None
    freshness: Freshness
    now: Moment

    @property
    def clock(self) -> ClockTrust:
        return self.freshness.clock


def _judge(case: _Case, positions: tuple[Position, ...]) -> Decision:
    """PIN first, then the choice."""
    pin_key = case.entitlement.credential(Slot.PIV_AUTHENTICATION)
    gated = pin_key is not None and pin_key.pin_gated
    if _proves_pin(case.proof, case.place.policy):
        if not gated:
            return Refuse(Reason.PIN_UNGATED)
        return _one_of(positions, None)
    if not any(gated and _in_grace(case, position) for position in positions):
        if not gated:
            return Refuse(Reason.PIN_UNGATED)
        unconfirmed = case.clock is ClockTrust.UNCONFIRMED
        reason = Reason.CLOCK_UNCONFIRMED if unconfirmed else Reason.PIN_NEEDED
        here = _takes_pin(case.proof, case.place.policy)
        return NeedsPin(reason, here, _because(case, positions))
    return _one_of(positions, case.grace)


def _one_of(positions: tuple[Position, ...], grace: ProvenPin | None) -> Decision:
    """With several positions the choice comes first; the chosen one is judged for itself."""
    if len(positions) > 1:
        return ChoosePosition(positions)
    return Open(positions[0], grace)


def _wrong_place(place: Place) -> Reason | None:
    if place.directory is None:
        return Reason.NO_DIRECTORY
    if place.terminal is None:
        return Reason.TERMINAL_UNKNOWN
    if place.terminal.state is not TerminalState.ACTIVE:
        return Reason.TERMINAL_RETIRED
    return None


def _wrong_card(proof: Proof, entitlement: Entitlement, now_ms: int) -> Reason | None:
    if _signed(proof, entitlement) is None and not only_says(proof, entitlement):
        return Reason.CARD_KEY_WRONG
    if (reason := OUT_OF_USE.get(entitlement.status)) is not None:
        return reason
    if now_ms < entitlement.not_before_ms:
        return Reason.NOT_YET_VALID
    if now_ms >= entitlement.not_after_ms:
        return Reason.EXPIRED
    return None


OUT_OF_USE: Final = {
    Status.LOST: Reason.LOST,
    Status.REVOKED: Reason.REVOKED,
    Status.SUSPENDED: Reason.SUSPENDED,
}
"""Why a card in such a state opens nothing; ACTIVE is not in it."""


def _signed(proof: Proof, entitlement: Entitlement) -> Credential | None:
    """The credential under which the signature held; null for a wrong card, slot or key."""
    credential = entitlement.credential(proof.slot)
    if credential is None or proof.guid != entitlement.guid or proof.key != credential.key_id:
        return None
    return credential


def stale_here(policy: Policy, freshness: Freshness) -> Reason | None:
    """Why rights as known here open nothing any more; null: they do."""
    refused = policy.offline_boot is OfflineBoot.REFUSE
    if freshness.clock is ClockTrust.UNCONFIRMED and refused:
        return Reason.CLOCK_UNCONFIRMED
    if not freshness.within(policy.offline_limit_s, policy.offline_boot_s):
        return Reason.DIRECTORY_STALE
    return None


def break_glass_from(reason: Reason, policy: Policy) -> BreakGlassState | None:
    """The state in which the ward lets somebody, turned away so, break the glass."""
    state, glass = _BREAK_GLASS.get(reason), policy.break_glass
    return state if glass and glass.allowed and state in glass.states else None


_BREAK_GLASS: Final = {
    Reason.NO_DIRECTORY: BreakGlassState.NO_DIRECTORY,
    Reason.DIRECTORY_STALE: BreakGlassState.DIRECTORY_STALE,
    Reason.CLOCK_UNCONFIRMED: BreakGlassState.CLOCK_UNCONFIRMED,
    Reason.JOURNAL_FAILED: BreakGlassState.JOURNAL_FAILED,
    Reason.PIN_NEEDED: BreakGlassState.PIN_OWED,
    Reason.PIN_BLOCKED: BreakGlassState.PIN_OWED,
    Reason.CARD_UNKNOWN: BreakGlassState.CARD_UNKNOWN,
    Reason.EXPIRED: BreakGlassState.EXPIRED,
    Reason.SUSPENDED: BreakGlassState.SUSPENDED,
    Reason.ROLE_NOT_ALLOWED: BreakGlassState.ROLE_NOT_ALLOWED,
}


def _without_rights(reason: Reason, policy: Policy) -> Decision:
    return Refuse(reason) if break_glass_from(reason, policy) is None else OfferBreakGlass(reason)


def _proves_pin(proof: Proof, policy: Policy) -> bool:
    """Whether a PIN was proved where the ward accepts one; whether the key is gated comes apart."""
    return (
        proof.slot is Slot.PIV_AUTHENTICATION and proof.pin_verified and _takes_pin(proof, policy)
    )


def _takes_pin(proof: Proof, policy: Policy) -> bool:
    if proof.interface is Interface.CONTACT:
        return True
    return policy.pin_contactless and not proof.pin_refused_here


def _in_grace(case: _Case, position: Position) -> bool:
    """Whether a PIN of this very card and key, proved earlier here, still stands for this role.

    Never for a card whose tap is not signed.
    """
    if case.entitlement.by_pin_alone:
        return False
    return case.clock is not ClockTrust.UNCONFIRMED and _why_not(case, position) is None


def _why_not(case: _Case, position: Position) -> Because | None:
    terminal, policy = case.place.terminal, case.place.policy
    if terminal is None or case.proof.guid != case.entitlement.guid:
        return Because.FIRST
    site_ms, now = case.freshness.now_ms, case.now
    return why_not(case.grace, case.entitlement, position, policy, terminal.terminal, site_ms, now)


def _because(case: _Case, positions: tuple[Position, ...]) -> Because:
    if case.entitlement.by_pin_alone:
        return Because.BY_PIN
    reasons = {why for position in positions if (why := _why_not(case, position)) is not None}
    return why_asked(reasons, case.place.policy, case.freshness)
