"""What each cell of the session machine's table does (the table is in `machine`).

Every one takes the state, an event and the moment, and returns the state after and the effects in
their order: what is covered first, who is parked, who gives way, who opens. Here: taps, the pad,
idleness, the end. `holding` has a held screen's, `elsewhere` what comes from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from contract.events import Cause, OutcomeResult, SessionChange
from contract.policy import TapOut
from firmware_py.sessions.happenings import (
    Activity,
    Granted,
    Happening,
    LeftLimit,
    Lost,
    Owing,
    OwnTap,
    Repositioned,
)
from firmware_py.sessions.holding import hold_passes
from firmware_py.sessions.moves import (
    AFTER,
    At,
    after,
    cleared,
    fit,
    lay_aside,
    limits,
    reached_at,
    the_present,
)
from firmware_py.sessions.values import (
    SHOWN,
    Asked,
    Changed,
    Effect,
    Glass,
    IllegalEvent,
    Kind,
    Mode,
    Present,
    Returning,
    Session,
    Sessions,
    Transition,
)


def stay(state: Sessions, _event: Happening, _at: At) -> Transition:
    return Transition(state)


def grant(state: Sessions, event: Granted, at: At) -> Transition:
    """Nobody is present: resume what this holder has parked in this position, else open anew."""
    return _open(state, event.session, at, Cause.POSITION if event.repositions else Cause.TAP)


def grant_over(state: Sessions, event: Granted, at: At) -> Transition:
    """Somebody else is shown: theirs is parked, then as if nobody were present."""
    present = the_present(state)
    if _same_ground(present.session, event.session):
        raise IllegalEvent(state.mode, Granted, "for the holder who is shown: an OwnTap")
    own = present.session.holder == event.session.holder
    parked, effect = lay_aside(state, at, Cause.TAP if own else Cause.TAP_OVER)
    return after((Glass.COVER, effect), grant(parked, event, at))


def grant_locked(state: Sessions, event: Granted, at: At) -> Transition:
    present = the_present(state)
    if not present.session.same_work(event.session):
        own = present.session.holder == event.session.holder
        parked, effect = lay_aside(state, at, Cause.TAP if own else Cause.TAP_OVER)
        return after((effect,), grant(parked, event, at))
    session = _goes_on(present.session, event.session)
    opened = replace(state, mode=Mode.OPEN, present=Present(session, at.now_ms, at.now_ms))
    unlocked = Changed(session, SessionChange.UNLOCKED, Cause.TAP)
    return Transition(opened, (unlocked,), OutcomeResult.RESUMED, session)


def reposition(state: Sessions, event: Repositioned, at: At) -> Transition:
    """The same person, another position: two sessions, of which one has the glass.

    By touch: it proves nobody's presence anew, so a hold that was spent stays so.
    """
    present = the_present(state)
    same = present.session.position == event.session.position
    if present.session.holder != event.session.holder or same:
        raise IllegalEvent(state.mode, Repositioned, "of another holder, or to no other position")
    parked, effect = lay_aside(state, at, Cause.POSITION)
    opened = _open(parked, event.session, at, Cause.POSITION)
    shown = replace(the_present(opened.state), may_hold=present.may_hold)
    opened = replace(opened, state=replace(opened.state, present=shown))
    return after((Glass.COVER, effect), opened)


def _open(state: Sessions, wanted: Session, at: At, cause: Cause) -> Transition:
    if wanted.id in {p.session.id for p in state.parked}:
        raise IllegalEvent(state.mode, Granted, "with an id in use")
    cleared_ = cleared(state)
    state, over = limits(state, at)
    mine = next((p for p in state.parked if p.session.same_work(wanted)), None)
    session = _goes_on(mine.session, wanted) if mine else wanted
    kept = replace(
        state,
        mode=Mode.OPEN,
        present=Present(session, at.now_ms, at.now_ms),
        parked=tuple(p for p in state.parked if p is not mine),
        asked=None,
        returning=None,
    )
    kept, evicted = fit(kept, at.policy)
    change = SessionChange.RESUMED if mine else SessionChange.OPENED
    result = OutcomeResult.RESUMED if mine else OutcomeResult.OPENED
    effects = (*cleared_, *over, *evicted, Changed(session, change, cause))
    return Transition(kept, effects, result, session)


def _goes_on(had: Session, wanted: Session) -> Session:
    """The work goes on under the newest sign-on; a limit that it has is never lengthened."""
    if wanted.kind is not Kind.BREAK_GLASS or had.ends_ms is None or wanted.ends_ms is None:
        return replace(wanted, id=had.id)
    return replace(wanted, id=had.id, ends_ms=min(had.ends_ms, wanted.ends_ms))


def _same_ground(one: Session, other: Session) -> bool:
    """One person by her own rights, or in one emergency: no newcomer."""
    emergency = (one.kind is Kind.BREAK_GLASS) is (other.kind is Kind.BREAK_GLASS)
    return one.keeps and one.holder == other.holder and emergency


def tap_out(state: Sessions, event: OwnTap, at: At) -> Transition:
    present = _own(state, event)
    session = present.session
    if event.may_stay and at.now_ms - present.signed_ms <= at.policy.still_you_s * 1000:
        same = replace(state, present=replace(present, active_ms=at.now_ms, may_hold=True))
        return Transition(same, (), OutcomeResult.STILL_YOU, session)
    if at.policy.tap_out is TapOut.CLOSE:
        closed = Changed(session, SessionChange.CLOSED, Cause.TAP_OUT)
        gone = replace(state, mode=Mode.WAITING, present=None)
        return Transition(gone, (Glass.COVER, closed), OutcomeResult.CLOSED_BY_TAP, session)
    parked, effect = lay_aside(state, at, Cause.TAP_OUT)
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
    return Transition(pad, cleared(state), OutcomeResult.ASKED)


def ask_over(state: Sessions, event: Owing, at: At) -> Transition:
    own = the_present(state).session.holder == event.holder
    if own and state.mode in SHOWN and not event.repositions:
        raise IllegalEvent(state.mode, Owing, "for the holder who is shown: an OwnTap")
    cause = Cause.POSITION if event.repositions else Cause.TAP if own else Cause.TAP_OVER
    parked, effect = lay_aside(state, at, cause)
    return after((Glass.COVER, effect), ask(parked, event, at))


def leave_pad(state: Sessions, _event: Happening, _at: At) -> Transition:
    return Transition(replace(state, mode=Mode.WAITING, asked=None))


def active(state: Sessions, _event: Happening, at: At) -> Transition:
    """Whoever types is there, whatever a sensor says: it counts again when it changes its mind."""
    present = replace(the_present(state), active_ms=at.now_ms)
    effects = () if state.mode is Mode.OPEN else (Glass.WAKE,)
    awake = replace(state, mode=Mode.OPEN, present=present, away_ms=None)
    return Transition(awake, effects)


def keep_pad(state: Sessions, _event: Happening, at: At) -> Transition:
    if state.asked is None:
        raise IllegalEvent(state.mode, Activity, "without anybody asked")
    until_ms = at.now_ms + at.policy.pin_pad_s * 1000
    return Transition(replace(state, asked=replace(state.asked, until_ms=until_ms)))


def lock_for(cause: Cause) -> Callable[[Sessions, Happening, At], Transition]:
    def handle(state: Sessions, _event: Happening, at: At) -> Transition:
        present = replace(the_present(state), active_ms=at.now_ms)
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


def left_limit(state: Sessions, event: LeftLimit, at: At) -> Transition:
    """A left card is worthless: also in a hold, whose people have been told."""
    if state.shown and state.shown.guid == event.guid:
        return lock_for(Cause.LEFT_CARD)(state, event, at)
    return Transition(state)


def let_pass(state: Sessions, event: Happening, at: At) -> Transition:
    """Limits, then the parked, then whatever the present or the pad has waited for."""
    state, over = limits(state, at)
    limit_ms = at.now_ms - at.policy.parked_age_s * 1000
    aged = tuple(p for p in state.parked if p.since_ms <= limit_ms)
    effects: list[Effect] = [*over]
    effects += [Changed(p.session, SessionChange.CLOSED, Cause.AGED) for p in aged]
    state, evicted = fit(
        replace(state, parked=tuple(p for p in state.parked if p not in aged)), at.policy
    )
    effects += evicted
    if state.returning and state.returning.until_ms <= at.now_ms:
        effects += cleared(state)
        state = replace(state, returning=None)
    if state.asked and state.asked.until_ms <= at.now_ms:
        return after(tuple(effects), leave_pad(state, event, at))
    if state.hold and state.mode is Mode.OPEN:
        return after(tuple(effects), hold_passes(state, at))
    if state.present:
        return after(tuple(effects), _idle(state, event, at))
    return Transition(state, tuple(effects))


def _idle(state: Sessions, event: Happening, at: At) -> Transition:
    present = the_present(state)
    later = AFTER[state.mode]
    reached = {mode for mode in later if reached_at(state, mode, at.policy) <= at.now_ms}
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
    closed = tuple(Changed(s, SessionChange.CLOSED, Cause.SHUTDOWN) for s in state.standing)
    return Transition(Sessions(), (Glass.COVER, *closed))


def _own(state: Sessions, event: OwnTap) -> Present:
    present = the_present(state)
    if present.session.holder != event.holder:
        raise IllegalEvent(state.mode, OwnTap, "of another holder")
    return present
