"""Gathers what the glass is made from: sessions, people, link, readers, clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from contract.ids import SessionId
from firmware_py.card.presence import Presence
from firmware_py.emergency.words import NOT_IDENTIFIED, READ_ONLY, ROLE
from firmware_py.glass.notice import Notice
from firmware_py.glass.view import Enrolling, ParkedLine, Person, Surroundings
from firmware_py.items import EnrolmentChanged
from firmware_py.kiosk.night import Nights
from firmware_py.kiosk.presenting import Scene, person
from firmware_py.sessions.machine import Kind, Session
from firmware_py.sessions.stage import Stage
from firmware_py.signon.pad import Pad
from firmware_py.site.link import SILENCE_NS, LinkChanged
from firmware_py.trust.custody import Custody
from runtime.clock import Clock

_MS: Final = 1_000_000
_EMERGENCY: Final = {Kind.BREAK_GLASS: ROLE, Kind.EMERGENCY_VIEW: READ_ONLY}
_COARSE_S: Final = 10
"""An age is shown in steps: the glass need not change each second."""


class Scenery:
    """Belongs to the consumer."""

    def __init__(
        self,
        custody: Custody,
        stage: Stage,
        presence: Presence,
        clock: Clock,
        timezone: str = "",
    ) -> None:
        self.link_up = False
        self.heard_ns: int | None = None
        """When the newest heartbeat came."""
        self.enrolling: Enrolling | None = None
        """Shown while an operator must let this terminal in again."""
        self._custody = custody
        self._stage = stage
        self._presence = presence
        self._clock = clock
        self._nights = Nights(timezone)
        self._people: dict[SessionId, Person] = {}

    def hear(self, item: LinkChanged | EnrolmentChanged) -> None:
        """Of the link, or of an operator who must let this terminal in."""
        if isinstance(item, LinkChanged):
            self.link_up = item.up
        else:
            self.enrolling = item.enrolling

    def forget_people(self) -> None:
        """The directory has changed, and perhaps somebody's name or role."""
        self._people.clear()

    def scene(
        self,
        *,
        started: bool,
        checking: str | None,
        pad: Pad | None,
        notice: Notice | None,
        greeting: str,
        seen_ns: int | None,
        panels: Mapping[str, Mapping[str, object]],
    ) -> Scene:
        """As it is now."""
        newest = self._stage.newest
        visible = self._stage.visible
        around = self._around()
        return Scene(
            started=started,
            mode=newest.mode,
            around=around,
            can_sign_on=not {"readers", "pcscd", "directory"} & set(around.waits_for),
            checking=checking,
            pad=pad,
            notice=notice,
            visible=self._person(visible) if visible else None,
            held=self._person(newest.shown) if self._stage.offering and newest.shown else None,
            aside=self._stage.aside,
            greeting=greeting,
            returning=newest.returning is not None,
            parked=self._parked(),
            seen_ns=seen_ns,
            panels=panels,
        )

    def _person(self, session: Session) -> Person:
        known = self._people.get(session.id)
        if known is None:
            guid = session.guid if session.keeps else None
            entitlement = self._custody.entitlement(guid) if guid else None
            form = self._custody.place().policy.name_form
            role = _EMERGENCY.get(session.kind)
            if entitlement is None:  # nobody's, or its card was taken out of the directory
                return Person(NOT_IDENTIFIED if role else "?", role or session.position, "?")
            known = person(entitlement, session.position, form)
            self._people[session.id] = known = replace(known, role=role or known.role)
        return known

    def _parked(self) -> tuple[ParkedLine, ...]:
        now_ms = self._clock.monotonic_ns() // _MS
        age_s = self._custody.place().policy.parked_age_s
        lines = []
        for parked in self._stage.acted.parked:
            who = self._person(parked.session)
            left_s = age_s - (now_ms - parked.since_ms) // 1000
            whole_minutes_s = max(0, -(-left_s // 60) * 60)
            lines.append(ParkedLine(who.initials, who.role, whole_minutes_s))
        return tuple(lines)

    def _around(self) -> Surroundings:
        now_ns = self._clock.monotonic_ns()
        heard = self.heard_ns is not None and now_ns - self.heard_ns <= SILENCE_NS
        freshness = self._custody.freshness()
        missing = {
            "pcscd": not self._presence.service_up,
            "readers": self._presence.service_up and not self._presence.has_reader,
            "broker": not self.link_up,
            "gateway": self.link_up and not heard,
            "directory": not self._custody.has_directory,
        }
        policy = self._custody.place().policy
        age_ms = freshness.age_ms
        age_s = None if age_ms is None else age_ms // 1000 // _COARSE_S * _COARSE_S
        return Surroundings(
            link="online" if self.link_up and heard else "offline",
            rights_age_s=age_s,
            clock=freshness.clock.value,
            waits_for=tuple(name for name, is_missing in missing.items() if is_missing),
            enrolling=self.enrolling,
            night=self._nights.is_night(policy.night, self._custody.stamp().wall_ms),
            sound=policy.sound.value,
        )
