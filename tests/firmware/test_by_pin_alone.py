"""A card with a gated 9A and no 9E: its tap names it and proves nothing, its PIN signs it on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contract.directory import Entitlement, Slot, Status
from contract.events import CardOutcome, CardRecorded, OutcomeResult, Reason
from contract.pinning import PinChanged, PinContactless
from contract.signing import VerifyKey
from contract.tap import PinRecord, verify_card
from contract.wire import decode_base64
from firmware_py.countersign.values import Signed
from firmware_py.glass import words
from firmware_py.glass.commands import Cancelled, PinChangeWanted, PinEntered, PositionChosen
from firmware_py.glass.view import Screen, View
from firmware_py.pin.commands import NewPinEntered
from firmware_py.pin.words import BY_PIN, CHANGED, NOT_CHANGED, UNCERTAIN
from firmware_py.sessions.commands import PositionWanted
from hardware.piv import Pin
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card, padded
from hardware.virtual.names import Access
from hardware.virtual.names import Slot as CardSlot
from hardware.virtual.sample import personalised
from tests.firmware.bench import PIN, Bench, staff
from tests.firmware.cards import PLATE, SLOT
from tests.firmware.rights import position
from tests.firmware.test_countersign import asked, hold, panel

NIA = personalised(slots=[CardSlot.AUTHENTICATION], certificates=True)
BEA, CARA = personalised(), personalised()
NEW = "471902"
LENIENT = Behaviour(access=Access.CONTACTLESS_LENIENT)
VERIFY = 0x20


def nia(**changes: Any) -> Entitlement:  # noqa: ANN401
    return staff("nia", "NI", NIA, **changes)


def bea() -> Entitlement:
    return staff("bea", "BE", BEA)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    NIA.pin.change(padded(PIN.encode()))
    async with Bench(tmp_path / "state") as bench:
        yield bench


def verifies(card: Card) -> int:
    return sum(exchange.ins == VERIFY for exchange in card.record.exchanges)


async def at_pad(bench: Bench, card: Card = NIA) -> View:
    """With the card in the slot."""
    mark = len(bench.board.views)
    bench.readers.put(SLOT, card)
    return await bench.until(lambda view: view.screen is Screen.PIN, mark)


def enter(bench: Bench, pin: str = PIN) -> int:
    mark = len(bench.board.views)
    bench.do(PinEntered(Pin(pin)))
    return mark


async def test_its_pin_opens_by_one_signature_and_the_pad_says_why_it_asks(bench: Bench) -> None:
    await bench.open_day(nia())
    asked = await at_pad(bench)
    assert asked.pin is not None
    assert asked.pin.why_asked == BY_PIN
    await bench.until(lambda view: view.screen is Screen.OPEN, enter(bench))
    bench.readers.take(SLOT)

    events = await bench.events()
    records = {e.sequence: e for e in events if isinstance(e.detail, CardRecorded)}
    (record,) = records.values()  # nothing was signed at the tap
    assert isinstance(record.detail, CardRecorded)
    assert isinstance(record.detail.record, PinRecord)
    asked_for, opened = (e.detail for e in events if isinstance(e.detail, CardOutcome))
    assert (asked_for.result, asked_for.record, asked_for.holder) == ("asked", None, None)
    assert (opened.result, opened.record) == (OutcomeResult.OPENED, record.sequence)
    (credential,) = nia().credentials
    assert opened.key == credential.key_id
    verify_card(
        VerifyKey.from_base64(credential.key),
        record.to_bytes(),
        decode_base64(opened.signature or ""),
    )


async def test_no_grace_makes_its_tap_enough_and_nobody_is_told_of_one(bench: Bench) -> None:
    await bench.open_day(nia(), bea(), grace_s=14_400)
    await bench.sign_on(NIA)
    assert bench.proofs == []
    await bench.sign_on(BEA)
    asked = await bench.tap(NIA, Screen.NOTICE)
    assert asked.words == words.SLOT  # and not: once
    await at_pad(bench)
    bench.readers.take(SLOT)
    bench.do(Cancelled())


async def test_its_second_tap_locks_and_another_asks_again(bench: Bench) -> None:
    """Unsigned: whoever has copied its GUID could have done it, and gains nothing by it."""
    await bench.open_day(nia())
    await bench.sign_on(NIA)
    bench.clock.advance(10)
    locked = await bench.tap(NIA, Screen.LOCKED)
    assert locked.person is None
    assert (await bench.changes())[-1] == ("nia", "locked", "button")
    asked = await bench.tap(NIA, Screen.NOTICE)
    assert asked.words == words.SLOT
    await bench.sign_on(NIA)
    results = [result for result, _ in await bench.outcomes()]
    assert results == ["asked", "opened", "refused", "asked", "asked", "resumed"]


async def test_seen_twice_it_locks_nothing(bench: Bench) -> None:
    await bench.open_day(nia())
    await bench.sign_on(NIA)
    bench.clock.advance(1)
    await bench.tap(NIA, Screen.OPEN)
    await bench.rest()
    assert bench.board.views[-1].screen is Screen.OPEN


async def test_an_unsigned_tap_wakes_nobodys_dimmed_screen(bench: Bench) -> None:
    await bench.open_day(nia(), idle_dim_s=30, idle_lock_s=600)
    await bench.sign_on(NIA)
    await bench.until(lambda view: view.screen is Screen.DIMMED, bench.pass_time(60))
    await bench.tap(NIA, Screen.LOCKED)


async def test_it_takes_nobodys_pad_away(bench: Bench) -> None:
    """Else the digits that somebody is typing would go to the card that came between."""
    await bench.open_day(nia(), bea(), pin_contactless=True)
    await at_pad(bench, BEA)
    mark = len(bench.board.views)
    bench.readers.put(PLATE, NIA, LENIENT)
    await bench.until(lambda view: view.screen is Screen.CHECKING, mark)
    await bench.rest()
    before = verifies(NIA)
    opened = await bench.until(lambda view: view.screen is Screen.OPEN, enter(bench))
    assert opened.person is not None
    assert opened.person.initials == "BE"
    assert verifies(NIA) == before
    bench.readers.take(PLATE)
    bench.readers.take(SLOT)


async def test_over_the_plate_its_pin_is_taken_where_the_ward_allows_it_and_marked(
    bench: Bench,
) -> None:
    await bench.open_day(nia(), pin_contactless=True)
    mark = len(bench.board.views)
    bench.readers.put(PLATE, NIA, LENIENT)
    await bench.until(lambda view: view.screen is Screen.PIN, mark)
    await bench.until(lambda view: view.screen is Screen.OPEN, enter(bench))
    bench.readers.take(PLATE)
    assert any(isinstance(e.detail, PinContactless) for e in await bench.events())


async def test_a_copied_guid_alone_is_not_given_the_pin(bench: Bench) -> None:
    """A GUID can be read through a pocket; the certificate of 9A in the slot alone."""
    copy = personalised(guid=NIA.guid, slots=[CardSlot.AUTHENTICATION])
    other = personalised(guid=NIA.guid, slots=[CardSlot.AUTHENTICATION], certificates=True)
    await bench.open_day(nia())
    for forged in (copy, other):
        await at_pad(bench, forged)
        await bench.until(lambda view: view.screen is Screen.REFUSED, enter(bench))
        bench.readers.take(SLOT)
        assert verifies(forged) == 0
        assert (await bench.outcomes())[-1] == ("refused", Reason.CARD_KEY_WRONG)


async def test_a_copy_of_all_it_shows_opens_nothing(bench: Bench) -> None:
    """It is given the PIN: that is the price of a card without 9E, and is written down."""
    copy = personalised(guid=NIA.guid, slots=[CardSlot.AUTHENTICATION])
    copy.objects = dict(NIA.objects)
    await bench.open_day(nia())
    await at_pad(bench, copy)
    await bench.until(lambda view: view.screen is Screen.REFUSED, enter(bench))
    bench.readers.take(SLOT)
    assert (await bench.outcomes())[-1] == ("refused", Reason.CARD_KEY_WRONG)
    assert await bench.changes() == []


async def test_of_several_positions_it_chooses_after_its_pin(bench: Bench) -> None:
    two = (position("nurse"), position("site-manager", "R0270"))
    await bench.open_day(nia(positions=two))
    await at_pad(bench)
    await bench.until(lambda view: view.screen is Screen.CHOOSE, enter(bench))
    mark = len(bench.board.views)
    bench.do(PositionChosen(two[1].id))
    await bench.until(lambda view: view.screen is Screen.OPEN, mark)
    bench.readers.take(SLOT)
    last = (await bench.events())[-1].detail
    outcomes = [e.detail for e in await bench.events() if isinstance(e.detail, CardOutcome)]
    assert (outcomes[-1].result, outcomes[-1].position) == ("opened", two[1].id), last
    assert outcomes[-1].signature


async def test_another_position_is_another_pin_which_is_proved(bench: Bench) -> None:
    two = (position("nurse"), position("site-manager", "R0270"))
    await bench.open_day(nia(positions=two), grace_s=14_400)
    await at_pad(bench)
    await bench.until(lambda view: view.screen is Screen.CHOOSE, enter(bench))
    mark = len(bench.board.views)
    bench.do(PositionChosen(two[0].id))
    await bench.until(lambda view: view.screen is Screen.OPEN, mark)
    mark = len(bench.board.views)
    bench.do(PositionWanted(two[1].id))
    await bench.until(lambda view: view.screen is Screen.PIN, mark)
    await bench.until(lambda view: view.screen is Screen.OPEN, enter(bench))
    bench.readers.take(SLOT)
    assert (await bench.outcomes())[-1] == ("proved", "granted")
    assert (await bench.changes())[-1] == ("nia", "opened", "position")
    assert bench.proofs == []


async def test_lost_it_is_refused_before_any_pin(bench: Bench) -> None:
    await bench.open_day(nia(status=Status.LOST))
    before = verifies(NIA)
    await bench.tap(NIA, Screen.REFUSED, reader=SLOT)
    assert verifies(NIA) == before
    assert nia().credential(Slot.CARD_AUTHENTICATION) is None


def pin_panel(view: View) -> dict[str, Any]:
    return dict(view.panels.get("pin", {}))


async def test_its_pin_is_changed_at_the_screen_in_the_slot(bench: Bench) -> None:
    await bench.open_day(nia())
    await bench.sign_on(NIA)
    bench.clock.advance(10)
    mark = len(bench.board.views)
    bench.do(PinChangeWanted())
    await bench.until(lambda view: pin_panel(view).get("step") == "card", mark)
    bench.readers.put(SLOT, NIA)  # a tap that locks, but for this
    await bench.until(lambda view: pin_panel(view).get("step") == "old", mark)
    mark = len(bench.board.views)
    bench.do(NewPinEntered(Pin(PIN), Pin(NEW)))
    changed = await bench.until(lambda view: view.words == CHANGED, mark)
    assert changed.person is not None
    bench.readers.take(SLOT)
    assert NIA.pin.value == padded(NEW.encode())
    (event,) = (e.detail for e in await bench.events() if isinstance(e.detail, PinChanged))
    assert (event.result, event.holder) == ("changed", "nia")
    assert (await bench.outcomes())[-1] == ("proved", "granted")
    assert bench.proofs == []


async def test_a_copied_guid_in_the_slot_is_given_neither_pin(bench: Bench) -> None:
    """... while her PIN is changed, and does not keep her screen awake."""
    copy = personalised(guid=NIA.guid, slots=[CardSlot.AUTHENTICATION])
    await bench.open_day(nia())
    await bench.sign_on(NIA)
    bench.clock.advance(10)
    mark = len(bench.board.views)
    bench.do(PinChangeWanted())
    await bench.until(lambda view: pin_panel(view).get("step") == "card", mark)
    bench.readers.put(SLOT, copy)
    await bench.until(lambda view: pin_panel(view).get("step") == "old", mark)
    mark = len(bench.board.views)
    bench.do(NewPinEntered(Pin(PIN), Pin(NEW)))
    await bench.until(lambda view: view.words == NOT_CHANGED, mark)
    bench.readers.take(SLOT)
    assert verifies(copy) == 0
    assert (await bench.outcomes())[-1] == ("refused", Reason.CARD_KEY_WRONG)


async def test_a_copy_of_all_it_shows_leaves_no_false_word_of_its_pin(bench: Bench) -> None:
    """It is told both PINs, as ADR 0024 has it of one; that hers was changed is not believed."""
    copy = personalised(guid=NIA.guid, slots=[CardSlot.AUTHENTICATION])
    copy.objects = dict(NIA.objects)
    await bench.open_day(nia())
    await bench.sign_on(NIA)
    bench.clock.advance(10)
    mark = len(bench.board.views)
    bench.do(PinChangeWanted())
    bench.readers.put(SLOT, copy)
    await bench.until(lambda view: pin_panel(view).get("step") == "old", mark)
    mark = len(bench.board.views)
    bench.do(NewPinEntered(Pin(PIN), Pin(NEW)))
    await bench.until(lambda view: view.words == UNCERTAIN, mark)
    bench.readers.take(SLOT)
    assert NIA.pin.value == padded(PIN.encode())
    assert (await bench.outcomes())[-1] == ("refused", Reason.CARD_KEY_WRONG)


async def test_its_blocked_pin_is_its_issuers_and_no_colleagues_matter(tmp_path: Path) -> None:
    NIA.pin.change(padded(PIN.encode()))
    async with Bench(tmp_path / "state", helping=True) as bench:
        await bench.open_day(nia())
        await at_pad(bench)
        *_, told = [
            await bench.until(lambda view: view.screen is not Screen.CHECKING, mark)
            for mark in (enter(bench, "975310") for _ in range(3))
        ]
        assert (told.screen, told.words) == (Screen.REFUSED, words.ISSUER_HELPS)
        assert told.reference is not None
        assert "help" not in told.panels, "no colleague can unblock it"
        bench.readers.take(SLOT)


@pytest.mark.parametrize("pin", [False, True])
async def test_it_countersigns_with_its_pin_also_where_a_tap_would_do(
    bench: Bench, *, pin: bool
) -> None:
    await bench.open_day(nia(), bea())
    await bench.sign_on(BEA)
    bench.clock.advance(10)
    request = await asked(bench, pin=pin)
    mark = len(bench.board.views)
    bench.readers.put(SLOT, NIA)
    waits = await bench.until(lambda view: panel(view).get("step") == "pin", mark)
    assert panel(waits)["by"] == "NI"
    enter(bench)
    answer = await request.answer()
    bench.readers.take(SLOT)
    assert isinstance(answer, Signed)
    assert (answer.by.holder, answer.record.credential.slot) == ("nia", Slot.PIV_AUTHENTICATION)
    (key,) = nia().credentials
    verify_card(VerifyKey.from_base64(key.key), answer.record.event, answer.record.signature)
    assert (await bench.outcomes())[-2:] == [
        ("asked", Reason.PIN_NEEDED),
        ("countersigned", Reason.GRANTED),
    ]


async def test_its_tap_takes_no_countersigners_pad_away(bench: Bench) -> None:
    await bench.open_day(nia(), bea(), staff("cara", "CA", CARA))
    await bench.sign_on(BEA)
    bench.clock.advance(10)
    await asked(bench, pin=True)
    await hold(bench, CARA, lambda view: panel(view).get("step") == "pin")
    mark = len(bench.board.views)
    bench.readers.put(PLATE, NIA)
    await bench.until(lambda view: view.screen is Screen.CHECKING, mark)
    await bench.rest()
    bench.readers.take(PLATE)
    assert panel(bench.board.view)["by"] == "CA"
    assert (await bench.outcomes())[-1] == ("refused", Reason.PIN_NEEDED)
