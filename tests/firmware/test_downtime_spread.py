"""Downtime is a state of the ward: declared at one screen, it is on at those that hear of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from contract.events import SessionChanged
from contract.ids import TerminalId
from firmware_py.emergency.commands import DowntimeOver
from firmware_py.emergency.downtime import SAID
from firmware_py.glass.view import Screen
from firmware_py.site.link import DowntimeSaid
from firmware_py.trust.heard import DirectoryHeard
from tests.firmware import rights
from tests.firmware.air import Air
from tests.firmware.downtime_air import (
    AGAIN_S,
    HERE,
    THERE,
    day,
    heard,
    is_on,
    kept,
    passes,
    silence,
)
from tests.firmware.downtime_ward import (
    AMAL,
    DOWNTIME,
    ELENA,
    FFION,
    HOURS_S,
    bring,
    card_and_pin,
    declare,
    declared,
    ended,
    state,
    statement,
)


@pytest_asyncio.fixture
async def air(tmp_path: Path) -> AsyncIterator[Air]:
    async with Air(tmp_path, HERE, THERE) as air:
        await day(air)
        await silence(air)
        yield air


async def declare_here(air: Air) -> None:
    await declare(air[HERE], ELENA, FFION)
    await air.rest()


async def end_at(air: Air, name: str) -> None:
    mark = len(air[name].board.views)
    air[name].do(DowntimeOver())
    await air[name].until(state("declaring", "card"), mark)
    await card_and_pin(air[name], ELENA)
    await air.rest()


async def test_what_two_people_declare_at_one_screen_is_on_at_the_next(air: Air) -> None:
    await declare_here(air)
    panels = [air[name].board.view.panels["downtime"] for name in (HERE, THERE)]
    assert [one["state"] for one in panels] == ["on", "on"]
    assert panels[0] == panels[1]  # by whom, and for how long
    (event,) = await heard(air[THERE])
    assert (event.terminal, [one.holder for one in event.by]) == (HERE, ["elena", "ffion"])
    opened = await air[THERE].sign_on(AMAL)
    assert opened.person is not None
    changed = [e.detail for e in await air[THERE].events() if isinstance(e.detail, SessionChanged)]
    assert (changed[-1].holder, changed[-1].ground) == ("amal", "downtime")


async def test_both_end_at_the_same_time_however_long_it_took_to_declare(air: Air) -> None:
    await declare(air[HERE], ELENA)
    await passes(air, 90)
    await card_and_pin(air[HERE], FFION)
    await air.rest()
    (event,) = await declared(air[HERE])
    (there,) = await heard(air[THERE])
    assert event.limit_s == there.limit_s == 2 * HOURS_S - 90
    await passes(air, 2 * HOURS_S - 95)
    assert is_on(air[HERE])
    assert is_on(air[THERE])
    await passes(air, 10)
    assert not is_on(air[HERE])
    assert not is_on(air[THERE])


async def test_a_screen_that_comes_to_the_broker_later_hears_it_too(air: Air) -> None:
    air.cut(THERE)
    await declare_here(air)
    assert not is_on(air[THERE])
    air.up.add(TerminalId(THERE))
    await passes(air, AGAIN_S)
    assert is_on(air[THERE])


async def test_it_is_said_again_after_a_restart_of_the_daemon(air: Air) -> None:
    air.cut(THERE)
    await declare_here(air)
    await kept(air[HERE])
    await air.restart(HERE, site=False)
    air.up.add(TerminalId(THERE))
    await passes(air, AGAIN_S)
    assert is_on(air[HERE])
    assert is_on(air[THERE])
    await air.restart(THERE, site=False)
    await air.rest()
    assert is_on(air[THERE])
    assert len(await heard(air[THERE])) == 1


async def test_what_it_can_say_no_more_it_tells_its_log(
    air: Air, caplog: pytest.LogCaptureFixture
) -> None:
    await declare_here(air)
    await kept(air[HERE])
    (air[HERE].journal_path.parent / SAID).write_bytes(b"{")
    await air.restart(HERE, site=False)
    await passes(air, AGAIN_S)
    assert is_on(air[HERE]), "the journal has it"
    assert "what was said of downtime is not known" in caplog.messages


async def test_a_daemon_that_was_started_in_the_outage_is_believed_too(tmp_path: Path) -> None:
    """By the heartbeat that its journal holds since the last tap."""
    async with Air(tmp_path, HERE, THERE) as air:
        await day(air)
        await air[HERE].sign_on(AMAL)
        await air.later(600)
        air.clock.advance(5 * HOURS_S)
        await air.restart(HERE, site=False)
        await declare_here(air)
        assert is_on(air[THERE])


@pytest.mark.parametrize("where", [HERE, THERE])
async def test_ended_at_one_screen_it_is_over_at_all_that_hear(air: Air, where: str) -> None:
    await declare_here(air)
    await air[THERE].sign_on(AMAL)
    other = THERE if where == HERE else HERE
    await passes(air, 60)
    await end_at(air, where)
    assert not is_on(air[HERE])
    assert not is_on(air[THERE])
    assert await ended(air[where]) == ["declared"]
    assert await ended(air[other]) == ["elsewhere"]
    assert air[THERE].workspace.shown is None


@pytest.mark.parametrize("restarted", [HERE, THERE])
async def test_what_was_ended_stays_ended_whoever_starts_anew(air: Air, restarted: str) -> None:
    await declare_here(air)
    said = air[HERE].downtime_said[0]
    await end_at(air, THERE)
    await kept(air[THERE])
    await air.restart(restarted, site=False)
    await passes(air, AGAIN_S)
    air[THERE].post(DowntimeSaid(TerminalId(HERE), said))
    await air.rest()
    assert not is_on(air[HERE])
    assert not is_on(air[THERE])


async def test_a_screen_that_missed_the_end_hears_it_later(air: Air) -> None:
    await declare_here(air)
    air.cut(HERE)
    await end_at(air, THERE)
    assert is_on(air[HERE])
    await kept(air[THERE])
    await air.restart(THERE, site=False)  # what it has to say outlasts that
    air.up.add(TerminalId(HERE))
    await passes(air, AGAIN_S)
    assert not is_on(air[HERE])
    assert await ended(air[HERE]) == ["elsewhere"]


async def test_once_over_it_can_be_declared_anew_at_any_screen(air: Air) -> None:
    await declare_here(air)
    await end_at(air, THERE)
    await declare(air[THERE], FFION, ELENA)
    await air.rest()
    assert is_on(air[HERE])
    assert is_on(air[THERE])


async def test_renewed_at_either_screen_it_goes_on_at_both(air: Air) -> None:
    await declare_here(air)
    await passes(air, HOURS_S)
    await declare(air[THERE], FFION, ELENA)
    await air.rest()
    await passes(air, 1.5 * HOURS_S)
    assert is_on(air[HERE])
    assert is_on(air[THERE])
    assert len(await heard(air[HERE])) == 1


async def test_within_its_own_limit_a_screen_goes_on_as_always_and_joins_when_that_is_past(
    tmp_path: Path,
) -> None:
    async with Air(tmp_path, HERE, THERE) as air:
        await day(air)
        air.clock.advance(2 * HOURS_S)
        air.confirm(THERE)  # the other one has heard nothing since
        await silence(air, HERE, hours=3)
        await declare_here(air)
        await passes(air, AGAIN_S)
        assert not is_on(air[THERE])
        assert await heard(air[THERE]) == []
        await passes(air, 1.5 * HOURS_S)
        assert is_on(air[THERE])


async def test_it_is_over_at_each_screen_when_that_hears_the_site(air: Air) -> None:
    await declare_here(air)
    air.confirm(THERE)
    await passes(air, AGAIN_S)
    assert is_on(air[HERE])
    assert not is_on(air[THERE])
    assert await ended(air[THERE]) == ["gateway"]
    air.confirm(HERE)
    await passes(air, AGAIN_S)
    before = len(air[HERE].downtime_said)
    await passes(air, 3 * AGAIN_S)
    assert len(air[HERE].downtime_said) == before


async def test_ended_while_it_is_renewed_elsewhere_it_is_over(air: Air) -> None:
    await declare_here(air)
    await passes(air, 60)
    await declare(air[THERE], FFION)
    await passes(air, 5)
    await end_at(air, HERE)
    await card_and_pin(air[THERE], ELENA)
    await air.rest()
    assert not is_on(air[HERE])
    assert not is_on(air[THERE])
    assert await declared(air[THERE]) == []


async def test_how_much_of_it_counts_is_the_policys_that_is_held_there(tmp_path: Path) -> None:
    """What is said is the cards' word; which rights are off, and until when, is the site's."""
    nurses_off = DOWNTIME.model_copy(update={"off": ("R8001",), "renew_s": HOURS_S})
    async with Air(tmp_path, HERE, THERE) as air:
        await day(air)
        newer = rights.policy(downtime=nurses_off, idle_dim_s=900, idle_lock_s=1800)
        air[THERE].post(DirectoryHeard(air.site.change(newer)))
        await air.rest()
        await silence(air)
        await declare_here(air)
        await air[HERE].sign_on(AMAL)
        await air[THERE].tap(AMAL, Screen.REFUSED)
        assert (await air[THERE].outcomes())[-1] == ("refused", "role-not-allowed")
        await passes(air, HOURS_S + 1)
        assert is_on(air[HERE])
        assert not is_on(air[THERE])


async def test_nobody_is_shown_a_sentence_in_the_middle_of_something(air: Air) -> None:
    """It begins quietly where nobody has touched the screen."""
    before = air[THERE].board.view.screen
    await declare_here(air)
    assert air[THERE].board.view.screen is before is Screen.LOCKED


async def test_ended_elsewhere_a_statement_is_over_too(air: Air) -> None:
    bring(air[HERE], statement(air[HERE]))
    await air[HERE].until(state("on"))
    await passes(air, 60)
    await declare(air[THERE], FFION, ELENA)
    await end_at(air, THERE)
    await passes(air, AGAIN_S)
    assert not is_on(air[HERE])
    assert (await ended(air[HERE]))[-1] == "elsewhere"
    await air.restart(HERE, site=False)
    await passes(air, AGAIN_S)
    assert not is_on(air[HERE])


async def test_a_screen_whose_clock_nobody_has_confirmed_is_declared_for_itself(air: Air) -> None:
    """It could not tell a declaration of yesterday's; that it is over, it hears."""
    for name in (HERE, THERE):
        await air[name].__aexit__()
    air.clock.reboot()
    for name in (HERE, THERE):
        await air.start(name)
    await silence(air)
    await declare_here(air)
    await passes(air, AGAIN_S)
    assert is_on(air[HERE])
    assert not is_on(air[THERE])
    await declare(air[THERE], FFION, ELENA)
    await passes(air, 60)
    await end_at(air, HERE)
    assert not is_on(air[HERE])
    assert not is_on(air[THERE])
