"""Cells of the session machine: a screen kept open by agreement (FIELD 13, DESIGN §5).

While it is held nobody's idleness dims or locks it, and a tap elsewhere does not close it. Whoever
taps here is offered *Join* or *Take over*; nothing is decided for the people who stand there.

A hold is begun by one touch, once for a tap: whoever merely stands there cannot go on for ever.
What counts is the newest tap of the session's holder, or of whoever has joined since.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from contract.bedside import HoldChange
from contract.events import OutcomeResult
from firmware_py.sessions.happenings import Happening, HoldEnded, Joined, Joining, TakenOver
from firmware_py.sessions.moves import At, the_present
from firmware_py.sessions.values import (
    Glass,
    Hold,
    Holding,
    IllegalEvent,
    Mode,
    Offered,
    Sessions,
    Transition,
)

# Who joined stands on the glass, as initials; a crowd before one screen is no more than this.
MAX_JOINED: Final = 8


def hold(state: Sessions, _event: Happening, at: At) -> Transition:
    """By one touch, where the ward allows it; a second touch lengthens nothing."""
    present = the_present(state)
    may = bool(at.policy.hold_s) and present.may_hold and present.session.can_be_held
    if state.hold or not may:
        return Transition(state)
    present = replace(present, active_ms=at.now_ms, may_hold=False)
    held = Hold(at.now_ms + at.policy.hold_s * 1000)
    begun = Holding(present.session.id, HoldChange.BEGUN, limit_s=at.policy.hold_s)
    woken = () if state.mode is Mode.OPEN else (Glass.WAKE,)
    state = replace(state, mode=Mode.OPEN, present=present, hold=held)
    return Transition(state, (*woken, begun))


def end_hold(state: Sessions, _event: Happening, at: At) -> Transition:
    """Idleness counts from now."""
    if not state.hold:
        return Transition(state)
    present = replace(the_present(state), active_ms=at.now_ms)
    ended = Holding(present.session.id, HoldChange.ENDED)
    return Transition(replace(state, present=present, hold=None, offered=None), (ended,))


def offer(state: Sessions, event: Joining, at: At) -> Transition:
    session = the_present(state).session
    if not state.hold or session.holder == event.holder:
        raise IllegalEvent(state.mode, Joining, "where nothing is held for others")
    until_ms = at.now_ms + at.policy.pin_pad_s * 1000
    offered = replace(state, offered=Offered(event.holder, event.guid, until_ms))
    return Transition(offered, (), OutcomeResult.OFFERED, session)


def join(state: Sessions, _event: Happening, _at: At) -> Transition:
    """Her card was there: after this hold another may be begun."""
    present = the_present(state)
    session = present.session
    if not state.hold or not state.offered:
        raise IllegalEvent(state.mode, Joined, "without an offer")
    who = state.offered.holder
    others = tuple(holder for holder in state.hold.joined if holder != who)
    joined = replace(state.hold, joined=(*others, who)[-MAX_JOINED:])
    step = Holding(session.id, HoldChange.JOINED, who)
    present = replace(present, may_hold=True)
    state = replace(state, present=present, hold=joined, offered=None)
    return Transition(state, (step,), OutcomeResult.JOINED, session)


def take_over(state: Sessions, _event: Happening, at: At) -> Transition:
    """What the newcomer's tap comes to is another step, as at any screen."""
    if not state.hold or not state.offered:
        raise IllegalEvent(state.mode, TakenOver, "without an offer")
    present = replace(the_present(state), active_ms=at.now_ms)
    over = Holding(present.session.id, HoldChange.TAKEN_OVER, state.offered.holder)
    return Transition(replace(state, present=present, hold=None, offered=None), (over,))


def decline(state: Sessions, _event: Happening, _at: At) -> Transition:
    return Transition(replace(state, offered=None))


def hold_passes(state: Sessions, at: At) -> Transition:
    """Its limit, or the offer's."""
    if state.hold and state.hold.until_ms <= at.now_ms:
        return end_hold(state, HoldEnded(), at)
    if state.offered and state.offered.until_ms <= at.now_ms:
        return Transition(replace(state, offered=None))
    return Transition(state)
