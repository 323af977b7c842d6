"""Forgetting: an old event leaves the terminal only when the log is proven to hold it."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from contract.events import AlarmCode, TerminalStopped
from contract.tree import Hash
from firmware_py.evidence import retention
from firmware_py.evidence.journal_store import verify_events
from firmware_py.evidence.retention import KEEP_MS, Forgotten
from firmware_py.fetch import FetchFailed
from runtime.clock import ManualClock
from tests.firmware.fake_site import FakeSite
from tests.firmware.journals import read_events
from tests.firmware.ship import GATHER_S, Ship, alarms_in

STOPPED = TerminalStopped()
BATCHES, EVENTS_EACH = 5, 3


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[Ship]:
    """A terminal whose first event and five batches of three are receipted."""
    ship = await Ship(tmp_path, FakeSite(), ManualClock()).start()
    ship.connect()
    await ship.settle()
    await ship.answer_all()
    for _ in range(BATCHES):
        await ship.journal.append(*[STOPPED] * EVENTS_EACH).durable
        await ship.later(GATHER_S)
        await ship.answer_all()
    yield ship
    await ship.stop()


async def forget(
    ship: Ship, *, size: int | None = None, days: float = 15, broken: Sequence[int] = ()
) -> Forgotten:
    """A round `days` later; the gateway proves all but the leaves in `broken`."""

    async def prove(size: int, leaves: Sequence[int]) -> tuple[tuple[Hash, ...] | None, ...]:
        return tuple(
            (None if leaf % 2 else (b"\x00" * 32,))
            if leaf in broken
            else ship.site.prove(size, leaf)
            for leaf in leaves
        )

    assert isinstance(ship.clock, ManualClock)
    ship.clock.advance(days * 24 * 3600)
    await ship.settle()
    done = await retention.forget(
        ship.journal,
        ship.shipper.reload,
        ship.site.checkpoint(size),
        prove,
        ship.alarms,
        before_ms=ship.clock.wall_ms() - KEEP_MS,
        keep_events=EVENTS_EACH,
    )
    await ship.settle()
    return done


async def test_after_a_fortnight_what_the_log_holds_is_forgotten_but_the_newest(
    ship: Ship,
) -> None:
    assert await forget(ship) == Forgotten(proven=BATCHES, unproven=0)
    assert len(read_events(ship.path)) == EVENTS_EACH
    assert ship.shipper.unshipped == 0


async def test_within_the_fortnight_nothing_is_forgotten(ship: Ship) -> None:
    assert await forget(ship, days=13) == Forgotten(0, 0)
    assert len(read_events(ship.path)) == 1 + BATCHES * EVENTS_EACH


async def test_what_no_checkpoint_covers_yet_is_kept(ship: Ship) -> None:
    assert (await forget(ship, size=3)).proven == 2


async def test_what_is_not_receipted_is_never_forgotten(ship: Ship) -> None:
    ship.shipper.disconnected()
    await ship.journal.append(*[STOPPED] * 50).durable
    await forget(ship)
    assert ship.shipper.unshipped == 50
    ship.connect()
    await ship.settle()
    await ship.answer_all()
    assert len(ship.site.events) == ship.journal.next_sequence


async def test_what_cannot_be_proven_is_kept_sent_again_and_alarmed(ship: Ship) -> None:
    before = ship.site.messages
    done = await forget(ship, broken=[2, 3])
    assert done == Forgotten(proven=BATCHES - 2, unproven=2)
    assert alarms_in(ship) == [AlarmCode.INCLUSION_UNPROVEN]
    assert ship.alarms.count == 2
    assert len(read_events(ship.path)) == 3 * EVENTS_EACH + 1
    assert len(ship.wire) >= 2
    await ship.answer_all()
    assert ship.site.messages - before >= 2
    assert ship.shipper.unshipped == 0


async def test_without_the_gateway_nothing_is_forgotten(ship: Ship) -> None:
    async def away(_size: int, _leaves: Sequence[int]) -> tuple[tuple[Hash, ...] | None, ...]:
        raise FetchFailed("away")

    assert isinstance(ship.clock, ManualClock)
    ship.clock.advance(15 * 24 * 3600)
    with pytest.raises(FetchFailed):
        await retention.forget(
            ship.journal,
            ship.shipper.reload,
            ship.site.checkpoint(),
            away,
            ship.alarms,
            before_ms=ship.clock.wall_ms(),
            keep_events=1,
        )
    assert len(read_events(ship.path)) == 1 + BATCHES * EVENTS_EACH


async def test_a_journal_that_forgot_is_opened_and_shipped_on(ship: Ship, tmp_path: Path) -> None:
    await forget(ship)
    place = (ship.journal.next_sequence, ship.journal.chain)
    await ship.journal.reopen()
    assert (ship.journal.next_sequence, ship.journal.chain) == place
    verified = await ship.journal.run(lambda c: verify_events(c, 0, ship.journal.id))
    assert verified == place
    await ship.journal.append(STOPPED).durable
    await ship.later(GATHER_S)
    await ship.answer_all()
    assert len(ship.site.events) == place[0] + 1
