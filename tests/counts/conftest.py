"""Lone warm taps on a whole ward, and everything that was counted of each: no stopwatch."""

from __future__ import annotations

import re
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import pytest

from benchmarks.ward.evidence import on_disk, wait_delivered
from benchmarks.ward.flushes import Flushes
from benchmarks.ward.outside import wait_until
from benchmarks.ward.site import Ward
from benchmarks.ward.taps import Tap, tap

BAY: Final = "bay-1"
TAPS: Final = 4
# As mosquitto tells of each message that it is given, once it is asked to tell everything.
_PUBLISHED: Final = re.compile(r"Received PUBLISH from (\S+) \(.*'tapover/v1/([^/']+)/([^/']+)'")


@dataclass(frozen=True)
class Counted:
    """One warm tap, from the card in the field until its receipt is on the terminal's disk."""

    tap: Tap
    waited_flushes: int
    """Between the card's detection and the glass: somebody stands there."""
    flushes: int
    """In all. fsync and fdatasync, as the daemon calls them (benchmarks/ward/slow_flush.c)."""
    published: Counter[str]
    """Messages that the broker was given by this terminal, and for it, by channel."""
    events: tuple[str, ...]


class Counting:
    """Makes lone taps and counts what each costs."""

    def __init__(self, ward: Ward, flushes: Flushes) -> None:
        self._ward, self._flushes, self._bay = ward, flushes, ward[BAY]
        self._crew = cycle([ward.member("h-amal"), ward.member("h-bronwen")])
        _tell_all(ward)
        for member in islice(self._crew, 2):
            self._bay.sign_on_with_pin(member)

    def one(self) -> Counted:
        wait_delivered(self._ward)
        lines = self._ward.broker.process.lines
        mark, told, known = self._flushes.count, len(lines), len(on_disk(self._ward, BAY))
        one = tap(self._bay, self._ward.box, next(self._crew))
        wait_until("the tap's timing event", lambda: "tap.timing" in self._kinds(known))
        wait_delivered(self._ward)
        flushes = [f.began_ns for f in self._flushes.since(mark) if f.began_ns >= one.seen_ns]
        shown_ns = one.seen_ns + one.total_ms * 1e6
        return Counted(
            tap=one,
            waited_flushes=sum(1 for at_ns in flushes if at_ns <= shown_ns),
            flushes=len(flushes),
            published=_published(self._ward.broker.process.lines[told:]),
            events=self._kinds(known),
        )

    def _kinds(self, known: int) -> tuple[str, ...]:
        return tuple(event["detail"]["kind"] for event in on_disk(self._ward, BAY)[known:])


def _tell_all(ward: Ward) -> None:
    """The broker logs every message from now on."""
    configuration = ward.broker.folder / "mosquitto.conf"
    configuration.write_text(configuration.read_text() + "log_type debug\n")
    said = len(ward.broker.process.lines)
    ward.broker.process.signal(signal.SIGHUP)
    ward.broker.process.wait_for_line("Reloading config", after=said)


def _published(lines: tuple[str, ...]) -> Counter[str]:
    """What concerns the terminal alone: a site's heartbeats come whether anybody taps or not."""
    told = (match for line in lines if (match := _PUBLISHED.search(line)))
    return Counter(match[3] for match in told if match[2] == BAY)


@pytest.fixture(scope="module")
def counted() -> Iterator[list[Counted]]:
    """Warm taps on a ward that has nothing else to do."""
    folder = Path(tempfile.mkdtemp(prefix="tap-", dir="/tmp"))
    folder.chmod(0o755)
    flushes = Flushes(folder / "flushes")
    with flushes, Ward(folder / "w", (BAY,), environments={BAY: flushes.environment}) as ward:
        counter = Counting(ward, flushes)
        counter.one()  # the first after PINs, whose own messages may still be on their way
        yield [counter.one() for _ in range(TAPS)]
    shutil.rmtree(folder, ignore_errors=True)
