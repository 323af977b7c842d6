"""Whoever is refused has a reference to give the helpdesk, and it leads to what was written down.

No refusal can be made without one (`glass.notice`); here each desk's, on the glass and in the log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contract.directory import Status
from contract.events import CardOutcome, OutcomeResult, Reason
from contract.help import HelpAnswer
from contract.helping import HelpReason
from contract.ids import Digest, HolderId
from firmware_py.glass import words
from firmware_py.glass.commands import PinChangeWanted, PinEntered
from firmware_py.glass.notice import REFUSALS, Notice
from firmware_py.glass.view import Screen, View
from firmware_py.help.commands import NewPinWanted, SpareWanted
from firmware_py.help.errand import NOBODY, NOT_GIVEN
from firmware_py.help.kept import MOST_KEPT, Kept
from firmware_py.parts import HelpTools
from firmware_py.pin.words import NOT_HERE
from hardware.piv import Pin
from hardware.virtual.card import Card, padded
from tests.firmware import rights
from tests.firmware.bench import PIN, Bench, staff
from tests.firmware.cards import PLATE, SLOT
from tests.firmware.test_help_screens import AMAL, ELENA, SPARE, amal, at, elena, spare


class Answered(Bench):
    """Its gateway answers a wish for help with this."""

    answer = b""

    def _help_tools(self) -> HelpTools | None:
        tools = super()._help_tools()
        assert tools is not None

        async def ask(_: str, __: bytes, ___: int) -> bytes:
            return self.answer

        return HelpTools(tools.path, tools.batch, tools.keys, ask, tools.publish)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """The gateway is away."""
    async with Bench(tmp_path / "state", helping=True) as bench:
        yield await opened(bench)


async def opened(bench: Bench) -> Bench:
    for card in (AMAL, ELENA, SPARE):
        card.pin.change(padded(PIN.encode()))
    await bench.open_day(amal(), elena())
    await bench.publish(spare(SPARE))
    return bench


async def told(bench: Bench, sentence: str, mark: int) -> None:
    """The glass refuses so, and its reference finds the refusal in the journal."""
    view = await bench.until(lambda v: v.words == sentence, mark)
    assert view.screen is Screen.REFUSED
    (found,) = (
        e.detail
        for e in await bench.events()
        if words.reference(e.journal, e.sequence) == view.reference
    )
    assert isinstance(found, CardOutcome)
    assert (found.result, found.reason) == (OutcomeResult.REFUSED, Reason.NOT_DONE)


async def shown(bench: Bench, card: Card, step: str) -> int:
    mark = len(bench.board.views)
    bench.readers.put(PLATE, card)
    await bench.until(at(step), mark)
    bench.readers.take(PLATE)
    return len(bench.board.views)


async def to_the_colleagues_pin(bench: Bench, what: SpareWanted | NewPinWanted, first: Card) -> int:
    """Elena's card in the slot; a mark from before its PIN."""
    mark = len(bench.board.views)
    bench.do(what)
    await bench.until(at("card"), mark)
    await shown(bench, first, "colleague")
    mark = len(bench.board.views)
    bench.readers.put(SLOT, ELENA)
    await bench.until(at("pin"), mark)
    mark = len(bench.board.views)
    bench.do(PinEntered(Pin(PIN)))
    return mark


def a_spare() -> SpareWanted:
    return SpareWanted(amal().holder, "", "", lost=True, minutes=600)


@pytest.mark.parametrize("screen", sorted(REFUSALS))
def test_no_refusal_can_be_made_without_one(screen: Screen) -> None:
    with pytest.raises(ValueError, match="no reference"):
        Notice(screen, "This card cannot be used here.")
    assert Notice(screen, "This card cannot be used here.", "7F3A-21").reference


async def test_a_colleagues_word_that_counts_for_nothing_here(bench: Bench) -> None:
    """Offline, and the ward's policy names no role that a colleague's PIN could open."""
    mark = await to_the_colleagues_pin(bench, NewPinWanted(), AMAL)
    await told(bench, NOT_GIVEN, mark)
    bench.readers.take(SLOT)


async def test_a_shelf_that_is_full(tmp_path: Path) -> None:
    shelf = Kept(tmp_path / "state" / "help.json")
    (tmp_path / "state").mkdir(mode=0o700)
    for number in range(MOST_KEPT):
        assert shelf.add(Digest(f"{number:064x}"), rights.TERMINAL, b"waits")
    async with Bench(tmp_path / "state", helping=True) as bench:
        await opened(bench)
        mark = await to_the_colleagues_pin(bench, a_spare(), SPARE)
        await told(bench, NOT_GIVEN, mark)
        bench.readers.take(SLOT)


async def test_a_person_who_has_no_card_here(bench: Bench) -> None:
    mark = len(bench.board.views)
    bench.do(SpareWanted(HolderId("h-nobody"), "", "", lost=False, minutes=60))
    await told(bench, NOBODY, mark)


@pytest.mark.parametrize(
    ("what", "first", "answer"),
    [
        (a_spare(), SPARE, HelpAnswer(reason=HelpReason.NOT_LEAD).to_bytes()),
        (NewPinWanted(), AMAL, HelpAnswer(reason=HelpReason.NO_PUK).to_bytes()),
        (NewPinWanted(), AMAL, b"nonsense\nand more"),
    ],
    ids=["no spare", "no PUK", "nonsense"],
)
async def test_a_gateway_that_refuses(
    tmp_path: Path, what: SpareWanted | NewPinWanted, first: Card, answer: bytes
) -> None:
    async with Answered(tmp_path / "state", helping=True) as bench:
        bench.answer = answer
        await opened(bench)
        mark = await to_the_colleagues_pin(bench, what, first)
        await told(bench, NOT_GIVEN, mark)
        bench.readers.take(SLOT)


async def test_a_pin_that_cannot_be_changed_here(bench: Bench) -> None:
    await bench.sign_on(AMAL)
    await bench.publish(staff("h-amal", "AH", AMAL, status=Status.SUSPENDED))
    mark = len(bench.board.views)
    bench.do(PinChangeWanted())
    await told(bench, NOT_HERE, mark)


async def test_what_no_journal_can_take_is_found_in_the_daemons_log(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await bench.fail_disk()
    await bench.until(lambda v: v.screen is Screen.REFUSED)
    first = await refused_tap(bench)
    second = await refused_tap(bench)
    assert first.words == words.NOT_NOW
    assert first.reference != second.reference
    for view in (first, second):
        assert re.fullmatch(r"[0-9A-F]{4}-L\d+", str(view.reference))
        assert view.reference in {vars(one).get("reference") for one in caplog.records}
    assert {view.reference is None for view in bench.board.views if _refuses(view)} == {False}


async def refused_tap(bench: Bench) -> View:
    mark = len(bench.board.views)
    bench.readers.put(PLATE, AMAL)
    view = await bench.until(_refuses, mark)
    bench.readers.take(PLATE)
    await bench.rest()
    return view


def _refuses(view: Any) -> bool:  # noqa: ANN401 - a view's test
    return view.screen in REFUSALS
