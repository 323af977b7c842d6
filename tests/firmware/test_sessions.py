"""The session machine, told as what happens at a shared screen."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

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
from contract.ids import BootId, Guid, HolderId, JournalId, PositionId, SessionId
from contract.policy import Policy, TapOut
from firmware_py.sessions import (
    SHOWN,
    TABLE,
    Activity,
    Cancelled,
    Changed,
    Faulted,
    Glass,
    Granted,
    Happening,
    IllegalEvent,
    LockPressed,
    Lost,
    Mode,
    Owing,
    OwnTap,
    Passed,
    Session,
    Sessions,
    ShuttingDown,
    Transition,
    due_ms,
    ended_by_restart,
    step,
)
from tests.firmware.rights import TERMINAL, policy
from tests.firmware.sessions_page import PAGE, render

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


# ---- tap in, tap over, tap out -------------------------------------------------------------


def test_a_granted_tap_opens() -> None:
    screen = Screen()
    opened = screen.granted(ALICE)
    assert opened.result is OutcomeResult.OPENED
    assert changes(opened) == [("alice", SessionChange.OPENED, Cause.TAP)]
    assert (screen.who, screen.state.mode) == ("alice", Mode.OPEN)


def test_another_card_parks_the_present_work_and_opens_the_newcomers() -> None:
    screen = Screen()
    screen.granted(ALICE)
    over = screen.after(60).granted(BOB)
    assert over.effects[0] is Glass.COVER
    assert changes(over) == [
        ("alice", SessionChange.PARKED, Cause.TAP_OVER),
        ("bob", SessionChange.OPENED, Cause.TAP),
    ]
    assert (screen.who, screen.parked) == ("bob", ["alice"])


def test_back_again_is_the_same_session() -> None:
    screen = Screen()
    first = screen.granted(ALICE)
    screen.after(60).granted(BOB)
    back = screen.after(60).granted(ALICE)
    assert back.result is OutcomeResult.RESUMED
    assert back.session == first.session
    assert (screen.who, screen.parked) == ("alice", ["bob"])


def test_another_position_of_the_same_person_is_another_session() -> None:
    screen = Screen()
    screen.granted(ALICE, "nurse")
    screen.after(10).see(LockPressed())
    other = screen.granted(ALICE, "site-manager")
    assert other.result is OutcomeResult.OPENED
    assert changes(other)[0] == ("alice", SessionChange.PARKED, Cause.TAP)
    assert screen.state.preferred(ALICE) == "site-manager"


@pytest.mark.parametrize("seconds", [0, 2.9, 3])
def test_the_same_card_within_three_seconds_is_still_you(seconds: float) -> None:
    screen = Screen()
    screen.granted(ALICE)
    still = screen.after(seconds).see(OwnTap(ALICE))
    assert (still.result, still.effects) == (OutcomeResult.STILL_YOU, ())
    assert screen.who == "alice"


def test_the_same_card_later_parks_and_offers_to_return_for_half_a_minute() -> None:
    screen = Screen()
    opened = screen.granted(ALICE)
    out = screen.after(3.001).see(OwnTap(ALICE))
    assert out.result is OutcomeResult.PARKED_BY_TAP
    assert out.effects[0] is Glass.COVER
    assert changes(out) == [("alice", SessionChange.PARKED, Cause.TAP_OUT)]
    assert opened.session
    assert screen.state.returning is not None
    assert screen.state.returning.session == opened.session.id
    assert due_ms(screen.state, screen.policy) == screen.now_ms + 30_000
    faded = screen.passes(30)
    assert faded.effects == (Glass.CLEAR,)
    assert screen.parked == ["alice"]
    assert screen.granted(ALICE).result is OutcomeResult.RESUMED


def test_a_ward_may_have_the_second_tap_close() -> None:
    screen = Screen(tap_out=TapOut.CLOSE)
    screen.granted(ALICE)
    out = screen.after(60).see(OwnTap(ALICE))
    assert out.result is OutcomeResult.CLOSED_BY_TAP
    assert changes(out) == [("alice", SessionChange.CLOSED, Cause.TAP_OUT)]
    assert screen.parked == []


def test_nobody_taps_another_person_out() -> None:
    screen = Screen()
    screen.granted(ALICE)
    with pytest.raises(IllegalEvent):
        screen.after(60).see(OwnTap(BOB))
    assert screen.who == "alice"


# ---- idleness ------------------------------------------------------------------------------


def test_idleness_dims_warns_and_locks() -> None:
    screen = Screen(idle_dim_s=120, idle_lock_s=300)
    screen.granted(ALICE)
    assert screen.passes(119.9).effects == ()
    assert screen.passes(0.1).effects == (Glass.DIM,)
    assert screen.passes(159.9).effects == ()
    assert screen.passes(0.1).effects == (Glass.WARN,)
    locked = screen.passes(20)
    assert locked.effects[0] is Glass.COVER
    assert changes(locked) == [("alice", SessionChange.LOCKED, Cause.IDLE)]
    assert (screen.state.mode, screen.who) == (Mode.LOCKED, None)


def test_any_input_wakes_and_cancels_the_warning() -> None:
    for idle_s in (130, 290):
        screen = Screen()
        screen.granted(ALICE)
        screen.passes(idle_s)
        assert screen.see(Activity()).effects == (Glass.WAKE,)
        assert screen.passes(119).effects == ()
        assert screen.state.mode is Mode.OPEN


@pytest.mark.parametrize("idle_s", [130, 290])
def test_the_same_card_on_a_faded_screen_wakes_it(idle_s: float) -> None:
    screen = Screen()
    screen.granted(ALICE)
    screen.passes(idle_s)
    woken = screen.see(OwnTap(ALICE))
    assert (woken.result, woken.effects) == (OutcomeResult.WOKEN, (Glass.WAKE,))
    # A card that bounces on the reader does not tap her out again.
    assert screen.after(1).see(OwnTap(ALICE)).result is OutcomeResult.STILL_YOU


def test_a_lock_shorter_than_the_dimming_still_warns() -> None:
    screen = Screen(idle_dim_s=1000, idle_lock_s=10)
    screen.granted(ALICE)
    assert screen.passes(5).effects == (Glass.WARN,)
    assert changes(screen.passes(5)) == [("alice", SessionChange.LOCKED, Cause.IDLE)]


def test_the_owner_unlocks_and_somebody_else_takes_over() -> None:
    screen = Screen()
    first = screen.granted(ALICE)
    screen.after(60).see(LockPressed())
    unlocked = screen.granted(ALICE)
    assert changes(unlocked) == [("alice", SessionChange.UNLOCKED, Cause.TAP)]
    assert (unlocked.result, unlocked.session) == (OutcomeResult.RESUMED, first.session)
    screen.after(60).see(LockPressed())
    over = screen.granted(BOB)
    assert changes(over)[0] == ("alice", SessionChange.PARKED, Cause.TAP_OVER)
    assert (screen.who, screen.parked) == ("bob", ["alice"])


def test_input_on_a_locked_screen_reaches_nobody() -> None:
    screen = Screen()
    screen.granted(ALICE)
    screen.see(LockPressed())
    assert screen.see(Activity()).effects == ()
    assert screen.state.mode is Mode.LOCKED


# ---- the pad -------------------------------------------------------------------------------


def test_a_newcomer_who_owes_a_pin_covers_and_parks_the_present_work() -> None:
    screen = Screen()
    screen.granted(ALICE)
    asked = screen.after(60).owing(BOB)
    assert asked.result is OutcomeResult.ASKED
    assert asked.effects[0] is Glass.COVER
    assert changes(asked) == [("alice", SessionChange.PARKED, Cause.TAP_OVER)]
    assert (screen.who, screen.state.mode) == (None, Mode.ASKING)


def test_an_abandoned_pad_ends_locked_with_the_work_kept() -> None:
    screen = Screen(pin_pad_s=45)
    screen.granted(ALICE)
    screen.after(60).owing(BOB)
    screen.passes(44.9)
    assert screen.state.mode is Mode.ASKING
    screen.passes(0.1)
    assert (screen.state.mode, screen.who, screen.parked) == (Mode.WAITING, None, ["alice"])
    assert screen.granted(ALICE).result is OutcomeResult.RESUMED


def test_typing_keeps_the_pad() -> None:
    screen = Screen(pin_pad_s=45)
    screen.owing(BOB)
    screen.after(40).see(Activity())
    screen.passes(44)
    assert screen.state.mode is Mode.ASKING


def test_a_pin_given_opens_and_a_cancelled_pad_does_not() -> None:
    screen = Screen()
    screen.owing(BOB)
    screen.see(Cancelled())
    assert screen.state.mode is Mode.WAITING
    screen.owing(BOB)
    assert screen.granted(BOB).result is OutcomeResult.OPENED
    assert screen.state.asked is None


def test_a_third_card_at_the_pad_is_asked_instead() -> None:
    screen = Screen()
    screen.owing(BOB)
    screen.owing(CAROL)
    assert screen.state.asked is not None
    assert screen.state.asked.holder == CAROL


def test_somebody_elses_pad_never_costs_anybody_their_work() -> None:
    screen = Screen(parked_max=0)
    screen.granted(ALICE)
    screen.after(60).owing(BOB)
    screen.see(Cancelled())
    assert screen.granted(ALICE).result is OutcomeResult.RESUMED


# ---- bounds -------------------------------------------------------------------------------


def test_the_work_parked_longest_gives_way_when_the_ward_has_no_more_room() -> None:
    screen = Screen(parked_max=1)
    for holder in (ALICE, BOB):
        screen.after(60).granted(holder)
    third = screen.after(60).granted(CAROL)
    assert ("alice", SessionChange.CLOSED, Cause.EVICTED) in changes(third)
    assert (screen.who, screen.parked) == ("carol", ["bob"])


def test_work_parked_too_long_is_closed() -> None:
    screen = Screen(parked_age_s=3600)
    screen.granted(ALICE)
    screen.after(60).granted(BOB)
    assert changes(screen.passes(3599)) == [("bob", SessionChange.LOCKED, Cause.IDLE)]
    assert changes(screen.passes(1)) == [("alice", SessionChange.CLOSED, Cause.AGED)]
    aged = screen.passes(3599)
    assert changes(aged) == [("bob", SessionChange.CLOSED, Cause.AGED)]
    assert screen.state == Sessions()


def test_a_ward_that_gives_less_room_takes_it_at_once() -> None:
    screen = Screen(parked_max=2)
    for holder in (ALICE, BOB, CAROL):
        screen.after(60).granted(holder)
    screen.policy = policy(**{**ROOM, "parked_max": 1})
    due = due_ms(screen.state, screen.policy)
    assert due is not None
    assert due <= screen.now_ms
    assert changes(screen.passes(0)) == [("alice", SessionChange.CLOSED, Cause.EVICTED)]


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
    Cancelled(),
    Activity(),
    LockPressed(),
    Lost(card(ALICE)),
    Faulted(),
    Passed(),
    ShuttingDown(),
]


def in_mode(mode: Mode) -> Screen:
    screen = Screen()
    if mode is Mode.ASKING:
        screen.owing(BOB)
    elif mode is not Mode.WAITING:
        screen.granted(ALICE)
        screen.passes({Mode.OPEN: 10, Mode.DIMMED: 130, Mode.WARNING: 290}.get(mode, 400))
    assert screen.state.mode is mode
    return screen


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
def test_every_cell_does_what_the_table_says_and_the_rest_is_illegal(
    mode: Mode, event: Happening
) -> None:
    screen = in_mode(mode)
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
