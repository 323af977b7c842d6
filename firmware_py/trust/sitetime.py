"""Site time, the time floor and freshness: what a terminal may believe of time (DESIGN §6).

The rules:

* Site time is the `issued_ms` of a heartbeat that answered this terminal's own nonce, and monotonic
  time since. An answer later than `ANSWER_WINDOW_MS` after its question is no answer: whoever holds
  one back could make the terminal's day longer by that much, and by no more.
* A broadcast heartbeat confirms the directory as of its `issued_ms`, but never beyond site time: so
  it makes knowledge fresher by no more than monotonic time has passed. Before the first answer of a
  boot it raises the floor and nothing else.
* The floor is the later of the build's time and the newest verified `issued_ms` of this key epoch,
  and it is kept over a restart. Nothing else raises it: not NTP, not the journal, not a clock chip.
  A statement from before the floor (less `REORDER_MS`) is a replay, or a gateway set back.
* An anchor holds for one boot. A restarted daemon goes on with it; a rebooted one has none, unless
  the machine's clock chip was found right while online (`rtc`) and is not behind the floor.
* Without an anchor the clock is `unconfirmed`: the time is then only known to be *at least* the
  floor and the time since. Powered time in that state adds up over reboots until an answer comes.
* A higher key epoch starts again: its floor is the build's time or the key statement's own. A clock
  that runs goes on until the first answer under the new keys, so that nobody is refused meanwhile;
  that answer alone is measured against the new floor (`Custody`).

Pure: monotonic and wall readings come in as arguments (milliseconds).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from contract.events import ClockTrust
from contract.ids import BootId
from contract.statements import Heartbeat

# A question is asked again every ten minutes and at each connect; a slow broker answers in a
# second. Ten bound by how much a held-back answer can set a terminal's clock back.
ANSWER_WINDOW_MS: Final = 10_000
# Broker queues and a gateway's clock slewed by NTP may put statements out of order by this much.
REORDER_MS: Final = 10_000
# A clock chip drifts about two seconds a day: within a minute of site time it is a clock.
RTC_BOUND_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in this machine's own time: comparable only within one boot."""

    boot: BootId
    monotonic_ms: int


@dataclass(frozen=True, slots=True)
class Freshness:
    """How much a terminal knows of the present when it decides."""

    clock: ClockTrust
    now_ms: int
    """Site time (Unix ms); with an unconfirmed clock only a lower bound of it."""
    age_ms: int | None
    """Since the directory held here was last confirmed as the newest; null when nobody can say."""
    powered_ms: int
    """Powered time without a confirmed clock; 0 while there is one."""

    def within(self, offline_limit_s: int, offline_boot_s: int) -> bool:
        """Whether rights as known here may still open a session (the ward's two limits)."""
        if self.clock is ClockTrust.UNCONFIRMED:
            return self.powered_ms <= offline_boot_s * 1000
        return self.age_ms is not None and self.age_ms <= offline_limit_s * 1000


class TimeFault(StrEnum):
    """Why a heartbeat told nothing about the time."""

    NOT_ASKED = "not-asked"
    """It answers a nonce that is not this terminal's open question."""
    TOO_LATE = "too-late"
    """The answer came after the window."""
    BEFORE_FLOOR = "before-floor"
    """Issued before what is already known of this epoch: replayed, or a clock set back."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A time that was believed at a moment of this boot."""

    trust: ClockTrust
    site_ms: int
    monotonic_ms: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What is kept on disk (`trust_store`), so that a restart forgets nothing that protects."""

    epoch: int
    floor_ms: int
    confirmed_ms: int | None
    unconfirmed_powered_ms: int
    rtc_checked: bool
    boot: BootId
    saved_monotonic_ms: int
    anchor: Anchor | None


@dataclass(frozen=True, slots=True)
class Question:
    """A nonce that this terminal published, and when."""

    nonce: str
    asked_ms: int
    """Monotonic."""


@dataclass(frozen=True, slots=True)
class SiteTime:
    """What is believed of time in this boot. A value: every method returns another."""

    boot: BootId
    build_ms: int
    epoch: int
    floor_ms: int
    floor_at_ms: int
    """Monotonic: when the floor was a lower bound of the present."""
    confirmed_ms: int | None
    anchor: Anchor | None
    carried_ms: int
    """Unconfirmed powered time before `powered_from_ms`."""
    powered_from_ms: int
    rtc_checked: bool

    @classmethod
    def at_start(
        cls, memory: Memory | None, build_ms: int, now: Moment, rtc_ms: int | None = None
    ) -> SiteTime:
        """As a daemon starts. `rtc_ms` is the clock chip's own reading; null without one."""
        if memory is None:
            memory = Memory(
                epoch=0,
                floor_ms=build_ms,
                confirmed_ms=None,
                unconfirmed_powered_ms=0,
                rtc_checked=False,
                boot=now.boot,
                saved_monotonic_ms=now.monotonic_ms,
                anchor=None,
            )
        same_boot = memory.boot == now.boot and now.monotonic_ms >= memory.saved_monotonic_ms
        floor_ms = max(build_ms, memory.floor_ms)
        anchor = memory.anchor if same_boot else None
        if anchor is None and memory.rtc_checked and rtc_ms is not None and rtc_ms >= floor_ms:
            anchor = Anchor(ClockTrust.RTC, rtc_ms, now.monotonic_ms)
        return cls(
            boot=now.boot,
            build_ms=build_ms,
            epoch=memory.epoch,
            floor_ms=floor_ms,
            floor_at_ms=memory.saved_monotonic_ms if same_boot else now.monotonic_ms,
            confirmed_ms=memory.confirmed_ms,
            anchor=anchor,
            carried_ms=memory.unconfirmed_powered_ms,
            powered_from_ms=memory.saved_monotonic_ms if same_boot else now.monotonic_ms,
            rtc_checked=memory.rtc_checked,
        )

    @property
    def clock(self) -> ClockTrust:
        return self.anchor.trust if self.anchor else ClockTrust.UNCONFIRMED

    def now_ms(self, monotonic_ms: int) -> int:
        """Site time, or the latest time that is certainly past; never below the floor."""
        least = self.floor_ms + max(0, monotonic_ms - self.floor_at_ms)
        if self.anchor is None:
            return least
        believed = self.anchor.site_ms + monotonic_ms - self.anchor.monotonic_ms
        return max(believed, self.floor_ms)

    def wall(self, monotonic_ms: int, wall_ms: int) -> tuple[int, ClockTrust]:
        """The time to write into an event, and what stands behind it."""
        if self.anchor is None:
            return wall_ms, ClockTrust.UNCONFIRMED
        return self.now_ms(monotonic_ms), self.clock

    def freshness(self, monotonic_ms: int) -> Freshness:
        now_ms = self.now_ms(monotonic_ms)
        confirmed = self.confirmed_ms
        known = self.anchor is not None and confirmed is not None
        return Freshness(
            clock=self.clock,
            now_ms=now_ms,
            age_ms=max(0, now_ms - confirmed) if known and confirmed is not None else None,
            powered_ms=self._powered_ms(monotonic_ms),
        )

    def answered(
        self,
        heartbeat: Heartbeat,
        question: Question | None,
        monotonic_ms: int,
        *,
        confirms: bool,
        rtc_ms: int | None = None,
    ) -> SiteTime | TimeFault:
        """After a *verified* heartbeat with a nonce.

        `confirms`: it names the directory that is held here (`trust.Standing.CONFIRMS`). `rtc_ms`
        is the clock chip's reading at this moment: being right now is what makes it believed later.
        """
        if question is None or heartbeat.nonce != question.nonce:
            return TimeFault.NOT_ASKED
        if monotonic_ms - question.asked_ms > ANSWER_WINDOW_MS:
            return TimeFault.TOO_LATE
        if heartbeat.issued_ms < self.floor_ms - REORDER_MS:
            return TimeFault.BEFORE_FLOOR
        site_ms = max(heartbeat.issued_ms, self.floor_ms)
        checked = rtc_ms is not None and abs(rtc_ms - site_ms) <= RTC_BOUND_MS
        anchored = replace(
            self,
            anchor=Anchor(ClockTrust.SITE, site_ms, monotonic_ms),
            carried_ms=0,
            powered_from_ms=monotonic_ms,
            rtc_checked=checked,
        )
        return _heard(anchored, heartbeat.issued_ms, monotonic_ms, confirms=confirms)

    def broadcast(
        self, heartbeat: Heartbeat, monotonic_ms: int, *, confirms: bool
    ) -> SiteTime | TimeFault:
        """After a *verified* heartbeat to everybody."""
        if heartbeat.issued_ms < self.floor_ms - REORDER_MS:
            return TimeFault.BEFORE_FLOOR
        return _heard(self, heartbeat.issued_ms, monotonic_ms, confirms=confirms)

    def new_epoch(self, epoch: int, issued_ms: int, monotonic_ms: int) -> SiteTime:
        """After a key statement of a higher epoch: nothing of the old epoch's clock is believed."""
        if epoch <= self.epoch:
            return self
        return replace(
            self,
            epoch=epoch,
            floor_ms=max(self.build_ms, issued_ms),
            floor_at_ms=monotonic_ms,
            confirmed_ms=None,
            anchor=None,
            powered_from_ms=monotonic_ms,
            carried_ms=self._powered_ms(monotonic_ms),
        )

    def memory(self, monotonic_ms: int) -> Memory:
        """What to keep: once a minute, and after `answered` and `new_epoch`."""
        anchor = self.anchor if self.clock is ClockTrust.SITE else None
        return Memory(
            epoch=self.epoch,
            floor_ms=self.floor_ms,
            confirmed_ms=self.confirmed_ms,
            unconfirmed_powered_ms=self._powered_ms(monotonic_ms),
            rtc_checked=self.rtc_checked,
            boot=self.boot,
            saved_monotonic_ms=monotonic_ms,
            anchor=anchor,
        )

    def _powered_ms(self, monotonic_ms: int) -> int:
        if self.anchor is not None:
            return self.carried_ms if self.clock is ClockTrust.RTC else 0
        return self.carried_ms + max(0, monotonic_ms - self.powered_from_ms)


def _heard(time: SiteTime, issued_ms: int, monotonic_ms: int, *, confirms: bool) -> SiteTime:
    """The floor raised, and the directory confirmed as of then, but never beyond site time."""
    if issued_ms > time.floor_ms:
        time = replace(time, floor_ms=issued_ms, floor_at_ms=monotonic_ms)
    if time.anchor is None or not confirms:
        return time
    believed_ms = time.anchor.site_ms + monotonic_ms - time.anchor.monotonic_ms
    confirmed_ms = max(time.confirmed_ms or 0, min(issued_ms, believed_ms))
    return replace(time, confirmed_ms=confirmed_ms)
