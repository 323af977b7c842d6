"""Break-glass reaches the nurse in charge without a gateway: a ward's terminals tell each other.

Two terminals with their real consumers, journals and cards; only the broker between them is
simulated (`air`). tests/e2e/test_emergency.py has the real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contract.emergency import BreakGlassHeard, Emergency, Kept
from contract.events import AlarmCode
from contract.ids import TerminalId
from contract.signing import Envelope
from contract.wire import decode_base64
from firmware_py.emergency import words
from firmware_py.emergency.hearing import WRITTEN_MAX
from firmware_py.emergency.telling import AGAIN_NS
from firmware_py.glass.view import Screen, View
from firmware_py.site.link import EmergencyHeard
from hardware.virtual.sample import personalised
from tests.firmware import rights
from tests.firmware.air import Air
from tests.firmware.bench import DEADLINE_S, Bench, staff
from tests.firmware.emergency_ward import (
    STRANGER,
    active,
    glass,
    opened,
    take,
    without_journal,
)
from tests.firmware.test_alerts import PEER, alerts, said

HERE, HERS = "resus-1", "resus-2"
AMAL, ELENA = personalised(), personalised()


@pytest.fixture
async def air(tmp_path: Path) -> AsyncIterator[Air]:
    """A ward of two screens, whose gateway answers nobody; Elena leads it, at the second."""
    async with Air(tmp_path, HERE, HERS) as air:
        lead = (rights.position("resus-lead", "R8001L"),)
        await air.open_day(
            staff("amal", "AM", AMAL),
            staff("elena", "EL", ELENA, positions=lead),
            break_glass=glass(),
            idle_dim_s=900,
            idle_lock_s=1800,
        )
        await air[HERS].sign_on(ELENA)
        await air.rest()
        yield air


async def break_glass(bench: Bench) -> View:
    """By a card that nobody knows: that needs no PIN and no clock."""
    await bench.tap(STRANGER, Screen.OFFER)
    return await take(bench)


async def heard(bench: Bench) -> list[BreakGlassHeard]:
    """What a journal says that it heard."""
    details = [event.detail for event in await bench.events()]
    return [one for one in details if isinstance(one, BreakGlassHeard)]


def from_here(air: Air, **changes: Any) -> EmergencyHeard:  # noqa: ANN401 - of an emergency
    """As the first terminal says it itself."""
    here = TerminalId(HERE)
    told = said(air[HERS], terminal=here, signer=rights.batch_key_of(here), **changes)
    return EmergencyHeard(told.data, here)


def unheard(view: View) -> bool:
    return bool(view.panels.get("breakglass", {}).get("unheard"))


async def test_without_a_gateway_the_lead_sees_it_at_once_at_her_own_screen(air: Air) -> None:
    mark = len(air[HERS].board.views)
    await break_glass(air[HERE])
    view = await air[HERS].until(lambda view: bool(alerts(view)), mark)
    assert [(one["terminal"], one["initials"], one["age_s"]) for one in alerts(view)] == [
        (HERE, "?", 0)
    ]
    assert air[HERE].told is None, "no gateway"
    assert not any(unheard(view) for view in air[HERE].board.views)


async def test_what_the_gateway_says_of_it_later_is_the_same_one(air: Air) -> None:
    await break_glass(air[HERE])
    await air[HERS].until(lambda view: bool(alerts(view)))
    (_, message), *_ = air.emergencies
    for _ in range(3):
        air[HERS].post(EmergencyHeard(message))
    await air.rest()
    assert len(alerts(air[HERS].board.view)) == 1
    assert len(await heard(air[HERS])) == 1


async def test_with_nothing_to_carry_it_the_glass_says_so_until_something_does(air: Air) -> None:
    air.cut(HERE)
    await break_glass(air[HERE])
    view = await air[HERE].until(unheard)
    assert active(view)
    assert view.panels["breakglass"]["unheard"] == words.UNHEARD
    mark = len(air[HERE].board.views)
    air.heal(HERE)
    async with asyncio.timeout(DEADLINE_S):
        while not air.emergencies:
            air.clock.advance(AGAIN_NS / 1e9)
            await asyncio.sleep(0)
    await air[HERE].until(lambda view: active(view) and not unheard(view), mark)
    await air[HERS].until(lambda view: bool(alerts(view)))


async def test_it_is_said_again_until_the_gateway_has_it_and_no_longer(air: Air) -> None:
    await break_glass(air[HERE])
    await air.rest()
    told: list[bytes] = []
    air[HERE].told = told
    before = len(air.emergencies)
    async with asyncio.timeout(DEADLINE_S):
        while not told:
            air.clock.advance(AGAIN_NS / 1e9)
            await asyncio.sleep(0)
    known = len(air.emergencies)
    assert known > before
    for _ in range(20):
        air.clock.advance(AGAIN_NS / 1e9)
        await air.rest()
    assert len(air.emergencies) == known
    assert {message for _, message in air.emergencies} == set(told)


async def test_another_terminal_writes_down_what_it_heard(air: Air) -> None:
    """Power goes at the first before anything there has taken it: the site knows all the same."""
    (air[HERE].journal_path.parent / "journal.reserve").unlink()
    await without_journal(air[HERE])
    await break_glass(air[HERE])
    await air.rest()
    (name, message), *_ = air.emergencies
    envelope = Envelope.from_bytes(message)
    told = Emergency.from_bytes(decode_base64(envelope.payload))
    assert (name, told.opened.kept) == (HERE, Kept.LATER)
    (event,) = await heard(air[HERS])
    assert (event.terminal, event.session) == (HERE, told.opened.session)
    assert (event.subject, event.kept) == (envelope.digest, Kept.LATER)
    assert (event.holder, event.reason) == (None, "RESUS")
    await air.restart(HERE)
    assert await opened(air[HERE]) == [], "it was in memory alone"


async def test_they_have_heard_before_anybody_works_in_what_nothing_has_taken(air: Air) -> None:
    (air[HERE].journal_path.parent / "journal.reserve").unlink()
    await without_journal(air[HERE])
    said_by_then: list[bool] = []
    say = air[HERE].emergency_air
    assert say is not None

    async def watched(message: bytes) -> bool:
        said_by_then.append(active(air[HERE].board.view))
        return await say(message)

    air[HERE].emergency_air = watched
    await break_glass(air[HERE])
    assert said_by_then[0] is False


async def test_who_starts_later_hears_it_too(air: Air) -> None:
    air.cut(HERS)
    await break_glass(air[HERE])
    await air.rest()
    assert alerts(air[HERS].board.view) == []
    air.heal(HERS)
    async with asyncio.timeout(DEADLINE_S):
        while not alerts(air[HERS].board.view):
            air.clock.advance(AGAIN_NS / 1e9)
            await air.rest()


# --- what a terminal may not say -----------------------------------------------------------


@pytest.mark.parametrize("by", [TerminalId("resus-9"), TerminalId(HERE)])
async def test_on_its_own_topic_a_terminal_speaks_for_itself_alone(
    air: Air, by: TerminalId
) -> None:
    """Another's word, said again as its own: nothing, and an alarm."""
    message = said(air[HERS], signer=rights.batch_key_of(PEER)).data
    air[HERE].post(EmergencyHeard(message, by))
    await air.rest()
    assert AlarmCode.PEER_REFUSED in air[HERE].alarms
    assert await heard(air[HERE]) == []


async def test_whoever_says_too_much_fills_nobodys_journal(air: Air) -> None:
    for number in range(WRITTEN_MAX + 20):
        air[HERS].post(from_here(air, session=f"{number:032x}"))
    await air.rest()
    assert len(await heard(air[HERS])) == WRITTEN_MAX
    assert AlarmCode.PEER_REFUSED in air[HERS].alarms


async def test_hours_apart_after_a_power_cut_it_is_heard_all_the_same(air: Air) -> None:
    """A terminal that lost its clock begins at the newest time that it had verified."""
    item = from_here(air, age_ms=9 * 3600 * 1000)
    air[HERS].post(EmergencyHeard(item.data))  # the gateway would not say so late
    await air.rest()
    assert alerts(air[HERS].board.view) == []
    air[HERS].post(item)
    view = await air[HERS].until(lambda view: bool(alerts(view)))
    assert alerts(view)[0]["age_s"] == 0
