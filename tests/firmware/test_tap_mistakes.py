"""What a hurried hand does with a card, and what comes of it: the rows of `mistakes`."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contract.directory import Entitlement, Status
from contract.events import Reason
from firmware_py.glass import words
from firmware_py.glass.view import Screen
from hardware.virtual.sample import personalised
from tests.firmware.bench import Bench, staff
from tests.firmware.cards import OTHER_PLATE, PLATE
from tests.firmware.mistakes import MISTAKES, Mistake

ROOT = Path(__file__).resolve().parents[2]
AMAL, BEA, CARA = personalised(), personalised(), personalised()


def amal(**changes: Any) -> Entitlement:  # noqa: ANN401 - by field
    return staff("amal", "AM", AMAL, **changes)


def bea(**changes: Any) -> Entitlement:  # noqa: ANN401 - by field
    return staff("bea", "BE", BEA, **changes)


@pytest_asyncio.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Bench]:
    """Amal's work is on the glass, and Bea has proved her PIN too; Cara has not."""
    for card in (AMAL, BEA, CARA):
        card.pin.left = 3
    async with Bench(tmp_path / "state") as bench:
        await bench.open_day(amal(), bea(), staff("cara", "CA", CARA))
        await bench.sign_on(BEA)
        await bench.sign_on(AMAL)
        bench.clock.advance(10)
        yield bench


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.what)
def test_each_mistake_has_its_test(mistake: Mistake) -> None:
    path, name = mistake.test.split("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    names = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert name in names


@pytest.mark.parametrize(("idle", "screen"), [(121, Screen.DIMMED), (281, Screen.WARNING)])
async def test_ones_own_card_wakes_a_dimmed_or_warning_screen(
    ward: Bench, idle: int, screen: Screen
) -> None:
    await ward.until(lambda v: v.screen is screen, ward.pass_time(idle))
    woken = await ward.tap(AMAL)
    assert woken.person is not None
    assert (await ward.outcomes())[-1] == ("woken", Reason.GRANTED)
    assert (await ward.changes())[-1] == ("amal", "opened", "tap"), "nothing was ended for it"


async def test_ones_own_card_on_an_active_screen_parks_with_a_way_back(ward: Bench) -> None:
    left = await ward.tap(AMAL, Screen.LOCKED)
    assert (left.words, left.person) == (words.PARKED, None)
    assert ("AM", "Nurse") in [(line.initials, line.role) for line in left.parked]
    faded = await ward.until(lambda v: v.words == words.TAP, ward.pass_time(31))
    assert faded.screen is Screen.LOCKED


async def test_tapped_out_by_mistake_one_tap_brings_the_same_work_back(ward: Bench) -> None:
    session = ward.workspace.shown
    await ward.tap(AMAL, Screen.LOCKED)
    await ward.tap(AMAL)
    assert ward.workspace.shown == session
    assert (await ward.outcomes())[-1] == ("resumed", Reason.GRANTED)


async def test_two_cards_at_once_end_with_one_person_on_the_glass(ward: Bench) -> None:
    await ward.tap(AMAL, Screen.LOCKED)
    ward.clock.advance(10)
    mark = len(ward.board.views)
    ward.readers.put(PLATE, AMAL)
    ward.readers.put(OTHER_PLATE, BEA)
    await ward.until(lambda v: v.screen is Screen.OPEN, mark)
    await ward.rest()
    changed = await ward.changes()
    last = ward.board.view.person
    assert last is not None
    (shown,) = {who for who, change, _ in changed[-1:] if change == "resumed"}
    assert last.initials == {"amal": "AM", "bea": "BE"}[shown]
    opened = [who for who, change, _ in changed if change in ("opened", "resumed")]
    parked = [who for who, change, _ in changed if change == "parked"]
    assert len(opened) - len(parked) == 1, "one person's work is on the glass, no more"


async def test_a_refused_card_leaves_whoever_is_there(ward: Bench) -> None:
    await ward.publish(bea(status=Status.SUSPENDED))
    session = ward.workspace.shown
    refused = await ward.tap(BEA, Screen.REFUSED)
    assert refused.person is not None
    assert (refused.person.initials, refused.covered) == ("AM", False)
    assert (ward.workspace.shown, refused.reference is not None) == (session, True)
    assert (await ward.outcomes())[-1] == ("refused", Reason.SUSPENDED)


async def test_an_abandoned_pad_ends_locked_and_the_work_is_kept(ward: Bench) -> None:
    session, mark = ward.workspace.shown, len(ward.board.views)
    ward.readers.put(PLATE, CARA)
    asked = await ward.until(lambda v: v.words == words.SLOT_ONCE, mark)
    ward.readers.take(PLATE)
    assert (asked.person, asked.covered) == (None, True)
    assert ("amal", "parked", "tap-over") in await ward.changes()
    await ward.until(lambda v: v.screen is Screen.LOCKED, ward.pass_time(46))
    await ward.tap(AMAL)
    assert ward.workspace.shown == session


async def test_a_mute_thing_leaves_whoever_is_there(ward: Bench) -> None:
    session, mark = ward.workspace.shown, len(ward.board.views)
    ward.clock.advance(5)
    ward.readers.put_mute(OTHER_PLATE)
    refused = await ward.until(lambda v: v.screen is Screen.REFUSED, mark)
    assert refused.person is not None
    assert ward.workspace.shown == session


def takes_input(ward: Bench) -> bool:
    return ward.workspace.shown is not None


async def test_while_a_card_is_read_no_character_reaches_the_work_beneath(ward: Bench) -> None:
    """Also where the card turns out to be nothing: what was typed meanwhile is discarded."""
    ticket, mark = ward.workspace.ticket, len(ward.board.views)
    assert takes_input(ward)
    ward.readers.put(OTHER_PLATE, personalised())
    await ward.until(lambda v: v.screen is Screen.CHECKING, mark)
    assert not takes_input(ward)
    assert not ward.workspace.type(ticket, "for nobody")
    await ward.until(lambda v: v.screen is Screen.REFUSED, mark)
    ward.readers.take(OTHER_PLATE)
    assert takes_input(ward)
    assert ward.workspace.notes == ""
    assert ward.workspace.ticket != ticket
    assert not ward.workspace.type(ticket, "too late, under what was shown before")
