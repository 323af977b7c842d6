"""The stage: sessions as they are, what of it is durable, and the workspace that shows it.

Audit first, then act: a transition's events are appended at once, and its effects carried out when
they are on disk, in their order. Two states stand side by side meanwhile: `newest`, on which the
next step is made, and `acted`, which the workspace shows. What leaves the glass is hidden by
`newest`, what comes to it shown by `acted` (see `visible`), so that nothing waits to be covered:
`Cover` alone is carried out at once. Who needs the glass meanwhile (a card in the field, an offer)
covers it and uncovers it again; in between no input reaches any work, and no session has changed.

A journal that fails, or a workspace that does, ends locked: first the lock, then its event, which
is owed to the journal until it can take it. Whoever leaves waits for no journal either. Break-glass
alone also opens without one, and stays (DESIGN §7).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from contract.events import Detail, SessionChange
from contract.ids import SessionId
from contract.policy import Policy
from firmware_py.evidence.journal import Journal, JournalFailed, Written
from firmware_py.items import Durable, Item, SurroundingsChanged
from firmware_py.sessions.machine import (
    TABLE,
    Changed,
    Effect,
    Faulted,
    Glass,
    Happening,
    Holding,
    Kind,
    Session,
    Sessions,
    Transition,
    step,
)
from firmware_py.sessions.port import SessionAbout, Workspace, WorkspaceFailed
from firmware_py.sessions.values import JOURNALLED
from runtime.clock import Clock

LOG: Final = logging.getLogger("tapover.stage")

# A fault or two of a night without a disk; what falls out at the old end is in the log alone.
MAX_OWED: Final = 256
_MS: Final = 1_000_000
_EMERGENCY: Final = frozenset({Kind.BREAK_GLASS, Kind.EMERGENCY_VIEW})
_LEAVING: Final = frozenset({SessionChange.PARKED, SessionChange.LOCKED, SessionChange.CLOSED})


@dataclass(frozen=True, slots=True)
class Acted:
    """A commit is durable and carried out. ``flush_ns``: from its append until it was on disk."""

    first: int
    """Sequence of its first event."""
    flush_ns: int


@dataclass(frozen=True, slots=True)
class _Commit:
    written: Written | None
    appended_ns: int
    after: Sessions
    effects: tuple[Effect, ...]
    then: Callable[[Acted], None]


class Stage:
    """Belongs to the consumer."""

    def __init__(
        self,
        journal: Journal,
        workspace: Workspace,
        clock: Clock,
        policy: Callable[[], Policy],
        post: Callable[[Item], None],
        about: Callable[[Session], SessionAbout],
    ) -> None:
        self.newest = Sessions()
        self.acted = Sessions()
        self._journal = journal
        self._workspace = workspace
        self._clock = clock
        self._policy = policy
        self._post = post
        self._about = about
        self._line: deque[_Commit] = deque()
        self._owed: deque[Detail] = deque()
        self._paying: tuple[Detail, ...] = ()
        self._ready: SessionId | None = None
        self._showing: tuple[SessionId] | None = None
        """Of the newest show; each is its own, told apart by identity."""
        self._aside: SessionId | None = None
        self._stays_aside = False
        """Until `bring_back`; then it is still aside until it is ready again."""
        self._covers: set[str] = set()

    @property
    def visible(self) -> Session | None:
        """Whose work is on the glass and takes input."""
        shown = self.acted.shown
        if shown is None or self.newest.shown != shown or self._ready != shown.id:
            return None
        return shown

    @property
    def signed_on(self) -> Session | None:
        """Whose session stands, neither locked nor parked, whatever covers it for a moment."""
        shown, newest = self.acted.shown, self.newest.shown
        return shown if shown and newest and shown.id == newest.id else None

    @property
    def aside(self) -> bool:
        """Whether the visible work is hidden for a while, and takes no input."""
        return self._aside is not None

    @property
    def offering(self) -> bool:
        """Whether somebody is offered to join or to take over a held screen."""
        return self.newest.offered is not None or self.acted.offered is not None

    @property
    def settled(self) -> bool:
        """Whether nothing waits for the disk."""
        return not self._line

    def takes(self, happening: type) -> bool:
        """Whether the table has such an event in the present state."""
        return (self.newest.mode, happening) in TABLE

    def consider(self, happening: Happening) -> Transition:
        """What it would come to. Raises IllegalEvent."""
        return step(self.newest, happening, self._policy(), self._clock.monotonic_ns() // _MS)

    def commit(
        self,
        transition: Transition | None,
        details: Sequence[Detail] = (),
        then: Callable[[Acted], None] = lambda _: None,
    ) -> None:
        """Journal ``details`` and the transition's changes, then carry it out, then call ``then``.

        Raises JournalFailed, and nothing has happened.
        """
        transition = transition or Transition(self.newest)
        events = (*details, *_changes(transition))
        try:
            written = self._journal.append(*events) if events else None
        except JournalFailed:
            if details or self._line or not _leaves(transition):
                raise
            self.commit_owed(transition, (), then)
        else:
            self._queue(transition, written, then)

    def commit_owed(
        self,
        transition: Transition,
        details: Sequence[Detail],
        then: Callable[[Acted], None] = lambda _: None,
    ) -> None:
        """As `commit`, where the journal cannot be written: its events are owed to it.

        For whoever leaves, and for break-glass, which was kept elsewhere or is shown as unrecorded.
        """
        self._owe(*details, *_changes(transition))
        self._queue(transition, None, then)

    def _queue(
        self, transition: Transition, written: Written | None, then: Callable[[Acted], None]
    ) -> None:
        self.newest = transition.state
        if Glass.COVER in transition.effects:
            self._lock_now()
        appended_ns = self._clock.monotonic_ns()
        self._line.append(_Commit(written, appended_ns, transition.state, transition.effects, then))
        if written is None:
            self._advance()
        else:
            written.durable.add_done_callback(lambda _: self._post(Durable()))

    def durable(self) -> None:
        """A commit may be on disk: carry out what is, in order."""
        self._advance()

    def drop(self, happening: Happening) -> None:
        """The journal failed: forget what was not durable, and lock; the lock's event is owed.

        An emergency position that is on the glass stays there.
        """
        shown = self.newest.shown
        if shown and shown.kind in _EMERGENCY and self.newest == self.acted:
            self._line.clear()
            return
        self._line.clear()
        self.newest = self.acted
        self._lock_now()
        if self.takes(type(happening)):
            transition = self.consider(happening)
            self._owe(*_changes(transition))
            self.newest = self.acted = transition.state

    def cover(self, why: str) -> None:
        """Nothing typed, touched or scanned reaches any work until every `why` is uncovered."""
        self._covers.add(why)
        if self._showing is not None:
            self._lock_now()

    def uncover(self, why: str) -> None:
        """Whoever is signed on goes on, once nothing else covers her. Raises JournalFailed."""
        if why in self._covers:
            self._covers.discard(why)
            self._bring_back()

    def _bring_back(self) -> None:
        shown, newest = self.acted.shown, self.newest.shown
        covered = bool(self._covers) or self._stays_aside
        if covered or self._line or self._showing or not shown or not newest:
            return
        if shown.id == newest.id:
            try:
                self._show(shown.id)
            except WorkspaceFailed as failure:
                LOG.exception("workspace failed", extra={"why": str(failure)})
                self.workspace_broke()

    def workspace_broke(self) -> None:
        """It went wrong after the asking: cover at once, and lock. Raises JournalFailed."""
        self._lock_now()
        if self.takes(Faulted):
            self.commit(self.consider(Faulted()))

    def put_aside(self) -> None:
        """Hide the visible work for something else on the glass. The session is as it was."""
        if (visible := self.visible) is not None:
            self._aside, self._stays_aside = visible.id, True
            self._showing = None
            self._workspace.lock()

    def bring_back(self) -> None:
        """Show again what was put aside, where it is still there. Raises JournalFailed."""
        if self._stays_aside:
            self._stays_aside = False
            self._bring_back()

    def pay(self) -> None:
        """The journal takes events again: what it was owed, until that is durable.

        Raises JournalFailed.
        """
        if self._owed and not self._paying:
            written = self._journal.append(*self._owed)
            self._paying = tuple(self._owed)
            self._owed.clear()
            written.durable.add_done_callback(lambda _: self._paid(written))

    def _owe(self, *details: Detail) -> None:
        self._owed += details
        while len(self._owed) > MAX_OWED:
            lost = self._owed.popleft().model_dump_json()
            LOG.error("owed to the journal for too long: in this log alone", extra={"event": lost})

    def _paid(self, written: Written) -> None:
        if not _on_disk(written):
            self._owed.extendleft(reversed(self._paying))
            self._owe()
        self._paying = ()

    def _advance(self) -> None:
        while self._line and _on_disk(self._line[0].written):
            commit = self._line.popleft()
            self.acted = commit.after
            flush_ns = self._clock.monotonic_ns() - commit.appended_ns if commit.written else 0
            try:
                for effect in commit.effects:
                    if isinstance(effect, Changed):
                        self._carry_out(effect)
            except WorkspaceFailed as failure:
                LOG.exception("workspace failed", extra={"why": str(failure)})
                self.workspace_broke()
            commit.then(Acted(commit.written.first if commit.written else 0, flush_ns))
        self._bring_back()

    def _carry_out(self, changed: Changed) -> None:
        session = changed.session.id
        match changed.change:
            case SessionChange.OPENED | SessionChange.RESUMED | SessionChange.UNLOCKED:
                if changed.change is SessionChange.OPENED:
                    self._workspace.create(session, self._about(changed.session))
                if not self._covers:  # else when it is uncovered
                    self._show(session)
            case SessionChange.PARKED:
                self._hidden(session)
                self._workspace.park(session)
            case SessionChange.LOCKED:
                self._hidden(session)
                self._workspace.lock()
            case SessionChange.CLOSED:
                self._hidden(session)
                self._workspace.dispose(session)

    def _show(self, session: SessionId) -> None:
        self._showing = showing = (session,)
        self._workspace.show(session, lambda: self._shown(session, showing))

    def _shown(self, session: SessionId, showing: tuple[SessionId]) -> None:
        if self._showing is not showing:
            return  # it was hidden again before it was ready
        self._ready, self._aside = session, None
        self._post(SurroundingsChanged())

    def _hidden(self, session: SessionId) -> None:
        if self._ready == session:
            self._ready = None
        if self._aside == session:
            self._aside, self._stays_aside = None, False
        if self._showing is not None and self._showing[0] == session:
            self._showing = None

    def _lock_now(self) -> None:
        self._ready = self._showing = self._aside = None
        self._stays_aside = False
        try:
            self._workspace.lock()
        except WorkspaceFailed:
            LOG.exception("workspace did not lock; the glass stays covered")


def _changes(transition: Transition) -> tuple[Detail, ...]:
    return tuple(one.detail for one in transition.effects if isinstance(one, JOURNALLED))


def _leaves(transition: Transition) -> bool:
    """Whether it shows nothing that was not shown."""
    return all(
        one.change in _LEAVING for one in transition.effects if isinstance(one, Changed)
    ) and not any(isinstance(one, Holding) for one in transition.effects)


def _on_disk(written: Written | None) -> bool:
    if written is None:
        return True
    durable = written.durable
    return durable.done() and not durable.cancelled() and durable.exception() is None
