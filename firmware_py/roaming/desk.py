"""A session gives way to its holder's tap elsewhere, and its small state goes after her.

Giving way: covered, locked and parked here, durable before anything is told. The state is taken,
sealed and sent only where the tap was certainly made just now, by a card in use; else the session
stays parked with all it has, and the handover says where it is. While the journal takes nothing,
an emergency is parked all the same, as leaving waits for no journal; it is told of when that is
back, and an ordinary session is locked meanwhile.

Going on: a handover for our newest tap is verified, journalled, and restored into the session that
the tap opened, which never waited for it. The terminal from which it came hears that it arrived;
from then the state there is an earlier one, kept aside until its holder comes back.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Final, Literal

from contract.events import OutcomeResult
from contract.ids import Digest, SessionId, TerminalId
from contract.journal import join_lines, require_bodies, split_lines
from contract.move import (
    MAX_MOVE_BYTES,
    SessionHandover,
    StateRefused,
    StateTaken,
    open_state,
    seal_state,
)
from contract.moving import MovedState, MoveReason, SessionMoved
from contract.signing import Envelope, PayloadType, SignatureRefused, VerifyKey, sha256
from contract.wire import WireError, decode_base64
from firmware_py import items
from firmware_py.roaming import words
from firmware_py.roaming.claims import Claim, to_hand_over
from firmware_py.roaming.heard import Heard, Refused
from firmware_py.roaming.line import RoamingLine
from firmware_py.sessions.happenings import MovedAway
from firmware_py.sessions.port import WorkspaceFailed
from firmware_py.sessions.values import Kind, Parked, Session, Transition
from firmware_py.site.link import MoveHeard

LOG: Final = logging.getLogger("tapover.roaming")

_OWN: Final = frozenset({Kind.ORDINARY, Kind.DOWNTIME})
"""An emergency position's work stays where it was begun."""
COPY_S: Final = 1.5
"""So long her newer state may take to come back; then the one kept here stands again."""


@dataclass(slots=True)
class _Away:
    """A session of this terminal whose holder went on elsewhere."""

    to: TerminalId
    record: Digest
    """Of the tap there."""
    state: bytes | None = field(repr=False)
    """What was sent."""
    settled: bool = False
    """It has arrived, or nothing was there: whatever she has elsewhere by now is the newer."""


@dataclass(frozen=True, slots=True)
class _CopyDue:
    session: SessionId
    away: _Away


class RoamingDesk:
    """Belongs to the consumer. What it keeps, it keeps in memory alone."""

    def __init__(self, line: RoamingLine) -> None:
        self._line = line
        self._inside = line.inside
        self._custody = line.inside.parts.custody
        self._workspace = line.inside.parts.workspace
        self._away: dict[SessionId, _Away] = {}

    # --- giving way ---------------------------------------------------------------------------

    def give_way(self, heard: Heard) -> None:
        """Her tap elsewhere was the later one. Raises JournalFailed."""
        claim, stage = heard.claim, self._inside.stage
        self._forget_ended()
        before = stage.newest
        transition = stage.consider(MovedAway(claim.holder, claim.terminal))
        if self._inside.outage.down:
            present = before.present
            if (
                present
                and present.session.holder == claim.holder
                and present.session.kind not in _OWN
            ):
                stage.commit_owed(transition, ())
            return
        hers = to_hand_over(before, transition.state, claim.holder)
        chosen = next((p for p in hers if not self._is_settled(p.session.id, claim)), None)
        if chosen is None:
            if transition.effects:
                stage.commit(transition)
            return
        session, unsaved = chosen.session, chosen.session.id in transition.state.unsaved
        kept = self._workspace.keep(session.id)
        # That there is none is news too: she may have an earlier one there.
        state = (kept or b"") if self._may_travel(heard, session) else None
        nothing = state is None and kept is None and not unsaved
        self._away[session.id] = _Away(claim.terminal, claim.time.record, state, settled=nothing)
        if nothing and not transition.effects:
            return  # parked before, and nothing there that she could miss
        moved = SessionMoved(
            way="out",
            session=session.id,
            holder=session.holder,
            terminal=claim.terminal,
            record=claim.time.record,
            state=MovedState.NONE if state is None else MovedState.SENT,
            unsaved=unsaved,
        )

        def then(_: object) -> None:
            if not nothing:
                self._hand_over(heard, chosen, state, unsaved=unsaved)

        stage.commit(transition, (moved,), then)

    def _is_settled(self, session: SessionId, claim: Claim) -> bool:
        away = self._away.get(session)
        return away is not None and (away.settled or away.record == claim.time.record)

    def _may_travel(self, heard: Heard, session: Session) -> bool:
        freshness = self._custody.freshness()
        fresh = heard.claim.time.is_fresh(freshness.now_ms, freshness.clock)
        return fresh and heard.in_use and session.kind in _OWN

    def _hand_over(
        self, heard: Heard, parked: Parked, state: bytes | None, *, unsaved: bool
    ) -> None:
        assert self._inside.parts.roaming is not None  # noqa: S101 - asked by the line
        session, age_ms = parked.session, self._inside.policy().parked_age_s * 1000
        left_ms = max(0, parked.since_ms + age_ms - self._custody.monotonic_ms())
        handover = SessionHandover(
            site=self._custody.kept.keys.site,
            terminal=self._custody.kept.terminal,
            to=heard.claim.terminal,
            record=heard.claim.time.record,
            session=session.id,
            holder=session.holder,
            position=session.position,
            ground=session.kind,
            state=None,
            unsaved=unsaved,
            until_ms=self._custody.freshness().now_ms + left_ms,
        )
        lines: list[bytes] = []
        if state is not None:
            try:
                lines.append(seal_state(handover, heard.request, state))
            except StateRefused as error:
                LOG.warning("a state was not sent", extra={"why": str(error)})
            else:
                handover = handover.model_copy(update={"state": sha256(lines[0])})
        self._line.publish(join_lines(handover.seal(self._inside.parts.roaming.batch), lines))

    # --- what other terminals say of it -------------------------------------------------------

    def heard(self, item: MoveHeard) -> None:
        """A statement, of which most are for others. Raises JournalFailed."""
        try:
            envelope, lines = split_lines(item.data, MAX_MOVE_BYTES)
            payload = decode_base64(envelope.payload)
            match envelope.payloadType:
                case PayloadType.SESSION_HANDOVER:
                    said = SessionHandover.from_bytes(payload)
                    self._handed_over(item, envelope, lines, said)
                case PayloadType.STATE_TAKEN:
                    self._taken(item, envelope, StateTaken.from_bytes(payload))
                case _:
                    raise WireError("no statement of this topic")  # noqa: TRY301 - as any other
        except WireError as error:
            self._refuse(item, "handover", Refused(MoveReason.MALFORMED, str(error)))

    def _handed_over(
        self, item: MoveHeard, envelope: Envelope, lines: tuple[bytes, ...], said: SessionHandover
    ) -> None:
        mine = self._line.claims.said.get(said.holder)
        if said.to != self._custody.kept.terminal:
            return
        if mine is None or mine.time.record != said.record:
            LOG.info("work that nobody waits for any more", extra={"peer": item.terminal})
            return
        try:
            self._require_peer(item, envelope, SessionHandover)
            _require(said.terminal == item.terminal, "of another terminal")
            require_bodies(lines, (said.state,) if said.state else (), MAX_MOVE_BYTES)
            fresh = self._line.key_for(said.record)
            state = open_state(said, fresh.key, lines[0]) if lines and fresh else None
        except StateRefused as error:
            self._refuse(item, "handover", Refused(MoveReason.NOT_OPENED, str(error)))
        except Refused as error:
            self._refuse(item, "handover", error)
        else:
            self._go_on(said, state)

    def _go_on(self, said: SessionHandover, state: bytes | None) -> None:
        present = self._inside.stage.newest.present
        if present is None or present.session.holder != said.holder:
            return  # she went on already: what was parked for her is where it was
        session = present.session
        same = session.position == said.position and {session.kind, said.ground} <= _OWN

        def moved(became: MovedState) -> SessionMoved:
            return SessionMoved(
                way="in",
                session=session.id,
                holder=session.holder,
                terminal=said.terminal,
                record=said.record,
                state=became,
                unsaved=said.unsaved,
            )

        if self._inside.outage.down:
            stage = self._inside.stage
            stage.commit_owed(Transition(stage.newest), (moved(MovedState.KEPT),))
            self._tell(said, words.UNSAVED if said.unsaved else words.KEPT)
            return
        if state is None or not same:
            self._inside.stage.commit(None, (moved(MovedState.KEPT),))
            self._tell(said, words.UNSAVED if said.unsaved else words.KEPT)
            return

        def then(_: object) -> None:
            if self._restored(session.id, state):
                self._thank(session.id, said)
            else:
                self._inside.outage.note(moved(MovedState.KEPT))
                self._tell(said, words.KEPT)

        self._inside.stage.commit(None, (moved(MovedState.RESTORED),), then)

    def _restored(self, session: SessionId, state: bytes) -> bool:
        if session not in {s.id for s in self._inside.stage.acted.standing}:
            return False
        try:
            if state:
                self._workspace.restore(session, state)
        except WorkspaceFailed as failure:
            LOG.warning("a state was not restored", extra={"why": str(failure)})
            return False
        return True

    def _thank(self, session: SessionId, said: SessionHandover) -> None:
        assert self._inside.parts.roaming is not None  # noqa: S101 - asked by the line
        self._line.forget_key(said.record)
        self._inside.timers.cancel(f"roaming copy {session}")
        if said.unsaved:
            self._tell(said, words.UNSAVED)
        taken = StateTaken(
            site=said.site,
            terminal=said.to,
            origin=said.terminal,
            record=said.record,
            session=said.session,
        )
        self._line.publish(taken.seal(self._inside.parts.roaming.batch).to_bytes())

    def _tell(self, said: SessionHandover, words_: str) -> None:
        self._line.tell(said.holder, said.terminal, words_, said.until_ms)

    def _taken(self, item: MoveHeard, envelope: Envelope, said: StateTaken) -> None:
        """Our state has arrived: from now on it is the earlier one, and kept aside."""
        away = self._away.get(said.session)
        if said.origin != self._custody.kept.terminal or away is None or away.settled:
            return
        try:
            self._require_peer(item, envelope, StateTaken)
            named = (said.terminal, said.record)
            _require(said.terminal == item.terminal, "of another terminal")
            _require(named == (away.to, away.record), "of another tap")
        except Refused as error:
            self._refuse(item, "taken", error)
            return
        parked = {p.session.id for p in self._inside.stage.newest.parked}
        if said.session in parked and away.state is not None:
            away.settled = True
            self._workspace.forget_state(said.session)

    # --- she comes back -----------------------------------------------------------------------

    def back(self, session: Session, result: OutcomeResult) -> None:
        """Her tap here acted: what went on elsewhere comes back, or else what was kept aside."""
        self._forget_ended()
        away = self._away.pop(session.id, None)
        if away is None or not away.settled or result is not OutcomeResult.RESUMED:
            return
        due = items.RoamingNews(_CopyDue(session.id, away))
        self._inside.timers.set(f"roaming copy {session.id}", COPY_S, due)

    def news(self, about: object) -> None:
        """The copy kept aside is due: nothing newer has come. Raises JournalFailed."""
        if not isinstance(about, _CopyDue) or about.away.state is None:
            return
        visible = self._inside.stage.newest
        session = next((s for s in visible.standing if s.id == about.session), None)
        if session is not None and self._restored(session.id, about.away.state):
            until_ms = self._custody.freshness().now_ms + self._parked_ms
            self._line.tell(session.holder, about.away.to, words.NEWER, until_ms)

    @property
    def _parked_ms(self) -> int:
        return self._inside.policy().parked_age_s * 1000

    # --- whose word counts --------------------------------------------------------------------

    def _require_peer(
        self,
        item: MoveHeard,
        envelope: Envelope,
        statement: type[SessionHandover | StateTaken],
    ) -> None:
        """Signed by the batch key that the register has of that terminal. Raises Refused."""
        peer = self._custody.peer(item.terminal)
        if peer is None:
            raise Refused(MoveReason.TERMINAL_UNKNOWN)
        try:
            said = statement.open(envelope, VerifyKey.from_base64(peer.batch_key))
        except (SignatureRefused, WireError) as error:
            raise Refused(MoveReason.NOT_BELIEVED, str(error)) from error
        _require(said.site == self._custody.kept.keys.site, "of another site")

    def _refuse(self, item: MoveHeard, what: Literal["handover", "taken"], why: Refused) -> None:
        self._line.peers.refused(item.terminal, what, why, item.data)

    def _forget_ended(self) -> None:
        standing = {session.id for session in self._inside.stage.newest.standing}
        self._away = {id_: one for id_, one in self._away.items() if id_ in standing}


def _require(holds: bool, words_: str) -> None:  # noqa: FBT001 - a condition, not a switch
    if not holds:
        raise Refused(MoveReason.NOT_BELIEVED, words_)
