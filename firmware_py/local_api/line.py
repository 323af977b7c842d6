"""Where the local API joins the terminal's one queue.

Nothing is looked up while nobody asks: a tap costs an application's curiosity nothing.
"""

from __future__ import annotations

from typing import Final

from contract.ids import SessionId
from firmware_py.emergency.words import READ_ONLY, ROLE
from firmware_py.inside import Inside, Panel
from firmware_py.items import AppAsked, DirectoryChanged, Item
from firmware_py.kiosk.presenting import person
from firmware_py.local_api.apps import Apps, SignedOn, Told
from firmware_py.sessions.machine import Kind, Session
from firmware_py.sessions.values import UNIDENTIFIED

_EMERGENCY: Final = {Kind.BREAK_GLASS: ROLE, Kind.EMERGENCY_VIEW: READ_ONLY}
"""What the glass calls the ward's emergency position, whoever is in it."""


class LocalApiLine:
    """Belongs to the consumer."""

    name = "local_api"

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._apps = inside.parts.apps or Apps(inside.post)
        self._told: object = None
        self._names: dict[SessionId, tuple[str, str, str, str]] = {}
        self._apps.who = self._who

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        match item:
            case AppAsked(Told() as told):
                signed_on = self._inside.stage.signed_on
                there = signed_on is not None and signed_on.id == told.session
                told.answer(there)
                if there:
                    self._inside.happen(told.happening)
            case DirectoryChanged():
                self._names.clear()
                return False
            case _:
                return False
        return True

    def panel(self) -> Panel | None:
        """Nothing on the glass; but whatever changed there may be news for an application."""
        newest = self._inside.stage.newest
        now = (self._inside.stage.signed_on, newest.mode, newest.hold is not None)
        if now != self._told:
            self._told = now
            self._apps.changed()
        return None

    def _who(self) -> SignedOn | None:
        session, newest = self._inside.stage.signed_on, self._inside.stage.newest
        if session is None:
            self._names.clear()
            return None
        name, initials, position_name, role = self._named(session)
        return SignedOn(
            session=session.id,
            holder=session.holder,
            name=name,
            initials=initials,
            position=session.position,
            position_name=position_name,
            role=role,
            kind=session.kind,
            state=newest.mode,
            shared=newest.hold is not None,
        )

    def _named(self, session: Session) -> tuple[str, str, str, str]:
        """As the ward lets the glass name her: name, initials, position's name, role."""
        known = self._names.get(session.id)
        if known is not None:
            return known
        guid, policy = session.guid, self._inside.policy()
        card = self._inside.parts.custody.entitlement(guid) if guid is not None else None
        called, role = str(session.position), ""
        if session.kind in _EMERGENCY:  # the ward's, and none of hers
            called, role = _EMERGENCY[session.kind], policy.emergency_role(session.position)
        if card is None or session.holder == UNIDENTIFIED:
            return "", "", called, role
        shown = person(card, session.position, policy.name_form)
        if session.kind not in _EMERGENCY:
            called = shown.role
            role = next((p.role for p in card.positions if p.id == session.position), "")
        self._names[session.id] = named = (shown.name, shown.initials, called, role)
        return named
