"""Whom a spare is for: somebody of the directory, searched for beside the queue, or a guest.

One search at a time, and of what is typed meanwhile the newest alone: a page that asks at each
letter costs no more than the slowest disk. Told are initials, role here and id, never a name: the
screen is nobody's yet, and whoever stands before it would read the staff list.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contract.directory import Entitlement, Name, Status
from contract.help import Guest, Named
from contract.ids import HolderId
from firmware_py.help.commands import FindPerson, SpareWanted
from firmware_py.help.errand import NOBODY, Errand, Step
from firmware_py.signon.decision import allowed_here
from firmware_py.trust.here import Place
from firmware_py.trust.people import MIN_TEXT, Found, cards_of, find
from firmware_py.trust.store import DirectoryDamaged, DirectoryFailed

if TYPE_CHECKING:
    from firmware_py.help.desk import HelpDesk

LOG: Final = logging.getLogger("tapover.help")

SEARCH_S: Final = 15
"""A hospital is looked through in a moment; a nation, on a slow disk, as far as it goes."""
_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Searched:
    """Who may be meant by a text; null: the directory cannot be read."""

    text: str
    found: Found | None

    def tell(self, desk: HelpDesk) -> None:
        desk.people.searched(self)


@dataclass(frozen=True, slots=True)
class Looked:
    """The directory was searched for somebody; null: nobody has a card in use."""

    card: Entitlement | None
    lost: bool

    def tell(self, desk: HelpDesk) -> None:
        desk.people.looked(self)


class PeopleOffice:
    """Belongs to the consumer."""

    def __init__(self, desk: HelpDesk) -> None:
        self._desk = desk
        self._searching = False
        self._next: str | None = None

    def wanted(self, errand: Errand, command: SpareWanted) -> None:
        """Whom the spare is for was said."""
        if command.holder is None:
            errand.person = _guest(command)
        else:
            errand.step = Step.LOOKING
            self._desk.later(self._look_up(command.holder, lost=command.lost))

    # --- who may be meant ---------------------------------------------------------------------

    def find(self, errand: Errand, command: FindPerson) -> None:
        """Another text: the newest is what is looked for."""
        errand.text, errand.found = command.text, None
        if len(command.text) < MIN_TEXT:
            self._next = None
        elif self._searching:
            self._next = command.text
        else:
            self._searching = True
            self._desk.later(self._find(command.text, self._desk.custody.place()))

    @property
    def searching(self) -> bool:
        """Whether the newest text has no answer yet."""
        return self._searching

    async def _find(self, text: str, place: Place) -> None:
        directory = self._desk.custody.kept.directory
        now = self._desk.line.inside.parts.clock.monotonic_ns
        until_ns = now() + SEARCH_S * _S
        found = None
        try:
            found = await asyncio.to_thread(
                find, directory, text, lambda one: bool(allowed_here(one, place)), now, until_ns
            )
        except (DirectoryDamaged, DirectoryFailed) as error:
            LOG.warning("nobody can be searched for", extra={"why": str(error)})
        self._desk.post(Searched(text, found))

    def searched(self, news: Searched) -> None:
        """What came of a search; whoever was meant by then has perhaps another name."""
        self._searching, following, self._next = False, self._next, None
        errand = self._desk.errand
        if errand is None or errand.step is not Step.PERSON:
            return
        if following is not None:
            self.find(errand, FindPerson(following))
        elif errand.text == news.text:
            errand.found = news.found or Found(())

    # --- her own card -------------------------------------------------------------------------

    async def _look_up(self, holder: HolderId, *, lost: bool) -> None:
        custody = self._desk.custody
        try:
            cards = await asyncio.to_thread(cards_of, custody.kept.directory, holder)
        except (DirectoryDamaged, DirectoryFailed) as error:
            LOG.warning("nobody can be looked up", extra={"why": str(error)})
            cards = []
        own = [card for card in cards if card.status is Status.ACTIVE]
        own = [card for card in own if custody.spare(card.guid) is None]
        newest = max(own, key=lambda card: card.not_after_ms, default=None)
        self._desk.post(Looked(newest, lost))

    def looked(self, found: Looked) -> None:
        """Who is to have the spare, by a card of hers."""
        errand = self._desk.errand
        if errand is None or errand.step is not Step.LOOKING:
            return
        if found.card is None:
            self._desk.give_up(NOBODY)
            return
        card = found.card
        errand.person = Named(holder=card.holder, guid=card.guid, lost=found.lost)
        self._desk.go_on(Step.CARD)


def _guest(command: SpareWanted) -> Guest | None:
    first, *rest = command.name.split()
    last = rest[-1] if rest else first
    name = Name(
        full=command.name,
        short=f"{first} {last[0]}." if rest else first,
        initials=(first[0] + last[0]) if rest else first[0],
    )
    return Guest(name=name, number=command.number)
