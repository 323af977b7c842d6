"""What the journal is owed of break-glass: opened while it could not be written (DESIGN §7).

It is journalled as soon as the journal takes events, before any change of a session that rests on
it, and counts as owed until it is durable. Then the reserve is read again: what lies there and in
no journal, because there was no room for it here or a daemon was killed meanwhile, is journalled as
well, and only when all of it is, it is taken out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from contract.emergency import BreakGlassOpened
from contract.events import Event
from contract.ids import SessionId
from contract.wire import WireError
from firmware_py.emergency.reserve import Reserve, ReserveFull
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

_Key = tuple[SessionId, int]


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
        self._unread = False
        """The reserve could not be compared with the journal: to be done when that is back."""
        self._tasks: set[asyncio.Future[None]] = set()

    def add(self, opened: BreakGlassOpened) -> None:
        """One more."""
        self._owed.append(opened)
        while len(self._owed) > MOST_OWED:
            lost = self._owed.pop(0).model_dump_json()
            LOG.error("break-glass waits no longer: in reserve or log", extra={"event": lost})

    def pay(self) -> None:
        """If it takes events now. Raises JournalFailed."""
        if not self._inside.outage.down and not self._journal.failed:
            self.journal_back()

    def journal_back(self) -> None:
        """It takes events again. Raises JournalFailed."""
        if self._unread:
            self.replay()
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
            self.replay()

    def replay(self) -> None:
        """What lies in the reserve alone is journalled now; nothing else stays there."""
        self._unread = False
        if self._reserve is not None:
            self._start(self._replay(self._reserve))

    async def _replay(self, reserve: Reserve) -> None:
        try:
            lines = await reserve.turn(reserve.records)
            known = await self._journal.run(_opened_in(self._journal)) if lines else []
        except (ReserveFull, JournalFailed, CommitFailed) as error:
            LOG.warning("the journal's reserve waits", extra={"why": str(error)})
            self._unread = True
            return
        if lines:
            journalled = {key for line in known if (key := _key_in(line))}
            self._inside.post(EmergencyNews(lambda: self._found(reserve, lines, journalled)))

    def _found(self, reserve: Reserve, lines: list[bytes], journalled: set[_Key]) -> None:
        known = journalled | {_key(one) for one in (*self._owed, *self._paying)}
        kept = [one for line in lines if (one := _parsed(line))]
        self._owed[:0] = [one for one in kept if _key(one) not in known]
        if self._owed:
            self.pay()
        elif not self._paying:
            self._start(self._forget(reserve, lines))

    async def _forget(self, reserve: Reserve, lines: list[bytes]) -> None:
        try:
            await reserve.turn(lambda: reserve.forget(lines))
        except ReserveFull as error:
            LOG.warning("the journal's reserve is not emptied", extra={"why": str(error)})

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _key(opened: BreakGlassOpened) -> _Key:
    """Her emergency session may be gone back to, by breaking the glass again."""
    return opened.session, opened.begins_ms


def _parsed(line: bytes) -> BreakGlassOpened | None:
    try:
        return BreakGlassOpened.model_validate_json(line)
    except ValidationError:
        LOG.error(  # noqa: TRY400 - it is no bug's trace
            "the reserve holds what is no break-glass", extra={"record": repr(line)}
        )
        return None


def _key_in(line: bytes) -> _Key | None:
    """Of a journal's event; null where another version of this program wrote it."""
    try:
        detail = Event.from_bytes(line).detail
    except WireError:
        return None
    return _key(detail) if isinstance(detail, BreakGlassOpened) else None


def _opened_in(journal: Journal) -> Callable[[Connection], list[bytes]]:
    """A job: the newest events of this kind in the open journal."""
    ordinal, first = journal.ordinal, max(0, journal.next_sequence - MAX_RECALLED)

    def read(connection: Connection) -> list[bytes]:
        lines = journal_store.read_events(connection, ordinal, first)
        return [line for line in lines if b'"kind":"break-glass.opened"' in line]

    return read
