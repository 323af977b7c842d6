"""A terminal's shipping side before a site in memory, with a wire that is the test's own."""

import asyncio
import contextlib
import shutil
import sqlite3
from pathlib import Path
from typing import Self

from contract.checkpoint import CheckpointMessage
from contract.events import AlarmCode, Event
from contract.ids import Digest
from contract.journal import MAX_BATCH_BYTES, Receipt, Verdict, split_lines
from contract.signing import Envelope
from firmware_py.evidence import checkpoints
from firmware_py.evidence.alarms import Alarms
from firmware_py.evidence.checkpoints import Checkpoints
from firmware_py.evidence.journal import Journal
from firmware_py.evidence.shipper import GATHER_NS, WINDOW, Shipper
from firmware_py.fetch import FetchFailed
from runtime.clock import Clock, ManualClock
from tests.firmware.fake_site import TERMINAL, FakeSite, stamps

GATHER_S = GATHER_NS / 1_000_000_000


async def no_gateway(_since: int) -> CheckpointMessage:
    raise FetchFailed("away")


class Ship:
    """A terminal's shipping side before a site in memory; the wire between them is the test's."""

    def __init__(self, folder: Path, site: FakeSite, clock: Clock) -> None:
        self.site, self.clock = site, clock
        self.path = folder / "journal.sqlite"
        site.journal_file = self.path
        opener = Journal.open if self.path.exists() else None
        self.journal = (
            opener(self.path, TERMINAL, lambda: stamps(clock))
            if opener
            else Journal.create(self.path, TERMINAL, "0.1.0", lambda: stamps(clock))
        )
        self.alarms = Alarms(self.journal, clock)
        self.wire: list[bytes] = []
        self.unanswered: set[Digest] = set()
        self.news = asyncio.Event()
        self.forked = 0

    async def start(self) -> Self:
        held = await checkpoints.load(self.journal, self.site.trust)
        self.checkpoints = Checkpoints(
            self.site.trust, self.alarms, self.clock.monotonic_ns, no_gateway, held
        )
        self.shipper = Shipper(
            self.journal,
            self.site.batch_key,
            self.site.trust,
            self.checkpoints,
            self.alarms,
            self.clock,
            self._on_fork,
        )
        self.task = asyncio.create_task(self.shipper.run())
        return self

    def _on_fork(self) -> None:
        self.forked += 1

    async def publish(self, message: bytes) -> None:
        self.site.require_stored(message)
        self.unanswered.add(split_lines(message, MAX_BATCH_BYTES)[0].digest)
        assert len(self.unanswered) <= WINDOW, "more batches in flight than were agreed"
        self.wire.append(message)
        self.news.set()

    def connect(self) -> None:
        self.unanswered.clear()
        self.shipper.connected(self.publish)

    def receive(self, receipt: bytes) -> None:
        answer = Receipt.open(Envelope.from_bytes(receipt), self.site.log.public)
        self.unanswered.discard(answer.batch)
        if answer.verdict is Verdict.GAP:  # whatever follows it on the wire is void like it
            self.unanswered.clear()
        self.shipper.receive(receipt)

    async def settle(self) -> None:
        """Until the shipper waits for the clock or for news:

        Its jobs and ours go one behind the other.
        """
        quiet = 0
        while quiet < 8:  # find, rewind, cut and read come one after the other, unseen
            before = (len(self.wire), self.journal.next_sequence, self.shipper.unshipped)
            await self.journal.run(lambda _c: None)
            for _ in range(4):
                await asyncio.sleep(0)
            after = (len(self.wire), self.journal.next_sequence, self.shipper.unshipped)
            quiet = quiet + 1 if before == after else 0
        assert not self.task.done(), self.task.result()

    async def later(self, seconds: float) -> None:
        assert isinstance(self.clock, ManualClock)
        self.clock.advance(seconds)
        await self.settle()

    async def answer_all(self) -> None:
        """A good wire and a good site, until nothing more is sent."""
        while self.wire:
            for message in self.take_wire():
                self.receive(self.site.take(message))
            await self.later(GATHER_S)

    async def answer_next(self) -> None:
        """Waits for one message and answers it."""
        await self.news.wait()
        self.news.clear()
        for message in self.take_wire():
            self.receive(self.site.take(message))

    def take_wire(self) -> list[bytes]:
        taken, self.wire = self.wire, []
        return taken

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        await self.journal.close()


def crash_image(ship: Ship, folder: Path) -> Path:
    """The disk as a power cut in this moment leaves it."""
    folder.mkdir()
    for suffix in ("", "-wal"):
        source = Path(f"{ship.path}{suffix}")
        if source.exists():
            shutil.copy(source, folder / f"journal.sqlite{suffix}")
    return folder


def alarms_in(ship: Ship) -> list[AlarmCode]:
    with contextlib.closing(sqlite3.connect(ship.path)) as connection:
        rows = connection.execute("SELECT data FROM event ORDER BY position").fetchall()
    details = [Event.from_bytes(data).detail for (data,) in rows]
    return [detail.code for detail in details if detail.kind == "alarm"]
