"""A countersign with the PIN, where something is out of the ordinary: as at any pad."""

from __future__ import annotations

from pathlib import Path

from contract.events import Reason
from contract.pinning import PinContactless
from firmware_py.countersign.values import Signed
from firmware_py.kiosk.commands import PinEntered
from hardware.piv import Pin
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.faults import Hung
from hardware.virtual.names import Access
from tests.firmware.bench import PIN, Bench
from tests.firmware.cards import PLATE, SLOT
from tests.firmware.test_countersign import AMAL, BEA, amal, asked, bea, hold, panel, step

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
