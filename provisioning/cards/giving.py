"""From a card at the desk to a card that opens terminals: made, written down, published, given.

In this order, so that whatever fails in between is done by asking for the same again, or needs no
card any more: what was made is kept before the gateway is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from contract.directory import Entitlement, Status
from hardware.apdu import CardChannel
from hardware.piv import Pin
from provisioning.cards import standing
from provisioning.cards.desk import Desk
from provisioning.cards.making import issue_at
from provisioning.directory import entries, ledger
from provisioning.directory.entries import Holder, IssuedCard
from provisioning.errors import MadeNotPublished, ProvisioningError, UngatedCard

Send = Callable[..., dict[str, Any]]
"""Publishes entries as one change; the answer names the version that it became."""


@dataclass(frozen=True, slots=True)
class Given:
    """A card that is its holder's now."""

    entitlement: Entitlement
    published: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For the command's answer."""
        gated = any(one.pin_gated for one in self.entitlement.credentials)
        held = {"guid": self.entitlement.guid, "holder": self.entitlement.holder}
        return {**held, "pin_gated": gated, **self.published}


def issue(desk: Desk, send: Send, channel: CardChannel, holder: Holder, pin: Pin) -> Given:
    """A blank card for a holder.

    Raises UngatedCard, MadeNotPublished, and as `cards.issue_card`.
    """
    card = _sound(issue_at(desk, channel, holder.id, pin))
    return give(desk, send, entries.entitle(card, holder, desk.clock.wall_ms()))


def replace(desk: Desk, send: Send, channel: CardChannel, old: Entitlement, pin: Pin) -> Given:
    """A blank card for the holder of `old`, which ends as the new one begins: one change.

    Suspend `old` first (`withdraw`). Raises as `issue`.
    """
    card = _sound(issue_at(desk, channel, old.holder, pin))
    fresh, end = standing.replaced(old, card, desk.clock.wall_ms())
    return give(desk, send, fresh, end)


def withdraw(send: Send, old: Entitlement, now_ms: int, *, lost: bool) -> Entitlement:
    """The card that is to be replaced opens nothing from now on, whatever becomes of the new one.

    Its grace ends with it. A lost one also locks an open session. Published unless it stands so.
    """
    wanted = Status.LOST if lost else Status.SUSPENDED
    if old.status in (wanted, Status.LOST, Status.REVOKED):
        return old
    changed = standing.change(old, wanted, now_ms)
    send(changed)
    return changed


def give(desk: Desk, send: Send, entitlement: Entitlement, *ended: Entitlement) -> Given:
    """Publish a card that was made, enrolled or renewed; `ended` end with it.

    Raises MadeNotPublished.
    """
    # A card is made once, and knows nothing of its holder: kept before anything else can fail.
    ledger.remember(desk.folder, [entitlement])
    try:
        published = send(entitlement, *ended)
    except ProvisioningError as error:
        do = [f"tapover card status {entitlement.guid} active"]
        do += [f"tapover card revoke {one.guid}" for one in ended]
        raise MadeNotPublished(
            f"the card is ready, not published; do that: {', then '.join(do)} ({error})"
        ) from error
    desk.book.given(entitlement.guid)
    return Given(entitlement, published)


def _sound(card: IssuedCard) -> IssuedCard:
    if not card.pin_gated:
        raise UngatedCard("its 9A signs without a PIN: make it blank again (tapover card undo)")
    return card
