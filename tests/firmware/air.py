"""Several terminals on one bench, and the air between them: what each says the others hear.

In the place of the broker, which lets a terminal speak under its own name alone. A terminal whose
link is down neither speaks nor hears, and what was said meanwhile is lost to it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any, Self

from contract.ids import TerminalId
from firmware_py.glass.view import Screen
from firmware_py.parts import RoamingTools
from firmware_py.site.link import (
    DowntimeSaid,
    EmergencyHeard,
    LinkChanged,
    MoveHeard,
    PinProofHeard,
)
from firmware_py.trust.heard import Asked, DirectoryHeard, HeartbeatHeard
from hardware.virtual.card import Card
from runtime.clock import ManualClock
from runtime.supervisor import State
from tests.firmware import rights
from tests.firmware.bench import DEADLINE_S, Bench

NONCE = "cd" * 32
TURNS = 5
"""Of the loop: a tap is told to the others a few after it was shown."""


class Air:
    """`async with` starts every terminal. The first is `rights.TERMINAL`'s."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.site = rights.Gateway()
        self.clock = ManualClock(wall_ms=rights.NOW_MS)
        self.names = [TerminalId(name) for name in names]
        self.up = set(self.names)
        self.deaf: set[TerminalId] = set()
        """Those to which nothing comes through, though they are heard."""
        self.said: list[tuple[TerminalId, bytes]] = []
        """Everything that was said on a move topic."""
        self.emergencies: list[tuple[TerminalId, bytes]] = []
        """Everything that was said on an emergency topic."""
        self.news = asyncio.Event()
        self._folder = folder
        self.benches = {name: self._bench(name) for name in self.names}

    def _bench(self, name: TerminalId) -> Bench:
        tools = RoamingTools(rights.batch_key_of(name), partial(self.say, name))
        bench = Bench(self._folder / name, self.site, self.clock, terminal=name, roaming=tools)
        bench.emergency_air = partial(self.say_emergency, name)
        bench.downtime_air = partial(self.say_downtime, name)
        return bench

    async def restart(self, name: str, *, site: bool = True) -> None:
        """A daemon ends, and another one starts on its folder in the same boot.

        Without the `site` it finds the broker alone.
        """
        await self[name].__aexit__()
        await self.start(name)
        if site:
            self.confirm(name)
        await self[name].until(lambda view: view.screen is Screen.LOCKED)

    async def start(self, name: str) -> None:
        """A daemon that had ended."""
        at = TerminalId(name)
        self.benches[at] = await self._bench(at).__aenter__()
        self.benches[at].post(LinkChanged(State.UP, ""))

    def __getitem__(self, name: str) -> Bench:
        return self.benches[TerminalId(name)]

    async def __aenter__(self) -> Self:
        for bench in self.benches.values():
            await bench.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for bench in self.benches.values():
            await bench.__aexit__()

    async def open_day(self, *entries: Any, **policy: Any) -> None:  # noqa: ANN401 - by field
        """Every terminal is in the register, online, and knows these people."""
        for bench in self.benches.values():
            bench.post(LinkChanged(State.UP, ""))
        register = [rights.terminal(name=name) for name in self.names]
        await self.publish(*register, rights.policy(**policy), *entries)
        self.confirm()
        for bench in self.benches.values():
            await bench.until(lambda view: view.screen is Screen.LOCKED)

    async def publish(self, *entries: Any) -> None:  # noqa: ANN401 - as a change takes them
        """A change of the directory, held everywhere when this returns."""
        message = self.site.change(*entries)
        async with asyncio.timeout(DEADLINE_S):
            for bench in self.benches.values():
                bench.post(DirectoryHeard(message))
                while bench.custody.version < self.site.version:
                    await bench.rest()
                    await asyncio.sleep(0)

    def confirm(self, *names: str) -> None:
        """An answered heartbeat to each that is linked: site time, and whose turn it is to say."""
        for name in names or self.names:
            if TerminalId(name) in self.up:
                bench, now_ns = self[name], self.clock.monotonic_ns()
                beat = self.site.beat(rights.NOW_MS + now_ns // 1_000_000, NONCE)
                bench.post(Asked(NONCE, now_ns))
                bench.post(HeartbeatHeard(beat, now_ns, answer=True))

    def say(self, name: TerminalId, data: bytes) -> None:
        """On its own move topic."""
        if name not in self.up:
            return
        self.said.append((name, data))
        self.news.set()
        for other in self.up - self.deaf - {name}:
            self.benches[other].post(MoveHeard(name, data))

    async def say_emergency(self, name: TerminalId, data: bytes) -> bool:
        """On its own emergency topic; whether there is a broker for it."""
        if name not in self.up:
            return False
        self.emergencies.append((name, data))
        for other in self.up - self.deaf - {name}:
            self.benches[other].post(EmergencyHeard(data, name))
        return True

    def say_downtime(self, name: TerminalId, data: bytes) -> None:
        """On its own downtime topic."""
        if name in self.up:
            for other in self.up - self.deaf - {name}:
                self.benches[other].post(DowntimeSaid(name, data))

    def tell_pins(self, name: str) -> None:
        """The PIN proofs that a terminal has published so far are heard by the others, again."""
        for proof in self[name].proofs:
            for other in self.up - {TerminalId(name)}:
                self.benches[other].post(PinProofHeard(TerminalId(name), proof.to_bytes()))

    def cut(self, name: str) -> None:
        """A link falls."""
        self.up.discard(TerminalId(name))

    def heal(self, name: str) -> None:
        """... and stands again: the site's time is asked for at once."""
        self.up.add(TerminalId(name))
        self.confirm(name)

    async def rest(self) -> None:
        """Until nothing is under way anywhere."""
        for _ in range(4):  # a word may be answered, that answered, and that thanked for
            for bench in self.benches.values():
                await bench.rest()
            for _ in range(TURNS):
                await asyncio.sleep(0)

    async def later(self, seconds: float) -> None:
        """Time goes by; whoever is linked hears the site."""
        self.clock.advance(seconds)
        self.confirm()
        await self.rest()


async def begin(air: Air, here: str, there: str, card: Card, text: str) -> None:
    """She has worked at both, so that a tap is enough at either; then she writes at `here`."""
    await air[there].sign_on(card)
    await air.rest()
    await air.later(5)
    await air[here].sign_on(card)
    await air.rest()
    write(air[here], text)
    await air.later(5)


def write(bench: Bench, text: str) -> None:
    """Somebody types into whoever's work is shown."""
    assert bench.workspace.type(bench.workspace.ticket, text)


def who(bench: Bench) -> str | None:
    """Whose work is on the glass."""
    view = bench.board.view
    return view.person.initials if view.person and not view.covered else None
