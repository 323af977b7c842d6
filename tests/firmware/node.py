"""A terminal among others, as its sessions and what it knows of taps: for walks over several."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from contract.events import Cause, SessionChange
from contract.ids import HolderId, SessionId, TerminalId
from firmware_py.roaming.claims import Claim, Claims
from firmware_py.sessions.machine import (
    Changed,
    Glass,
    Happening,
    IllegalEvent,
    Kind,
    Sessions,
    Transition,
    step,
)
from tests.firmware.rights import policy

HOUR_MS: Final = 3_600_000


@dataclass
class Node:
    """A terminal: its sessions, its books of what is shown, its link and its clock."""

    name: TerminalId
    state: Sessions = field(default_factory=Sessions)
    claims: Claims = field(default_factory=Claims)
    up: bool = True
    wrong_ms: int = 0
    """By how much its clock is wrong."""
    beat_ms: int | None = None
    inbox: deque[Claim] = field(default_factory=deque)
    said_ms: int = -HOUR_MS
    again: bool = False
    journal: list[Changed] = field(default_factory=list)
    """What is durable in it, or owed to it by an emergency or by whoever left."""
    down: bool = False
    """It takes nothing: only break-glass opens anything, by the reserve."""
    glass: SessionId | None = None
    standing: dict[SessionId, str] = field(default_factory=dict)
    owner: dict[SessionId, HolderId] = field(default_factory=dict)

    def see(self, event: Happening, now_ms: int) -> Transition | None:
        rules = policy(parked_max=3, hold_s=600, idle_lock_s=600)
        try:
            transition = step(self.state, event, rules, now_ms)
        except IllegalEvent:
            return None
        changes = [effect for effect in transition.effects if isinstance(effect, Changed)]
        self.journal += changes  # durable, and then carried out
        self.state = transition.state
        if Glass.COVER in transition.effects:
            self.glass = None
        for changed in changes:
            self.carry_out(changed)
        return transition

    def carry_out(self, changed: Changed) -> None:
        session = changed.session
        match changed.change:
            case SessionChange.OPENED | SessionChange.RESUMED | SessionChange.UNLOCKED:
                assert self.glass is None
                assert self.owner.setdefault(session.id, session.holder) == session.holder
                self.glass, self.standing[session.id] = session.id, "open"
            case SessionChange.PARKED | SessionChange.LOCKED:
                assert self.glass is None, "work changed hands before it was covered"
                self.standing[session.id] = changed.change.value
            case SessionChange.CLOSED:
                assert changed.cause is not Cause.MOVED, "a tap elsewhere ended a session"
                del self.standing[session.id]

    def now_ms(self, true_ms: int) -> int:
        return max(true_ms + self.wrong_ms, self.beat_ms or 0)

    def in_emergency(self, holder: HolderId) -> bool:
        here = self.state.present
        mine = here is not None and here.session.holder == holder
        return mine and here is not None and here.session.kind is Kind.BREAK_GLASS

    def is_open(self, holder: HolderId) -> bool:
        return self.state.shown is not None and self.state.shown.holder == holder
