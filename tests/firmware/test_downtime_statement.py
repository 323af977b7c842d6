"""Downtime by a statement of the site, brought to a terminal by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contract.events import AlarmCode
from contract.ids import SiteId, WardId
from firmware_py.emergency.commands import DowntimeOver
from tests.firmware import rights
from tests.firmware.bench import Bench
from tests.firmware.downtime_ward import (
    AMAL,
    ELENA,
    HOURS_S,
    bring,
    card_and_pin,
    cut_off,
    declared,
    ended,
    state,
    statement,
)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Bench(tmp_path / "state") as bench:
        yield bench


@pytest_asyncio.fixture
async def ward(bench: Bench) -> Bench:
    """Past the offline limit. Amal works on the ward; Elena and Ffion are in charge of it."""
    await cut_off(bench)
    return bench


async def test_a_statement_of_the_site_declares_it_too(ward: Bench) -> None:
    envelope = statement(ward)
    bring(ward, envelope)
    await ward.until(state("on"))
    (event,) = await declared(ward)
    assert (event.statement, event.by, event.terms) == (envelope.digest, (), None)
    assert HOURS_S - 5 <= event.limit_s <= HOURS_S
    opened = await ward.sign_on(AMAL)
    assert opened.person is not None


@pytest.mark.parametrize(
    "lie",
    [
        {"signer": rights.signer("somebody")},
        {"site": SiteId("elsewhere")},
        {"ward": WardId("icu")},
        {"begins_ms": 2**41, "until_ms": 2**41 + 1000},
        {"begins_ms": 1000, "until_ms": 2000},
    ],
)
async def test_another_sites_wards_or_times_statement_declares_nothing(
    ward: Bench, lie: dict[str, Any]
) -> None:
    bring(ward, statement(ward, **lie))
    for _ in range(3):
        ward.clock.advance(1)
        await ward.rest()
    assert await declared(ward) == []
    assert ward.alarms.count(AlarmCode.STATEMENT_REFUSED) <= 1


async def test_a_statement_that_was_ended_here_begins_nothing_again(ward: Bench) -> None:
    bring(ward, statement(ward))
    await ward.until(state("on"))
    ward.do(DowntimeOver())
    await card_and_pin(ward, ELENA)
    for _ in range(3):
        ward.clock.advance(1)
        await ward.rest()
    assert len(await declared(ward)) == 1
    assert await ended(ward) == ["declared"]


async def test_what_was_ended_stays_ended_over_a_restart_and_a_power_cut(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with Bench(folder) as first:
        await cut_off(first)
        until_ms = first.custody.freshness().now_ms + 12 * HOURS_S * 1000 - 1000
        bring(first, statement(first, until_ms=until_ms))
        await first.until(state("on"))
        first.do(DowntimeOver())
        await card_and_pin(first, ELENA)
        await first.until(state("offered"), len(first.board.views) - 1)
        clock = first.clock
    for reboots in (False, True):
        if reboots:
            clock.reboot()
        async with Bench(folder, clock=clock) as again:
            if reboots:
                again.clock.advance(4 * HOURS_S + 60)  # past the limit of a start without the site
            await again.until(state("offered"))
            for _ in range(3):
                again.clock.advance(1)
                await again.rest()
            assert len(await declared(again)) == 1
            assert again.terminal.signon.downtime is None


async def test_a_newer_statement_begins_it_anew(ward: Bench) -> None:
    bring(ward, statement(ward))
    await ward.until(state("on"))
    ward.do(DowntimeOver())
    await card_and_pin(ward, ELENA)
    await ward.rest()
    now_ms = ward.custody.freshness().now_ms
    bring(ward, statement(ward, begins_ms=now_ms + 1, nonce="0f" * 32))
    mark = ward.pass_time(2)
    await ward.until(state("on"), mark)
    assert len(await declared(ward)) == 2
