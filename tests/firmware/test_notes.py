"""The notes on the page: each keeps his own, and no character crosses to the next person."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from firmware_py.glass.commands import LockPressed
from firmware_py.glass.view import Screen, View
from firmware_py.kiosk.commands import CommandRefused, body_cap, read_command
from firmware_py.workspace.commands import Typed
from firmware_py.workspace.screen import NOTES_CAP
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card
from hardware.virtual.faults import Hung
from hardware.virtual.sample import personalised
from tests.firmware.bench import Bench, staff
from tests.firmware.cards import OTHER_PLATE, PLATE

AMAL, BEA = personalised(), personalised()
STRANGER = personalised()


@pytest_asyncio.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Bench]:
    """Amal and Bea have proved their PINs, and Amal's work is on the glass."""
    async with Bench(tmp_path / "state") as bench:
        await bench.open_day(staff("amal", "AM", AMAL), staff("bea", "BE", BEA))
        await bench.sign_on(BEA)
        await bench.sign_on(AMAL)
        yield bench


def notes(view: View) -> tuple[str, str]:
    """Ticket and text of what is on the glass."""
    panel = view.panels["screen"]
    return str(panel["ticket"]), str(panel["text"])


async def type_(bench: Bench, text: str, ticket: str | None = None) -> View:
    """The whole text, as the page sends it; the view that shows it."""
    mark = len(bench.board.views)
    bench.do(Typed(ticket or notes(bench.board.view)[0], text))
    return await bench.until(
        lambda v: "screen" in v.panels and v.panels["screen"]["text"] == text, mark
    )


async def test_what_is_typed_is_kept_and_comes_back(ward: Bench) -> None:
    await type_(ward, "K 3.1, repeat at six")
    theirs = await ward.tap(BEA)
    assert notes(theirs)[1] == ""
    await type_(ward, "bed 4 waits")
    again = await ward.tap(AMAL)
    assert notes(again)[1] == "K 3.1, repeat at six"


async def test_each_show_has_its_own_ticket(ward: Bench) -> None:
    tickets = [notes(ward.board.view)[0]]
    tickets += [notes(await ward.tap(card))[0] for card in (BEA, AMAL, BEA)]
    assert len(set(tickets)) == len(tickets)


async def test_text_under_another_ticket_is_discarded_and_counted(ward: Bench) -> None:
    old, _ = notes(ward.board.view)
    await type_(ward, "mine")
    await ward.tap(BEA)
    for ticket in (old, "", "0" * 32):
        ward.do(Typed(ticket, "still typing"))
    await ward.rest()
    assert ward.workspace.discarded == 3
    assert notes(ward.board.view)[1] == ""
    assert notes(await ward.tap(AMAL))[1] == "mine"


async def test_from_the_moment_of_another_card_nothing_reaches_anybody(ward: Bench) -> None:
    ticket, _ = notes(ward.board.view)
    mark = len(ward.board.views)
    ward.readers.put(PLATE, BEA, Behaviour(faults=(Hung(at=2),)))
    await ward.until(lambda v: v.screen is Screen.CHECKING, mark)
    ward.do(Typed(ticket, "too late"))
    ward.readers.take(PLATE)
    await ward.until(lambda v: v.screen is not Screen.CHECKING, mark + 1)
    await ward.rest()
    assert ward.workspace.discarded == 1
    back = await ward.until(lambda v: not v.covered, len(ward.board.views) - 1)
    assert notes(back)[1] == ""  # a refused card leaves the work where it was


async def test_no_notes_stand_on_a_covered_glass(ward: Bench) -> None:
    await type_(ward, "private")
    mark = len(ward.board.views)
    ward.do(LockPressed())
    await ward.until(lambda v: v.screen is Screen.LOCKED, mark)
    await ward.tap(STRANGER, Screen.REFUSED, reader=OTHER_PLATE)
    await ward.tap(AMAL)
    assert notes(ward.board.view)[1] == "private"
    covered = [view for view in ward.since(mark) if view.covered]
    assert covered
    assert not any("private" in view.to_json(1).decode() for view in covered)


async def test_a_typist_who_never_pauses_reaches_nobody_else(ward: Bench) -> None:
    """What is on the page goes out with every key, as fast as it can, through forty tap-overs."""
    typing = asyncio.create_task(never_pause(ward))
    cards: dict[str, Card] = {"Amal": AMAL, "Bea": BEA}
    for name in ["Bea", "Amal"] * 20:
        mark = len(ward.board.views)
        ward.readers.put(PLATE, cards[name])
        await ward.until(lambda v: v.person is not None and v.person.name == name, mark)  # noqa: B023
        ward.readers.take(PLATE)
    typing.cancel()
    written = [view for view in ward.board.views if "screen" in view.panels]
    assert {notes(view)[1][-1:] for view in written} == {"", "A", "B"}
    for view in written:
        assert view.person is not None
        assert set(notes(view)[1]) <= {view.person.name[0]}
    assert ward.workspace.discarded > 0


async def never_pause(bench: Bench) -> None:
    """Goes on under the ticket it had a moment ago, as a page does that hears of it too late."""
    while True:
        view = bench.board.view
        if "screen" in view.panels and view.person is not None:
            ticket, text = notes(view)
            for _ in range(3):
                bench.do(Typed(ticket, (text + view.person.name[0])[-50:]))
                await asyncio.sleep(0)
        await asyncio.sleep(0)


@pytest.mark.parametrize("text", ["é" * (NOTES_CAP // 2) + "x", "x" * (NOTES_CAP + 1)])
async def test_more_than_notes_can_hold_is_discarded(ward: Bench, text: str) -> None:
    ward.do(Typed(notes(ward.board.view)[0], text))
    await ward.rest()
    assert notes(ward.board.view)[1] == ""
    assert ward.workspace.discarded == 1


def test_the_page_may_send_the_longest_notes_and_nothing_else() -> None:
    body = json.dumps({"ticket": "0" * 32, "text": '"\n' * (NOTES_CAP // 2)}).encode()
    assert len(body) <= body_cap("typed")
    command = read_command("typed", body)
    assert isinstance(command, Typed)
    assert "\n" not in repr(command)
    for wrong in (b"{}", b'{"ticket":1,"text":""}', b'{"ticket":"","text":"","more":1}', b"["):
        with pytest.raises(CommandRefused):
            read_command("typed", wrong)
