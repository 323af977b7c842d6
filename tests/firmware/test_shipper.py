"""Shipping: batches go out as they were cut, and nothing counts as delivered without a receipt."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from contract.events import AlarmCode, Event, TerminalStopped
from contract.journal import MAX_BATCH_BYTES, BatchStatement, Receipt, Verdict, split_lines
from contract.signing import Envelope
from firmware_py.evidence.journal import JournalFailed
from firmware_py.evidence.resending import FIRST_NS, MOST_NS
from firmware_py.evidence.shipper import MORE_NS, WINDOW
from runtime.clock import ManualClock, SystemClock
from tests.firmware.fake_site import FakeSite, p256
from tests.firmware.ship import GATHER_S, Ship, alarms_in, crash_image

STOPPED = TerminalStopped()
SECOND = 1_000_000_000
MORE_S = MORE_NS / SECOND


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def site() -> FakeSite:
    return FakeSite()


@pytest.fixture
async def ship(tmp_path: Path, site: FakeSite, clock: ManualClock) -> AsyncIterator[Ship]:
    ship = await Ship(tmp_path, site, clock).start()
    yield ship
    await ship.stop()


def statement(message: bytes, site: FakeSite) -> BatchStatement:
    return BatchStatement.open(split_lines(message, MAX_BATCH_BYTES)[0], site.batch_key.public)


# --- batches ------------------------------------------------------------------------------------


async def test_a_lone_tap_is_one_message_within_the_gathering_time(
    ship: Ship, site: FakeSite
) -> None:
    ship.connect()
    await ship.settle()
    await ship.answer_all()
    before = site.messages
    await ship.journal.append(STOPPED, more=True).durable  # the record; the card computes
    await ship.later(0.3)
    assert ship.wire == []
    await ship.journal.append(STOPPED, STOPPED).durable  # outcome and session
    await ship.later(GATHER_S / 2)
    await ship.journal.append(STOPPED).durable  # timing
    await ship.later(GATHER_S / 2)
    await ship.answer_all()
    assert site.messages - before == 1
    assert ship.shipper.unshipped == 0


async def test_a_card_that_never_answers_does_not_hold_the_journal_back(ship: Ship) -> None:
    ship.connect()
    await ship.settle()
    await ship.answer_all()
    await ship.journal.append(STOPPED, more=True).durable
    await ship.later(GATHER_S + MORE_S)
    assert len(ship.wire) == 1


async def test_shipping_adds_one_flush_a_tap_and_none_for_the_receipt(
    tmp_path: Path, site: FakeSite
) -> None:
    ship = await Ship(tmp_path, site, SystemClock()).start()
    try:
        ship.connect()
        await ship.answer_next()
        before, taps = ship.journal.flushes, 5
        for _ in range(taps):
            await ship.journal.append(STOPPED, more=True).durable  # the record
            await ship.journal.append(STOPPED, STOPPED).durable  # the outcome
            await ship.answer_next()
        assert ship.journal.flushes - before == 3 * taps
        assert site.messages == 1 + taps
    finally:
        await ship.stop()


async def test_while_the_link_is_down_nothing_is_cut_so_no_flush_is_spent(ship: Ship) -> None:
    for _ in range(100):
        await ship.journal.append(STOPPED).durable
    await ship.later(10)
    assert ship.journal.flushes == 100
    ship.connect()
    await ship.settle()
    await ship.answer_all()
    assert ship.site.messages == 2
    assert ship.shipper.unshipped == 0


async def test_a_batch_holds_the_newest_checkpoint_that_was_accepted(
    ship: Ship, site: FakeSite
) -> None:
    ship.checkpoints.receive(site.checkpoint_message(0).to_bytes())
    ship.connect()
    await ship.settle()
    holds = statement(ship.wire[0], site).holds
    assert holds == site.checkpoint().holds


async def test_what_a_batch_claims_to_hold_is_still_held_after_a_restart(
    ship: Ship, site: FakeSite, tmp_path: Path, clock: ManualClock
) -> None:
    ship.checkpoints.receive(site.checkpoint_message(0).to_bytes())
    ship.connect()
    await ship.settle()
    image = crash_image(ship, tmp_path / "image")
    again = await Ship(image, site, clock).start()
    try:
        held = again.checkpoints.held
        assert held is not None
        assert held.checkpoint == site.checkpoint()
    finally:
        await again.stop()


# --- receipts -----------------------------------------------------------------------------------


async def test_no_more_than_four_batches_wait_for_receipts(ship: Ship) -> None:
    for _ in range(5 * 64):
        ship.journal.append(STOPPED)
    await ship.journal.append(STOPPED).durable
    ship.connect()
    await ship.settle()
    assert len(ship.wire) == WINDOW
    await ship.answer_all()
    assert ship.shipper.unshipped == 0


async def test_a_brokers_acknowledgement_is_no_receipt(ship: Ship) -> None:
    ship.connect()
    await ship.settle()
    (first,) = ship.take_wire()
    ship.shipper.disconnected()
    ship.connect()
    await ship.settle()
    assert ship.take_wire() == [first]


async def test_what_is_not_receipted_is_sent_again_ever_more_slowly(ship: Ship) -> None:
    ship.connect()
    await ship.settle()
    (first,) = ship.take_wire()
    wait_s = FIRST_NS / SECOND
    for _ in range(8):
        await ship.later(wait_s - 0.01)
        assert ship.wire == []
        await ship.later(0.01)
        assert ship.take_wire() == [first]
        wait_s = min(2 * wait_s, MOST_NS / SECOND)


async def test_when_the_site_is_heard_again_nobody_waits_for_the_next_resend(ship: Ship) -> None:
    ship.connect()
    await ship.settle()
    (first,) = ship.take_wire()
    for _ in range(4):
        await ship.later(MOST_NS / SECOND)
    ship.take_wire()
    ship.shipper.hurry()
    await ship.settle()
    assert ship.take_wire() == [first]


async def test_after_a_restart_the_same_bytes_are_sent(
    ship: Ship, tmp_path: Path, site: FakeSite, clock: ManualClock
) -> None:
    ship.connect()
    await ship.settle()
    (first,) = ship.take_wire()
    image = crash_image(ship, tmp_path / "image")
    again = await Ship(image, site, clock).start()
    try:
        again.connect()
        await again.settle()
        assert again.take_wire() == [first]
    finally:
        await again.stop()


async def test_a_gap_is_answered_from_the_sequence_that_is_wanted(
    ship: Ship, site: FakeSite
) -> None:
    ship.connect()
    for _ in range(3):
        await ship.journal.append(STOPPED).durable
        await ship.later(GATHER_S)
    _lost, *rest = ship.take_wire()
    for message in rest:
        ship.receive(site.take(message))
    await ship.settle()
    await ship.answer_all()
    assert ship.shipper.unshipped == 0
    assert len(site.events) == 4
    assert site.messages <= 2 + 3, "late answers to the first sending must not start another"


async def test_a_site_that_lost_what_it_had_receipted_gets_it_again(
    ship: Ship, site: FakeSite, tmp_path: Path, clock: ManualClock
) -> None:
    ship.connect()
    await ship.settle()
    await ship.answer_all()
    await ship.journal.append(STOPPED).durable
    await ship.later(GATHER_S)
    await ship.answer_all()
    restored = FakeSite(batch_key=site.batch_key, log=site.log, journal_file=ship.path)
    ship.site = restored
    await ship.journal.append(STOPPED).durable
    await ship.later(GATHER_S)
    await ship.answer_all()
    assert len(restored.events) == 3


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda r, site: b"nonsense", id="no envelope"),
        pytest.param(lambda r, site: r.seal(p256()).to_bytes(), id="another key"),
        pytest.param(
            lambda r, site: (
                r.model_copy(update={"terminal": "ward-a-t8"}).seal(site.log).to_bytes()
            ),
            id="another terminal",
        ),
        pytest.param(
            lambda r, site: r.model_copy(update={"site": "elsewhere"}).seal(site.log).to_bytes(),
            id="another site",
        ),
        pytest.param(
            lambda r, site: r.model_copy(update={"epoch": 9}).seal(site.log).to_bytes(),
            id="another log",
        ),
        pytest.param(
            lambda r, site: r.model_copy(update={"batch": "00" * 32}).seal(site.log).to_bytes(),
            id="no batch of ours",
        ),
        pytest.param(
            lambda r, site: r.model_copy(update={"leaf": None}).seal(site.log).to_bytes(),
            id="accepted nowhere",
        ),
        pytest.param(
            lambda r, site: r.model_copy(update={"next": 0}).seal(site.log).to_bytes(),
            id="accepted in part",
        ),
        pytest.param(
            lambda r, site: (
                r.model_copy(update={"verdict": Verdict.GAP, "next": 99, "leaf": None})
                .seal(site.log)
                .to_bytes()
            ),
            id="a gap behind the batch",
        ),
    ],
)
async def test_a_receipt_that_is_not_one_changes_nothing_and_is_an_alarm(
    ship: Ship, site: FakeSite, forge: Callable[[Receipt, FakeSite], bytes]
) -> None:
    ship.connect()
    await ship.settle()
    (message,) = ship.take_wire()
    true = Receipt.open(Envelope.from_bytes(site.take(message)), site.log.public)
    ship.shipper.receive(forge(true, site))
    await ship.settle()
    assert ship.shipper.unshipped >= 1
    assert ship.alarms.count == 1
    assert alarms_in(ship) == [AlarmCode.RECEIPT_REFUSED]


async def test_a_flood_of_forged_receipts_does_not_fill_the_journal(ship: Ship) -> None:
    for _ in range(1000):
        ship.shipper.receive(b"nonsense")
    await ship.settle()
    assert ship.alarms.count == 1000
    assert ship.journal.next_sequence == 2


async def test_the_same_receipt_twice_is_no_alarm(ship: Ship, site: FakeSite) -> None:
    ship.connect()
    await ship.settle()
    (message,) = ship.take_wire()
    receipt = site.take(message)
    for _ in range(3):
        ship.receive(receipt)
        await ship.settle()
    assert (ship.alarms.count, ship.shipper.unshipped) == (0, 0)


# --- forks --------------------------------------------------------------------------------------


async def test_a_fork_stops_shipping_until_a_new_journal_names_the_old_head(
    ship: Ship, site: FakeSite, tmp_path: Path, clock: ManualClock
) -> None:
    """An SD card that lied: the site has events that this terminal forgot and wrote otherwise."""
    ship.connect()
    await ship.settle()
    await ship.answer_all()
    image = crash_image(ship, tmp_path / "image")
    await ship.journal.append(STOPPED).durable
    await ship.later(GATHER_S)
    await ship.answer_all()

    site.forget_what_was_said(from_sequence=1)
    again = await Ship(image, site, clock).start()
    try:
        again.connect()
        old = again.journal.id
        await again.journal.append(STOPPED, STOPPED).durable
        await again.later(GATHER_S)
        await again.answer_all()
        assert again.forked == 1
        assert len(site.forks) == 1
        await again.journal.append(STOPPED).durable
        await again.later(60)
        assert again.wire == []

        head = again.journal.chain
        again.shipper.begin_anew("0.1.0")
        await again.settle()
        await again.later(GATHER_S)
        await again.answer_all()
        opened = Event.from_bytes(site.events[again.journal.id, 0]).detail
        assert opened.kind == "journal.opened"
        assert (opened.previous_journal, opened.previous_head) == (old, head)
        alarm = Event.from_bytes(site.events[again.journal.id, 1]).detail
        assert alarm.kind == "alarm"
        assert (alarm.code, alarm.subject) == (AlarmCode.JOURNAL_FORKED, site.forks[0])
        assert again.shipper.unshipped == 0
    finally:
        await again.stop()


async def test_a_fork_is_not_forgotten_by_a_restart(
    ship: Ship, site: FakeSite, tmp_path: Path, clock: ManualClock
) -> None:
    ship.connect()
    await ship.settle()
    (message,) = ship.take_wire()
    site.take(message)
    batch = statement(message, site)
    envelope = split_lines(message, MAX_BATCH_BYTES)[0]
    ship.receive(site.receipt(batch, envelope, Verdict.FORK, None))
    await ship.settle()
    assert ship.forked == 1
    again = await Ship(crash_image(ship, tmp_path / "image"), site, clock).start()
    try:
        await again.settle()
        assert again.forked == 1
    finally:
        await again.stop()


# --- the journal fails ----------------------------------------------------------------------------


async def test_shipping_goes_on_when_the_journal_was_reopened(ship: Ship, site: FakeSite) -> None:
    ship.connect()
    await ship.settle()
    await ship.answer_all()
    await ship.journal.run(lambda c: c.execute("PRAGMA max_page_count = 1").fetchone())
    with pytest.raises(JournalFailed):
        await ship.journal.append(*[STOPPED] * 60).durable
    await ship.journal.reopen()
    await ship.journal.append(STOPPED).durable
    await ship.later(GATHER_S)
    await ship.answer_all()
    assert ship.shipper.unshipped == 0
    assert len(site.events) == 2
