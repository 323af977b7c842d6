"""The sessions of one terminal: a machine in one table (DESIGN §5). Pure; values in, values out.

What always holds:

* At most one session is present (open, dimmed, warned or locked); every other one is PARKED.
* Present and parked together are never more than the policy's `parked_max` + 1; the one parked
  longest gives way, and only to a session that really opens.
* A session belongs to a holder in a position. Nobody else resumes it; a closed one stays closed.
* Whoever loses the glass is parked, never destroyed, as long as the ward keeps any room.
* An event that the table does not have for a state raises `IllegalEvent` and changes nothing.

`step` returns the state *after*, and the effects in their order. The caller journals the outcome
and every `Changed`, waits until they are durable, then carries the effects out and keeps the state;
if the journal fails it keeps neither. `Glass.COVER` alone is carried out at once, before anything.

The table is printed into docs/sessions.md by `python -m tests.firmware.sessions_page`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from contract.events import CardOutcome, Cause, Event, SessionChange, SessionChanged
from contract.ids import Guid, SessionId
from contract.policy import Policy
from firmware_py.sessions.cells import (
    active,
    ask,
    ask_over,
    grant,
    grant_locked,
    grant_over,
    keep_pad,
    leave_pad,
    left_limit,
    let_pass,
    lock_for,
    lose,
    reposition,
    shut_down,
    stay,
    tap_out,
    wake_by_tap,
)
from firmware_py.sessions.elsewhere import (
    end_all,
    extend,
    mark_unsaved,
    move_away,
    nobody_there,
    somebody_there,
)
from firmware_py.sessions.happenings import (
    Activity,
    Away,
    Back,
    Cancelled,
    Declined,
    EndAll,
    Extended,
    Faulted,
    Granted,
    Happening,
    HoldEnded,
    HoldPressed,
    Joined,
    Joining,
    LeftLimit,
    LockPressed,
    Lost,
    MovedAway,
    Owing,
    OwnTap,
    Passed,
    Repositioned,
    ShuttingDown,
    TakenOver,
    Unsaved,
)
from firmware_py.sessions.holding import decline, end_hold, hold, join, offer, take_over
from firmware_py.sessions.moves import AFTER, At, reached_at, room, settle
from firmware_py.sessions.values import (
    SHOWN,
    UNIDENTIFIED,
    Asked,
    Changed,
    Effect,
    Ended,
    Glass,
    Hold,
    Holding,
    IllegalEvent,
    Kind,
    Mode,
    Offered,
    Parked,
    Present,
    Returning,
    Session,
    Sessions,
    Transition,
)

__all__ = [
    "SHOWN",
    "TABLE",
    "UNIDENTIFIED",
    "Activity",
    "Asked",
    "Away",
    "Back",
    "Cancelled",
    "Changed",
    "Declined",
    "Effect",
    "EndAll",
    "Ended",
    "Extended",
    "Faulted",
    "Glass",
    "Granted",
    "Happening",
    "Hold",
    "HoldEnded",
    "HoldPressed",
    "Holding",
    "IllegalEvent",
    "Joined",
    "Joining",
    "Kind",
    "LeftLimit",
    "LockPressed",
    "Lost",
    "Mode",
    "MovedAway",
    "Offered",
    "Owing",
    "OwnTap",
    "Parked",
    "Passed",
    "Present",
    "Repositioned",
    "Returning",
    "Row",
    "Session",
    "Sessions",
    "ShuttingDown",
    "TakenOver",
    "Transition",
    "Unsaved",
    "due_ms",
    "ended_by_restart",
    "step",
]


@dataclass(frozen=True, slots=True)
class Row:
    """A cell of the table: the states it may lead to, in words and in code."""

    to: frozenset[Mode]
    words: str
    handle: Callable[[Sessions, Any, At], Transition]
    """Any: the table pairs each handler with its own type of event."""


def step(state: Sessions, event: Happening, policy: Policy, now_ms: int) -> Transition:
    """The one way from a state to the next. `now_ms` is monotonic. Raises IllegalEvent."""
    row = TABLE.get((state.mode, type(event)))
    if row is None:
        raise IllegalEvent(state.mode, type(event))
    at = At(policy, now_ms)
    transition = settle(state, row.handle(state, event, at), at)
    if transition.state.mode not in row.to:
        raise IllegalEvent(state.mode, type(event), f"led to {transition.state.mode}")
    return transition


def due_ms(state: Sessions, policy: Policy) -> int | None:
    """When `Passed` will change something (monotonic ms), or null if never.

    Ask again after every step and every new policy.
    """
    dues = [p.since_ms + policy.parked_age_s * 1000 for p in state.parked]
    if len(state.parked) > room(state, policy):
        dues.append(state.parked[0].since_ms)
    if state.returning:
        dues.append(state.returning.until_ms)
    if state.asked:
        dues.append(state.asked.until_ms)
    dues += [session.ends_ms for session in state.standing if session.ends_ms is not None]
    if state.hold:
        dues.append(state.hold.until_ms)
        dues += [state.offered.until_ms] if state.offered else []
    elif state.present:
        dues.append(min(reached_at(state, mode, policy) for mode in AFTER[state.mode]))
    return min(dues, default=None)


def ended_by_restart(events: Iterable[Event]) -> tuple[Changed, ...]:
    """Sessions that a journal left open when its daemon died: CLOSED by RESTART, to be journalled.

    `events` in their order, at least since the oldest session that may still stand.
    """
    standing: dict[SessionId, Session] = {}
    cards: dict[SessionId, Guid] = {}
    for event in events:
        match event.detail:
            case CardOutcome(session=str(id_), guid=str(guid)):
                cards[id_] = guid
            case SessionChanged(change=SessionChange.CLOSED) as ended:
                standing.pop(ended.session, None)
            case SessionChanged() as changed:
                standing[changed.session] = Session(
                    changed.session,
                    changed.holder,
                    changed.position,
                    cards.get(changed.session),
                    changed.ground,
                )
            case _:
                pass
    return tuple(Changed(s, SessionChange.CLOSED, Cause.RESTART) for s in standing.values())


# ---- the table ----------------------------------------------------------------------------

_GRANT = "resume what this holder has parked in this position, else open"
_GIVE_WAY = "cover; park who was there; " + _GRANT
_PAD = "ask, with a limit in time"
_FADED = (
    "limit reached: an emergency position's closed; parked too long: closed;"
    " more parked than the ward allows: the oldest closed, what is unsaved last"
)
_ELSEWHERE = "what its holder has here is parked, and where she is is noted"


def _row(words: str, handle: Callable[[Sessions, Any, At], Transition], *to: Mode) -> Row:
    return Row(frozenset(to), words, handle)


def _anywhere(mode: Mode) -> dict[tuple[Mode, type], Row]:
    """What may happen in every state; nothing of it shows anything."""
    gone = {mode, Mode.WAITING}
    ended = gone | ({Mode.LOCKED} if mode in SHOWN else set())
    awake = {mode} | ({Mode.OPEN, Mode.DIMMED} & _BEFORE[mode] if mode in SHOWN else set())
    return {
        (mode, MovedAway): _row(_ELSEWHERE, move_away, *gone),
        (mode, EndAll): _row("locked and kept, or closed", end_all, *ended),
        (mode, Unsaved): _row("noted", mark_unsaved, mode),
        (mode, Extended): _row("idle from now, within the cap", extend, *awake),
        (mode, Away): _row("warned after the ward's wait, then as idle", nobody_there, mode),
        (mode, Back): _row("idle by the clock alone", somebody_there, *awake),
        (mode, ShuttingDown): _row("cover; close everyone's", shut_down, Mode.WAITING),
    }


_BEFORE: Final = {mode: {m for m, later in AFTER.items() if mode in later} for mode in Mode}


def _shown(mode: Mode) -> dict[tuple[Mode, type], Row]:
    """Somebody's work is on the glass."""
    later = AFTER[mode]
    if mode is Mode.OPEN:
        words = "within 3 s of her sign-on still you; later parked (or closed), tap to return"
        own = _row(words, tap_out, Mode.OPEN, Mode.WAITING)
    else:
        own = _row("wake; a card out of use: parked", wake_by_tap, Mode.OPEN, Mode.WAITING)
    lost = "cover and lock, if it was this card that signed on"
    idle = _FADED + "; idle: dim, warn, then cover and lock"
    if mode is Mode.OPEN:
        idle += "; held: neither, until the hold's limit"
    other = "cover; park; resume or open in the other position"
    return {
        (mode, Granted): _row(_GIVE_WAY, grant_over, Mode.OPEN),
        (mode, OwnTap): own,
        (mode, Owing): _row("cover; park who was there; " + _PAD, ask_over, Mode.ASKING),
        (mode, Repositioned): _row(other, reposition, Mode.OPEN),
        (mode, Activity): _row("no longer idle", active, Mode.OPEN),
        (mode, LockPressed): _row("cover and lock", lock_for(Cause.BUTTON), Mode.LOCKED),
        (mode, Lost): _row(lost, lose, mode, Mode.LOCKED),
        (mode, LeftLimit): _row(lost, left_limit, mode, Mode.LOCKED),
        (mode, Faulted): _row("cover and lock", lock_for(Cause.FAULT), Mode.LOCKED),
        (mode, HoldPressed): _row(
            "held, where the ward allows it, once for a tap", hold, mode, Mode.OPEN
        ),
        (mode, HoldEnded): _row("held no longer; idle from now", end_hold, mode),
        (mode, Passed): _row(idle, let_pass, mode, *later, Mode.WAITING),
        **_anywhere(mode),
    }


_HELD: Final = {
    (Mode.OPEN, Joining): _row("held: join or take over is offered", offer, Mode.OPEN),
    (Mode.OPEN, Joined): _row("she stands there too; her tap allows another hold", join, Mode.OPEN),
    (Mode.OPEN, TakenOver): _row("held no longer; her tap goes on", take_over, Mode.OPEN),
    (Mode.OPEN, Declined): _row("held as before", decline, Mode.OPEN),
}


def _nothing_shown(mode: Mode, why: str) -> dict[tuple[Mode, type], Row]:
    return {
        (mode, event): _row(why, stay, mode) for event in (LeftLimit, HoldPressed, HoldEnded)
    } | _anywhere(mode)


TABLE: Final[Mapping[tuple[Mode, type], Row]] = {
    **_nothing_shown(Mode.WAITING, "nothing is shown"),
    (Mode.WAITING, Granted): _row(_GRANT, grant, Mode.OPEN),
    (Mode.WAITING, Owing): _row(_PAD, ask, Mode.ASKING),
    (Mode.WAITING, Activity): _row("reaches nobody", stay, Mode.WAITING),
    (Mode.WAITING, LockPressed): _row("nothing to lock", stay, Mode.WAITING),
    (Mode.WAITING, Lost): _row("nothing is shown", lose, Mode.WAITING),
    (Mode.WAITING, Faulted): _row("nothing is shown", stay, Mode.WAITING),
    (Mode.WAITING, Passed): _row(_FADED + "; 'tap to return' fades", let_pass, Mode.WAITING),
    **_shown(Mode.OPEN),
    **_shown(Mode.DIMMED),
    **_shown(Mode.WARNING),
    **_HELD,
    **_nothing_shown(Mode.LOCKED, "locked already"),
    (Mode.LOCKED, Granted): _row(
        "its owner in its position: unlock; else park it and " + _GRANT, grant_locked, Mode.OPEN
    ),
    (Mode.LOCKED, Owing): _row("park it; " + _PAD, ask_over, Mode.ASKING),
    (Mode.LOCKED, Activity): _row("reaches nobody", stay, Mode.LOCKED),
    (Mode.LOCKED, LockPressed): _row("locked already", stay, Mode.LOCKED),
    (Mode.LOCKED, Lost): _row("locked already", lose, Mode.LOCKED),
    (Mode.LOCKED, Faulted): _row("locked already", stay, Mode.LOCKED),
    (Mode.LOCKED, Passed): _row(
        _FADED + "; locked as long as that: closed too", let_pass, Mode.LOCKED, Mode.WAITING
    ),
    **_nothing_shown(Mode.ASKING, "nothing is shown"),
    (Mode.ASKING, Granted): _row(_GRANT, grant, Mode.OPEN),
    (Mode.ASKING, Owing): _row("ask this one instead, or again", ask, Mode.ASKING),
    (Mode.ASKING, Cancelled): _row("nobody's; what was parked stays", leave_pad, Mode.WAITING),
    (Mode.ASKING, Activity): _row("the limit starts again", keep_pad, Mode.ASKING),
    (Mode.ASKING, LockPressed): _row("as cancelled", leave_pad, Mode.WAITING),
    (Mode.ASKING, Lost): _row("as cancelled, if it is this card", lose, Mode.ASKING, Mode.WAITING),
    (Mode.ASKING, Faulted): _row("as cancelled", leave_pad, Mode.WAITING),
    (Mode.ASKING, Passed): _row(
        _FADED + "; pad abandoned: as cancelled", let_pass, Mode.ASKING, Mode.WAITING
    ),
}
"""State x event -> what becomes of it. What is not here is illegal."""
