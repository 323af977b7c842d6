"""Spares for the night: made beforehand, nobody's, and made spares again once they were used.

A used spare has had a holder who knows its PIN: it gets another one, by its PUK, and its old
entitlement goes with the same change that makes it a spare again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from contract.directory import EntryKind, Position, Removed, Spare, Status
from contract.ids import HolderId, WardId
from hardware.apdu import CardChannel
from hardware.piv import Pin
from provisioning.cards.care import unlock_card
from provisioning.cards.desk import BlankCard, Desk, OwnCard
from provisioning.cards.giving import Send
from provisioning.cards.journal import Stage
from provisioning.cards.making import issue_at
from provisioning.directory import ledger
from provisioning.directory.entries import IssuedCard, fresh_salt
from provisioning.errors import CardOfAnother, UngatedCard

NOBODY: Final = HolderId("spare")
"""In whose name a spare is made: the card's certificates are for foreign software only."""


def make_spare(
    desk: Desk,
    send: Send,
    channel: CardChannel,
    pin: Pin,
    wards: Sequence[WardId],
    guest: Position | None,
) -> Spare:
    """Makes the blank or used card a spare, with this PIN in its letter, and publishes it.

    Torn away: call it again. Raises CardOfAnother for somebody's own card, UngatedCard, and as
    `cards.issue_card`.
    """
    card, was_used = _made(desk, channel, pin)
    if not card.pin_gated:
        raise UngatedCard("its 9A signs without a PIN: make it blank again (tapover card undo)")
    record = desk.book.recall(card.guid)
    assert record is not None  # noqa: S101 - it was just made or unlocked here
    spare = Spare(
        guid=card.guid,
        credentials=card.credentials,
        wards=tuple(wards),
        guest=guest,
        status=Status.ACTIVE,
        not_after_ms=record.ends_ms or desk.ends_ms(),
        salt=fresh_salt(),
    )
    ledger.remember(desk.folder, [spare])
    # In this order: whoever reads the log finds the spare to be the newest word on its keys.
    gone = Removed(kind=EntryKind.ENTITLEMENT, id=card.guid, salt=fresh_salt())
    send(*((gone, spare) if was_used else (spare,)))
    desk.book.given(card.guid)
    return spare


def _made(desk: Desk, channel: CardChannel, pin: Pin) -> tuple[IssuedCard, bool]:
    seen = OwnCard.seen(desk, channel)
    if isinstance(seen, BlankCard) or seen.record.stage is not Stage.GIVEN:
        return issue_at(desk, channel, NOBODY, pin), False
    if seen.record.holder != NOBODY:
        raise CardOfAnother(f"the card is {seen.record.holder}'s: a spare is made of a blank one")
    return unlock_card(desk, channel, pin), True
