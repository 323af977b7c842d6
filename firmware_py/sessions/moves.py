"""What the cells of the session machine share: who is parked, who gives way, how long is waited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from contract.bedside import HoldChange
from contract.events import Cause, SessionChange
from contract.policy import Policy
from firmware_py.sessions.values import (
    SHOWN,
    Changed,
    Effect,
    Ended,
    Glass,
    Holding,
    IllegalEvent,
    Kind,
    Mode,
    Parked,
    Present,
    Session,
    Sessions,
    Transition,
)

# A person who lost unsaved work is told at the next tap; more than a shift's worth is in the log.
MAX_ENDED: Final = 12

AFTER: Final[Mapping[Mode, frozenset[Mode]]] = {
    Mode.OPEN: frozenset({Mode.DIMMED, Mode.WARNING, Mode.LOCKED}),
    Mode.DIMMED: frozenset({Mode.WARNING, Mode.LOCKED}),
    Mode.WARNING: frozenset({Mode.LOCKED}),
    Mode.LOCKED: frozenset({Mode.WAITING}),
}
"""Where idleness leads from each state in which a session is present."""


@dataclass(frozen=True, slots=True)
class At:
    """One event at one moment under one policy."""

    policy: Policy
    now_ms: int


def the_present(state: Sessions) -> Present:
    if state.present is None:
        raise IllegalEvent(state.mode, Present, "is missing")
    return state.present


def after(before: tuple[Effect, ...], then: Transition) -> Transition:
    return replace(then, effects=(*before, *then.effects))


def cleared(state: Sessions) -> tuple[Effect, ...]:
    return (Glass.CLEAR,) if state.returning else ()


# ---- who loses the glass, and who gives way ----------------------------------------------------


def lay_aside(state: Sessions, at: At, cause: Cause) -> tuple[Sessions, Changed]:
    """The present is parked; nobody's (`Session.keeps`) is closed."""
    session = the_present(state).session
    gone = replace(state, mode=Mode.WAITING, present=None)
    if not session.keeps:
        return gone, Changed(session, SessionChange.CLOSED, cause)
    parked = (*state.parked, Parked(session, at.now_ms))
    return replace(gone, parked=parked), Changed(session, SessionChange.PARKED, cause)


def room(state: Sessions, policy: Policy) -> int:
    return policy.parked_max if state.present else policy.parked_max + 1


def fit(state: Sessions, policy: Policy) -> tuple[Sessions, tuple[Effect, ...]]:
    """Those parked longest give way until there is room, and the unsaved last."""
    over = max(0, len(state.parked) - room(state, policy))
    in_turn = sorted(state.parked, key=lambda p: p.session.id in state.unsaved)
    gone = in_turn[:over]
    evicted = tuple(Changed(p.session, SessionChange.CLOSED, Cause.EVICTED) for p in gone)
    return replace(state, parked=tuple(p for p in state.parked if p not in gone)), evicted


def run_out(
    state: Sessions, is_over: Callable[[Session], bool]
) -> tuple[Sessions, tuple[Effect, ...]]:
    """Sessions whose ground is gone: locked and closed; a holder's own work is locked and kept."""
    effects: list[Effect] = []
    parked: list[Parked] = []
    for each in state.parked:
        if not is_over(each.session):
            parked.append(each)
        elif _own_work(each.session):
            parked.append(replace(each, session=_ordinary(each.session)))
        else:
            effects.append(Changed(each.session, SessionChange.CLOSED, Cause.LIMIT))
    state = replace(state, parked=tuple(parked))
    if state.present is None or not is_over(state.present.session):
        return state, tuple(effects)
    session = state.present.session
    if state.mode in SHOWN:
        effects = [Glass.COVER, *effects, Changed(session, SessionChange.LOCKED, Cause.LIMIT)]
    if _own_work(session):
        kept = replace(state.present, session=_ordinary(session))
        return replace(state, mode=Mode.LOCKED, present=kept), tuple(effects)
    effects.append(Changed(session, SessionChange.CLOSED, Cause.LIMIT))
    return replace(state, mode=Mode.WAITING, present=None), tuple(effects)


def limits(state: Sessions, at: At) -> tuple[Sessions, tuple[Effect, ...]]:
    """Those whose time has come."""
    return run_out(state, lambda s: s.ends_ms is not None and s.ends_ms <= at.now_ms)


def _own_work(session: Session) -> bool:
    return session.keeps and session.kind is not Kind.BREAK_GLASS


def _ordinary(session: Session) -> Session:
    return replace(session, kind=Kind.ORDINARY, ends_ms=None)


# ---- idleness ----------------------------------------------------------------------------------


def waits(policy: Policy) -> tuple[tuple[Mode, int], ...]:
    """How long a present session waits for each state: ms since it was last active, or locked."""
    lock_ms = policy.idle_lock_s * 1000
    warn_ms = max(lock_ms - policy.idle_warn_s * 1000, lock_ms // 2)
    return (
        (Mode.DIMMED, min(policy.idle_dim_s * 1000, warn_ms)),
        (Mode.WARNING, warn_ms),
        (Mode.LOCKED, lock_ms),
        (Mode.WAITING, policy.parked_age_s * 1000),
    )


def reached_at(state: Sessions, mode: Mode, policy: Policy) -> int:
    """When the present session, left alone, comes to `mode`: monotonic ms.

    Nobody before the screen for `away_s` counts as idle up to the warning; only ever sooner.
    """
    wait_ms = dict(waits(policy))
    at_ms = the_present(state).active_ms + wait_ms[mode]
    if state.mode in SHOWN and state.away_ms is not None and policy.away_s:
        gone_ms = state.away_ms + policy.away_s * 1000
        at_ms = min(at_ms, gone_ms + max(0, wait_ms[mode] - wait_ms[Mode.WARNING]))
    return at_ms


# ---- what follows from every step --------------------------------------------------------------


def settle(before: Sessions, transition: Transition, at: At) -> Transition:
    """The hold goes with its session; what was done in it is shared; the unsaved is remembered."""
    effects = tuple(_shared(before, effect) for effect in transition.effects)
    state = transition.state
    held = before.present.session.id if before.present and before.hold else None
    stays = state.mode is Mode.OPEN and state.present and state.present.session.id == held
    if held and not stays and state.hold:
        effects = (*effects, Holding(held, HoldChange.ENDED))
        state = replace(state, hold=None)
    if state.offered and not state.hold:
        state = replace(state, offered=None)
    if transition.result is not None and state.away_ms is not None:
        state = replace(state, away_ms=None)
    if before.unsaved or before.ended:
        state = _remember(before, state, effects, at)
    return replace(transition, state=state, effects=effects)


def _shared(before: Sessions, effect: Effect) -> Effect:
    held = before.present.session.id if before.present and before.hold else None
    if isinstance(effect, Changed) and effect.session.id == held:
        return replace(effect, shared=True)
    return effect


_UNASKED: Final = frozenset({Cause.EVICTED, Cause.AGED, Cause.LIMIT})


def _remember(before: Sessions, state: Sessions, effects: tuple[Effect, ...], at: At) -> Sessions:
    lost = tuple(
        Ended(e.session, e.cause, at.now_ms)
        for e in effects
        if isinstance(e, Changed)
        and e.change is SessionChange.CLOSED
        and e.cause in _UNASKED
        and e.session.id in before.unsaved
    )
    told = before.shown.holder if before.shown and before.shown != state.shown else None
    kept = tuple(e for e in before.ended if e.session.holder != told)
    standing = {session.id for session in state.standing}
    return replace(state, unsaved=state.unsaved & standing, ended=(*kept, *lost)[-MAX_ENDED:])
