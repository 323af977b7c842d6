"""The machine's clocks: the only place in the product that reads them.

Durations are measured with CLOCK_BOOTTIME, not CLOCK_MONOTONIC: it never steps either, and it goes
on while the machine sleeps. A terminal that slept for a night must not believe that its directory,
its grace or its site time is a second old. The two agree on a machine that was never suspended.

The wall clock is data for people and for the record; no decision trusts it here.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
import uuid
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final, Protocol

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_NS: Final = 1_000_000_000
_LONGEST_NAP_S: Final = 1.0
# asyncio's timers stand still while the machine sleeps: looking again after at most this long is
# how late a deadline that passed during the sleep is noticed.


class Clock(Protocol):
    """What a process may know of time; injected everywhere, so that a test can be the clock."""

    @property
    def boot_id(self) -> str:
        """A UUID: `monotonic_ns` of two readings can be compared only if it is the same."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since some moment before this process; counts sleep, never steps."""
        ...

    def wall_ms(self) -> int:
        """Unix time in milliseconds, as the machine believes it; may step either way."""
        ...

    async def sleep_until(self, at_ns: int) -> None:
        """Return when `monotonic_ns` has reached ``at_ns``; yields at least once."""
        ...


class LocalDay:
    """The day as people on the ward count it: in a time zone, with its summer time."""

    def __init__(self, zone: str = "") -> None:
        """`zone` is an IANA name; empty: the machine's own. Raises ZoneUnknown."""
        self._zone = _zone(zone) if zone else None

    def minute(self, wall_ms: int) -> int:
        """Which minute of the local day a Unix time lies in, from 0 at midnight."""
        if self._zone is None:
            local = time.localtime(wall_ms // 1000)
            return local.tm_hour * 60 + local.tm_min
        there = datetime.fromtimestamp(wall_ms // 1000, self._zone)
        return there.hour * 60 + there.minute


class ZoneUnknown(ValueError):
    """This machine knows no time zone of that name."""


def _zone(name: str) -> tzinfo:
    import zoneinfo  # noqa: PLC0415 - a terminal counts its memory, and few name a zone

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ZoneUnknown(f"no time zone {name!r}; is tzdata installed?") from error


class SystemClock:
    """The clocks of this machine."""

    def __init__(self, boot_id_file: Path = _BOOT_ID) -> None:
        self._boot_id = _read_boot_id(boot_id_file)

    @property
    def boot_id(self) -> str:
        """The kernel's boot id, or one for this process where the kernel's is hidden.

        (A unit with ``ProcSubset=pid`` hides it.) Then a restart of the daemon counts as a boot,
        which is the careful error: old monotonic readings are not believed.
        """
        return self._boot_id

    def monotonic_ns(self) -> int:
        """CLOCK_BOOTTIME."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wall_ms(self) -> int:
        """CLOCK_REALTIME."""
        return time.time_ns() // 1_000_000

    async def sleep_until(self, at_ns: int) -> None:
        """Sleep in naps, so that a deadline passed in suspension is noticed within a second."""
        while True:
            left_s = (at_ns - self.monotonic_ns()) / _NS
            await asyncio.sleep(max(0.0, min(left_s, _LONGEST_NAP_S)))
            if self.monotonic_ns() >= at_ns:
                return


class ManualClock:
    """A clock that a test moves."""

    def __init__(self, monotonic_ns: int = _NS, wall_ms: int = 1_767_225_600_000) -> None:
        """Stand still, one second after boot, on 1 January 2026 unless told otherwise."""
        self._monotonic_ns = monotonic_ns
        self._wall_ms = wall_ms
        self._boot_id = str(uuid.uuid4())
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._fallen_asleep = asyncio.Event()

    @property
    def boot_id(self) -> str:
        """The same until `reboot`."""
        return self._boot_id

    def monotonic_ns(self) -> int:
        """What the test made it."""
        return self._monotonic_ns

    def wall_ms(self) -> int:
        """What the test made it."""
        return self._wall_ms

    def advance(self, seconds: float) -> None:
        """Let time pass for both clocks, and wake those whose deadline it reaches."""
        if seconds < 0:
            raise ValueError("monotonic time does not run backwards; step_wall steps the wall")
        self._monotonic_ns += round(seconds * _NS)
        self._wall_ms += round(seconds * 1000)
        while self._sleepers and self._sleepers[0][0] <= self._monotonic_ns:
            *_, waiting = heapq.heappop(self._sleepers)
            if not waiting.done():
                waiting.set_result(None)

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forwards or back, as NTP or a person may."""
        self._wall_ms += round(seconds * 1000)

    def reboot(self) -> None:
        """A new boot: another id, and monotonic time starts again."""
        self._boot_id = str(uuid.uuid4())
        self._monotonic_ns = _NS

    async def sleep_until(self, at_ns: int) -> None:
        """Wait until the test has advanced the clock that far."""
        if at_ns <= self._monotonic_ns:
            await asyncio.sleep(0)
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (at_ns, next(self._order), waiting))
        self._fallen_asleep.set()
        await waiting

    async def next_deadline(self) -> int:
        """Wait until somebody sleeps; the earliest deadline, for a test to advance to."""
        while True:
            while self._sleepers and self._sleepers[0][2].done():
                heapq.heappop(self._sleepers)
            if self._sleepers:
                return self._sleepers[0][0]
            self._fallen_asleep.clear()
            await self._fallen_asleep.wait()


def _read_boot_id(file: Path) -> str:
    try:
        return str(uuid.UUID(file.read_text(encoding="ascii").strip()))
    except (OSError, ValueError):
        return str(uuid.uuid4())
