"""Downtime that is being declared: what a refused card, a wrong PIN or a second touch come to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from contract.events import CardOutcome, Event, Reason
from firmware_py.emergency.commands import DowntimeOver, DowntimeWanted
from firmware_py.glass import words as kiosk
from firmware_py.glass.commands import Cancelled, PinEntered
from firmware_py.glass.view import Screen, View
from firmware_py.sessions.commands import HoldWanted
from hardware.piv import Pin
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card
from hardware.virtual.faults import Torn
from hardware.virtual.sample import personalised
from tests.firmware.bench import PIN, Bench
from tests.firmware.cards import PLATE, SLOT
from tests.firmware.downtime_ward import (
    AMAL,
    DOWNTIME,
    ELENA,
    FFION,
    HOURS_S,
    card_and_pin,
    cut_off,
    declare,
    declared,
    ended,
    lead,
    state,
)

WRONG = "000000"


@pytest_asyncio.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Bench]:
    """Past the offline limit. Amal works on the ward; Elena and Ffion are in charge of it."""
    async with Bench(tmp_path / "state") as bench:
        await cut_off(bench)
        yield bench


async def asked_pin(ward: Bench, card: Card) -> None:
    """Of a card that stays in the slot."""
    mark = len(ward.board.views)
    ward.readers.put(SLOT, card)
    await ward.until(state("declaring", "pin"), mark)
    await ward.rest()


async def enter(ward: Bench, pin: str) -> View:
    """What the glass says when the card has judged it."""
    mark = len(ward.board.views)
    ward.do(PinEntered(Pin(pin)))
    await ward.until(lambda _: True, mark)
    await ward.rest()
    return ward.board.view


async def last(ward: Bench) -> tuple[Event, CardOutcome]:
    """The newest outcome in the journal."""
    return [(e, e.detail) for e in await ward.events() if isinstance(e.detail, CardOutcome)][-1]


async def test_a_wrong_pin_is_journalled_under_the_card_that_judged_it(ward: Bench) -> None:
    await declare(ward)
    await asked_pin(ward, ELENA)
    view = await enter(ward, WRONG)
    assert view.panels["downtime"]["words"] == kiosk.PIN_AGAIN
    _, outcome = await last(ward)
    assert (outcome.reason, outcome.attempts, outcome.holder) == (Reason.PIN_WRONG, 2, "elena")
    assert ELENA.guid is not None
    assert outcome.guid == ELENA.guid.hex()
    await enter(ward, PIN)  # and her tries are whole again: the card is other tests' too


async def test_a_pin_that_is_blocked_is_journalled_as_such_and_another_may_begin(
    ward: Bench,
) -> None:
    forgetful = personalised()
    await ward.publish(lead("gwen", "GW", forgetful))
    ward.clock.advance(5 * HOURS_S)
    await declare(ward)
    await asked_pin(ward, forgetful)
    for _ in range(2):
        await enter(ward, WRONG)
    view = await enter(ward, WRONG)
    assert view.screen is Screen.REFUSED
    assert view.panels["downtime"]["words"] == kiosk.COLLEAGUE_HELPS
    event, outcome = await last(ward)
    assert (outcome.reason, outcome.holder) == (Reason.PIN_BLOCKED, "gwen")
    assert view.reference == kiosk.reference(event.journal, event.sequence)
    ward.readers.take(SLOT)
    await card_and_pin(ward, ELENA)
    await card_and_pin(ward, FFION)
    await ward.until(state("on"))


async def test_a_pin_that_a_plate_does_not_take_may_be_given_in_the_slot(tmp_path: Path) -> None:
    async with Bench(tmp_path / "state") as bench:
        people = (lead("elena", "EL", ELENA), lead("ffion", "FF", FFION))
        await bench.open_day(*people, downtime=DOWNTIME, pin_contactless=True)
        bench.clock.advance(5 * HOURS_S)
        await bench.until(state("offered"))
        await declare(bench)
        mark = len(bench.board.views)
        bench.readers.put(PLATE, ELENA)
        await bench.until(state("declaring", "pin"), mark)
        view = await enter(bench, PIN)
        assert view.panels["downtime"]["words"] == kiosk.SLOT
        assert (await bench.outcomes())[-1] == ("refused", Reason.PIN_NOT_HERE)
        bench.readers.take(PLATE)
        await asked_pin(bench, ELENA)
        view = await enter(bench, PIN)
        assert view.panels["downtime"]["by"] == ["EL"]


async def test_the_last_try_is_said_before_the_card_is_given_it(ward: Bench) -> None:
    careless = personalised()
    await ward.publish(lead("gwen", "GW", careless))
    ward.clock.advance(5 * HOURS_S)
    await declare(ward)
    await asked_pin(ward, careless)
    await enter(ward, WRONG)
    view = await enter(ward, WRONG)
    assert view.panels["downtime"]["words"] == kiosk.LAST_TRY
    ward.readers.take(SLOT)
    await asked_pin(ward, careless)
    before = await ward.outcomes()
    view = await enter(ward, WRONG)
    assert (view.panels["downtime"]["words"], view.panels["downtime"]["attempts"]) == (
        kiosk.LAST_TRY,
        1,
    )
    assert await ward.outcomes() == before  # the card was given nothing


async def test_another_card_in_the_slot_is_given_no_pin_and_the_log_says_nothing_of_one(
    ward: Bench,
) -> None:
    await declare(ward)
    await asked_pin(ward, ELENA)
    ward.readers.take(SLOT)
    mark = len(ward.board.views)
    ward.readers.put(SLOT, AMAL)
    await ward.until(lambda view: view.screen is Screen.REFUSED, mark)
    await ward.rest()
    before = await ward.outcomes()
    view = await enter(ward, PIN)
    assert view.panels["downtime"]["step"] == "pin"
    assert view.panels["downtime"]["words"] == kiosk.CARD_BACK
    assert await ward.outcomes() == before
    ward.readers.take(SLOT)
    await asked_pin(ward, ELENA)
    view = await enter(ward, PIN)
    assert view.panels["downtime"]["by"] == ["EL"]


@pytest.mark.parametrize(
    ("card", "behaviour", "reason"),
    [
        (AMAL, None, Reason.ROLE_NOT_ALLOWED),
        (personalised(), None, Reason.CARD_UNKNOWN),
        (ELENA.clone_with_other_keys(), None, Reason.CARD_KEY_WRONG),
        (FFION, Behaviour(faults=(Torn(1),)), Reason.CARD_TORN),
    ],
    ids=["role", "unknown", "copied", "torn"],
)
async def test_a_refusal_leads_to_its_reason_by_a_reference(
    ward: Bench, card: Card, behaviour: Behaviour | None, reason: Reason
) -> None:
    await declare(ward)
    refused = await ward.tap(card, Screen.REFUSED, reader=SLOT, behaviour=behaviour)
    event, outcome = await last(ward)
    assert outcome.reason is reason
    assert refused.reference == kiosk.reference(event.journal, event.sequence)
    panel = refused.panels["downtime"]
    assert (panel["words"], panel["reference"]) == (refused.words, refused.reference)


async def test_what_comes_of_a_card_at_a_held_screen_says_that_it_is_shared(
    tmp_path: Path,
) -> None:
    async with Bench(tmp_path / "state") as bench:
        people = (lead("elena", "EL", ELENA), lead("ffion", "FF", FFION))
        await bench.open_day(*people, downtime=DOWNTIME, hold_s=1800, offline_limit_s=60)
        await bench.sign_on(ELENA)
        mark = len(bench.board.views)
        bench.do(HoldWanted())
        await bench.until(lambda view: bool(view.panels.get("hold", {}).get("left_s")), mark)
        bench.clock.advance(120)
        await bench.until(state("offered"))
        await declare(bench, ELENA)
        outcomes = [e.detail for e in await bench.events() if isinstance(e.detail, CardOutcome)]
        assert [(one.result, one.shared) for one in outcomes[-2:]] == [
            ("asked", True),
            ("proved", True),
        ]


async def test_a_second_touch_undoes_nothing_of_a_declaration(ward: Bench) -> None:
    await declare(ward, ELENA)
    ward.do(DowntimeWanted())
    await ward.rest()
    assert ward.board.view.panels["downtime"]["by"] == ["EL"]
    await asked_pin(ward, FFION)
    ward.do(DowntimeWanted())
    await ward.rest()
    assert ward.board.view.panels["downtime"]["step"] == "pin"
    await enter(ward, PIN)
    await ward.until(state("on"))
    (event,) = await declared(ward)
    assert [one.holder for one in event.by] == ["elena", "ffion"]


async def test_nor_does_a_touch_that_would_end_it_undo_a_renewal(ward: Bench) -> None:
    await declare(ward, ELENA, FFION)
    await declare(ward, FFION)
    ward.do(DowntimeOver())
    await card_and_pin(ward, ELENA)
    await ward.rest()
    assert [[one.holder for one in event.by] for event in await declared(ward)] == [
        ["elena", "ffion"],
        ["ffion", "elena"],
    ]
    assert await ended(ward) == []


async def test_once_it_was_cancelled_it_can_be_begun_anew(ward: Bench) -> None:
    await declare(ward, ELENA)
    ward.do(Cancelled())
    await ward.rest()
    await declare(ward, FFION)
    assert ward.board.view.panels["downtime"]["by"] == ["FF"]
    assert await declared(ward) == []


async def test_a_pin_under_terms_that_are_void_counts_for_nothing_and_is_journalled(
    ward: Bench,
) -> None:
    await declare(ward)
    await asked_pin(ward, ELENA)
    ward.do(PinEntered(Pin(PIN)))
    ward.do(Cancelled())
    ward.do(DowntimeWanted())
    await ward.rest()
    assert ward.board.view.panels["downtime"]["by"] == []
    assert (await ward.outcomes())[-1] == ("refused", Reason.PIN_ABANDONED)
