"""The session machine against whatever happens: its promises hold after every step."""

from __future__ import annotations

import itertools

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contract.bedside import HoldChange
from contract.events import Cause, OutcomeResult, SessionChange
from contract.ids import Guid, HolderId, PositionId, SessionId, TerminalId
from contract.policy import TapOut
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
from firmware_py.sessions.machine import due_ms, step
from firmware_py.sessions.values import (
    UNIDENTIFIED,
    Changed,
    Glass,
    Holding,
    IllegalEvent,
    Kind,
    Mode,
    Session,
    Sessions,
    Transition,
)
from tests.firmware.rights import policy

HOLDERS = st.sampled_from([HolderId(name) for name in ("alice", "bob", "carol", "dave")])
POSITIONS = st.sampled_from([PositionId("nurse"), PositionId("site-manager")])
SECONDS = st.sampled_from([0, 1, 3, 10, 31, 60, 130, 290, 400, 4000])


def card(holder: HolderId) -> Guid:
    return Guid(holder.encode().hex().ljust(32, "0"))


class Ward(RuleBasedStateMachine):
    """Keeps its own books of who has what, from the effects alone, as a workspace would."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Sessions()
        self.now_ms = 0
        self.policy = policy(parked_max=2, parked_age_s=3600, hold_s=1800)
        self.fresh = itertools.count(1)
        self.standing: dict[SessionId, str] = {}
        self.owner: dict[SessionId, tuple[HolderId, PositionId]] = {}
        self.ends: dict[SessionId, int] = {}
        self.closed: set[SessionId] = set()
        self.glass: SessionId | None = None
        self.tapped = False
        """Since a hold was begun."""

    def named(self) -> set[SessionId]:
        """Sessions in somebody's name: the others end when they lose the glass."""
        return {id_ for id_ in self.standing if self.owner[id_][0] != UNIDENTIFIED}

    def see(self, event: Happening) -> Transition | None:
        before = self.state
        try:
            transition = step(self.state, event, self.policy, self.now_ms)
        except IllegalEvent:
            assert self.state == before
            return None
        self.state = transition.state
        self.carry_out(transition)
        return transition

    def carry_out(self, transition: Transition) -> None:
        for effect in transition.effects:
            if effect is Glass.COVER:
                self.glass = None
            if isinstance(effect, Holding) and effect.change is HoldChange.BEGUN:
                assert self.tapped, "a screen was held once more, and no card had come"
                self.tapped = False
            if not isinstance(effect, Changed):
                continue
            session = effect.session
            mine = (session.holder, session.position)
            assert session.id not in self.closed, "a closed session came back"
            match effect.change:
                case SessionChange.OPENED:
                    assert session.id not in self.standing
                    self.owner[session.id] = mine
                    self.show(session, "open")
                case SessionChange.RESUMED:
                    assert self.standing[session.id] == "parked"
                    assert self.owner[session.id] == mine, "another person's session was resumed"
                    self.show(session, "open")
                case SessionChange.UNLOCKED:
                    assert self.standing[session.id] == "locked"
                    assert self.owner[session.id] == mine, "another person's session was unlocked"
                    self.show(session, "open")
                case SessionChange.PARKED:
                    assert self.standing[session.id] in {"open", "locked"}
                    self.hide(session, "parked")
                case SessionChange.LOCKED:
                    assert self.standing[session.id] == "open"
                    self.hide(session, "locked")
                case SessionChange.CLOSED:
                    unasked = {Cause.TAP, Cause.TAP_OVER, Cause.MOVED, Cause.POSITION}
                    lost = effect.cause in unasked and session.holder != UNIDENTIFIED
                    assert not lost, "the loser of the glass was closed"
                    del self.standing[session.id]
                    self.closed.add(session.id)

    def show(self, session: Session, standing: str) -> None:
        assert self.glass is None, "shown over somebody else's uncovered work"
        assert "open" not in self.standing.values(), "two sessions are open"
        self.standing[session.id] = standing
        self.glass = session.id

    def hide(self, session: Session, standing: str) -> None:
        assert self.glass is None, "work changed hands before it was covered"
        self.standing[session.id] = standing

    @rule(holder=HOLDERS, position=POSITIONS)
    def a_card_is_granted(self, holder: HolderId, position: PositionId) -> None:
        parked = [p.session for p in self.state.parked]
        if self.state.present and not self.state.shown:
            parked.append(self.state.present.session)
        mine = [s.id for s in parked if (s.holder, s.position) == (holder, position)]
        fresh = SessionId(f"{next(self.fresh):032x}")
        came = self.see(Granted(Session(fresh, holder, position, card(holder))))
        if came is None:
            return
        self.tapped = True
        assert came.session is not None
        assert came.session.id == (mine[0] if mine else fresh), "work was there and not resumed"
        assert came.result is (OutcomeResult.RESUMED if mine else OutcomeResult.OPENED)
        assert self.state.shown == came.session

    @rule(holder=st.one_of(HOLDERS, st.just(UNIDENTIFIED)), seconds=st.sampled_from([60, 600]))
    def the_glass_is_broken(self, holder: HolderId, seconds: int) -> None:
        fresh = SessionId(f"{next(self.fresh):032x}")
        ends_ms = self.now_ms + seconds * 1000
        where = PositionId("emergency")
        wanted = Session(fresh, holder, where, card(holder), Kind.BREAK_GLASS, ends_ms)
        came = self.see(Granted(wanted))
        if came is not None:
            self.tapped = True
            assert came.session is not None
            assert came.session.id == fresh or holder != UNIDENTIFIED, "nobody's work was resumed"
            before_ms = self.ends.get(came.session.id, ends_ms)
            assert came.session.ends_ms is not None
            assert came.session.ends_ms <= before_ms, "coming back made a limit longer"
            self.ends[came.session.id] = came.session.ends_ms

    @precondition(lambda self: self.state.shown and self.state.shown.holder != UNIDENTIFIED)
    @rule(position=POSITIONS)
    def its_owner_wants_another_position(self, position: PositionId) -> None:
        assert self.state.shown is not None
        holder, fresh = self.state.shown.holder, SessionId(f"{next(self.fresh):032x}")
        if self.see(Repositioned(Session(fresh, holder, position, card(holder)))) is not None:
            assert self.state.shown.holder == holder

    @rule(holder=HOLDERS)
    def somebody_taps_elsewhere(self, holder: HolderId) -> None:
        before, held = set(self.standing), self.state.hold
        assert self.see(MovedAway(holder, TerminalId("bay-2"))) is not None
        assert set(self.standing) == before, "a tap elsewhere cost somebody their work"
        shown = self.state.shown
        assert not shown or shown.holder != holder or held, "here and there at once"

    @rule(event=st.sampled_from([HoldPressed(), HoldEnded(), Joined(), TakenOver(), Declined()]))
    def something_is_done_about_a_hold(self, event: Happening) -> None:
        before = self.state.shown
        came = self.see(event)
        assert self.state.shown == before
        if isinstance(event, Joined) and came is not None:
            self.tapped = True

    @rule(holder=HOLDERS)
    def another_card_comes_to_a_held_screen(self, holder: HolderId) -> None:
        before = self.state.shown
        self.see(Joining(holder, card(holder)))
        assert self.state.shown == before

    @rule(unsaved=st.booleans(), number=st.integers(0, 3))
    def an_application_speaks(self, *, unsaved: bool, number: int) -> None:
        standing = sorted(self.standing)
        if standing:
            session = standing[number % len(standing)]
            assert self.see(Unsaved(session, unsaved)) is not None
            assert (session in self.state.unsaved) is unsaved
            assert self.see(Extended(session, 600)) is not None

    @rule(event=st.sampled_from([Away(), Back(), EndAll(Kind.DOWNTIME)]))
    def the_room_changes(self, event: Happening) -> None:
        assert self.see(event) is not None

    @rule(holder=HOLDERS)
    def a_left_card_has_lain_too_long(self, holder: HolderId) -> None:
        shown = self.state.shown
        assert self.see(LeftLimit(card(holder))) is not None
        assert not shown or shown.holder != holder or self.glass is None

    @precondition(lambda self: self.state.shown and self.state.shown.keeps)
    @rule()
    def its_owner_taps(self) -> None:
        assert self.state.shown is not None
        holder = self.state.shown.holder
        assert self.see(OwnTap(holder)) is not None
        self.tapped = True

    @rule(holder=HOLDERS)
    def somebody_owes_a_pin(self, holder: HolderId) -> None:
        before = self.named()
        if self.see(Owing(holder, card(holder))) is not None:
            assert self.named() == before, "a pad cost somebody their work"
            assert self.glass is None

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: int) -> None:
        self.now_ms += seconds * 1000
        held, shown = self.state.hold, self.state.shown
        self.see(Passed())
        over = [id_ for id_, ends_ms in self.ends.items() if ends_ms <= self.now_ms]
        assert not set(over) & set(self.standing), "a limited session outlived its limit"
        if held and held.until_ms > self.now_ms and shown and shown.ends_ms is None:
            assert self.state.shown == shown, "a held screen dimmed or locked"

    @rule()
    def the_next_deadline_comes(self) -> None:
        due = due_ms(self.state, self.policy)
        if due is not None:
            self.now_ms = max(self.now_ms, due)
            before = self.state
            self.see(Passed())
            assert self.state != before, "a deadline came and nothing happened"

    @rule(event=st.sampled_from([Activity(), LockPressed(), Cancelled(), Faulted()]))
    def something_is_pressed_or_fails(self, event: Happening) -> None:
        self.see(event)

    @rule(holder=HOLDERS)
    def a_card_is_lost(self, holder: HolderId) -> None:
        shown = self.state.shown
        assert self.see(Lost(card(holder))) is not None
        assert not shown or shown.holder != holder or self.glass is None

    @rule(parked_max=st.integers(0, 3), tap_out=st.sampled_from(TapOut))
    def the_ward_changes_its_policy(self, parked_max: int, tap_out: TapOut) -> None:
        self.policy = policy(parked_max=parked_max, parked_age_s=3600, tap_out=tap_out, hold_s=1800)
        self.see(Passed())

    @rule()
    def the_daemon_stops(self) -> None:
        self.see(ShuttingDown())
        assert self.standing == {}

    @invariant()
    def one_is_present_at_most_and_the_books_agree(self) -> None:
        shown = self.state.shown
        open_ = [id_ for id_, standing in self.standing.items() if standing == "open"]
        assert open_ == ([shown.id] if shown else [])
        assert self.glass == (shown.id if shown else None)
        assert (self.state.mode is Mode.LOCKED) is ("locked" in self.standing.values())
        parked = [id_ for id_, standing in self.standing.items() if standing == "parked"]
        assert sorted(parked) == sorted(p.session.id for p in self.state.parked)
        assert list(self.state.parked) == sorted(self.state.parked, key=lambda p: p.since_ms)
        assert (self.state.asked is not None) is (self.state.mode is Mode.ASKING)
        assert not self.state.hold or self.state.mode is Mode.OPEN
        assert not self.state.offered or self.state.hold
        assert self.state.unsaved <= set(self.standing)
        assert UNIDENTIFIED not in {p.session.holder for p in self.state.parked}

    @invariant()
    def what_is_kept_is_bounded(self) -> None:
        assert len(self.standing) <= self.policy.parked_max + 1
        named = [self.owner[id_] for id_ in self.named()]
        assert len(named) == len(set(named)), "one person has two sessions in one position"


TestWard = Ward.TestCase
