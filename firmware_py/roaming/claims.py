"""Whose tap was the later one: what each terminal judges by itself, and all of them alike. Pure.

The rules (DESIGN §5, ADR 0017):

* A tap's place in time is told by its signed record alone, so that every terminal orders two taps
  in the same way, whatever arrives first, and after any split.
* The record names a heartbeat: the tap was not before it was issued. A tap whose own time lies
  close to that heartbeat counts as of the heartbeat, which is one clock for the whole site and
  which no terminal can date forward. One that lies far behind it (the terminal was offline) counts
  as of its own time, unless that is more than a day behind the heartbeat, or still to come: then
  as of the heartbeat again. With an unconfirmed clock too; without any heartbeat a tap is earlier
  than all that have one.
* Of two taps of one holder the later stands. The earlier one's terminal parks; hears a terminal an
  earlier one of somebody whom it has on its glass, it says its own again. Equal is the same tap.
* A terminal's heartbeats only go on (but for what a broker may put out of order): a request that
  names an earlier one than it has shown before is an old request, said again by somebody.
* A held session neither yields nor claims.
* Hers may be on the glass without a tap that was told (by her PIN alone: such a card has no key for
  taps); then what counts is since when it is, by this terminal's own clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, NamedTuple

from contract.events import ClockTrust
from contract.ids import Digest, HolderId, TerminalId
from contract.policy import OFFLINE_LIMIT_CEILING_S
from firmware_py.sessions.values import Parked, Sessions
from firmware_py.trust.sitetime import ANSWER_WINDOW_MS, REORDER_MS

# A clock is right to the answer window; broadcasts come twice a second, and may be late by some.
NEAR_MS: Final = ANSWER_WINDOW_MS + 5_000
# A clock chip may be a minute off (`sitetime.RTC_BOUND_MS`), and drift on for a day.
AHEAD_MS: Final = 2 * 60_000
# State travels only to a tap that was certainly made just now, and its PIN typed at leisure.
FRESH_MS: Final = 60_000
# Far more terminals than one hospital has; those heard of longest ago are forgotten.
MAX_PEERS: Final = 4096
# Parked and present, and a few whose sessions have just ended.
MAX_SAID: Final = 32


class Order(NamedTuple):
    """Compares two taps; the digest makes it total."""

    site_ms: int
    wall_ms: int
    record: Digest


@dataclass(frozen=True, slots=True)
class TapTime:
    """When a tap was, as its signed record tells."""

    heartbeat_ms: int | None
    """When the heartbeat that it names was issued; null where none is named, or none holds."""
    wall_ms: int
    clock: ClockTrust
    record: Digest

    def order(self, now_ms: int) -> Order:
        """Among taps, as judged at this site time."""
        beat_ms = self.heartbeat_ms
        if beat_ms is None:
            return Order(0, 0, self.record)
        behind_ms = self.wall_ms - beat_ms
        offline = NEAR_MS < behind_ms <= OFFLINE_LIMIT_CEILING_S * 1000
        credible = self.clock is not ClockTrust.UNCONFIRMED and not self.is_ahead(now_ms)
        own = offline and credible
        return Order(self.wall_ms if own else beat_ms, self.wall_ms if credible else 0, self.record)

    def is_ahead(self, now_ms: int) -> bool:
        """Whether its terminal's clock was wrong: it lies in what is still to come."""
        return self.wall_ms > now_ms + AHEAD_MS

    def is_fresh(self, now_ms: int, clock: ClockTrust) -> bool:
        """Whether it was made just now for certain, by a clock of ours that is confirmed."""
        known = self.heartbeat_ms is not None and clock is not ClockTrust.UNCONFIRMED
        return known and abs(now_ms - (self.heartbeat_ms or 0)) <= FRESH_MS


@dataclass(frozen=True, slots=True)
class Said:
    """A tap that opened or resumed a session here, as it was told to the others."""

    time: TapTime
    message: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Claim:
    """A tap at another terminal, its signatures verified."""

    terminal: TerminalId
    holder: HolderId
    time: TapTime


class Verdict(StrEnum):
    """What a claim comes to here."""

    NOTHING = "nothing"
    YIELD = "yield"
    """Hers is the later one: park what she has here."""
    CONTEST = "contest"
    """Ours is: say it again."""
    REPLAYED = "replayed"
    """Nobody honest says this."""


@dataclass(slots=True)
class Claims:
    """What this terminal has said and heard of taps. Belongs to the consumer."""

    said: dict[HolderId, Said] = field(default_factory=dict)
    """The newest tap here of each who has a session here."""
    _beats: dict[TerminalId, int] = field(default_factory=dict)
    """The latest heartbeat that each terminal has shown."""

    def tapped(self, holder: HolderId, said: Said, sessions: Sessions) -> None:
        """A tap of hers acted here."""
        self.said.pop(holder, None)
        self.said[holder] = said
        if len(self.said) > MAX_SAID:
            standing = {session.holder for session in sessions.standing}
            self.said = {who: one for who, one in self.said.items() if who in standing}

    def judge(self, claim: Claim, sessions: Sessions, now_ms: int, monotonic_ms: int) -> Verdict:
        """What a verified claim of another terminal comes to; `now_ms` is site time."""
        if self._goes_back(claim):
            return Verdict.REPLAYED
        sessions_of = [s for s in sessions.standing if s.holder == claim.holder]
        if not sessions_of or is_held(sessions, claim.holder):
            return Verdict.NOTHING
        mine = self._mine(claim.holder, now_ms)
        theirs = claim.time.order(now_ms)
        present = sessions.present
        here = present if present and present.session.holder == claim.holder else None
        if mine is None:
            since_ms = now_ms - (monotonic_ms - here.signed_ms) if here else 0
            return Verdict.YIELD if theirs.site_ms >= since_ms else Verdict.NOTHING
        if theirs > mine.time.order(now_ms):
            return Verdict.YIELD
        same = mine.time.record == claim.time.record
        return Verdict.CONTEST if here and not same else Verdict.NOTHING

    def to_say(self, sessions: Sessions) -> Said | None:
        """The tap of whoever is on the glass, or locked on it: said anew when links heal."""
        present = sessions.present
        if present is None or is_held(sessions, present.session.holder):
            return None
        return self.said.get(present.session.holder)

    def _mine(self, holder: HolderId, now_ms: int) -> Said | None:
        """Once our clock is found to have been wrong, that tap's own time counts no more."""
        said = self.said.get(holder)
        if said is not None and said.time.is_ahead(now_ms):
            time = replace(said.time, clock=ClockTrust.UNCONFIRMED, wall_ms=0)
            said = self.said[holder] = replace(said, time=time)
        return said

    def _goes_back(self, claim: Claim) -> bool:
        beat_ms = claim.time.heartbeat_ms
        if beat_ms is None:
            return False
        known_ms = self._beats.pop(claim.terminal, 0)
        self._beats[claim.terminal] = max(known_ms, beat_ms)
        if len(self._beats) > MAX_PEERS:
            del self._beats[next(iter(self._beats))]
        return beat_ms < known_ms - REORDER_MS


def is_held(sessions: Sessions, holder: HolderId) -> bool:
    """Whether this holder's session is kept open by agreement."""
    held = sessions.present if sessions.hold else None
    return held is not None and held.session.holder == holder


def to_hand_over(before: Sessions, after: Sessions, holder: HolderId) -> tuple[Parked, ...]:
    """Hers as they are parked now, the one first whose state goes on: present before, or last."""
    hers = [p for p in after.parked if p.session.holder == holder]
    was = before.present.session.id if before.present else None
    last_first = [*reversed(hers)]
    return tuple(sorted(last_first, key=lambda p: p.session.id != was))
