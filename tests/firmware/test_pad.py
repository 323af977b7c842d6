"""The pad: when a PIN or a choice is asked, what it is worth, and who never sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from contract.directory import Entitlement, Status
from contract.events import CardOutcome, CardRecorded, OutcomeResult, Reason
from contract.ids import PositionId
from contract.signing import Envelope
from contract.tap import verify_card
from contract.wire import decode_base64
from firmware_py.glass import words
from firmware_py.glass.commands import PinEntered, PositionChosen
from firmware_py.glass.view import Screen
from hardware.piv import Pin
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.names import Access
from hardware.virtual.sample import personalised
from tests.firmware.bench import PIN, Bench, staff
from tests.firmware.cards import PLATE, SLOT
from tests.firmware.rights import position

AMAL, BEA = personalised(), personalised()
LENIENT = Behaviour(access=Access.CONTACTLESS_LENIENT)


def amal(**changes: Any) -> Entitlement:  # noqa: ANN401
    return staff("amal", "AM", AMAL, **changes)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    AMAL.pin.left = BEA.pin.left = 3
    async with Bench(tmp_path / "state") as bench:
        yield bench


async def enter(bench: Bench, pin: str = PIN) -> int:
    mark = len(bench.board.views)
    bench.do(PinEntered(Pin(pin)))
    return mark


async def test_the_first_tap_of_a_shift_asks_and_the_rest_do_not(bench: Bench) -> None:
    await bench.open_day(amal())
    await bench.sign_on(AMAL)
    assert await bench.outcomes() == [
        ("asked", Reason.PIN_NEEDED),
        ("proved", Reason.GRANTED),
        ("opened", Reason.GRANTED),
    ]
    await bench.until(lambda v: v.screen is Screen.LOCKED, bench.pass_time(300))
    await bench.tap(AMAL)
    events = await bench.events()
    proved, resting = (
        next(e.detail for e in events if _is(e.detail, result))
        for result in (OutcomeResult.PROVED, OutcomeResult.OPENED)
    )
    assert isinstance(proved, CardOutcome)
    assert isinstance(resting, CardOutcome)
    assert resting.pin_record == proved.record
    assert resting.record != proved.record  # the tap's own record and signature


def _is(detail: object, result: OutcomeResult) -> bool:
    return isinstance(detail, CardOutcome) and detail.result is result


async def test_a_proved_pin_is_told_to_the_others_with_the_cards_own_signature(
    bench: Bench,
) -> None:
    await bench.open_day(amal())
    await bench.sign_on(AMAL)
    (proof,) = bench.proofs
    event, signature = decode_base64(proof.record), decode_base64(proof.signature)
    (key,) = (c.verify_key() for c in amal().credentials if c.pin_gated)
    verify_card(key, event, signature)


async def test_grace_ends_when_the_ward_says_so(bench: Bench) -> None:
    await bench.open_day(amal(), grace_s=600, idle_dim_s=1800, idle_lock_s=1800)
    await bench.sign_on(AMAL)
    bench.clock.advance(590)
    await bench.tap(AMAL, Screen.LOCKED)  # leaves
    await bench.tap(AMAL)
    bench.clock.advance(60)
    await bench.tap(AMAL, Screen.LOCKED)
    asked = await bench.tap(AMAL, Screen.NOTICE)
    assert asked.words == words.SLOT_ONCE


async def test_a_card_taken_out_is_asked_back_and_the_digits_are_not_kept(bench: Bench) -> None:
    await bench.open_day(amal())
    bench.readers.put(SLOT, AMAL)
    await bench.until(lambda v: v.screen is Screen.PIN)
    bench.readers.take(SLOT)
    asked = await bench.until(lambda v: v.words == words.CARD_BACK, await enter(bench))
    assert asked.screen is Screen.PIN
    used = len(AMAL.record.exchanges)
    mark = len(bench.board.views)
    bench.readers.put(SLOT, AMAL)  # nothing opens by itself
    again = await bench.until(lambda v: v.screen is Screen.PIN, mark)
    assert again.words == words.PIN
    assert all(exchange.ins != 0x20 for exchange in AMAL.record.exchanges[used:])
    await bench.until(lambda v: v.screen is Screen.OPEN, await enter(bench))
    bench.readers.take(SLOT)


async def test_no_pin_reaches_another_persons_card(bench: Bench) -> None:
    await bench.open_day(amal())
    bench.readers.put(PLATE, AMAL)
    await bench.until(lambda v: v.words == words.SLOT_ONCE)
    bench.readers.take(PLATE)
    used = len(BEA.record.exchanges)
    mark = len(bench.board.views)
    bench.readers.put(SLOT, BEA)  # of nobody here
    await bench.until(lambda v: v.screen is Screen.REFUSED, mark)
    await enter(bench)
    bench.readers.take(SLOT)
    assert all(exchange.ins != 0x20 for exchange in BEA.record.exchanges[used:])


async def test_a_ward_may_take_a_pin_over_the_plate(bench: Bench) -> None:
    await bench.open_day(amal(), pin_contactless=True)
    bench.readers.put(PLATE, AMAL, LENIENT)
    await bench.until(lambda v: v.screen is Screen.PIN)
    await bench.until(lambda v: v.screen is Screen.OPEN, await enter(bench))
    bench.readers.take(PLATE)


async def test_a_strict_card_says_itself_that_it_wants_the_slot(bench: Bench) -> None:
    await bench.open_day(amal(), pin_contactless=True)
    bench.readers.put(PLATE, AMAL)
    await bench.until(lambda v: v.screen is Screen.PIN)
    asked = await bench.until(lambda v: v.words == words.SLOT_ONCE, await enter(bench))
    assert asked.screen is Screen.NOTICE
    assert (await bench.outcomes())[-1] == ("refused", Reason.PIN_NOT_HERE)
    assert AMAL.pin.left == 3
    bench.readers.take(PLATE)


async def test_who_holds_two_positions_is_asked_which(bench: Bench) -> None:
    two = (position("nurse"), position("manager", "R8002"))
    await bench.open_day(amal(positions=two))
    bench.readers.put(SLOT, AMAL)
    await bench.until(lambda v: v.screen is Screen.PIN)
    asked = await bench.until(lambda v: v.screen is Screen.CHOOSE, await enter(bench))
    assert [choice.id for choice in asked.positions] == ["nurse", "manager"]
    mark = len(bench.board.views)
    bench.do(PositionChosen(PositionId("doctor")))  # was never offered
    bench.do(PositionChosen(PositionId("manager")))
    opened = await bench.until(lambda v: v.screen is Screen.OPEN, mark)
    assert opened.person is not None
    assert opened.person.role == "Manager"
    bench.readers.take(SLOT)
    bench.clock.advance(60)
    await bench.tap(AMAL, Screen.LOCKED)
    back = await bench.tap(AMAL)  # to the work that is parked, unasked
    assert back.person is not None
    assert back.person.role == "Manager"


async def test_an_abandoned_pad_ends_locked_with_the_work_beneath_it_parked(bench: Bench) -> None:
    await bench.open_day(amal(), staff("bea", "BE", BEA), pin_pad_s=30)
    await bench.sign_on(BEA)
    bench.readers.put(SLOT, AMAL)
    await bench.until(lambda v: v.screen is Screen.PIN, len(bench.board.views))
    await bench.until(lambda v: v.screen is Screen.LOCKED, bench.pass_time(31))
    assert (await bench.outcomes())[-1] == ("refused", Reason.PIN_ABANDONED)
    assert (await bench.changes())[-1] == ("bea", "parked", "tap-over")
    bench.readers.take(SLOT)


async def test_a_card_lost_while_the_pad_stands_gets_no_further(bench: Bench) -> None:
    await bench.open_day(amal())
    bench.readers.put(SLOT, AMAL)
    await bench.until(lambda v: v.screen is Screen.PIN)
    mark = len(bench.board.views)
    await bench.publish(amal(status=Status.LOST))
    await bench.until(lambda v: v.screen is Screen.LOCKED, mark)
    await enter(bench)
    bench.readers.take(SLOT)
    assert not any(_is(e.detail, OutcomeResult.PROVED) for e in await bench.events())


async def test_every_record_names_the_newest_heartbeat_which_is_held_before_it(
    bench: Bench,
) -> None:
    await bench.open_day(amal())
    await bench.sign_on(AMAL)
    held: set[str] = set()
    for event in await bench.events():
        if event.detail.kind == "heartbeat.held":
            envelope = decode_base64(event.detail.envelope)
            held.add(Envelope.from_bytes(envelope).digest)
        if isinstance(event.detail, CardRecorded):
            assert event.detail.record.heartbeat in held
    assert len(held) == 1  # one heartbeat, held once
