"""The top bar's other positions: whoever is signed on goes on in one of them, without signing on.

The decision is made as at a tap, on the card that opened her session: a position that needs the PIN
again (its grace is shorter) asks for it first. The work that she leaves is parked.
"""

from __future__ import annotations

import logging
import secrets
from typing import Final

from contract.directory import Entitlement, Position, Slot
from contract.events import OutcomeResult, Reason
from contract.ids import PositionId, SessionId
from firmware_py.glass import words
from firmware_py.inside import Inside, Panel
from firmware_py.items import Item
from firmware_py.sessions.commands import PositionWanted
from firmware_py.sessions.machine import Kind, Owing, Repositioned, Session
from firmware_py.signon.decision import NeedsPin, Open, Proof, allowed_here
from firmware_py.signon.pad import Tapped

LOG: Final = logging.getLogger("tapover.signon")

_OWN: Final = frozenset({Kind.ORDINARY, Kind.DOWNTIME})


class PositionsDesk:
    """Belongs to the consumer."""

    name = "positions"

    def __init__(self, inside: Inside) -> None:
        self._inside = inside

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        match item:
            case PositionWanted(position):
                self._change(position)
                return True
            case _:
                return False

    def panel(self) -> Panel | None:
        """Her positions on this ward, where she may change: only while her work is seen.

        As the directory had them at her tap: nothing is looked up for a view.
        """
        session, tap = self._changeable()
        if session is None or tap is None or tap.entitlement is None:
            return None
        choices = self._allowed(tap.entitlement, session)
        if {one.id for one in choices} <= {session.position}:
            return None
        return {
            "current": session.position,
            "choices": [{"id": one.id, "name": one.name} for one in choices],
        }

    def _changeable(self) -> tuple[Session | None, Tapped | None]:
        """Whose work is seen, and the tap that let her in. A held screen stays whose it is."""
        visible, held = self._inside.stage.visible, self._inside.stage.newest.hold
        tap = self._inside.signon.entered
        if visible is None or held or visible.kind not in _OWN or tap is None:
            return None, None
        return (visible, tap) if tap.guid == visible.guid else (None, None)

    def _allowed(self, entitlement: Entitlement, session: Session) -> tuple[Position, ...]:
        if entitlement.holder != session.holder:
            return ()
        return allowed_here(entitlement, self._inside.parts.custody.place())

    def _change(self, position: PositionId) -> None:
        session, tap = self._changeable()
        if session is None or tap is None or tap.guid is None or position == session.position:
            return
        entitlement = self._inside.parts.custody.entitlement(tap.guid)
        if entitlement is None:
            return
        if position in {one.id for one in self._allowed(entitlement, session)}:
            card = entitlement.credential(Slot.CARD_AUTHENTICATION)
            key = card.key_id if card else None
            proof = Proof(entitlement.guid, tap.interface, Slot.CARD_AUTHENTICATION, key)
            self._decided(session, entitlement, tap, proof, position)

    def _decided(
        self,
        session: Session,
        entitlement: Entitlement,
        tap: Tapped,
        proof: Proof,
        position: PositionId,
    ) -> None:
        signon, stage = self._inside.signon, self._inside.stage
        decision = signon.decide(proof, entitlement, position)
        match decision:
            case Open(granted):
                fresh = SessionId(secrets.token_hex(16))
                wanted = Session(fresh, session.holder, granted.id, session.guid, session.kind)
                signon.chose(session.holder, granted.id)
                signon.greeting = words.OPEN
                stage.commit(stage.consider(Repositioned(wanted)))
            case NeedsPin():
                owing = Owing(session.holder, entitlement.guid, repositions=True)
                signon.ask(tap, entitlement, proof, decision, stage.consider(owing))
                if signon.pad is not None:
                    signon.pad.wants, signon.pad.repositions = position, True
            case _:
                reason = getattr(decision, "reason", Reason.ROLE_NOT_ALLOWED)
                LOG.info("no other position", extra={"reason": reason})
                signon.outcomes.turned_away(tap, reason, OutcomeResult.REFUSED, None)
