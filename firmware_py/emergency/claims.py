"""Who may break the glass, and in whose name: pure; a state, a card and the ward's policy in.

The rules:

* The ward offers it from the states that its policy lists, and from no other.
* A card that the directory has as lost or revoked, or that fails its key, breaks nothing: neither
  in its holder's name nor in nobody's. (Without a card, where the ward has that, is another thing.)
* A card that signed under the key of its entitlement stands for its holder, whatever else is amiss.
* A card of which no entitlement is known stands for nobody: what it says of itself is data.
* Without a card: only at the terminals that the policy names, and in nobody's name. A colleague's
  card confirms it: one in use, and not expired. A tap is enough, for nothing is done in her name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contract.directory import Entitlement, Status
from contract.ids import Guid, HolderId, TerminalId
from contract.policy import BreakGlass, BreakGlassState, Policy
from firmware_py.signon.decision import Proof, is_holders

BARRED: Final = frozenset({Status.LOST, Status.REVOKED})
"""Of a card in whose name nothing opens, whatever happens."""
_NOBODYS: Final = frozenset(
    {
        BreakGlassState.NO_DIRECTORY,
        BreakGlassState.DIRECTORY_STALE,
        BreakGlassState.CLOCK_UNCONFIRMED,
        BreakGlassState.JOURNAL_FAILED,
        BreakGlassState.CARD_UNKNOWN,
    }
)
"""From which a card may come that nothing is known of."""


@dataclass(frozen=True, slots=True)
class Claim:
    """In whose name; null: nobody's, and `guid` is what the card said."""

    state: BreakGlassState
    holder: HolderId | None
    guid: Guid | None


def offered(policy: Policy, state: BreakGlassState) -> BreakGlass | None:
    """The ward's break-glass, where it is to be had from this state."""
    glass = policy.break_glass
    return glass if glass and glass.allowed and state in glass.states else None


def judge_card(
    state: BreakGlassState, proof: Proof, entitlement: Entitlement | None, policy: Policy
) -> Claim | None:
    """What a card that was turned away into `state` may claim; null: nothing.

    `entitlement` is the directory's now: it may have changed since the tap.
    """
    if offered(policy, state) is None or state is BreakGlassState.NO_CARD:
        return None
    if entitlement is None:
        return Claim(state, None, proof.guid) if state in _NOBODYS else None
    if not is_holders(proof, entitlement) or entitlement.status in BARRED:
        return None
    return Claim(state, entitlement.holder, proof.guid)


def judge_nobody(policy: Policy, terminal: TerminalId) -> Claim | None:
    """Without a card, here."""
    glass = offered(policy, BreakGlassState.NO_CARD)
    if glass is None or terminal not in glass.without_card:
        return None
    return Claim(BreakGlassState.NO_CARD, None, None)


def confirms(proof: Proof, entitlement: Entitlement | None, now_ms: int) -> bool:
    """Whether a colleague's card may stand behind somebody who has none."""
    return (
        entitlement is not None
        and is_holders(proof, entitlement)
        and entitlement.status is Status.ACTIVE
        and entitlement.not_before_ms <= now_ms < entitlement.not_after_ms
    )
