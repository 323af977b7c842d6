"""A card's standing in the directory: found by GUID or by holder, and changed.

Suspension alone can be lifted, and ends grace: a card that is restored owes its PIN at its next
tap. Lost also locks an open session.
"""

from __future__ import annotations

import re
from typing import Final

from contract.directory import Credential, Entitlement, Status
from contract.ids import Guid
from provisioning import ledger
from provisioning.card_journal import CardBook
from provisioning.cards import IssuedCard
from provisioning.entries import YEAR_MS, Holder, fresh_salt, restate
from provisioning.errors import BadInput, NotThere, StatusIsFinal
from provisioning.site import SiteFolder

YEARS: Final = 3
"""How long an entitlement lasts from its issue or renewal, as the card's certificates do."""

_GUID: Final = re.compile(r"[0-9a-f]{32}\Z")
_FINAL: Final = (Status.REVOKED, Status.LOST)


def find(folder: SiteFolder, who: str) -> Entitlement:
    """The card meant: by its GUID, or the one card in use of a holder.

    Raises NotThere, or BadInput when the holder has more than one and a GUID must be said.
    """
    if _GUID.match(who):
        return ledger.recall_entitlement(folder, who)
    held = in_use(folder, who)
    if not held:
        raise NotThere(f"nobody called '{who}' has a card in use, as far as this folder knows")
    if len(held) == 1:
        return held[0]
    listed = ", ".join(f"{one.guid} ({one.status})" for one in held)
    raise BadInput(f"say which card of {who} by its GUID: {listed}")


def in_use(folder: SiteFolder, holder: str) -> list[Entitlement]:
    """A holder's cards that are neither revoked nor lost."""
    return [
        one
        for one in ledger.entitlements(folder)
        if one.holder == holder and one.status not in _FINAL
    ]


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


def known(folder: SiteFolder, guid: Guid, credentials: tuple[Credential, ...]) -> str | None:
    """Whose a GUID, or one of these keys, is already; None when the directory knows neither."""
    keys = {one.key for one in credentials}
    for entitlement in ledger.entitlements(folder):
        if entitlement.guid == guid:
            return f"its GUID is {entitlement.holder}'s, {entitlement.status}"
        if keys & {one.key for one in entitlement.credentials}:
            return f"its key is on {entitlement.holder}'s card {entitlement.guid}"
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
