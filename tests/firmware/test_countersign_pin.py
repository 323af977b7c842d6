"""A countersign with the PIN, where something is out of the ordinary: as at any pad."""

from __future__ import annotations

import asyncio
from pathlib import Path

from contract.countersigning import CountersignResult
from contract.events import CardOutcome, ClockTrust, OutcomeResult, Reason
from contract.pinning import PinContactless
from firmware_py.card.records import SignedRecord, outcome
from firmware_py.countersign.values import Signed
from firmware_py.glass.commands import Cancelled, PinEntered
from firmware_py.glass.view import Screen
from hardware.piv import Pin
from hardware.virtual.behaviour import Behaviour, Profile
from hardware.virtual.faults import Hung
from hardware.virtual.names import Access
from tests.firmware.bench import DEADLINE_S, PIN, Bench
from tests.firmware.cards import PLATE, SLOT
from tests.firmware.test_countersign import (
    AMAL,
    BEA,
    amal,
    asked,
    bea,
    countersigns,
    hold,
    panel,
    step,
)

VERIFIES = 5
"""The exchange of a PIN's visit in which the card is given the PIN."""


async def test_a_pin_over_the_air_is_marked_here_too(tmp_path: Path) -> None:
    async with Bench(tmp_path / "state") as bench:
        await bench.open_day(amal(), bea(), pin_contactless=True)
        await bench.sign_on(AMAL)
        bench.clock.advance(10)
        request = await asked(bench, pin=True)
        mark = len(bench.board.views)
        bench.readers.put(PLATE, BEA, Behaviour(access=Access.CONTACTLESS_LENIENT))
        await bench.until(step("pin"), mark)
        bench.do(PinEntered(Pin(PIN)))
        answer = await request.answer()
        bench.readers.take(PLATE)
        assert isinstance(answer, Signed)
        marks = [e.detail for e in await bench.events() if isinstance(e.detail, PinContactless)]
        assert [one.record for one in marks] == [answer.record.sequence]


async def test_a_card_that_hangs_at_its_pin_is_an_alarm_here_too(tmp_path: Path) -> None:
    async with Bench(tmp_path / "state", card_deadline_s=0.5) as bench:
        await bench.open_day(amal(), bea())
        await bench.sign_on(AMAL)
        bench.clock.advance(10)
        await asked(bench, pin=True)
        await hold(bench, BEA, step("pin"))
        bench.readers.put(SLOT, BEA, Behaviour(faults=(Hung(VERIFIES),)))
        await bench.rest()
        mark = len(bench.board.views)
        bench.do(PinEntered(Pin(PIN)))
        refused = await bench.until(step("refused"), mark)
        assert panel(refused)["reference"], "the helpdesk finds it by that"
        assert bench.alarms == ["card-hung"]
        assert (await bench.outcomes())[-1] == ("refused", Reason.CARD_HUNG)
        bench.readers.take(SLOT)


async def test_a_copied_card_that_answers_too_late_is_not_taken_for_an_honest_one(
    tmp_path: Path,
) -> None:
    """Its signature does not hold: in the log it stands for that alone (docs/evidence.md §7)."""
    async with Bench(tmp_path / "state") as bench:
        await bench.open_day(amal(), bea())
        await bench.sign_on(AMAL)
        bench.clock.advance(10)
        request = await asked(bench)
        slow = Behaviour(access=Access.CONTACTLESS_STRICT, profile=Profile("slow", ec_s=0.5))
        mark = len(bench.board.views)
        bench.readers.put(PLATE, BEA.clone_with_other_keys(), slow)
        await bench.until(lambda v: v.screen is Screen.CHECKING, mark)
        async with asyncio.timeout(DEADLINE_S):
            while not await countersigns(bench):  # each look waits for the disk
                pass
        bench.do(Cancelled())
        assert await request.answer() is CountersignResult.CANCELLED
        await bench.rest()
        bench.readers.take(PLATE)
        assert (await bench.outcomes())[-1] == ("refused", Reason.CARD_KEY_WRONG)


def test_a_signature_that_does_not_hold_stands_in_no_other_outcome() -> None:
    (key,) = (one for one in bea().credentials if one.slot == "9E")
    forged = SignedRecord(7, b"{}", key, b"forged", key.key_id, holds=False)
    clock = ClockTrust.SITE

    def told(reason: Reason) -> CardOutcome:
        return outcome(OutcomeResult.REFUSED, reason, bea().guid, clock, signed=forged)

    abandoned = told(Reason.OFFER_ABANDONED)
    assert (abandoned.record, abandoned.key, abandoned.signature) == (7, None, None)
    wrong = told(Reason.CARD_KEY_WRONG)
    assert (wrong.record, wrong.key) == (7, key.key_id)
    assert wrong.signature is not None
