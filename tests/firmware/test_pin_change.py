"""Somebody who is signed on gives her card another PIN: the card alone judges it.

On a bench with real card workers and journal; the same by real taps stands in `tests/e2e`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contract.directory import Entitlement, Slot, Status
from contract.events import CardOutcome, CardRecorded, Event, OutcomeResult, Reason
from contract.pinning import PinChanged, PinContactless
from contract.tap import PinRecord, verify_card
from contract.wire import decode_base64
from firmware_py.glass import commands
from firmware_py.glass import words as glass
from firmware_py.glass.commands import PinChangeWanted
from firmware_py.glass.view import Screen, View
from firmware_py.pin import words
from firmware_py.pin.commands import NewPinEntered
from hardware.piv import Pin
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import padded
from hardware.virtual.faults import Torn
from hardware.virtual.names import Access
from hardware.virtual.sample import personalised
from tests.firmware.bench import PIN, Bench, staff
from tests.firmware.cards import PLATE, SLOT

NEW, WRONG, EASY = "471902", "975310", "240689"
LENIENT = Behaviour(access=Access.CONTACTLESS_LENIENT)
UNTIL_TOLD = 5
"""Exchanges of the change until the card is told: SELECT, CHUID, 9E, tries left; then this one."""
TAP = 3

AMAL, BEA = personalised(), personalised()


def amal(**changes: Any) -> Entitlement:  # noqa: ANN401
    return staff("amal", "AM", AMAL, **changes)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    for card in (AMAL, BEA):
        card.pin.change(padded(PIN.encode()))
    async with Bench(tmp_path / "state") as bench:
        yield bench


def panel(view: View) -> dict[str, Any]:
    return dict(view.panels.get("pin", {}))


def at(step: str) -> Any:  # noqa: ANN401 - a view's test
    return lambda view: panel(view).get("step") == step and view.screen is not Screen.CHECKING


async def wanted(bench: Bench) -> int:
    """Amal is signed on, her card in the slot, and the page asks for her PINs; a mark."""
    await bench.sign_on(AMAL)
    return await at_slot(bench)


async def at_slot(bench: Bench) -> int:
    mark = len(bench.board.views)
    bench.do(PinChangeWanted())
    await bench.until(at("card"), mark)
    bench.readers.put(SLOT, AMAL)
    await bench.until(at("old"), mark)
    return len(bench.board.views)


def enter(bench: Bench, old: str, new: str) -> int:
    mark = len(bench.board.views)
    bench.do(NewPinEntered(Pin(old), Pin(new)))
    return mark


async def changed(bench: Bench) -> list[PinChanged]:
    return [e.detail for e in await bench.events() if isinstance(e.detail, PinChanged)]


async def test_her_card_has_another_pin_and_her_work_stays(bench: Bench) -> None:
    await bench.open_day(amal())
    await wanted(bench)
    mark = enter(bench, PIN, NEW)
    done = await bench.until(lambda view: view.words == words.CHANGED, mark)
    assert done.person is not None  # hers, still on the glass
    assert done.reference is not None
    assert panel(done) == {}
    assert AMAL.pin.value == padded(NEW.encode())
    (event,) = await changed(bench)
    assert (event.result, event.interface, event.holder) == ("changed", "contact", "amal")
    assert (await bench.changes())[-1] == ("amal", "opened", "tap")  # no session moved
    await pin_signed(bench, event)
    bench.readers.take(SLOT)


async def pin_signed(bench: Bench, event: PinChanged) -> None:
    """Her 9A signed the record under the new PIN, and that is an outcome of its own."""
    events = await bench.events()
    record = next(e for e in events if e.sequence == event.record)
    assert isinstance(record.detail, CardRecorded)
    assert isinstance(record.detail.record, PinRecord)
    proved = next(e.detail for e in events if is_proof(e, record.sequence))
    assert isinstance(proved, CardOutcome)
    assert proved.signature is not None
    (key,) = (c.verify_key() for c in amal().credentials if c.slot is Slot.PIV_AUTHENTICATION)
    verify_card(key, record.to_bytes(), decode_base64(proved.signature))


def is_proof(event: Event, record: int) -> bool:
    detail = event.detail
    proved = isinstance(detail, CardOutcome) and detail.result is OutcomeResult.PROVED
    return proved and getattr(detail, "record", None) == record


async def test_who_changes_a_pin_has_proved_it(bench: Bench) -> None:
    await bench.open_day(amal(), grace_s=600, idle_dim_s=1800, idle_lock_s=1800)
    await bench.sign_on(AMAL)
    bench.clock.advance(590)
    await at_slot(bench)
    await bench.until(lambda view: view.words == words.CHANGED, enter(bench, PIN, NEW))
    bench.readers.take(SLOT)
    assert len(bench.proofs) == 2  # the ward is told of it as of any
    bench.clock.advance(60)
    await bench.tap(AMAL, Screen.LOCKED)  # leaves
    await bench.tap(AMAL)  # of the first proof nothing would be left


async def test_after_one_wrong_pin_the_screen_locks_and_her_card_owes_its_pin(
    bench: Bench,
) -> None:
    """Her card was left in the slot, and somebody else stands before her open work."""
    await bench.open_day(amal(), grace_s=14_400)
    await wanted(bench)
    told = await bench.until(lambda v: v.screen is Screen.REFUSED, enter(bench, WRONG, NEW))
    assert (told.words, told.person, panel(told)) == (glass.WRONG_HERE, None, {})
    assert told.reference is not None
    assert (AMAL.pin.left, AMAL.pin.value) == (2, padded(PIN.encode()))
    assert (await bench.changes())[-1] == ("amal", "locked", "button")
    assert (await bench.outcomes())[-1] == ("refused", Reason.PIN_WRONG)
    enter(bench, WRONG, NEW)
    bench.do(PinChangeWanted())
    await bench.rest()
    assert AMAL.pin.left == 2, "and nobody tries again without her card"
    bench.readers.take(SLOT)
    await bench.sign_on(AMAL)  # with the PIN, though her grace would have gone on
    assert AMAL.pin.left == 3
    await at_slot(bench)
    await bench.until(lambda view: view.words == words.CHANGED, enter(bench, PIN, NEW))
    bench.readers.take(SLOT)


@pytest.mark.parametrize("left", [1, 2])
async def test_no_stranger_at_her_open_screen_brings_her_card_to_its_last_try(
    bench: Bench, left: int
) -> None:
    await bench.open_day(amal(), grace_s=14_400)
    await wanted(bench)
    AMAL.pin.left = left  # wrong elsewhere meanwhile
    told = await bench.until(lambda v: v.screen is Screen.REFUSED, enter(bench, WRONG, NEW))
    assert (told.words, AMAL.pin.left) == (glass.PROVE_FIRST, left)
    assert told.reference is not None
    assert (await bench.outcomes())[-1] == ("refused", Reason.PIN_NEEDED)
    bench.readers.take(SLOT)
    bench.readers.put(SLOT, AMAL)
    await bench.until(lambda v: v.screen is Screen.PIN, len(bench.board.views))
    bench.readers.take(SLOT)
    assert await changed(bench) == []


@pytest.mark.parametrize(
    ("new", "why"), [(EASY, glass.TOO_EASY), ("123456", words.NOT_NEW), ("222222", glass.TOO_EASY)]
)
async def test_a_pin_that_is_guessed_first_or_not_new_never_reaches_the_card(
    bench: Bench, new: str, why: str
) -> None:
    await bench.open_day(amal())
    await wanted(bench)
    used = len(AMAL.record.exchanges)
    asked = await bench.until(at("new"), enter(bench, PIN, new))
    assert panel(asked)["why"] == why
    assert new not in str(panel(asked))
    assert len(AMAL.record.exchanges) == used
    await bench.until(lambda view: view.words == words.CHANGED, enter(bench, PIN, NEW))
    bench.readers.take(SLOT)


async def test_another_card_in_the_slot_is_given_nothing(bench: Bench) -> None:
    await bench.open_day(amal(), staff("bea", "BE", BEA))
    await bench.sign_on(AMAL)
    mark = len(bench.board.views)
    bench.do(PinChangeWanted())
    await bench.until(at("card"), mark)
    bench.readers.put(SLOT, BEA)  # somebody else, who wants to work
    await bench.until(lambda view: view.screen is Screen.PIN, mark)
    enter(bench, PIN, NEW)
    await bench.rest()
    assert panel(bench.board.view) == {}  # it ended with Amal's turn
    assert {exchange.ins for exchange in BEA.record.exchanges} <= {0xA4, 0xCB, 0x87}
    bench.readers.take(SLOT)


async def test_nobody_signed_on_changes_no_pin(bench: Bench) -> None:
    await bench.open_day(amal())
    bench.do(PinChangeWanted())
    bench.readers.put(SLOT, AMAL)
    await bench.until(lambda view: view.screen is Screen.PIN)
    enter(bench, PIN, NEW)
    await bench.rest()
    assert AMAL.pin.value == padded(PIN.encode())
    assert panel(bench.board.view) == {}
    bench.readers.take(SLOT)


async def test_it_is_given_up_by_cancel_and_by_time_and_by_the_lock(bench: Bench) -> None:
    await bench.open_day(amal(), idle_dim_s=900, idle_lock_s=1800)
    await bench.sign_on(AMAL)
    for leave in (
        lambda: bench.do(commands.Cancelled()),
        lambda: bench.pass_time(121),
        lambda: bench.do(commands.LockPressed()),
    ):
        mark = len(bench.board.views)
        bench.do(PinChangeWanted())
        await bench.until(at("card"), mark)
        leave()
        await bench.until(lambda view: panel(view) == {}, len(bench.board.views) - 1)
    enter(bench, PIN, NEW)
    await bench.rest()
    assert AMAL.pin.value == padded(PIN.encode())


async def test_the_time_left_is_told(bench: Bench) -> None:
    await bench.open_day(amal(), idle_dim_s=900, idle_lock_s=1800)
    await bench.sign_on(AMAL)
    mark = len(bench.board.views)
    bench.do(PinChangeWanted())
    begun = await bench.until(at("card"), mark)
    assert panel(begun)["left_s"] == 120
    mark = bench.pass_time(61)
    bench.do(commands.Activity())
    later = await bench.until(lambda view: panel(view).get("left_s", 120) < 120, mark)
    assert panel(later)["left_s"] == 60


async def test_her_card_on_the_plate_is_a_tap_out_as_always(bench: Bench) -> None:
    await bench.open_day(amal())
    await bench.sign_on(AMAL)
    bench.clock.advance(10)
    mark = len(bench.board.views)
    bench.do(PinChangeWanted())
    await bench.until(at("card"), mark)
    left = await bench.tap(AMAL, Screen.LOCKED)
    assert panel(left) == {}


async def test_over_the_air_only_where_the_ward_takes_pins_so_and_then_it_is_marked(
    bench: Bench,
) -> None:
    await bench.open_day(amal(), pin_contactless=True)
    bench.readers.put(PLATE, AMAL, LENIENT)
    await bench.until(lambda view: view.screen is Screen.PIN)
    bench.do(commands.PinEntered(Pin(PIN)))
    await bench.until(lambda view: view.screen is Screen.OPEN)
    mark = len(bench.board.views)
    bench.do(PinChangeWanted())
    await bench.until(at("old"), mark)
    await bench.until(lambda view: view.words == words.CHANGED, enter(bench, PIN, NEW))
    (event,) = await changed(bench)
    assert event.interface == "contactless"
    marked = [e.detail.record for e in await bench.events() if isinstance(e.detail, PinContactless)]
    assert len(marked) == 2  # the PIN of the sign-on, and this one
    assert marked[-1] == event.record
    bench.readers.take(PLATE)


@pytest.mark.parametrize("after", [1, 2, 3])
async def test_a_card_taken_away_after_it_was_told_leaves_no_false_word(
    bench: Bench, after: int
) -> None:
    """Nobody knows which PIN it has: the glass says so, and the log."""
    await bench.open_day(amal())
    await bench.sign_on(AMAL)
    mark = len(bench.board.views)
    bench.do(PinChangeWanted())
    await bench.until(at("card"), mark)
    torn = Behaviour(faults=(Torn(TAP + UNTIL_TOLD - 1 + after - 1),))
    bench.readers.put(SLOT, AMAL, torn)
    await bench.until(at("old"), mark)
    told = await bench.until(lambda v: v.words == words.UNCERTAIN, enter(bench, PIN, NEW))
    assert told.screen is Screen.REFUSED
    (event,) = await changed(bench)
    assert (event.result, event.record) == ("uncertain", None)
    bench.readers.take(SLOT)


async def test_a_card_taken_away_before_it_was_told_is_asked_for_again(bench: Bench) -> None:
    await bench.open_day(amal())
    await bench.sign_on(AMAL)
    mark = len(bench.board.views)
    bench.do(PinChangeWanted())
    await bench.until(at("card"), mark)
    bench.readers.put(SLOT, AMAL, Behaviour(faults=(Torn(TAP + 2),)))
    await bench.until(at("old"), mark)
    await bench.until(at("card"), enter(bench, PIN, NEW))
    assert await changed(bench) == []
    bench.readers.take(SLOT)
    bench.readers.put(SLOT, AMAL)
    await bench.until(at("old"), len(bench.board.views))
    await bench.until(lambda view: view.words == words.CHANGED, enter(bench, PIN, NEW))
    bench.readers.take(SLOT)


async def test_a_card_out_of_use_meanwhile_changes_no_pin(bench: Bench) -> None:
    await bench.open_day(amal())
    await bench.sign_on(AMAL)
    await bench.publish(amal(status=Status.SUSPENDED))
    bench.do(PinChangeWanted())
    await bench.rest()
    assert panel(bench.board.view) == {}


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


async def test_no_pin_is_in_anything_that_was_kept_shown_or_logged(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    old, new = "83920174", "71948205"  # eight digits: no digest shows them by chance
    AMAL.pin.change(padded(old.encode()))
    await bench.open_day(amal())
    await bench.sign_on(AMAL, old)
    await at_slot(bench)
    mark = enter(bench, "71948206", new)
    await bench.until(lambda view: view.words == glass.WRONG_HERE, mark)
    bench.readers.take(SLOT)
    await bench.sign_on(AMAL, old)
    await at_slot(bench)
    await bench.until(lambda view: view.words == words.CHANGED, enter(bench, old, new))
    await bench.events()
    bench.readers.take(SLOT)
    told = caplog.text + "".join(str(view) for view in bench.board.views)
    kept = contents(tmp_path)
    for pin in (old, new, "71948206"):
        assert pin not in told
        forms = (pin.encode(), pin.encode().hex().encode())
        assert not any(form in data for data in kept for form in forms)
    entered = NewPinEntered(Pin(old), Pin(new))
    assert not {old, new} & set(repr(entered).split("'"))
    assert old not in repr(entered)
    assert new not in repr(entered)
