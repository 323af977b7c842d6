"""Any shift whatever: cards, touches, faults and hours in any order break none of these promises.

* Input reaches a workspace only while the glass names its holder and is not covered.
* A glass that is locked, checking or waiting names nobody.
* Whoever is on the glass was let there by a signature of his own card, and the journal says so.
* The consumer never meets an event that its table does not have.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import pytest

from contract.directory import Entitlement, Status
from contract.events import CardOutcome, OutcomeResult, SessionChanged
from contract.ids import PositionId
from firmware_py.glass.commands import (
    Activity,
    Cancelled,
    LockPressed,
    PinEntered,
    PositionChosen,
    Received,
)
from firmware_py.glass.view import NAMELESS
from hardware.piv import Pin
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card
from hardware.virtual.faults import Torn
from hardware.virtual.sample import personalised
from tests.firmware.bench import PIN, Bench, staff
from tests.firmware.cards import OTHER_PLATE, PLATE, SLOT
from tests.firmware.rights import position

CARDS: Final = {name: personalised() for name in ("amal", "bea", "chidi", "stranger")}
KNOWN: Final = ("amal", "bea", "chidi")
TWO: Final = (position("nurse"), position("manager", "R8002"))
POSITIVE: Final = {OutcomeResult.OPENED, OutcomeResult.RESUMED}


class Walk:
    """One shift, by chance."""

    def __init__(self, bench: Bench, chance: random.Random) -> None:
        self.bench = bench
        self.chance = chance
        self.in_reader: dict[str, str] = {}
        self.down = False
        self.steps: list[str] = []
        self.moves: list[Callable[[], Coroutine[object, object, None]]] = (
            [self.put] * 12
            + [self.take] * 8
            + [self.pin_in_the_slot] * 3
            + [self.type_pin] * 3
            + [self.touch, self.lock, self.cancel, self.choose, self.received] * 2
            + [self.hours] * 2
            + [self.disk, self.status, self.service, self.pin_restored]
        )

    async def step(self) -> None:
        mend = self.down and self.chance.random() < 0.4
        move = self.disk if mend else self.chance.choice(self.moves)
        self.steps.append(move.__name__)
        await move()
        await self.bench.rest()

    async def put(self) -> None:
        free = [r for r in (SLOT, PLATE, OTHER_PLATE) if r not in self.in_reader]
        names = [name for name in CARDS if name not in self.in_reader.values()]
        if not free or not names:
            return
        reader, name = self.chance.choice(free), self.chance.choice(names)
        self.in_reader[reader] = name
        card: Card = CARDS[name]
        if self.chance.random() < 0.1:
            card = card.clone_with_other_keys()
        torn = Behaviour(faults=(Torn(self.chance.randrange(4)),))
        self.bench.readers.put(reader, card, torn if self.chance.random() < 0.1 else None)
        if self.chance.random() < 0.3:
            return  # the next thing happens before the card has answered
        await self.bench.rest()

    async def take(self) -> None:
        if self.in_reader:
            reader = self.chance.choice(sorted(self.in_reader))
            del self.in_reader[reader]
            self.bench.readers.take(reader)  # type: ignore[arg-type]

    async def type_pin(self) -> None:
        self.bench.do(PinEntered(Pin(PIN if self.chance.random() < 0.8 else "999999")))

    async def pin_in_the_slot(self) -> None:
        """As people mostly do it: the card in the slot, then the PIN."""
        if SLOT not in self.in_reader:
            name = self.chance.choice([n for n in KNOWN if n not in self.in_reader.values()])
            self.in_reader[SLOT] = name
            self.bench.readers.put(SLOT, CARDS[name])
            await self.bench.rest()
        await self.type_pin()

    async def touch(self) -> None:
        self.bench.do(Activity())

    async def lock(self) -> None:
        self.bench.do(LockPressed())

    async def cancel(self) -> None:
        self.bench.do(Cancelled())

    async def choose(self) -> None:
        self.bench.do(PositionChosen(PositionId(self.chance.choice(("nurse", "manager", "chief")))))

    async def received(self) -> None:
        self.bench.do(Received(self.bench.board.seq))

    async def hours(self) -> None:
        self.bench.clock.advance(self.chance.choice((1, 2, 4, 4, 20, 50, 130, 310)))
        self.bench.confirm()

    async def disk(self) -> None:
        if self.down:
            await self.bench.mend_disk()
        else:
            await self.bench.fail_disk()
        self.down = not self.down

    async def status(self) -> None:
        name = self.chance.choice(KNOWN)
        status = self.chance.choice([*Status, *[Status.ACTIVE] * 5])
        await self.bench.publish(entitled(name, status=status))
        self.bench.confirm()

    async def service(self) -> None:
        self.in_reader.clear()
        self.bench.readers.lose_service()
        self.bench.readers.restore_service()

    async def pin_restored(self) -> None:
        for card in CARDS.values():
            card.pin.left = card.pin.allowed

    def check(self) -> None:
        view = self.bench.board.view
        if view.screen in NAMELESS or self.down:
            assert view.person is None, self.steps
        assert view.covered == (view.person is None), self.steps
        if view.covered:
            return
        shown = self.bench.workspace.shown
        assert shown is not None, self.steps
        assert not self.down, self.steps


def entitled(name: str, **changes: Any) -> Entitlement:  # noqa: ANN401
    positions = TWO if name == "chidi" else (position(),)
    return staff(name, name[:2].upper(), CARDS[name], positions=positions, **changes)


@pytest.mark.parametrize("seed", range(8))
async def test_no_order_of_things_breaks_a_promise(tmp_path: Path, seed: int) -> None:
    await walk(tmp_path, seed, steps=60)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(100, 160))
async def test_no_longer_order_of_things_does(tmp_path: Path, seed: int) -> None:
    await walk(tmp_path, seed, steps=250)


async def walk(folder: Path, seed: int, steps: int) -> None:
    for card in CARDS.values():
        card.pin.left = card.pin.allowed
    async with Bench(folder / "state", card_deadline_s=2.0) as bench:
        await bench.open_day(*(entitled(name) for name in KNOWN))
        shift = Walk(bench, random.Random(seed))
        for _ in range(steps):
            await shift.step()
            shift.check()
        if shift.down:
            await bench.mend_disk()
            await bench.rest()
        await journal_says_who_was_there(bench)


async def journal_says_who_was_there(bench: Bench) -> None:
    let_in = set()
    served: set[int] = set()
    for event in await bench.events():
        detail = event.detail
        if isinstance(detail, CardOutcome) and detail.result in POSITIVE:
            assert detail.signature is not None
            assert detail.record is not None
            assert detail.record not in served
            served.add(detail.record)
            let_in.add((detail.session, detail.result.value, detail.holder, detail.position))
        if isinstance(detail, SessionChanged) and detail.change in ("opened", "resumed"):
            claim = (detail.session, detail.change.value, detail.holder, detail.position)
            assert claim in let_in
