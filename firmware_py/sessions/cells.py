"""What each cell of the session machine's table does (the table is in `machine`).

Every one takes the state, an event and the moment, and returns the state after and the effects in
their order: what is covered first, who is parked, who gives way, who opens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from contract.events import Cause, OutcomeResult, SessionChange
from contract.policy import Policy, TapOut
from firmware_py.sessions.values import (
    SHOWN,
    Activity,
    Asked,
    Changed,
    Effect,
    Glass,
    Granted,
    Happening,
    IllegalEvent,
    Lost,
    Mode,
    Owing,
    OwnTap,
    Parked,
    Present,
    Returning,
    Session,
    Sessions,
    Transition,
)

# A quiet warning stands this long before the lock (or half the time, where that is shorter): time
# to reach a key from the bedside.
WARNING_S: Final = 20


@dataclass(frozen=True, slots=True)
class At:
    """One event at one moment under one policy."""

    policy: Policy
    now_ms: int


def stay(state: Sessions, _event: Happening, _at: At) -> Transition:
    return Transition(state)


def grant(state: Sessions, event: Granted, at: At) -> Transition:
    """Nobody is present: resume what this holder has parked in this position, else open anew."""
    wanted = event.session
    if wanted.id in {p.session.id for p in state.parked}:
        raise IllegalEvent(state.mode, Granted, "with an id in use")
    mine = next((p for p in state.parked if _same(p.session, wanted)), None)
    session = replace(wanted, id=mine.session.id) if mine else wanted
    kept = Sessions(
        mode=Mode.OPEN,
        present=Present(session, at.now_ms, at.now_ms),
        parked=tuple(p for p in state.parked if p is not mine),
    )
    kept, evicted = _fit(kept, at.policy)
    change = SessionChange.RESUMED if mine else SessionChange.OPENED
    result = OutcomeResult.RESUMED if mine else OutcomeResult.OPENED
    effects = (*_cleared(state), *evicted, Changed(session, change, Cause.TAP))
    return Transition(kept, effects, result, session)


def grant_over(state: Sessions, event: Granted, at: At) -> Transition:
    """Somebody else is shown: theirs is parked, then as if nobody were present."""
    present = _present(state)
    if present.session.holder == event.session.holder:
        raise IllegalEvent(state.mode, Granted, "for the holder who is shown: an OwnTap")
    parked, effect = _park(state, at, Cause.TAP_OVER)
    return _after((Glass.COVER, effect), grant(parked, event, at))


def grant_locked(state: Sessions, event: Granted, at: At) -> Transition:
    present = _present(state)
    if not _same(present.session, event.session):
        own = present.session.holder == event.session.holder
        parked, effect = _park(state, at, Cause.TAP if own else Cause.TAP_OVER)
        return _after((effect,), grant(parked, event, at))
    session = replace(present.session, guid=event.session.guid)
    opened = replace(state, mode=Mode.OPEN, present=Present(session, at.now_ms, at.now_ms))
    unlocked = Changed(session, SessionChange.UNLOCKED, Cause.TAP)
    return Transition(opened, (unlocked,), OutcomeResult.RESUMED, session)


def tap_out(state: Sessions, event: OwnTap, at: At) -> Transition:
    present = _own(state, event)
    session = present.session
    if event.may_stay and at.now_ms - present.signed_ms <= at.policy.still_you_s * 1000:
        same = replace(state, present=replace(present, active_ms=at.now_ms))
        return Transition(same, (), OutcomeResult.STILL_YOU, session)
    if at.policy.tap_out is TapOut.CLOSE:
        closed = Changed(session, SessionChange.CLOSED, Cause.TAP_OUT)
        gone = replace(state, mode=Mode.WAITING, present=None)
        return Transition(gone, (Glass.COVER, closed), OutcomeResult.CLOSED_BY_TAP, session)
    parked, effect = _park(state, at, Cause.TAP_OUT)
    if at.policy.tap_to_return_s:
        until_ms = at.now_ms + at.policy.tap_to_return_s * 1000
        parked = replace(parked, returning=Returning(session.id, until_ms))
    return Transition(parked, (Glass.COVER, effect), OutcomeResult.PARKED_BY_TAP, session)


def wake_by_tap(state: Sessions, event: OwnTap, at: At) -> Transition:
    if not event.may_stay:
        return tap_out(state, event, at)
    session = _own(state, event).session
    woken = replace(state, mode=Mode.OPEN, present=Present(session, at.now_ms, at.now_ms))
    return Transition(woken, (Glass.WAKE,), OutcomeResult.WOKEN, session)


def ask(state: Sessions, event: Owing, at: At) -> Transition:
    asked = Asked(event.holder, event.guid, at.now_ms + at.policy.pin_pad_s * 1000)
    pad = replace(state, mode=Mode.ASKING, asked=asked, returning=None)
    return Transition(pad, _cleared(state), OutcomeResult.ASKED)


def ask_over(state: Sessions, event: Owing, at: At) -> Transition:
    own = _present(state).session.holder == event.holder
    if own and state.mode in SHOWN:
        raise IllegalEvent(state.mode, Owing, "for the holder who is shown: an OwnTap")
    parked, effect = _park(state, at, Cause.TAP if own else Cause.TAP_OVER)
    return _after((Glass.COVER, effect), ask(parked, event, at))


def leave_pad(state: Sessions, _event: Happening, _at: At) -> Transition:
    return Transition(replace(state, mode=Mode.WAITING, asked=None))


def active(state: Sessions, _event: Happening, at: At) -> Transition:
    present = replace(_present(state), active_ms=at.now_ms)
    effects = () if state.mode is Mode.OPEN else (Glass.WAKE,)
    return Transition(replace(state, mode=Mode.OPEN, present=present), effects)


def keep_pad(state: Sessions, _event: Happening, at: At) -> Transition:
    if state.asked is None:
        raise IllegalEvent(state.mode, Activity, "without anybody asked")
    until_ms = at.now_ms + at.policy.pin_pad_s * 1000
    return Transition(replace(state, asked=replace(state.asked, until_ms=until_ms)))


def lock_for(cause: Cause) -> Callable[[Sessions, Happening, At], Transition]:
    def handle(state: Sessions, _event: Happening, at: At) -> Transition:
        present = replace(_present(state), active_ms=at.now_ms)
        locked = Changed(present.session, SessionChange.LOCKED, cause)
        state = replace(state, mode=Mode.LOCKED, present=present)
        return Transition(state, (Glass.COVER, locked))

    return handle


def lose(state: Sessions, event: Lost, at: At) -> Transition:
    """Nothing parked is touched: the decision refuses its card, and age takes it away."""
    if state.asked and state.asked.guid == event.guid:
        return leave_pad(state, event, at)
    if state.shown and state.shown.guid == event.guid:
        return lock_for(Cause.REVOKED)(state, event, at)
    return Transition(state)


def let_pass(state: Sessions, event: Happening, at: At) -> Transition:
    """The parked first, then whatever the present or the pad has waited for."""
    limit_ms = at.now_ms - at.policy.parked_age_s * 1000
    aged = tuple(p for p in state.parked if p.since_ms <= limit_ms)
    effects: list[Effect] = [Changed(p.session, SessionChange.CLOSED, Cause.AGED) for p in aged]
    state, evicted = _fit(
        replace(state, parked=tuple(p for p in state.parked if p not in aged)), at.policy
    )
    effects += evicted
    if state.returning and state.returning.until_ms <= at.now_ms:
        effects += _cleared(state)
        state = replace(state, returning=None)
    if state.asked and state.asked.until_ms <= at.now_ms:
        return _after(tuple(effects), leave_pad(state, event, at))
    if state.present:
        return _after(tuple(effects), _idle(state, event, at))
    return Transition(state, tuple(effects))


def _idle(state: Sessions, event: Happening, at: At) -> Transition:
    present = _present(state)
    idle_ms = at.now_ms - present.active_ms
    reached = {m for m, ms in waits(at.policy) if m in AFTER[state.mode] and idle_ms >= ms}
    if Mode.WAITING in reached:
        closed = Changed(present.session, SessionChange.CLOSED, Cause.AGED)
        return Transition(replace(state, mode=Mode.WAITING, present=None), (closed,))
    if Mode.LOCKED in reached:
        return lock_for(Cause.IDLE)(state, event, at)
    if Mode.WARNING in reached:
        return Transition(replace(state, mode=Mode.WARNING), (Glass.WARN,))
    if Mode.DIMMED in reached:
        return Transition(replace(state, mode=Mode.DIMMED), (Glass.DIM,))
    return Transition(state)


def shut_down(state: Sessions, _event: Happening, _at: At) -> Transition:
    everyone = [*([state.present.session] if state.present else ())]
    everyone += [p.session for p in state.parked]
    closed = tuple(Changed(s, SessionChange.CLOSED, Cause.SHUTDOWN) for s in everyone)
    return Transition(Sessions(), (Glass.COVER, *closed))


# ---- what they share ----------------------------------------------------------------------

AFTER: Final[Mapping[Mode, frozenset[Mode]]] = {
    Mode.OPEN: frozenset({Mode.DIMMED, Mode.WARNING, Mode.LOCKED}),
    Mode.DIMMED: frozenset({Mode.WARNING, Mode.LOCKED}),
    Mode.WARNING: frozenset({Mode.LOCKED}),
    Mode.LOCKED: frozenset({Mode.WAITING}),
}
"""Where idleness leads from each state in which a session is present."""


def waits(policy: Policy) -> tuple[tuple[Mode, int], ...]:
    """How long a present session waits for each state: ms since it was last active, or locked."""
    lock_ms = policy.idle_lock_s * 1000
    warn_ms = max(lock_ms - WARNING_S * 1000, lock_ms // 2)
    return (
        (Mode.DIMMED, min(policy.idle_dim_s * 1000, warn_ms)),
        (Mode.WARNING, warn_ms),
        (Mode.LOCKED, lock_ms),
        (Mode.WAITING, policy.parked_age_s * 1000),
    )


def _same(one: Session, other: Session) -> bool:
    return (one.holder, one.position) == (other.holder, other.position)


def _present(state: Sessions) -> Present:
    if state.present is None:
        raise IllegalEvent(state.mode, Present, "is missing")
    return state.present


def _own(state: Sessions, event: OwnTap) -> Present:
    present = _present(state)
    if present.session.holder != event.holder:
        raise IllegalEvent(state.mode, OwnTap, "of another holder")
    return present


def _cleared(state: Sessions) -> tuple[Effect, ...]:
    return (Glass.CLEAR,) if state.returning else ()


def _park(state: Sessions, at: At, cause: Cause) -> tuple[Sessions, Changed]:
    session = _present(state).session
    parked = (*state.parked, Parked(session, at.now_ms))
    changed = Changed(session, SessionChange.PARKED, cause)
    return replace(state, mode=Mode.WAITING, present=None, parked=parked), changed


def room(state: Sessions, policy: Policy) -> int:
    return policy.parked_max if state.present else policy.parked_max + 1


def _fit(state: Sessions, policy: Policy) -> tuple[Sessions, tuple[Effect, ...]]:
    """Those parked longest give way until there is room."""
    over = max(0, len(state.parked) - room(state, policy))
    gone, parked = state.parked[:over], state.parked[over:]
    evicted = tuple(Changed(p.session, SessionChange.CLOSED, Cause.EVICTED) for p in gone)
    return replace(state, parked=parked), evicted


def _after(before: tuple[Effect, ...], then: Transition) -> Transition:
    return replace(then, effects=(*before, *then.effects))
