"""At the pad: why it asks, the last try, a copied card in the slot, and a PIN over the air."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from contract.directory import Entitlement
from contract.events import CardOutcome, CardRecorded, OutcomeResult, Reason
from contract.pinning import PinContactless
from contract.policy import RoleGrace
from contract.tap import PinRecord
from firmware_py.glass import words
from firmware_py.glass.commands import Cancelled, PinEntered
from firmware_py.glass.view import Screen, View
from firmware_py.pin.words import FIRST, GRACE_OVER, SHORT_GRACE
from hardware.piv import Pin
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import padded
from hardware.virtual.faults import WrongStatus
from hardware.virtual.names import Access
from hardware.virtual.sample import personalised
from tests.firmware.bench import PIN, Bench, staff
from tests.firmware.cards import PLATE, SLOT

AMAL = personalised()
LENIENT = Behaviour(access=Access.CONTACTLESS_LENIENT)
TAP_SIGNS = 3
"""The exchange of a tap in which 9E signs."""
WRONG, VERIFY = "975310", 0x20


def amal(**changes: Any) -> Entitlement:  # noqa: ANN401
    return staff("amal", "AM", AMAL, **changes)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    AMAL.pin.change(padded(PIN.encode()))
    async with Bench(tmp_path / "state") as bench:
        yield bench


def pad(view: View) -> bool:
    return view.screen is Screen.PIN


def enter(bench: Bench, pin: str) -> int:
    mark = len(bench.board.views)
    bench.do(PinEntered(Pin(pin)))
    return mark


async def asked(bench: Bench) -> str:
    """Why the pad asks Amal, with her card in the slot."""
    mark = len(bench.board.views)
    bench.readers.put(SLOT, AMAL)
    view = await bench.until(pad, mark)
    assert view.pin is not None
    return view.pin.why_asked


async def test_the_first_of_a_shift_is_told_so(bench: Bench) -> None:
    await bench.open_day(amal())
    assert await asked(bench) == FIRST
    bench.readers.take(SLOT)


async def test_grace_that_is_over_is_told_so_and_that_of_a_role_too(bench: Bench) -> None:
    short = (RoleGrace(role="R8001", grace_s=60),)
    await bench.open_day(amal(), grace_s=600, grace_by_role=short, idle_lock_s=1800)
    await bench.sign_on(AMAL)
    bench.clock.advance(90)
    await bench.tap(AMAL, Screen.LOCKED)  # leaves
    assert await asked(bench) == SHORT_GRACE
    bench.readers.take(SLOT)
    mark = len(bench.board.views)
    bench.do(Cancelled())
    await bench.until(lambda view: view.screen is Screen.LOCKED, mark)
    bench.clock.advance(700)
    assert await asked(bench) == GRACE_OVER
    bench.readers.take(SLOT)


async def test_the_last_try_is_warned_of_also_by_whom_it_was_left(bench: Bench) -> None:
    """Two wrong PINs of yesterday: nobody at this pad has been told yet."""
    await bench.open_day(amal())
    AMAL.pin.left = 1
    await asked(bench)
    warned = await bench.until(lambda v: v.words == words.LAST_TRY, enter(bench, WRONG))
    assert warned.pin is not None
    assert warned.pin.attempts == 1
    assert AMAL.pin.left == 1  # not spent
    await bench.until(lambda view: view.screen is Screen.OPEN, enter(bench, PIN))
    bench.readers.take(SLOT)


async def test_after_two_wrong_ones_the_pad_warns_and_a_third_blocks(bench: Bench) -> None:
    await bench.open_day(amal())
    await asked(bench)
    await bench.until(lambda v: v.words == words.PIN_AGAIN, enter(bench, WRONG))
    await bench.until(lambda v: v.words == words.LAST_TRY, enter(bench, WRONG))
    told = await bench.until(lambda v: v.screen is Screen.REFUSED, enter(bench, WRONG))
    assert told.words == words.COLLEAGUE_HELPS
    assert told.reference is not None
    assert (await bench.outcomes())[-1] == ("refused", Reason.PIN_BLOCKED)
    bench.readers.take(SLOT)


async def test_a_copied_card_whose_tap_came_to_nothing_is_given_no_pin(bench: Bench) -> None:
    """It takes the place of the one that was asked, and keeps still at its own tap."""
    await bench.open_day(amal())
    await asked(bench)
    bench.readers.take(SLOT)
    forged = AMAL.clone_with_other_keys()
    silent = Behaviour(faults=(WrongStatus(0x6F00, at=TAP_SIGNS),))
    mark = len(bench.board.views)
    bench.readers.put(SLOT, forged, silent)
    await bench.until(lambda view: view.screen is Screen.REFUSED, mark)
    await bench.until(pad, bench.pass_time(5))  # as after any card that was pulled too soon
    told = await bench.until(lambda v: v.screen is Screen.REFUSED, enter(bench, PIN))
    assert told.words == words.refused(Reason.CARD_KEY_WRONG)
    assert VERIFY not in {exchange.ins for exchange in forged.record.exchanges}
    assert (await bench.outcomes())[-1] == ("refused", Reason.CARD_KEY_WRONG)
    bench.readers.take(SLOT)


async def test_a_pin_over_the_air_is_marked_before_its_outcome(bench: Bench) -> None:
    await bench.open_day(amal(), pin_contactless=True)
    bench.readers.put(PLATE, AMAL, LENIENT)
    await bench.until(pad)
    await bench.until(lambda v: v.screen is Screen.OPEN, enter(bench, PIN))
    bench.readers.take(PLATE)
    details = [event.detail for event in await bench.events()]
    (marked,) = (one for one in details if isinstance(one, PinContactless))
    proved = details[details.index(marked) + 1]
    assert isinstance(proved, CardOutcome)
    assert (proved.result, proved.record) == (OutcomeResult.PROVED, marked.record)
    assert proved.guid == marked.guid


async def test_a_pin_in_the_slot_is_not_marked(bench: Bench) -> None:
    await bench.open_day(amal())
    await bench.sign_on(AMAL)
    details = [event.detail for event in await bench.events()]
    assert any(isinstance(d, CardRecorded) and isinstance(d.record, PinRecord) for d in details)
    assert not [one for one in details if isinstance(one, PinContactless)]


async def test_a_card_left_in_the_slot_after_its_pin_is_reminded_of(bench: Bench) -> None:
    """Strict contactless: the slot once, and then a tap; not a card that stays there."""
    await bench.open_day(amal(), left_card_s=30)
    bench.readers.put(PLATE, AMAL)
    asked_over = await bench.until(lambda view: view.words == words.SLOT_ONCE)
    assert asked_over.screen is Screen.NOTICE
    bench.readers.take(PLATE)
    await asked(bench)
    await bench.until(lambda view: view.screen is Screen.OPEN, enter(bench, PIN))
    left = await bench.until(lambda v: v.words == words.TAKE_CARD, bench.pass_time(31))
    assert left.person is not None  # her work goes on beneath it
    mark = len(bench.board.views)
    bench.readers.take(SLOT)
    await bench.until(lambda view: view.screen is Screen.OPEN, bench.pass_time(5))
    await bench.tap(AMAL, Screen.LOCKED)
    await bench.tap(AMAL)
    assert all(view.screen is not Screen.PIN for view in bench.since(mark))
