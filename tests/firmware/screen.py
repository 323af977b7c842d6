"""A shared screen, driven as the terminal drives its sessions."""

from __future__ import annotations

import secrets
from typing import Any

from contract.events import (
    Cause,
    SessionChange,
)
from contract.ids import Guid, HolderId, PositionId, SessionId
from contract.policy import Policy
from firmware_py.sessions.machine import (
    Changed,
    Granted,
    Happening,
    Owing,
    Passed,
    Session,
    Sessions,
    Transition,
    step,
)
from tests.firmware.rights import policy

ALICE, BOB, CAROL = HolderId("alice"), HolderId("bob"), HolderId("carol")
ROOM = {"parked_max": 2, "parked_age_s": 3600}


def card(holder: HolderId) -> Guid:
    return Guid(holder.encode().hex().ljust(32, "0"))


class Screen:
    """A terminal's sessions, driven as the terminal drives them. Times in seconds."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - a policy's fields by name
        self.policy: Policy = policy(**{**ROOM, **settings})
        self.state = Sessions()
        self.now_ms = 1_000_000

    def after(self, seconds: float) -> Screen:
        self.now_ms += int(seconds * 1000)
        return self

    def see(self, event: Happening) -> Transition:
        transition = step(self.state, event, self.policy, self.now_ms)
        self.state = transition.state
        return transition

    def granted(self, holder: HolderId, position: str = "nurse") -> Transition:
        fresh = SessionId(secrets.token_hex(16))
        return self.see(Granted(Session(fresh, holder, PositionId(position), card(holder))))

    def owing(self, holder: HolderId) -> Transition:
        return self.see(Owing(holder, card(holder)))

    def passes(self, seconds: float) -> Transition:
        return self.after(seconds).see(Passed())

    @property
    def who(self) -> str | None:
        return self.state.shown.holder if self.state.shown else None

    @property
    def parked(self) -> list[str]:
        return [p.session.holder for p in self.state.parked]


def changes(transition: Transition) -> list[tuple[str, SessionChange, Cause]]:
    return [
        (e.session.holder, e.change, e.cause) for e in transition.effects if isinstance(e, Changed)
    ]
