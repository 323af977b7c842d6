"""A PIN that came to nothing: judged once for every desk, and of whoever's card it was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from contract.events import CardOutcome, Reason
from firmware_py.card.tap import AnotherCard, CopiedCard, FewTries
from firmware_py.glass import words
from firmware_py.glass.commands import Cancelled, PinEntered
from firmware_py.glass.view import Screen
from firmware_py.signon.tries import FailedTry, NotGiven, Over, TryAgain, judge_try
from hardware.apdu import CardGone, CardHung, CardTorn, HardwareError
from hardware.piv import Pin, PinBlocked, PinNotTaken, WrongPin
from hardware.virtual.behaviour import Behaviour, Profile
from hardware.virtual.card import Card, padded
from hardware.virtual.sample import personalised
from tests.firmware.bench import PIN, Bench, staff
from tests.firmware.cards import PLATE, SLOT

AMAL, BEA = personalised(), personalised()
WRONG = "975310"
SLOW = Behaviour(profile=Profile("slow", ec_s=0.4))


@pytest.mark.parametrize(
    ("error", "came_to"),
    [
        (AnotherCard("another"), NotGiven(words.CARD_BACK)),
        (FewTries(1), NotGiven(words.LAST_TRY, 1)),
        (FewTries(2), NotGiven(words.PROVE_FIRST, 2)),
        (WrongPin(0x63C2, "VERIFY"), TryAgain(Reason.PIN_WRONG, words.PIN_AGAIN, 2)),
        (WrongPin(0x63C1, "VERIFY"), TryAgain(Reason.PIN_WRONG, words.LAST_TRY, 1)),
        (WrongPin(0x6300, "VERIFY"), TryAgain(Reason.PIN_WRONG, words.PIN_AGAIN, None)),
        (WrongPin(0x63C0, "VERIFY"), Over(Reason.PIN_BLOCKED, 0)),
        (PinBlocked(0x6983, "VERIFY"), Over(Reason.PIN_BLOCKED)),
        (PinNotTaken(0x6982, "VERIFY"), TryAgain(Reason.PIN_NOT_HERE, words.SLOT_ONCE)),
        (CardGone("away"), TryAgain(Reason.CARD_TORN, words.CARD_BACK)),
        (CardTorn("away"), TryAgain(Reason.CARD_TORN, words.CARD_BACK)),
        (CardHung("mute"), Over(Reason.CARD_HUNG)),
        (CopiedCard("copied"), Over(Reason.CARD_KEY_WRONG)),
        (HardwareError("else"), Over(Reason.CARD_ERROR)),
    ],
    ids=lambda one: type(one).__name__,
)
def test_each_way_to_fail_has_one_reason_and_one_sentence(
    error: HardwareError, came_to: FailedTry
) -> None:
    assert judge_try(error) == came_to


@pytest_asyncio.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Bench]:
    for card in (AMAL, BEA):
        card.pin.change(padded(PIN.encode()))
    async with Bench(tmp_path / "state") as bench:
        await bench.open_day(staff("amal", "AM", AMAL), staff("bea", "BE", BEA))
        yield bench


async def under_way(ward: Bench, pin: str) -> int:
    """Amal's slow card is at her PIN; a mark from then."""
    mark = len(ward.board.views)
    ward.readers.put(SLOT, AMAL, SLOW)
    await ward.until(lambda view: view.screen is Screen.PIN, mark)
    mark = len(ward.board.views)
    ward.do(PinEntered(Pin(pin)))
    await ward.until(lambda view: view.words == words.PIN_CHECKING, mark)
    return mark


async def last_of(ward: Bench, card: Card) -> tuple[str, str | None, int | None]:
    """(reason, holder, attempts) of the newest outcome of a card."""
    assert card.guid is not None
    *_, last = (
        event.detail
        for event in await ward.events()
        if isinstance(event.detail, CardOutcome) and event.detail.guid == card.guid.hex()
    )
    return last.reason, last.holder, last.attempts


async def test_a_wrong_pin_that_comes_late_is_not_the_next_persons(ward: Bench) -> None:
    """Bea tapped meanwhile, and the pad is hers."""
    mark = await under_way(ward, WRONG)
    ward.readers.put(PLATE, BEA)
    await ward.until(lambda view: view.words == words.SLOT_ONCE, mark)
    await ward.rest()
    assert ward.board.view.words == words.SLOT_ONCE
    assert await last_of(ward, AMAL) == (Reason.PIN_WRONG, "amal", 2)
    assert await last_of(ward, BEA) == (Reason.PIN_NOT_HERE, "bea", None)
    ward.readers.take(PLATE)
    ward.readers.take(SLOT)


@pytest.mark.parametrize(
    ("pin", "told"),
    [
        (WRONG, (Reason.PIN_WRONG, "amal", 2)),
        (PIN, (Reason.PIN_ABANDONED, "amal", None)),
    ],
    ids=["wrong", "right"],
)
async def test_what_comes_of_a_pin_whose_pad_was_left_is_in_the_journal_and_opens_nothing(
    ward: Bench, pin: str, told: tuple[str, str, int | None]
) -> None:
    await under_way(ward, pin)
    ward.do(Cancelled())
    await ward.rest()
    assert await last_of(ward, AMAL) == told
    assert await ward.changes() == []
    assert ward.proofs == []
    ward.readers.take(SLOT)
