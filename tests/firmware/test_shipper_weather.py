"""Any weather on the wire and any power cut: every event reaches the site, and reaches it once."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contract.events import Event, TerminalStopped
from runtime.clock import ManualClock
from tests.firmware.fake_site import FakeSite
from tests.firmware.ship import Ship, crash_image

STOPPED = TerminalStopped()


class AnyWeather(RuleBasedStateMachine):
    """The wire loses, doubles and reorders both ways; links fall; the terminal is killed."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="tap-ship-"))
        self.site, self.clock = FakeSite(), ManualClock()
        self.lives = 0
        self.ship = self._boot(self.folder / "0")
        self.written = {(self.ship.journal.id, 0)}
        self.receipts: list[bytes] = []

    def _boot(self, folder: Path) -> Ship:
        folder.mkdir(exist_ok=True)

        async def boot() -> Ship:
            return await Ship(folder, self.site, self.clock).start()

        return self.loop.run_until_complete(boot())

    def _do(self, act: Callable[[], object] = lambda: None) -> None:
        async def run() -> None:
            act()
            await self.ship.settle()

        self.loop.run_until_complete(run())

    @rule(events=st.integers(1, 30), more=st.booleans())
    def tap(self, *, events: int, more: bool) -> None:
        def act() -> None:
            for _ in range(events):
                written = self.ship.journal.append(STOPPED, more=more)
                self.written.add((self.ship.journal.id, written.sequence))

        self._do(act)

    @rule(seconds=st.sampled_from([0.02, 1.0, 3.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self._do(lambda: self.clock.advance(seconds))

    @rule()
    def link_up(self) -> None:
        self._do(self.ship.connect)

    @rule()
    def link_down(self) -> None:
        self._do(self.ship.shipper.disconnected)

    # What is on the wire depends on threads: a precondition that asks for it would have Hypothesis
    # draw otherwise when the machine is slow.

    @rule(at=st.integers(0, 10), keep=st.booleans())
    def the_site_hears(self, *, at: int, keep: bool) -> None:
        if not self.ship.wire:
            return
        place = at % len(self.ship.wire)
        message = self.ship.wire[place]
        if not keep:  # else the broker delivers it once more later
            del self.ship.wire[place]
        self.receipts.append(self.site.take(message))

    @rule()
    def the_wire_loses(self) -> None:
        del self.ship.wire[:1]

    @rule(at=st.integers(0, 10), keep=st.booleans())
    def the_terminal_hears(self, *, at: int, keep: bool) -> None:
        if not self.receipts:
            return
        place = at % len(self.receipts)
        receipt = self.receipts[place]
        if not keep:
            del self.receipts[place]
        self._do(lambda: self.ship.receive(receipt))

    @rule()
    def a_receipt_is_lost(self) -> None:
        del self.receipts[:1]

    @precondition(lambda self: self.lives < 5)
    @rule()
    def the_power_fails(self) -> None:
        self.lives += 1
        image = crash_image(self.ship, self.folder / str(self.lives))
        wire = self.ship.wire
        self.loop.run_until_complete(self.ship.stop())
        self.ship = self._boot(image)
        self.ship.wire = wire
        self._do()

    @invariant()
    def the_site_holds_nothing_that_was_not_written_and_no_fork(self) -> None:
        assert set(self.site.events) <= self.written
        assert self.site.forks == []
        assert self.ship.alarms.count == 0
        assert self.ship.forked == 0

    def teardown(self) -> None:
        try:
            self._do(self.ship.connect)
            for _ in range(60):
                self.loop.run_until_complete(self.ship.answer_all())
                if self.ship.shipper.unshipped == 0:
                    break
                self.time_passes(61.0)
            assert set(self.site.events) == self.written  # lost 0
            assert self.site.accepted == len(self.site.tree.leaves) - 1  # doubled 0
            held = [Event.from_bytes(body) for body in self.site.events.values()]
            assert {(event.journal, event.sequence) for event in held} == self.written
        finally:
            self.loop.run_until_complete(self.ship.stop())
            self.loop.close()
            shutil.rmtree(self.folder)


class TestAnyWeather(AnyWeather.TestCase):  # type: ignore[valid-type,misc]  # made at run time
    settings = settings(max_examples=30, stateful_step_count=30)


@pytest.mark.full
@pytest.mark.timeout(900)
class TestAnyWeatherForLong(AnyWeather.TestCase):  # type: ignore[valid-type,misc]  # likewise
    settings = settings(max_examples=1000, stateful_step_count=60)
