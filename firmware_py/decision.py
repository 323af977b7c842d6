"""The sign-on decision: what one tap may open (DESIGN §4, §6). Pure; the first rule that fits decides.

* No directory held: NO_DIRECTORY.
* The terminal is not in the register, or retired: TERMINAL_UNKNOWN, TERMINAL_RETIRED.
* The card is not in the directory: CARD_UNKNOWN; with a stale directory what stale says, for nobody
  here can know whether the card is newer.
* The signature did not hold under the very key that the entitlement lists for that slot:
  CARD_KEY_WRONG (a GUID is easily copied, a key is not). Also where directory knowledge is old.
* Lost, revoked, suspended; not yet valid; expired: their own reasons. With an unconfirmed clock
  "now" is the latest time that is certainly past.
* Directory knowledge beyond the ward's limit: DIRECTORY_STALE. Clock unconfirmed where the ward
  refuses that: CLOCK_UNCONFIRMED. Both offer break-glass where the policy has it, else refuse.
* None of the card's positions may be held here (ward, role): ROLE_NOT_ALLOWED.
* A position needs a PIN unless its grace lasts; with an unconfirmed clock it needs one at each tap.
  A PIN counts only if 9A signed, enrolment saw 9A gated by the PIN, and the interface is the
  contact one or the ward takes PINs without contact. If 9A is not gated a PIN would be no proof:
  PIN_UNGATED.
* PIN needed for whatever could be opened: NeedsPin (while the card is still there), before any choice.
* Several positions and none remembered: ChoosePosition. One left: Open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from contract.directory import (
    Credential,
    Entitlement,
    Position,
    Slot,
    Status,
    Terminal,
    TerminalState,
)
from contract.events import ClockTrust, Reason
from contract.ids import Guid, KeyId, PositionId, Version
from contract.policy import OfflineBoot, Policy
from contract.wire import decode_base64
from firmware_py.grace import ProvenPin, remaining_ms
from firmware_py.sitetime import Freshness, Moment
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
class Place:
    """Where the decision falls, as the directory has it (`store.Directory.place`)."""

    directory: Version | None
    """Null when no directory is held."""
    terminal: Terminal | None
    policy: Policy
    """The ward's, or the contract's defaults where the ward has none."""


@dataclass(frozen=True, slots=True)
class Open:
    """The session may open (or resume). `pin` is the earlier PIN that it rests on, if not on this one."""

    position: Position
    pin: ProvenPin | None = None
    reason: Reason = Reason.GRANTED


@dataclass(frozen=True, slots=True)
class NeedsPin:
    """A PIN is owed: PIN_NEEDED, or CLOCK_UNCONFIRMED. `here`: this reader can take it.

    When it cannot, the glass says "put your card in the slot once, then tap for the rest of the
    shift", and the log PIN_NOT_HERE.
    """

    reason: Reason
    here: bool

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
    reason: Reason


@dataclass(frozen=True, slots=True)
class Refuse:
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
) -> Decision:
    """What this proof opens, here and now.

    `entitlement` is the directory's under the proof's GUID, `grace` the newest proven PIN of that
    card here, `preferred` the position just chosen or the one this holder has work parked in.
    """
    raise NotImplementedError


def is_holders(proof: Proof, entitlement: Entitlement | None) -> bool:
    """Whether a card of this entitlement signed: enough to tap *out* of its holder's own session.

    Leaving asks for no right: a card suspended or a directory gone stale since must not keep
    somebody's session open.
    """
    raise NotImplementedError


def key_id(credential: Credential) -> KeyId:
    """SHA-256 of the credential's SubjectPublicKeyInfo."""
    return KeyId(hashlib.sha256(decode_base64(credential.key)).hexdigest())
