"""Any order of declaring, ending, renewing, restarts, cuts and old messages, at two screens.

* However it came, both agree once they hear each other: on, until the same minute, or over.
* What was ended last stays ended, until somebody declares it anew after that.
* It is never on where rights are known.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from contract.ids import TerminalId
from firmware_py.emergency.commands import DowntimeOver
from firmware_py.site.link import DowntimeSaid
from tests.firmware.air import Air
from tests.firmware.downtime_air import AGAIN_S, HERE, THERE, day, is_on, kept, passes, silence
from tests.firmware.downtime_ward import (
    ELENA,
    FFION,
    HOURS_S,
    card_and_pin,
    declare,
    state,
)

Move = Callable[[str], Awaitable[None]]


class Walk:
    """What people do at a ward, and what a network does to it."""

    def __init__(self, air: Air, chance: random.Random) -> None:
        self.air = air
        self.chance = chance
        self.steps: list[str] = []
        self.until_ms: int | None = None
        """Of the newest declaration; null: it was ended since, or there was none."""
        self.said: dict[str, list[bytes]] = {HERE: [], THERE: []}
        often = (self.declare, self.declare, self.declare, self.end, self.end)
        unlucky = (self.restart, self.old, self.cut, self.heal)
        self.moves: list[Move] = [*often, *unlucky, self.restart, self.old, self.hour]

    @property
    def now_ms(self) -> int:
        return self.air.clock.monotonic_ns() // 1_000_000

    async def step(self) -> None:
        move, name = self.chance.choice(self.moves), self.chance.choice((HERE, THERE))
        self.steps.append(f"{getattr(move, '__name__', move)} {name}")
        await passes(self.air, 2)
        await move(name)
        for each, said in self.said.items():
            said += [data for data in self.air[each].downtime_said if data not in said]

    async def declare(self, name: str) -> None:
        began_ms = self.now_ms
        await declare(self.air[name], ELENA, FFION)
        await self.air.rest()
        await kept(self.air[name])
        self.until_ms = began_ms + 2 * HOURS_S * 1000

    async def end(self, name: str) -> None:
        bench = self.air[name]
        if not is_on(bench):
            return
        mark = len(bench.board.views)
        bench.do(DowntimeOver())
        await bench.until(state("declaring", "card"), mark)
        await card_and_pin(bench, ELENA)
        await self.air.rest()
        await kept(bench)
        self.until_ms = None

    async def restart(self, name: str) -> None:
        await self.air.restart(name, site=False)

    async def old(self, name: str) -> None:
        """Whatever was ever said is heard again, in any order."""
        other = THERE if name == HERE else HERE
        said = self.said[other]
        for data in self.chance.sample(said, len(said)):
            self.air[name].post(DowntimeSaid(TerminalId(other), data))
        await self.air.rest()

    async def cut(self, name: str) -> None:
        self.air.cut(name)

    async def heal(self, name: str) -> None:
        self.air.up.add(TerminalId(name))

    async def hour(self, _: str) -> None:
        await passes(self.air, HOURS_S)

    async def agree(self) -> None:
        """Both hear each other again, long enough."""
        for name in (HERE, THERE):
            self.air.up.add(TerminalId(name))
        for _ in range(3):
            await passes(self.air, AGAIN_S)
        if self.until_ms is not None and abs(self.until_ms - self.now_ms) < 2 * AGAIN_S * 1000:
            await passes(self.air, 4 * AGAIN_S)
        on = self.until_ms is not None and self.now_ms < self.until_ms
        assert [is_on(self.air[name]) for name in (HERE, THERE)] == [on, on], self.steps


async def walk(folder: Path, seed: int, steps: int) -> None:
    async with Air(folder, HERE, THERE) as air:
        await day(air)
        await air[HERE].sign_on(ELENA)  # so that its journal holds a heartbeat
        await air[THERE].sign_on(FFION)
        await air.later(60)
        await silence(air)
        ward = Walk(air, random.Random(seed))
        for number in range(steps):
            await ward.step()
            if number % 5 == 0:
                await ward.agree()
        await ward.agree()
        air.confirm()
        await passes(air, 2)
        assert not is_on(air[HERE])
        assert not is_on(air[THERE])


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_both_screens_agree_once_they_hear_each_other(
    tmp_path: Path, seed: int
) -> None:
    await walk(tmp_path, seed, steps=20)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(100, 120))
async def test_so_they_do_after_longer_nights(tmp_path: Path, seed: int) -> None:
    await walk(tmp_path, seed, steps=60)
