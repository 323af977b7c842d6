"""A card's standing in the directory: found by GUID or by holder, and changed.

Suspension alone can be lifted, and ends grace: a card that is restored owes its PIN at its next
tap. Lost also locks an open session.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Protocol

from contract.directory import Credential, Entitlement, EntryKind, Status
from contract.ids import Guid, Version
from provisioning.cards.journal import CardBook
from provisioning.directory import ledger
from provisioning.directory.entries import YEAR_MS, Holder, IssuedCard, fresh_salt, restate
from provisioning.errors import BadInput, NotThere, StatusIsFinal
from provisioning.site.folder import SiteFolder

YEARS: Final = 3
"""How long an entitlement lasts from its issue or renewal, as the card's certificates do."""

_GUID: Final = re.compile(r"[0-9a-f]{32}\Z")
_FINAL: Final = (Status.REVOKED, Status.LOST)


class Register(Protocol):
    """Where entitlements are looked up: `mirror.Mirror`, the directory as it is."""

    def entitlement(self, guid: str) -> Entitlement | None:
        """A card's, as it stands."""
        ...

    def cards_of(self, holder: str) -> list[Entitlement]:
        """A person's, as they stand."""
        ...

    def entries(self, at: Version | None = None, kind: EntryKind | None = None) -> Iterator[bytes]:
        """Every line of a kind, streamed."""
        ...


def find(register: Register, folder: SiteFolder, who: str) -> Entitlement:
    """The card meant: by its GUID (also one made here and not published), or a holder's one card.

    Raises NotThere, or BadInput when the holder has more than one and a GUID must be said.
    """
    if _GUID.match(who):
        return register.entitlement(who) or ledger.recall_entitlement(folder, who)
    held = in_use(register, who)
    if not held:
        raise NotThere(f"nobody called '{who}' has a card in use")
    if len(held) == 1:
        return held[0]
    listed = ", ".join(f"{one.guid} ({one.status})" for one in held)
    raise BadInput(f"say which card of {who} by its GUID: {listed}")


def in_use(register: Register, holder: str) -> list[Entitlement]:
    """A holder's cards that are neither revoked nor lost."""
    return [one for one in register.cards_of(holder) if one.status not in _FINAL]


def change(entitlement: Entitlement, status: Status, now_ms: int) -> Entitlement:
    """The same card in another standing. Raises StatusIsFinal.

    A suspended or active card may become anything; one revoked or lost, revoked or lost. One that
    is restored begins anew, so that no terminal counts a PIN from before its suspension.
    """
    if entitlement.status in _FINAL and status not in _FINAL:
        raise StatusIsFinal(
            f"card {entitlement.guid} is {entitlement.status}, and stays out of use"
        )
    changed = restate(entitlement, status)
    if entitlement.status is Status.SUSPENDED and status is Status.ACTIVE:
        return changed.model_copy(update={"not_before_ms": now_ms - now_ms % 1000})
    return changed


def extend(
    entitlement: Entitlement, credentials: tuple[Credential, ...], now_ms: int
) -> Entitlement:
    """Its keys proved once more: valid for as long again as a new card."""
    changes = {"credentials": credentials, "not_after_ms": now_ms + YEARS * YEAR_MS}
    return entitlement.model_copy(update={**changes, "salt": fresh_salt()})


def holder_of(entitlement: Entitlement) -> Holder:
    """Whose card it is: for the card that replaces it."""
    return Holder(entitlement.holder, entitlement.name, entitlement.positions)


def known(register: Register, guid: Guid, credentials: tuple[Credential, ...]) -> str | None:
    """Whose a GUID, or one of these keys, is already; None when the directory knows neither."""
    if (found := register.entitlement(guid)) is not None:
        return f"its GUID is {found.holder}'s, {found.status}"
    keys = [one.key.encode() for one in credentials]
    for line in register.entries(kind=EntryKind.ENTITLEMENT):
        # Base64 stands in JSON as it is, so most lines need not be parsed.
        if any(key in line for key in keys):
            other = Entitlement.from_bytes(line)
            return f"its key is on {other.holder}'s card {other.guid}"
    return None


def known_of(folder: SiteFolder, guid: Guid | None) -> dict[str, str]:
    """Whose a card is, its standing, and how far this desk made it, as far as this folder says."""
    if guid is None:
        return {}
    record = CardBook.of(folder).recall(guid)
    told = {} if record is None else {"made": record.stage.value, "holder": record.holder}
    try:
        entitlement = ledger.recall_entitlement(folder, guid)
    except NotThere:
        return told
    return told | {"holder": entitlement.holder, "status": entitlement.status.value}


def replaced(old: Entitlement, new: IssuedCard, now_ms: int) -> tuple[Entitlement, Entitlement]:
    """The new card's entitlement and the old one's end, to be published as one change."""
    end = old if old.status in _FINAL else change(old, Status.REVOKED, now_ms)
    fresh = old.model_copy(
        update={"guid": new.guid, "status": Status.ACTIVE, "not_before_ms": now_ms - now_ms % 1000}
    )
    return extend(fresh, new.credentials, now_ms), end
