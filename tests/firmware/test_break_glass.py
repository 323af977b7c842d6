"""Break-glass at a screen: from where it is offered, in whose name, and how long it lasts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contract.bedside import SessionKind
from contract.directory import Status
from contract.emergency import Kept
from contract.events import AlarmCode, SessionChanged
from contract.policy import BreakGlass as BreakGlassPolicy
from contract.policy import BreakGlassState
from firmware_py.emergency import words
from firmware_py.emergency.commands import BreakGlass
from firmware_py.glass.commands import Cancelled, LockPressed, PinEntered
from firmware_py.glass.view import NAMELESS, Screen
from firmware_py.sessions.values import UNIDENTIFIED
from hardware.piv import Pin
from hardware.virtual.sample import personalised
from tests.firmware import rights
from tests.firmware.bench import Bench, staff
from tests.firmware.cards import PLATE, SLOT
from tests.firmware.emergency_ward import (
    AMAL,
    HOURS_S,
    RESUS,
    STRANGER,
    active,
    amal,
    bea,
    glass,
    offered,
    opened,
    take,
    waits,
)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Bench(tmp_path / "state") as bench:
        yield bench


@pytest_asyncio.fixture
async def ward(bench: Bench) -> Bench:
    """Amal and Bea have cards; the ward has break-glass from every state, here too without one."""
    await bench.open_day(amal(), bea(), break_glass=glass(without_card=(rights.TERMINAL,)))
    return bench


async def kinds(bench: Bench, newest: int) -> list[str]:
    return [event.detail.kind for event in (await bench.events())[-newest:]]


# --- from where it is offered ------------------------------------------------------------


async def test_rights_too_old_to_judge_open_the_emergency_position_in_her_own_name(
    ward: Bench,
) -> None:
    ward.clock.advance(5 * HOURS_S)
    turned = await ward.tap(AMAL, Screen.OFFER)
    assert offered(await ward.until(offered))
    assert turned.person is None

    view = await take(ward)

    assert view.person is not None
    assert (view.person.name, view.person.role) == ("Amal", words.ROLE)
    panel = view.panels["breakglass"]
    assert panel["active"] == {"left_s": 600, "reason": "Resuscitation"}
    assert (panel["unidentified"], panel["unrecorded"], panel["offered"]) == (False, False, False)
    (event,) = await opened(ward)
    assert (event.holder, event.state, event.kept) == (
        "amal",
        BreakGlassState.DIRECTORY_STALE,
        Kept.JOURNAL,
    )
    assert await kinds(ward, 3) == ["break-glass.opened", "card.outcome", "session.changed"]
    assert (await ward.outcomes())[-1] == ("opened", "break-glass")
    assert (await ward.changes())[-1] == ("amal", "opened", "break-glass")


async def test_the_wards_fixed_position_is_opened_and_never_the_cards_rights(ward: Bench) -> None:
    ward.clock.advance(5 * HOURS_S)
    await ward.tap(AMAL, Screen.OFFER)
    await take(ward)
    changed = [e.detail for e in await ward.events() if isinstance(e.detail, SessionChanged)][-1]
    assert (changed.position, changed.ground) == ("emergency", "break-glass")
    assert "emergency" not in {position.id for position in amal().positions}


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"not_after_ms": rights.NOW_MS}, BreakGlassState.EXPIRED),
        ({"status": Status.SUSPENDED}, BreakGlassState.SUSPENDED),
        ({"positions": ()}, BreakGlassState.ROLE_NOT_ALLOWED),
    ],
)
async def test_a_card_that_opens_nothing_may_still_break_the_glass_where_the_ward_says_so(
    ward: Bench, changes: dict[str, Any], state: BreakGlassState
) -> None:
    await ward.publish(amal(**changes))
    await ward.tap(AMAL, Screen.OFFER)
    await take(ward)
    (event,) = await opened(ward)
    assert (event.holder, event.state) == ("amal", state)


async def test_beside_a_pin_pad_it_is_offered_and_needs_no_pin(ward: Bench) -> None:
    mark = len(ward.board.views)
    ward.readers.put(PLATE, AMAL)
    await ward.until(offered, mark)
    view = await take(ward)
    assert view.person is not None
    assert view.person.name == "Amal"
    assert (await opened(ward))[0].state is BreakGlassState.PIN_OWED
    ward.readers.take(PLATE)


async def test_after_a_blocked_pin_it_is_offered(ward: Bench) -> None:
    forgetful = personalised()
    await ward.publish(staff("dafydd", "DR", forgetful))
    ward.readers.put(SLOT, forgetful)
    await ward.until(lambda view: view.screen is Screen.PIN)
    for tried in range(1, 4):
        mark = len(ward.board.views)
        ward.do(PinEntered(Pin("000000")))
        await ward.until(lambda view: view.screen in (Screen.PIN, Screen.REFUSED), mark + 1)
        if tried == 2:  # told that one try is left
            await ward.until(lambda view: bool(view.pin and view.pin.attempts == 1))
    await ward.until(lambda view: view.screen is Screen.REFUSED)
    view = await take(ward)
    assert view.person is not None
    assert view.person.name == "Dafydd"
    ward.readers.take(SLOT)


async def test_where_the_ward_does_not_name_the_state_nothing_is_offered(bench: Bench) -> None:
    await bench.open_day(amal(), break_glass=glass(states=(BreakGlassState.DIRECTORY_STALE,)))
    mark = len(bench.board.views)
    await bench.tap(AMAL, Screen.PIN, Screen.NOTICE)
    bench.do(RESUS)
    await bench.rest()
    assert not any(offered(view) for view in bench.since(mark))
    assert await opened(bench) == []


async def test_a_reason_that_the_ward_does_not_have_opens_nothing(ward: Bench) -> None:
    ward.clock.advance(5 * HOURS_S)
    await ward.tap(AMAL, Screen.OFFER)
    ward.do(BreakGlass("CURIOUS"))
    await ward.rest()
    assert await opened(ward) == []


async def test_what_was_offered_to_one_is_not_there_for_the_next(ward: Bench) -> None:
    ward.clock.advance(5 * HOURS_S)
    await ward.tap(AMAL, Screen.OFFER)
    ward.do(Cancelled())
    await ward.rest()
    ward.do(RESUS)  # which is here without a card: a colleague is asked for
    await ward.until(waits)
    assert await opened(ward) == []


async def test_an_offer_lasts_as_long_as_a_pad_would(ward: Bench) -> None:
    await ward.publish(rights.policy(break_glass=glass()))
    ward.clock.advance(5 * HOURS_S)
    await ward.tap(AMAL, Screen.OFFER)
    await ward.until(offered)
    ward.clock.advance(46)
    ward.do(RESUS)
    await ward.rest()
    assert await opened(ward) == []


# --- in whose name -----------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.LOST, Status.REVOKED])
async def test_never_in_the_name_of_a_card_that_is_lost_or_revoked(
    bench: Bench, status: Status
) -> None:
    await bench.open_day(amal(status=status), break_glass=glass())
    for hours in (0, 5):
        bench.clock.advance(hours * HOURS_S)
        mark = len(bench.board.views)
        await bench.tap(AMAL, Screen.REFUSED)
        bench.do(RESUS)
        await bench.rest()
        assert not any(offered(view) for view in bench.since(mark))
    assert await opened(bench) == []


async def test_a_card_that_is_lost_between_tap_and_gesture_opens_nothing(ward: Bench) -> None:
    mark = len(ward.board.views)
    ward.readers.put(PLATE, AMAL)
    await ward.until(offered, mark)
    await ward.publish(amal(status=Status.LOST))
    ward.do(RESUS)
    await ward.rest()
    assert await opened(ward) == []
    ward.readers.take(PLATE)


async def test_a_copied_card_opens_nothing(bench: Bench) -> None:
    await bench.open_day(amal(), break_glass=glass())
    bench.clock.advance(5 * HOURS_S)
    await bench.tap(AMAL.clone_with_other_keys(), Screen.REFUSED)
    bench.do(RESUS)
    await bench.rest()
    assert await opened(bench) == []


async def test_an_unknown_card_opens_it_in_nobodys_name_and_with_an_alarm(ward: Bench) -> None:
    await ward.tap(STRANGER, Screen.OFFER)
    view = await take(ward)
    assert view.person is not None
    assert (view.person.name, view.person.initials) == (words.NOT_IDENTIFIED, "?")
    assert view.panels["breakglass"]["unidentified"] is True
    (event,) = await opened(ward)
    assert STRANGER.guid is not None
    assert (event.holder, event.guid) == (None, STRANGER.guid.hex())
    assert (await ward.changes())[-1] == (UNIDENTIFIED, "opened", "break-glass")
    assert AlarmCode.NOT_IDENTIFIED in ward.alarms


async def test_two_whom_nobody_knows_never_get_each_others_work(ward: Bench) -> None:
    await ward.tap(STRANGER, Screen.OFFER)
    await take(ward)
    first = ward.workspace.shown
    await ward.tap(personalised(), Screen.OFFER)
    ward.do(RESUS)
    await ward.until(lambda view: active(view) and ward.workspace.shown != first)
    assert ward.workspace.shown is not None
    assert (UNIDENTIFIED, "closed", "tap-over") in await ward.changes() or (
        UNIDENTIFIED,
        "closed",
    ) in [(holder, change) for holder, change, _ in await ward.changes()]


async def test_her_own_parked_work_is_not_what_the_emergency_opens(ward: Bench) -> None:
    await ward.publish(rights.policy(break_glass=glass(position=amal().positions[0].id)))
    await ward.sign_on(AMAL)
    own = ward.workspace.shown
    ward.clock.advance(10)
    await ward.tap(AMAL, Screen.LOCKED)
    ward.clock.advance(5 * HOURS_S)
    await ward.tap(AMAL, Screen.OFFER)
    await take(ward)
    assert ward.workspace.shown != own


# --- how long ----------------------------------------------------------------------------


async def test_it_ends_at_its_limit_locked_and_closed(ward: Bench) -> None:
    await ward.publish(
        rights.policy(break_glass=glass(limit_s=60), idle_dim_s=900, idle_lock_s=1800)
    )
    ward.clock.advance(5 * HOURS_S)
    await ward.tap(AMAL, Screen.OFFER)
    await take(ward)
    mark = ward.pass_time(61)
    await ward.until(lambda view: view.screen is Screen.LOCKED, mark)
    assert ("amal", "closed", "limit") in await ward.changes()
    assert ward.workspace.shown is None


async def test_the_lock_button_hides_it(ward: Bench) -> None:
    ward.clock.advance(5 * HOURS_S)
    await ward.tap(AMAL, Screen.OFFER)
    await take(ward)
    mark = len(ward.board.views)
    ward.do(LockPressed())
    locked = await ward.until(lambda view: view.screen is Screen.LOCKED, mark)
    assert locked.screen in NAMELESS
    assert ward.workspace.shown is None


# --- what applications are told ----------------------------------------------------------


@pytest.mark.parametrize(("named", "role"), [("R9999", "R9999"), (None, "emergency")])
async def test_applications_are_told_the_wards_role_and_that_it_is_an_emergency(
    ward: Bench, named: str | None, role: str
) -> None:
    await ward.publish(rights.policy(break_glass=glass(role=named)))
    ward.clock.advance(5 * HOURS_S)
    await ward.tap(AMAL, Screen.OFFER)
    await take(ward)
    told = ward.apps.who()
    assert told is not None
    assert (told.holder, told.name, told.initials) == ("amal", "Amal", "AM")
    assert (told.position, told.position_name) == ("emergency", words.ROLE)
    assert (told.role, told.kind) == (role, SessionKind.BREAK_GLASS)


async def test_in_nobodys_name_they_are_told_no_name_and_the_role_all_the_same(
    ward: Bench,
) -> None:
    await ward.publish(rights.policy(break_glass=glass(role="R9999")))
    await ward.tap(STRANGER, Screen.OFFER)
    await take(ward)
    told = ward.apps.who()
    assert told is not None
    assert (told.holder, told.name, told.initials) == (UNIDENTIFIED, "", "")
    assert (told.role, told.kind) == ("R9999", SessionKind.BREAK_GLASS)


def test_a_policy_without_such_a_role_keeps_its_bytes() -> None:
    older = glass().model_dump_json()
    assert '"role"' not in older
    assert BreakGlassPolicy.model_validate_json(older) == glass()
