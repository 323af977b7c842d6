"""The site's log has gone on from a back-up: what it has not is sent again, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from contract.checkpoint import Checkpoint
from contract.events import TerminalStopped
from contract.tree import Hash
from firmware_py.evidence.batches import of_earlier_logs
from firmware_py.evidence.proving import prove_anew
from firmware_py.fetch import FetchFailed
from runtime.clock import ManualClock
from tests.firmware.fake_site import FakeSite
from tests.firmware.ship import GATHER_S, Ship

BATCHES, EVENTS_EACH = 5, 3


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[Ship]:
    """A terminal whose first event and five batches of three are receipted."""
    ship = await Ship(tmp_path, FakeSite(), ManualClock()).start()
    ship.connect()
    await ship.settle()
    await ship.answer_all()
    for _ in range(BATCHES):
        await ship.journal.append(*[TerminalStopped()] * EVENTS_EACH).durable
        await ship.later(GATHER_S)
        await ship.answer_all()
    yield ship
    await ship.stop()


def of_next_epoch(checkpoint: Checkpoint) -> Checkpoint:
    return replace(checkpoint, epoch=checkpoint.epoch + 1)


async def anew(ship: Ship, *, missing: int) -> int:
    """The new log holds all but the last `missing` leaves where they were, and others after."""
    restored = ship.site.checkpoint(None).size - missing

    async def prove(size: int, leaves: Sequence[int]) -> tuple[tuple[Hash, ...] | None, ...]:
        return tuple(ship.site.prove(size, leaf) if leaf < restored else None for leaf in leaves)

    held = of_next_epoch(ship.site.checkpoint(None))
    again = await prove_anew(ship.journal, ship.shipper.reload, held, prove)
    await ship.settle()
    return again


async def test_what_came_back_is_not_sent_again_and_what_is_missing_is(ship: Ship) -> None:
    sent = len(ship.wire)
    assert await anew(ship, missing=2) == 2
    assert ship.shipper.unshipped == 2 * EVENTS_EACH
    assert len(ship.wire) > sent


async def test_where_everything_came_back_nothing_is_sent(ship: Ship) -> None:
    assert await anew(ship, missing=0) == 0
    assert ship.shipper.unshipped == 0
    assert await anew(ship, missing=BATCHES) == 0  # proven once, it is settled


async def test_without_the_gateway_every_receipt_stays_to_be_proven(ship: Ship) -> None:
    async def away(_size: int, _leaves: Sequence[int]) -> tuple[tuple[Hash, ...] | None, ...]:
        raise FetchFailed("away")

    held = of_next_epoch(ship.site.checkpoint(None))
    with pytest.raises(FetchFailed):
        await prove_anew(ship.journal, ship.shipper.reload, held, away)
    left = await ship.journal.run(lambda c: of_earlier_logs(c, held.epoch, 100))
    assert len(left) == BATCHES + 1
    assert ship.shipper.unshipped == 0
