"""Cards left behind: announced, capped, and never in anybody's way (FIELD 2).

* A card that rests beyond the ward's limit, in a slot or on a plate, is announced with its holder's
  initials (where its signature held), and opens nothing until it has gone and come back.
* So long after, the session that it opened is locked: a left card is worthless.
* Another card at another reader works as always; that it was tapped over a left one is noted, in
  the same commit as what came of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from contract.bedside import CardLeft, LeftState
from contract.events import Detail
from contract.ids import Guid
from firmware_py.glass import words
from firmware_py.glass.notice import Notice
from firmware_py.glass.view import Screen
from firmware_py.inside import Inside, Panel
from firmware_py.items import CardRests, Item, LeftOver
from firmware_py.sessions.machine import LeftLimit
from firmware_py.sessions.stage import Acted
from firmware_py.signon.pad import Tapped
from hardware.readers import CardRemoved, ReaderName

_INTERFACES: Final[dict[str, Literal["contact", "contactless"]]] = {
    "contact": "contact",
    "contactless": "contactless",
}


@dataclass(frozen=True, slots=True)
class _Left:
    """A card that was announced."""

    event: CardLeft
    arrived_ns: int
    initials: str | None
    flagged_ns: int | None = None
    """The newest tap over it."""


class LeftDesk:
    """Belongs to the consumer."""

    name = "left"

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._left: dict[ReaderName, _Left] = {}
        inside.signon.outcomes.beside = self._beside

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        match item:
            case CardRests():
                if self._inside.presence.rests(item):
                    self._announce(item)
            case LeftOver(reader, arrived_ns):
                left = self._left.get(reader)
                if left is not None and left.arrived_ns == arrived_ns:
                    self._cap(left)
            case CardRemoved(reader):
                self._taken(reader)
                return False
            case _:
                return False
        return True

    def panel(self) -> Panel | None:
        """Whose card lies where; initials alone, as on any locked screen."""
        for left in self._left.values():
            return {"initials": left.initials, "interface": left.event.interface}
        return None

    def _announce(self, item: CardRests) -> None:
        inside = self._inside
        tap = inside.signon.outcomes.newest_at(item.reader)
        tap = tap if tap is not None and tap.seen_ns == item.arrived_ns else None
        signed = tap is not None and tap.signed is not None and tap.signed.holds
        entitlement = tap.entitlement if tap and signed else None
        event = CardLeft(
            reader=inside.presence.place(item.reader),
            interface=_INTERFACES[inside.presence.interface(item.reader)],
            state=LeftState.ANNOUNCED,
            guid=tap.guid if tap else None,
            holder=entitlement.holder if entitlement else None,
        )
        initials = entitlement.name.initials if entitlement else None
        self._left[item.reader] = _Left(event, item.arrived_ns, initials)
        cap_s = inside.policy().left_card.cap_s
        over = LeftOver(item.reader, item.arrived_ns)
        inside.timers.set(f"left {item.reader}", cap_s, over)
        if inside.outage.down:
            return
        journal = inside.parts.journal
        reference = words.reference(journal.id, journal.next_sequence)

        def act(_: Acted) -> None:
            inside.signon.outcomes.notice = Notice(Screen.NOTICE, words.TAKE_CARD, reference)

        inside.stage.commit(None, (event,), act)

    def _cap(self, left: _Left) -> None:
        guid, stage = left.event.guid, self._inside.stage
        shown = stage.newest.shown
        if guid is None or shown is None or shown.guid != guid:
            return
        event = left.event.model_copy(update={"state": LeftState.LIMIT})
        stage.commit(stage.consider(LeftLimit(guid)), (event,))

    def _taken(self, reader: ReaderName) -> None:
        left = self._left.pop(reader, None)
        if left is not None:
            self._inside.timers.cancel(f"left {reader}")
            self._inside.outage.note(left.event.model_copy(update={"state": LeftState.TAKEN}))

    def _beside(self, tap: Tapped) -> Sequence[Detail]:
        """What to note beside the outcome of a tap at another reader: once a tap."""
        flags: list[Detail] = []
        for reader, left in self._left.items():
            over = reader != tap.reader and tap.guid not in (None, left.event.guid)
            if over and left.flagged_ns != tap.seen_ns:
                self._left[reader] = replace(left, flagged_ns=tap.seen_ns)
                by: Guid | None = tap.guid
                flags.append(
                    left.event.model_copy(update={"state": LeftState.TAPPED_OVER, "by": by})
                )
        return flags
