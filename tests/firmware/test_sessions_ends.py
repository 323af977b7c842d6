"""Lost cards, faults, the end of the day, and the whole table, cell by cell."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from contract.events import (
    CardOutcome,
    Cause,
    ClockTrust,
    Event,
    OutcomeResult,
    Reason,
    SessionChange,
    SessionChanged,
)
from contract.ids import BootId, Guid, JournalId, PositionId, SessionId, TerminalId
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
from firmware_py.sessions.machine import TABLE, ended_by_restart
from firmware_py.sessions.values import (
    SHOWN,
    Changed,
    Glass,
    IllegalEvent,
    Kind,
    Mode,
    Session,
    Sessions,
    Transition,
)
from tests.firmware.rights import TERMINAL
from tests.firmware.screen import ALICE, BOB, CAROL, Screen, card, changes
from tests.firmware.sessions_page import EVENTS as NAMED
from tests.firmware.sessions_page import PAGE, render

# ---- lost cards, faults, the end of the day --------------------------------------------------


def test_a_lost_card_locks_the_session_it_opened_and_no_other() -> None:
    screen = Screen()
    screen.granted(ALICE)
    assert screen.see(Lost(card(BOB))).effects == ()
    lost = screen.see(Lost(card(ALICE)))
    assert lost.effects[0] is Glass.COVER
    assert changes(lost) == [("alice", SessionChange.LOCKED, Cause.REVOKED)]


def test_a_replaced_card_comes_back_to_the_same_work() -> None:
    screen = Screen()
    first = screen.granted(ALICE)
    screen.see(Lost(card(ALICE)))
    new_card = Session(SessionId("ff" * 16), ALICE, PositionId("nurse"), Guid("ab" * 16))
    back = screen.see(Granted(new_card))
    assert first.session
    assert back.session
    assert back.session.id == first.session.id
    assert screen.see(Lost(card(ALICE))).effects == ()
    assert screen.who == "alice"


def test_a_card_lost_at_the_pad_leaves_it() -> None:
    screen = Screen()
    screen.owing(BOB)
    screen.see(Lost(card(BOB)))
    assert screen.state.mode is Mode.WAITING


def test_any_fault_ends_locked() -> None:
    screen = Screen()
    screen.granted(ALICE)
    fault = screen.see(Faulted())
    assert fault.effects[0] is Glass.COVER
    assert changes(fault) == [("alice", SessionChange.LOCKED, Cause.FAULT)]


def test_shutting_down_closes_everybodys() -> None:
    screen = Screen()
    screen.granted(ALICE)
    screen.after(60).granted(BOB)
    end = screen.see(ShuttingDown())
    assert changes(end) == [
        ("bob", SessionChange.CLOSED, Cause.SHUTDOWN),
        ("alice", SessionChange.CLOSED, Cause.SHUTDOWN),
    ]
    assert screen.state == Sessions()


def journalled(transitions: list[Transition]) -> Iterator[Event]:
    """What the terminal wrote of these."""
    details: list[CardOutcome | SessionChanged] = []
    for t in transitions:
        outcome = CardOutcome(
            record=None,
            guid=t.session.guid if t.session else None,
            result=t.result or OutcomeResult.REFUSED,
            reason=Reason.GRANTED,
            session=t.session.id if t.session else None,
        )
        details += [outcome, *(e.detail for e in t.effects if isinstance(e, Changed))]
    for sequence, detail in enumerate(details):
        yield Event(
            terminal=TERMINAL,
            journal=JournalId("aa" * 16),
            sequence=sequence,
            boot=BootId("bb" * 16),
            monotonic_ms=sequence,
            wall_ms=sequence,
            clock=ClockTrust.SITE,
            salt=secrets.token_hex(16),
            detail=detail,
        )


def test_after_a_crash_the_journal_says_whose_sessions_it_ended() -> None:
    screen = Screen(parked_max=1)
    steps = [screen.after(60).granted(holder) for holder in (ALICE, BOB, CAROL)]
    ended = ended_by_restart(journalled(steps))
    assert {(c.session.holder, c.change, c.cause) for c in ended} == {
        ("bob", SessionChange.CLOSED, Cause.RESTART),
        ("carol", SessionChange.CLOSED, Cause.RESTART),
    }
    steps.append(Transition(Sessions(), ended))
    assert ended_by_restart(journalled(steps)) == ()


# ---- the table ----------------------------------------------------------------------------

EVENTS: list[Happening] = [
    Granted(Session(SessionId("ee" * 16), CAROL, PositionId("nurse"), card(CAROL))),
    OwnTap(ALICE),
    Owing(CAROL, card(CAROL)),
    Repositioned(Session(SessionId("ed" * 16), ALICE, PositionId("lead"), card(ALICE))),
    Cancelled(),
    Activity(),
    LockPressed(),
    Lost(card(ALICE)),
    LeftLimit(card(ALICE)),
    MovedAway(ALICE, TerminalId("bay-2")),
    HoldPressed(),
    HoldEnded(),
    Joining(CAROL, card(CAROL)),
    Joined(),
    TakenOver(),
    Declined(),
    Unsaved(SessionId("ee" * 16), unsaved=True),
    Extended(SessionId("ee" * 16), 60),
    Away(),
    Back(),
    EndAll(Kind.ORDINARY),
    Faulted(),
    Passed(),
    ShuttingDown(),
]
OFFERED = (Joined, TakenOver, Declined)


def test_every_event_is_named_on_the_page_and_tried_here() -> None:
    named = {event for _, event in TABLE}
    assert named == set(NAMED) == {type(event) for event in EVENTS}


def in_mode(mode: Mode, event: Happening) -> Screen:
    screen = Screen(hold_s=600)
    if mode is Mode.ASKING:
        screen.owing(BOB)
    elif mode is not Mode.WAITING:
        screen.granted(ALICE)
        screen.passes({Mode.OPEN: 10, Mode.DIMMED: 130, Mode.WARNING: 290}.get(mode, 400))
    if mode is Mode.OPEN and isinstance(event, (Joining, *OFFERED)):
        screen.see(HoldPressed())
    if mode is Mode.OPEN and isinstance(event, OFFERED):
        screen.see(Joining(CAROL, card(CAROL)))
    assert screen.state.mode is mode
    return screen


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
def test_every_cell_does_what_the_table_says_and_the_rest_is_illegal(
    mode: Mode, event: Happening
) -> None:
    screen = in_mode(mode, event)
    before = screen.state
    row = TABLE.get((mode, type(event)))
    if row is None:
        with pytest.raises(IllegalEvent):
            screen.see(event)
        assert screen.state == before
        return
    transition = screen.see(event)
    assert screen.state.mode in row.to
    hidden = before.shown and not (screen.state.shown and screen.state.shown == before.shown)
    assert not hidden or transition.effects[0] is Glass.COVER
    assert bool(screen.state.shown) is (screen.state.mode in SHOWN)


def test_the_page_shows_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), (
        "docs/sessions.md is not the machine's table: run python -m tests.firmware.sessions_page"
    )


def test_an_outcome_and_a_change_carry_what_the_log_wants() -> None:
    opened = Screen().granted(ALICE)
    (changed,) = (e for e in opened.effects if isinstance(e, Changed))
    assert opened.session
    assert changed.detail.session == opened.session.id
    assert changed.detail.change is SessionChange.OPENED
