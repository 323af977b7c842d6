"""Whom a spare is for: somebody of the directory, searched for beside the queue, or a guest.

One search at a time, and of what is typed meanwhile the newest alone, and so it is with whom is
wanted: a page that asks at each letter, or again and again, costs one reading of the directory at a
time. Told are initials, role here and id, never a name: the screen is nobody's yet, and whoever
stands before it would read the staff list.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from contract.directory import Entitlement, Name, Status
from contract.help import Guest, Named
from firmware_py.help.commands import FindPerson, SpareWanted
from firmware_py.help.errand import NOBODY, NOT_GIVEN, Errand, Step
from firmware_py.signon.decision import allowed_here
from firmware_py.trust.people import MIN_TEXT, Found, cards_of, find
from firmware_py.trust.store import DirectoryDamaged, DirectoryFailed

if TYPE_CHECKING:
    from firmware_py.help.desk import HelpDesk

LOG: Final = logging.getLogger("tapover.help")

SEARCH_S: Final = 15
"""A hospital is looked through in a moment; a nation, on a slow disk, as far as it goes."""
_S: Final = 1_000_000_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Searched:
    """Who may be meant by a text; null: the directory cannot be read."""

    text: str
    found: Found | None

    def tell(self, desk: HelpDesk) -> None:
        desk.people.searched(self)


@dataclass(frozen=True, slots=True)
class Looked:
    """The directory was searched for somebody's card."""

    whom: SpareWanted
    card: Entitlement | None
    """Null: she has none in use, or (not `read`) the directory did not say in time."""
    read: bool

    def tell(self, desk: HelpDesk) -> None:
        desk.people.looked(self)


class _Newest(Generic[T]):
    """One at a time is read for, and of what is wanted meanwhile the newest alone."""

    def __init__(self, begin: Callable[[T], None]) -> None:
        self.busy = False
        self._begin = begin
        self._next: T | None = None

    def want(self, what: T | None) -> None:
        """Null: nothing any more."""
        if self.busy or what is None:
            self._next = what
        else:
            self.busy = True
            self._begin(what)

    def done(self) -> bool:
        """Whether nothing newer is wanted; else that begins."""
        self.busy, following, self._next = False, self._next, None
        self.want(following)
        return following is None


class PeopleOffice:
    """Belongs to the consumer."""

    def __init__(self, desk: HelpDesk) -> None:
        self._desk = desk
        self._now = desk.line.inside.parts.clock.monotonic_ns
        self._texts: _Newest[str] = _Newest(lambda text: desk.later(self._find(text)))
        self._whom: _Newest[SpareWanted] = _Newest(lambda whom: desk.later(self._look_up(whom)))

    def wanted(self, errand: Errand, command: SpareWanted) -> None:
        """Whom the spare is for was said."""
        if command.holder is None:
            errand.person = _guest(command)
        else:
            errand.step, errand.whom = Step.LOOKING, command
            self._whom.want(command)

    # --- who may be meant ---------------------------------------------------------------------

    def find(self, errand: Errand, command: FindPerson) -> None:
        """Another text: the newest is what is looked for."""
        errand.text, errand.found = command.text, None
        self._texts.want(command.text if len(command.text) >= MIN_TEXT else None)

    @property
    def searching(self) -> bool:
        """Whether the newest text has no answer yet."""
        return self._texts.busy

    async def _find(self, text: str) -> None:
        directory, place = self._desk.custody.kept.directory, self._desk.custody.place()
        now, until_ns = self._now, self._now() + SEARCH_S * _S
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
        newest, errand = self._texts.done(), self._desk.errand
        asked = errand is not None and errand.step is Step.PERSON and errand.text == news.text
        if newest and asked and errand is not None:
            errand.found = news.found or Found(())

    # --- her own card -------------------------------------------------------------------------

    async def _look_up(self, whom: SpareWanted) -> None:
        custody, until_ns = self._desk.custody, self._now() + SEARCH_S * _S
        assert whom.holder is not None  # noqa: S101 - looked at by `wanted`
        cards = None
        try:
            cards = await asyncio.to_thread(
                cards_of, custody.kept.directory, whom.holder, self._now, until_ns
            )
        except (DirectoryDamaged, DirectoryFailed) as error:
            LOG.warning("nobody can be looked up", extra={"why": str(error)})
        own = [card for card in cards or () if card.status is Status.ACTIVE]
        own = [card for card in own if custody.spare(card.guid) is None]
        newest = max(own, key=lambda card: card.not_after_ms, default=None)
        self._desk.post(Looked(whom, newest, cards is not None))

    def looked(self, found: Looked) -> None:
        """Who is to have the spare, by a card of hers. Raises JournalFailed."""
        newest, errand = self._whom.done(), self._desk.errand
        if not newest or errand is None or errand.step is not Step.LOOKING:
            return
        if errand.whom is not found.whom:
            return  # another errand by now
        if found.card is None:
            self._desk.give_up(NOBODY if found.read else NOT_GIVEN)
            return
        card = found.card
        errand.person = Named(holder=card.holder, guid=card.guid, lost=found.whom.lost)
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
