"""What the journal is owed of break-glass: opened while it could not be written (DESIGN §7).

It is journalled as soon as the journal takes events, before any change of a session that rests on
it, and counts as owed until it is durable. Only then is the reserve emptied, in which a daemon that
was killed meanwhile has left it for the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from contract.emergency import BreakGlassOpened
from contract.ids import SessionId
from firmware_py.emergency.reserve import ReserveFull
from firmware_py.evidence import journal_store
from firmware_py.evidence.committer import CommitFailed, Connection
from firmware_py.evidence.journal import Journal, JournalFailed, Written
from firmware_py.items import EmergencyNews
from firmware_py.signon.recall import MAX_RECALLED

if TYPE_CHECKING:
    from firmware_py.emergency.line import BreakGlassLine

LOG: Final = logging.getLogger("tapover.emergency")
MOST_OWED: Final = 64
"""A night without a disk; of older ones the reserve has its part, and the daemon's log all."""


class Owed:
    """Belongs to the consumer."""

    def __init__(self, line: BreakGlassLine, recorded: Callable[[SessionId], None]) -> None:
        """``recorded`` hears of each that is durable."""
        self._inside = line.inside
        self._journal = line.inside.parts.journal
        self._reserve = line.reserve
        self._recorded = recorded
        self._owed: list[BreakGlassOpened] = []
        self._paying: tuple[BreakGlassOpened, ...] = ()
        self._left_out = False
        """The reserve may hold more than is remembered here."""
        self._tasks: set[asyncio.Future[None]] = set()

    def add(self, opened: BreakGlassOpened) -> None:
        """One more; what falls out here may still lie in the reserve."""
        self._left_out = self._left_out or len(self._owed) >= MOST_OWED
        self._owed = [*self._owed, opened][-MOST_OWED:]

    def pay(self) -> None:
        """If it takes events now. Raises JournalFailed."""
        if not self._inside.outage.down and not self._journal.failed:
            self.journal_back()

    def journal_back(self) -> None:
        """It takes events again. Raises JournalFailed."""
        if not self._owed or self._paying:
            return
        written = self._journal.append(*self._owed)
        self._paying = tuple(self._owed)
        written.durable.add_done_callback(
            lambda _: self._inside.post(EmergencyNews(lambda: self._paid(written)))
        )

    def _paid(self, written: Written) -> None:
        paid, self._paying = self._paying, ()
        if written.durable.cancelled() or written.durable.exception() is not None:
            return  # it is owed as before
        self._owed = [one for one in self._owed if one not in paid]
        for one in paid:
            self._recorded(one.session)
        if not self._owed:
            self._start(self._replay() if self._left_out else self._empty())

    async def _empty(self) -> None:
        if self._reserve is None:
            return
        try:
            await asyncio.to_thread(self._reserve.clear)
        except ReserveFull as error:
            LOG.warning("the journal's reserve is not emptied", extra={"why": str(error)})

    def replay(self) -> None:
        """What a daemon before this one had kept in the reserve is journalled now."""
        self._start(self._replay())

    async def _replay(self) -> None:
        self._left_out = False
        lines = await asyncio.to_thread(self._reserve.records) if self._reserve else []
        kept = [one for line in lines if (one := _parsed(line))]
        try:
            known = await self._journal.run(_opened_in(self._journal))
        except (JournalFailed, CommitFailed) as error:
            LOG.warning("the reserve waits for the journal", extra={"why": str(error)})
            known = []
        fresh = [one for one in kept if not any(one.session.encode() in line for line in known)]
        self._inside.post(EmergencyNews(lambda: self._found(fresh)))

    def _found(self, opened: list[BreakGlassOpened]) -> None:
        self._owed = [*opened, *self._owed]
        if self._owed:
            self.pay()
        else:
            self._start(self._empty())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _parsed(line: bytes) -> BreakGlassOpened | None:
    try:
        return BreakGlassOpened.model_validate_json(line)
    except ValidationError:
        LOG.error("the reserve holds what is no break-glass")  # noqa: TRY400 - it is no bug's trace
        return None


def _opened_in(journal: Journal) -> Callable[[Connection], list[bytes]]:
    """A job: the newest events of this kind in the open journal."""
    ordinal, first = journal.ordinal, max(0, journal.next_sequence - MAX_RECALLED)

    def read(connection: Connection) -> list[bytes]:
        lines = journal_store.read_events(connection, ordinal, first)
        return [line for line in lines if b'"kind":"break-glass.opened"' in line]

    return read
