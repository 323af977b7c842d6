"""Directory entries from what an operator writes down: a card's holder, a ward's policy."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from contract.directory import Credential, Entitlement, Name, Position, Slot, Status
from contract.ids import Guid, HolderId, HolderIdField
from contract.policy import GraceScope, Policy
from contract.wire import Record, WireError, check_i_json
from provisioning.errors import BadInput

YEAR_MS = 365 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class IssuedCard:
    """What an entitlement needs to know of a card."""

    guid: Guid
    credentials: tuple[Credential, ...]

    @property
    def pin_gated(self) -> bool:
        """Whether a PIN proves anything by it."""
        return any(credential.pin_gated for credential in self.credentials)

    def credential(self, slot: Slot) -> Credential | None:
        """What it proved in `slot`."""
        return next((one for one in self.credentials if one.slot is slot), None)


class HolderFile(Record):
    """How an operator writes a holder down."""

    holder: HolderIdField
    name: Name
    positions: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class Holder:
    """A member of staff."""

    id: HolderId
    name: Name
    positions: tuple[Position, ...]


def read_holder(data: bytes) -> Holder:
    """From the JSON of a `HolderFile`. Raises BadInput naming the field."""
    try:
        found = HolderFile.from_bytes(data)
    except WireError as error:
        raise BadInput(f"the holder's file: {error}") from error
    return Holder(found.holder, found.name, found.positions)


def entitle(card: IssuedCard, holder: Holder, now_ms: int) -> Entitlement:
    """The entitlement of a card just issued: active, for three years."""
    return Entitlement(
        guid=card.guid,
        holder=holder.id,
        name=holder.name,
        credentials=card.credentials,
        positions=holder.positions,
        status=Status.ACTIVE,
        not_before_ms=now_ms - now_ms % 1000,
        not_after_ms=now_ms + 3 * YEAR_MS,
        salt=fresh_salt(),
    )


def restate(entitlement: Entitlement, status: Status) -> Entitlement:
    """The same entitlement with another status, under a fresh salt."""
    return entitlement.model_copy(update={"status": status, "salt": fresh_salt()})


def read_policy(data: bytes) -> Policy:
    """A ward's policy from JSON. Raises BadInput naming the field."""
    try:
        require_approval(check_i_json(data, Policy.CAP))
        return Policy.from_bytes(data)
    except WireError as error:
        raise BadInput(f"the policy's file: {error}") from error


def require_approval(settings: object) -> None:
    """A PIN that counts on the whole ward is somebody's decision. Raises BadInput."""
    if not isinstance(settings, dict) or settings.get("grace_scope") != GraceScope.WARD:
        return
    if not settings.get("grace_approved_by"):
        raise BadInput("grace_scope: 'ward' needs grace_approved_by: the id of who approved it")


def fresh_salt() -> str:
    return secrets.token_hex(16)
