"""Cells of the session machine: what comes from other terminals, applications, sensors, the site.

None of it opens or shows anything.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from contract.events import Cause
from contract.policy import IDLE_LOCK_CEILING_S
from firmware_py.sessions.happenings import (
    EndAll,
    Extended,
    Happening,
    MovedAway,
    Unsaved,
)
from firmware_py.sessions.moves import AFTER, At, lay_aside, reached_at, run_out
from firmware_py.sessions.values import SHOWN, Effect, Glass, Mode, Sessions, Transition

_EXTENDED_LOCKS: Final = 3
"""An application puts the lock off at most so many times its length, counted from a tap."""


def move_away(state: Sessions, event: MovedAway, at: At) -> Transition:
    """Tap here closes there: covered, locked, parked. A hold is aside, nothing is ended."""
    effects: tuple[Effect, ...] = ()
    here = state.present is not None and state.present.session.holder == event.holder
    if here and not state.hold:
        covered = (Glass.COVER,) if state.mode in SHOWN else ()
        state, parked = lay_aside(state, at, Cause.MOVED)
        effects = (*covered, parked)
    marked = tuple(
        replace(p, moved=event.to) if p.session.holder == event.holder else p for p in state.parked
    )
    return Transition(replace(state, parked=marked), effects)


def mark_unsaved(state: Sessions, event: Unsaved, _at: At) -> Transition:
    if event.session not in {session.id for session in state.standing}:
        return Transition(state)
    named = {event.session}
    unsaved = state.unsaved | named if event.unsaved else state.unsaved - named
    return Transition(replace(state, unsaved=unsaved))


def extend(state: Sessions, event: Extended, at: At) -> Transition:
    """Idleness begins anew, for so long as asked, and never past the cap since the newest tap."""
    present = state.present
    if present is None or present.session.id != event.session or state.mode not in SHOWN:
        return Transition(state)
    lock_ms = at.policy.idle_lock_s * 1000
    cap_ms = min(_EXTENDED_LOCKS * lock_ms, IDLE_LOCK_CEILING_S * 1000)
    until_ms = min(at.now_ms + event.seconds * 1000, present.signed_ms + cap_ms)
    active_ms = max(present.active_ms, min(at.now_ms, until_ms - lock_ms))
    return _awake(replace(state, present=replace(present, active_ms=active_ms)), at)


def nobody_there(state: Sessions, _event: Happening, at: At) -> Transition:
    return Transition(state if state.away_ms is not None else replace(state, away_ms=at.now_ms))


def somebody_there(state: Sessions, _event: Happening, at: At) -> Transition:
    """The sensor's own warning goes; idleness by the clock stands."""
    return _awake(replace(state, away_ms=None), at)


def end_all(state: Sessions, event: EndAll, _at: At) -> Transition:
    return Transition(*run_out(state, lambda session: session.kind is event.kind))


def _awake(state: Sessions, at: At) -> Transition:
    """Back to what idleness has come to, where that is less than it was."""
    if state.mode not in (Mode.DIMMED, Mode.WARNING):
        return Transition(state)
    modes = [m for m in (Mode.DIMMED, Mode.WARNING) if reached_at(state, m, at.policy) <= at.now_ms]
    mode = modes[-1] if modes else Mode.OPEN
    if mode is state.mode or mode in AFTER[state.mode]:
        return Transition(state)
    effect = Glass.WAKE if mode is Mode.OPEN else Glass.DIM
    return Transition(replace(state, mode=mode), (effect,))
