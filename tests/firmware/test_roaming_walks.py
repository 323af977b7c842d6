"""Three terminals, people who tap at all of them, links that fall, clocks that step: by any order.

Also people who break the glass, where the journal takes it and where it does not.

Real session machines and the real judgement (`firmware_py.roaming.claims`); the links between them
are simulated, and lose what is said while they are down. After they heal:

* nobody has two sessions that stay open (a held one aside), and of two the later tap stands;
* whoever lost the glass is parked, and never ended by it.

And always: the work that is shown is that of whoever the glass is for, by an event in the journal.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from contract.events import ClockTrust, OutcomeResult, SessionChange
from contract.ids import Digest, Guid, HolderId, PositionId, SessionId, TerminalId
from firmware_py.roaming.claims import Claim, Said, TapTime, Verdict
from firmware_py.sessions.machine import (
    Activity,
    Faulted,
    Granted,
    Happening,
    HoldEnded,
    HoldPressed,
    Kind,
    LockPressed,
    MovedAway,
    OwnTap,
    Passed,
    Session,
)
from tests.firmware.node import HOUR_MS, Node

HOLDERS = st.sampled_from([HolderId(name) for name in ("alice", "bob")])
POSITIONS = st.sampled_from([PositionId("nurse"), PositionId("site-manager")])
PLACES = st.integers(0, 2)
SECONDS = st.sampled_from([1, 2, 5, 14, 16, 40, 130, 290, 1900])
STEPS_S = st.sampled_from([-7200, -60, -9, 9, 60, 150, 3600, 90_000])
BEAT_MS = 500
LATE_MS = 4_000
"""An answered heartbeat may be as late as that; two, for the third."""
SETTLED_S = 60
"""Far more than what is contested is said again in."""
EMERGENCY = PositionId("emergency")
LIMIT_S = 300
"""Of an emergency."""
_HERE = {
    OutcomeResult.OPENED,
    OutcomeResult.RESUMED,
    OutcomeResult.WOKEN,
    OutcomeResult.STILL_YOU,
}


def card(holder: HolderId) -> Guid:
    return Guid(holder.encode().hex().ljust(32, "0"))


class Roaming(RuleBasedStateMachine):
    """A site of three."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000 * HOUR_MS
        self._signed: dict[Digest, TapTime] = {}
        self.linked: set[Digest] = set()
        """Taps at terminals that heard the site."""
        self.fresh = itertools.count(1)
        self.nodes = [Node(TerminalId(f"bay-{n}"), wrong_ms=-LATE_MS * n) for n in range(3)]
        self.beat()

    def beat(self) -> None:
        """Twice a second, to whoever is linked."""
        for node in self.nodes:
            if node.up:
                node.beat_ms = self.now - self.now % BEAT_MS

    # --- what terminals say ---------------------------------------------------------------------

    def tell(self, node: Node, holder: HolderId) -> None:
        said = node.claims.said.get(holder)
        if not node.up or said is None:
            return
        node.said_ms = self.now
        for other in self.nodes:
            if other is not node and other.up:
                other.inbox.append(Claim(node.name, holder, self.as_signed(said)))

    def as_signed(self, said: Said) -> TapTime:
        """What was signed is what travels, whatever its terminal thinks of it by now."""
        return self.signed[said.time.record]

    @property
    def signed(self) -> dict[Digest, TapTime]:
        return self._signed

    def say(self, node: Node) -> None:
        said = node.claims.to_say(node.state)
        if said is not None and node.state.present is not None:
            self.tell(node, node.state.present.session.holder)

    def say_again(self, node: Node) -> None:
        """What is contested, once a second."""
        if node.again and self.now - node.said_ms >= 1000:
            node.again = False
            self.say(node)

    def hear(self, node: Node) -> None:
        claim = node.inbox.popleft()
        before = node.state
        mine = node.claims.said.get(claim.holder)
        verdict = node.claims.judge(claim, node.state, node.now_ms(self.now), self.now)
        taps = {claim.time.record, *([mine.time.record] if mine else ())}
        if mine is not None and taps <= self.linked and verdict is not Verdict.NOTHING:
            later = int(claim.time.record, 16) > int(mine.time.record, 16)
            assert later is (verdict is Verdict.YIELD), "clocks apart, and yet in their order"
        match verdict:
            case Verdict.YIELD if node.down and not node.in_emergency(claim.holder):
                assert not node.is_open(claim.holder), "work is open that no journal has"
            case Verdict.YIELD:
                node.see(MovedAway(claim.holder, claim.terminal), self.now)
                lost = before.present.session if before.present else None
                if lost is not None and lost.holder == claim.holder:
                    assert node.standing[lost.id] == "parked", "the loser is parked"
            case Verdict.CONTEST:
                node.again = True
                self.say_again(node)
            case Verdict.REPLAYED:
                raise AssertionError("an honest terminal was taken for a liar")
            case Verdict.NOTHING:
                pass

    def all_hear(self) -> None:
        while any(node.inbox for node in self.nodes):
            for node in self.nodes:
                while node.inbox:
                    self.hear(node)

    # --- what happens ---------------------------------------------------------------------------

    @rule(at=PLACES, holder=HOLDERS, position=POSITIONS)
    def taps(self, at: int, holder: HolderId, position: PositionId) -> None:
        node = self.nodes[at]
        self.now += 700  # nobody taps twice at once
        self.beat()
        shown = node.state.shown
        if node.down:
            if node.is_open(holder):
                node.see(LockPressed(), self.now)  # leaving waits for no journal
            return
        number = next(self.fresh)
        event: Happening = OwnTap(holder)
        if shown is None or shown.holder != holder:
            session = Session(SessionId(f"{number:032x}"), holder, position, card(holder))
            event = Granted(session)
            if node.state.hold:
                return  # offered to join: no session of hers
        self.acts(node, event, holder, number)

    @rule(at=PLACES, holder=HOLDERS, by_reserve=st.booleans())
    def breaks_the_glass(self, at: int, holder: HolderId, *, by_reserve: bool) -> None:
        """By her card, from a state that the ward names; written down in whatever takes it."""
        node = self.nodes[at]
        if by_reserve:
            self.a_disk_fails(at)
        if node.state.hold or (node.is_open(holder) and node.in_emergency(holder)):
            return
        self.now += 700
        self.beat()
        number, ends_ms = next(self.fresh), self.now + LIMIT_S * 1000
        session = Session(
            SessionId(f"{number:032x}"), holder, EMERGENCY, card(holder), Kind.BREAK_GLASS, ends_ms
        )
        self.acts(node, Granted(session), holder, number)

    @rule(at=PLACES)
    def a_disk_fails(self, at: int) -> None:
        """What is open by ordinary rights is locked; an emergency stays on the glass."""
        node = self.nodes[at]
        node.down = True
        if node.state.shown is not None and node.state.shown.kind is not Kind.BREAK_GLASS:
            node.see(Faulted(), self.now)

    @rule(at=PLACES)
    def a_disk_is_mended(self, at: int) -> None:
        node = self.nodes[at]
        if node.down:
            node.down = False
            self.say(node)

    def acts(self, node: Node, event: Happening, holder: HolderId, number: int) -> None:
        """A tap of hers, and what the others are told of it."""
        came = node.see(event, self.now)
        if came is None or came.result not in _HERE:
            return
        time = TapTime(
            node.beat_ms, node.now_ms(self.now), ClockTrust.SITE, Digest(f"{number:064x}")
        )
        self.signed[time.record] = time
        if node.up:
            self.linked.add(time.record)
        node.claims.tapped(holder, Said(time, b""), node.state)
        self.tell(node, holder)

    @rule(at=PLACES)
    def hears(self, at: int) -> None:
        if self.nodes[at].inbox:
            self.hear(self.nodes[at])

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * 1000
        self.beat()
        for node in self.nodes:
            node.see(Passed(), self.now)

    @rule(at=PLACES)
    def a_link_falls(self, at: int) -> None:
        self.nodes[at].up = False
        self.nodes[at].inbox.clear()

    @rule(at=PLACES)
    def a_link_heals(self, at: int) -> None:
        """Site time is answered, and what is open here is said."""
        node = self.nodes[at]
        node.up, node.wrong_ms = True, -LATE_MS * at
        self.beat()
        self.say(node)

    @rule(at=PLACES, by_s=STEPS_S)
    def a_clock_steps(self, at: int, by_s: int) -> None:
        node = self.nodes[at]
        if not node.up:  # linked, its next answer sets it right
            node.wrong_ms += by_s * 1000

    @rule(at=PLACES, event=st.sampled_from([LockPressed(), Activity()]))
    def is_touched(self, at: int, event: Happening) -> None:
        self.nodes[at].see(event, self.now)

    @rule(at=PLACES)
    def is_held(self, at: int) -> None:
        self.nodes[at].see(HoldPressed(), self.now)

    @rule(at=PLACES)
    def is_held_no_longer(self, at: int) -> None:
        node = self.nodes[at]
        held = node.state.hold is not None
        node.see(HoldEnded(), self.now)
        if held:
            self.say(node)

    @rule(at=PLACES)
    def a_daemon_restarts(self, at: int) -> None:
        """What is open ends with it; it knows no heartbeat until the next one."""
        node = self.nodes[at]
        fresh = Node(node.name, up=node.up, wrong_ms=node.wrong_ms)
        self.nodes[at] = fresh
        self.beat()

    @rule()
    def everything_heals(self) -> None:
        self.all_hear()
        held = any(node.state.hold for node in self.nodes)
        expected = {} if held else self.later_taps()
        for at in range(len(self.nodes)):
            self.a_link_heals(at)
        for _ in range(SETTLED_S):
            self.all_hear()
            self.now += 1000
            self.beat()
            if not any(node.again for node in self.nodes):
                break
            for node in self.nodes:
                self.say_again(node)
        assert self.disputed() is None
        for holder, wanted in expected.items():
            still = [node.name for node in self.nodes if node.is_open(holder)]
            assert still == wanted, "the later tap by site time stands, and no other"

    def later_taps(self) -> dict[HolderId, list[TerminalId]]:
        """Where each must still be open: at her latest tap, if she is not locked there."""
        found = {}
        for holder in (HolderId("alice"), HolderId("bob")):
            there = [
                (said.time.order(self.now), node)
                for node in self.nodes
                if (present := node.state.present) and present.session.holder == holder
                if (said := node.claims.said.get(holder))
            ]
            if there:
                _, node = max(there, key=lambda one: one[0])
                found[holder] = [node.name] if node.is_open(holder) else []
        return found

    def disputed(self) -> HolderId | None:
        """Somebody who has two sessions open, a held one aside."""
        for holder in (HolderId("alice"), HolderId("bob")):
            open_ = [n for n in self.nodes if n.is_open(holder) and not n.state.hold]
            if len(open_) > 1:
                return holder
        return None

    @invariant()
    def the_work_shown_is_hers_and_journalled(self) -> None:
        for node in self.nodes:
            shown = node.state.shown
            assert node.glass == (shown.id if shown else None)
            if shown is None:
                continue
            assert node.owner[shown.id] == shown.holder
            newest = next(c for c in reversed(node.journal) if c.session.id == shown.id)
            assert newest.change in {
                SessionChange.OPENED,
                SessionChange.RESUMED,
                SessionChange.UNLOCKED,
            }


def test_links_fall_and_clocks_step_and_nobody_stays_open_twice() -> None:
    run_state_machine_as_test(Roaming, settings=settings(max_examples=60, stateful_step_count=40))


@pytest.mark.full
def test_nor_by_any_longer_order_of_things() -> None:
    longer = settings(max_examples=600, stateful_step_count=60, deadline=None)
    run_state_machine_as_test(Roaming, settings=longer)
