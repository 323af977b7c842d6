"""Cards one after another against a list of holders.

Whoever has a card by this desk is passed over, so a batch that was cut off, or whose card was torn
away, is begun again with the same list. A card that was begun for somebody else on the list is
finished for them first. A card that cannot serve is told of, and another one is waited for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from contract.directory import Entitlement
from contract.ids import HolderId
from hardware.apdu import CardChannel, HardwareError
from hardware.piv import Pin
from provisioning.cards import pins
from provisioning.cards.desk import Desk, OwnCard
from provisioning.cards.journal import Stage
from provisioning.cards.making import issue_at
from provisioning.directory import entries, ledger
from provisioning.directory.entries import Holder
from provisioning.errors import (
    BadInput,
    CardBlocked,
    CardOfAnother,
    CardUnfit,
    DiskFailed,
    NotThere,
    PukUnknown,
)

T = TypeVar("T")

_OF_THE_CARD: Final = (CardUnfit, CardOfAnother, PukUnknown, CardBlocked, HardwareError)
"""What another card, or the same put in again, can mend."""


class Slot(Protocol):
    """A reader into which a person puts one card after another."""

    def wait_card(self) -> None:
        """Return when a card is in it. Raises NotThere when none comes for long."""
        ...

    def wait_empty(self) -> None:
        """Return when none is in it. Raises NotThere when it is left for long."""
        ...

    def with_card(self, work: Callable[[CardChannel], T]) -> T:
        """The result of `work` on the card in it. Raises HardwareError."""
        ...


@dataclass(frozen=True, slots=True)
class Batch:
    """One person at one desk with a stack of blank cards."""

    desk: Desk
    slot: Slot
    publish: Callable[[Entitlement], object]
    pin_for: Callable[[Holder], Pin]
    tell: Callable[[str], None]

    def run(self, holders: Sequence[Holder]) -> list[Entitlement]:
        """Issue to each who has none; the entitlements made by this call.

        Raises what is no card's fault: of the gateway, the disk, the person's patience.
        """
        self._publish_made(holders)
        given = with_cards(self.desk)
        waiting = {one.id: one for one in holders if one.id not in given}
        made: list[Entitlement] = []
        while waiting:
            first = next(iter(waiting.values()))
            at = f"{len(holders) - len(waiting) + 1} of {len(holders)}"
            self.tell(f"{at}, {first.name.full}: put a blank card into the reader.")
            self.slot.wait_card()
            try:
                entitlement = self.slot.with_card(lambda card: self._issue(card, waiting))
            except _OF_THE_CARD as error:
                self.tell(f"{error}. Take the card out.")
            else:
                made.append(entitlement)
                del waiting[entitlement.holder]
                self.tell(f"It is {entitlement.name.full}'s. Take the card out.")
            self.slot.wait_empty()
        return made

    def _issue(self, channel: CardChannel, waiting: dict[HolderId, Holder]) -> Entitlement:
        holder = self._meant(channel, waiting)
        card = issue_at(self.desk, channel, holder.id, self.pin_for(holder))
        if not card.pin_gated:
            raise CardUnfit("its 9A signs without a PIN; take another make of card")
        entitlement = entries.entitle(card, holder, self.desk.clock.wall_ms())
        # A card is made once, and knows nothing of its holder: kept before anything else can fail.
        ledger.remember(self.desk.folder, [entitlement])
        self.publish(entitlement)
        self.desk.book.given(card.guid)
        return entitlement

    def _meant(self, channel: CardChannel, waiting: dict[HolderId, Holder]) -> Holder:
        """The next, unless the card was begun for another who waits."""
        card = OwnCard.seen(self.desk, channel)
        if isinstance(card, OwnCard) and card.record.holder in waiting:
            return waiting[card.record.holder]
        return next(iter(waiting.values()))

    def _publish_made(self, holders: Sequence[Holder]) -> None:
        """Cards that were made when the gateway was away need no card in the reader."""
        meant = {one.id for one in holders}
        for record in self.desk.book.all():
            if record.stage is Stage.MADE and record.holder in meant:
                try:
                    entitlement = ledger.recall_entitlement(self.desk.folder, record.guid)
                except NotThere:
                    continue
                self.publish(entitlement)
                self.desk.book.given(record.guid)


def with_cards(desk: Desk) -> frozenset[HolderId]:
    """Whom this desk gave a card."""
    return frozenset(one.holder for one in desk.book.all() if one.stage is Stage.GIVEN)


def read_holders(data: bytes) -> list[Holder]:
    """One holder's JSON a line. Raises BadInput naming the line."""
    found: dict[str, Holder] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            holder = entries.read_holder(line)
        except BadInput as error:
            raise BadInput(f"line {number}: {error}") from error
        if holder.id in found:
            raise BadInput(f"line {number}: {holder.id} stands in the list twice")
        found[holder.id] = holder
    if not found:
        raise BadInput("the list names nobody")
    return list(found.values())


@dataclass(frozen=True, slots=True)
class PinLetters:
    """A file, readable by its owner alone, that gets a line for each PIN that was drawn.

    The newest line of a holder counts. Print it, hand it over, destroy it.
    """

    path: Path

    def pin_for(self, holder: Holder) -> Pin:
        """Draw one, and write it down before any card has it. Raises DiskFailed."""
        digits = pins.draw(holder.id)
        line = json.dumps({"holder": holder.id, "name": holder.name.full, "pin": digits}) + "\n"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            descriptor = os.open(self.path, flags, 0o600)
            try:
                os.write(descriptor, line.encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise DiskFailed(f"{self.path}: {error.strerror}") from error
        return Pin(digits)
