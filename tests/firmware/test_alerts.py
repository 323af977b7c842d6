"""Break-glass is shown at once to the nurse in charge, at her own screen, and to nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contract.directory import TerminalState
from contract.emergency import SHOWN_MS, BreakGlassOpened, Emergency, Kept
from contract.events import AlarmCode
from contract.ids import PositionId, SessionId, SiteId, TerminalId, WardId
from contract.policy import BreakGlassState
from contract.signing import SoftwareSigner
from firmware_py.emergency.alerts import MOST_SHOWN
from firmware_py.glass.view import Screen, View
from firmware_py.site.link import EmergencyHeard
from hardware.virtual.sample import personalised
from tests.firmware import rights
from tests.firmware.bench import Bench, staff
from tests.firmware.emergency_ward import STRANGER, glass, take

PEER = TerminalId("resus-2")
AMAL, ELENA = personalised(), personalised()


@pytest_asyncio.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Bench]:
    """Another terminal of the ward; Elena leads it, and is signed on here. So was Amal."""
    async with Bench(tmp_path / "state") as bench:
        lead = (rights.position("resus-lead", "R8001L"),)
        await bench.open_day(
            staff("amal", "AM", AMAL),
            staff("elena", "EL", ELENA, positions=lead),
            break_glass=glass(),
            idle_dim_s=900,
            idle_lock_s=1800,
        )
        await bench.publish(rights.terminal(name=PEER))
        await bench.sign_on(AMAL)
        await bench.sign_on(ELENA)
        yield bench


def said(
    bench: Bench,
    *,
    signer: SoftwareSigner | None = None,
    age_ms: int = 0,
    session: str = "5e" * 16,
    **changes: Any,  # noqa: ANN401 - fields of an emergency
) -> EmergencyHeard:
    opened = BreakGlassOpened(
        session=SessionId(session),
        position=PositionId("emergency"),
        reason="RESUS",
        state=BreakGlassState.DIRECTORY_STALE,
        read_only=False,
        holder=staff("amal", "AM", AMAL).holder,
        guid=staff("amal", "AM", AMAL).guid,
        record=3,
        proof=None,
        begins_ms=bench.custody.freshness().now_ms - age_ms,
        limit_s=600,
        kept=Kept.JOURNAL,
    )
    fields: dict[str, Any] = {"site": rights.SITE, "terminal": PEER, "ward": rights.WARD}
    statement = Emergency(**{**fields, "opened": opened, **changes})
    return EmergencyHeard(statement.seal(signer or rights.batch_key_of(PEER)).to_bytes())


def alerts(view: View) -> list[dict[str, object]]:
    shown: Any = view.panels.get("alerts", {})
    return list(shown.get("list", []))


async def test_the_lead_sees_which_screen_whose_initials_and_why(ward: Bench) -> None:
    ward.post(said(ward, age_ms=25_000))
    view = await ward.until(lambda view: bool(alerts(view)))
    assert alerts(view) == [
        {"terminal": "resus-2", "initials": "AM", "reason": "Resuscitation", "age_s": 20}
    ]


async def test_nobody_else_sees_it_and_no_locked_screen(ward: Bench) -> None:
    ward.post(said(ward))
    await ward.until(lambda view: bool(alerts(view)))
    mark = len(ward.board.views)
    opened = await ward.tap(AMAL)
    assert all(not alerts(view) for view in [*ward.since(mark)[1:], opened])
    mark = len(ward.board.views)
    await ward.tap(ELENA)
    await ward.until(lambda view: bool(alerts(view)), mark)


async def test_heard_again_it_is_one(ward: Bench) -> None:
    for _ in range(3):
        ward.post(said(ward))
    await ward.rest()
    assert len(alerts(ward.board.view)) == 1


@pytest.mark.parametrize(
    "lie",
    [
        {"signer": rights.signer("somebody")},
        {"site": SiteId("elsewhere")},
    ],
)
async def test_what_the_terminal_did_not_sign_is_an_alarm_and_shows_nothing(
    ward: Bench, lie: dict[str, Any]
) -> None:
    ward.post(said(ward, **lie))
    await ward.rest()
    assert alerts(ward.board.view) == []
    assert AlarmCode.PEER_REFUSED in ward.alarms


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff" * 100, b"x" * 100_000])
async def test_bytes_that_are_none_are_an_alarm(ward: Bench, data: bytes) -> None:
    ward.post(EmergencyHeard(data))
    await ward.rest()
    assert alerts(ward.board.view) == []
    assert AlarmCode.PEER_REFUSED in ward.alarms


@pytest.mark.parametrize(
    "changes",
    [
        {"ward": WardId("icu")},
        {"terminal": TerminalId("resus-9"), "signer": rights.signer("batch-resus-9")},
        {"age_ms": SHOWN_MS},
        {"age_ms": -10 * 60_000},
    ],
)
async def test_of_another_ward_an_unknown_terminal_or_another_time_it_is_not_shown(
    ward: Bench, changes: dict[str, Any]
) -> None:
    ward.post(said(ward, **changes))
    await ward.rest()
    assert alerts(ward.board.view) == []


async def test_a_terminal_that_was_retired_tells_nothing(ward: Bench) -> None:
    await ward.publish(rights.terminal(TerminalState.RETIRED, PEER))
    ward.post(said(ward))
    await ward.rest()
    assert alerts(ward.board.view) == []


async def test_a_storm_of_them_is_bounded_and_the_newest_are_shown(ward: Bench) -> None:
    for number in range(MOST_SHOWN + 5):
        ward.post(said(ward, session=f"{number:032x}"))
    await ward.rest()
    assert len(alerts(ward.board.view)) == MOST_SHOWN


async def test_a_terminal_that_says_it_all_the_time_hides_no_others(ward: Bench) -> None:
    liar = TerminalId("resus-3")
    await ward.publish(rights.terminal(name=liar))
    ward.post(said(ward))
    lies: dict[str, Any] = {"terminal": liar, "signer": rights.batch_key_of(liar)}
    ward.post(said(ward, **lies))  # of the same session's name: another one all the same
    for number in range(MOST_SHOWN + 5):
        ward.post(said(ward, session=f"{number:032x}", **lies))
    await ward.rest()
    assert [one["terminal"] for one in alerts(ward.board.view)].count("resus-2") == 1


async def test_after_some_hours_it_is_for_the_handover_and_shown_no_more(ward: Bench) -> None:
    ward.post(said(ward, age_ms=SHOWN_MS - 60_000))
    await ward.until(lambda view: bool(alerts(view)))
    mark = len(ward.board.views)
    ward.clock.advance(61)
    await ward.until(lambda view: not alerts(view), mark)


async def test_what_was_opened_here_is_shown_here_too_once_she_signs_on(ward: Bench) -> None:
    await ward.tap(STRANGER, Screen.OFFER)
    await take(ward)
    mark = len(ward.board.views)
    await ward.tap(ELENA)
    back = await ward.until(lambda view: bool(alerts(view)), mark)
    assert [(one["terminal"], one["initials"]) for one in alerts(back)] == [("resus-1", "?")]
