"""Countersign: a second person reads a text and her card signs it; nobody's session changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contract.countersigning import CountersignEnded, CountersignResult, text_digest
from contract.directory import Entitlement, Status
from contract.events import CardOutcome, CardRecorded, Event, OutcomeResult, Reason
from contract.ids import Digest, SessionId
from contract.tap import CountersignRecord, verify_card
from firmware_py.countersign import words as said
from firmware_py.countersign.errand import ASK_S, READ_S
from firmware_py.countersign.values import Answer, Signed, Wanted, Withdrawn
from firmware_py.glass import words
from firmware_py.glass.commands import Cancelled, LockPressed, PinEntered
from firmware_py.glass.view import NAMELESS, Screen, View
from firmware_py.items import AppAsked
from firmware_py.workspace.commands import Typed
from hardware.piv import Pin
from hardware.virtual.behaviour import Behaviour, Profile
from hardware.virtual.card import Card
from hardware.virtual.names import Access
from hardware.virtual.sample import personalised
from tests.firmware.bench import DEADLINE_S, PIN, Bench, staff
from tests.firmware.cards import PLATE, SLOT

AMAL, BEA, AMALS_OTHER, STRANGER = (personalised() for _ in range(4))
TITLE, TEXT = "Controlled drug", "Morphine 10 mg i.v., bed 4"
DOCUMENT = Digest("d0" * 32)


def amal(**changes: Any) -> Entitlement:  # noqa: ANN401
    return staff("amal", "AM", AMAL, **changes)


def bea(**changes: Any) -> Entitlement:  # noqa: ANN401
    return staff("bea", "BE", BEA, **changes)


@pytest_asyncio.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Bench]:
    """Amal's work is on the glass; she has a second card."""
    for card in (AMAL, BEA):
        card.pin.left = 3
    async with Bench(tmp_path / "state") as bench:
        other = staff("amal", "AM", AMALS_OTHER)
        await bench.open_day(amal(), bea(), other)
        await bench.sign_on(AMAL)
        bench.clock.advance(10)
        yield bench


class Asked:
    """One request, as the local API puts it."""

    def __init__(self, bench: Bench, *, pin: bool = False, session: str | None = None) -> None:
        self.bench = bench
        self._answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.wanted = Wanted(
            SessionId(session or here(bench)),
            *("Controlled drug", TEXT, DOCUMENT, pin),
            answer=self._answer.set_result,
        )
        bench.post(AppAsked(self.wanted))

    async def answer(self) -> Answer:
        async with asyncio.timeout(DEADLINE_S):
            return await self._answer

    @property
    def answered(self) -> bool:
        return self._answer.done()


def here(bench: Bench) -> SessionId:
    shown = bench.workspace.shown
    assert shown is not None
    return shown


def panel(view: View) -> dict[str, Any]:
    return dict(view.panels.get("countersign", {}))


async def asked(bench: Bench, **how: Any) -> Asked:  # noqa: ANN401
    """The text is on the glass, and has been long enough to be read."""
    mark = len(bench.board.views)
    request = Asked(bench, **how)
    await bench.until(lambda v: panel(v).get("step") == "card", mark)
    bench.clock.advance(READ_S)
    return request


async def hold(bench: Bench, card: Card, wanted: Callable[[View], bool]) -> View:
    """A card is held to the plate until the glass answers."""
    mark = len(bench.board.views)
    bench.readers.put(PLATE, card)
    try:
        return await bench.until(wanted, mark)
    finally:
        bench.readers.take(PLATE)


def step(name: str) -> Callable[[View], bool]:
    return lambda view: panel(view).get("step") == name


async def results(bench: Bench) -> list[str]:
    return [e.detail.result for e in await bench.events() if isinstance(e.detail, CountersignEnded)]


async def countersigns(bench: Bench) -> list[Event]:
    """The records that a card was asked to countersign."""
    return [
        e
        for e in await bench.events()
        if isinstance(e.detail, CardRecorded) and isinstance(e.detail.record, CountersignRecord)
    ]


async def test_another_persons_card_signs_text_and_document(ward: Bench) -> None:
    session = here(ward)
    request = await asked(ward)
    done = await hold(ward, BEA, step("done"))
    answer = await request.answer()
    assert isinstance(answer, Signed)
    assert (answer.by.holder, panel(done)["by"]) == ("bea", "BE")

    key = answer.record.credential.verify_key()
    verify_card(key, answer.record.event, answer.record.signature)
    event = Event.from_bytes(answer.record.event)
    assert isinstance(event.detail, CardRecorded)
    record = event.detail.record
    assert isinstance(record, CountersignRecord)
    assert (record.text, record.document) == (text_digest(f"Controlled drug\n{TEXT}"), DOCUMENT)

    *_, outcome, ended = [e.detail for e in await ward.events()]
    assert isinstance(outcome, CardOutcome)
    assert (outcome.result, outcome.holder) == (OutcomeResult.COUNTERSIGNED, "bea")
    assert outcome.record == event.sequence
    assert isinstance(ended, CountersignEnded)
    assert (ended.session, ended.result, ended.record) == (session, "signed", event.sequence)
    assert here(ward) == session  # and the present session stays
    assert [change for _, change, _ in await ward.changes()] == ["opened"]


async def test_the_text_is_shown_as_it_is_and_the_work_is_covered_meanwhile(ward: Bench) -> None:
    session = ward.workspace.shown
    before = ward.board.view
    ticket = str(before.panels["screen"]["ticket"])
    request = await asked(ward)
    view = ward.board.view
    assert (view.screen, view.covered, view.person) == (Screen.OPEN, True, before.person)
    assert "screen" not in view.panels
    shown = panel(view)
    assert (shown["title"], shown["text"]) == ("Controlled drug", TEXT)
    assert shown["words"] == said.READ_AND_TAP
    ward.do(Typed(ticket, "typed over the text"))
    mark = len(ward.board.views)
    ward.do(Cancelled())
    back = await ward.until(lambda v: not v.covered, mark)
    assert await request.answer() is CountersignResult.CANCELLED
    assert ward.workspace.shown == session
    assert back.panels["screen"]["text"] == ""
    assert back.panels["screen"]["ticket"] != ticket
    assert await results(ward) == ["cancelled"]


@pytest.mark.parametrize("card", [AMAL, AMALS_OTHER], ids=["her card", "her other card"])
async def test_the_holder_cannot_countersign_herself(ward: Bench, card: Card) -> None:
    request = await asked(ward)
    refused = await hold(ward, card, step("refused"))
    assert panel(refused)["words"] == said.ANOTHER_PERSON
    assert panel(refused)["reference"]
    assert not request.answered
    last = (await ward.events())[-1].detail
    assert isinstance(last, CardOutcome)
    assert (last.result, last.reason) == (OutcomeResult.REFUSED, Reason.SAME_PERSON)
    assert last.signature is None
    await hold(ward, BEA, step("done"))  # and another may still
    assert isinstance(await request.answer(), Signed)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(Status.SUSPENDED, Reason.SUSPENDED), (Status.LOST, Reason.LOST)],
)
async def test_whoever_could_not_sign_on_here_cannot_countersign(
    ward: Bench, status: Status, reason: Reason
) -> None:
    await ward.publish(bea(status=status))
    request = await asked(ward)
    await hold(ward, BEA, step("refused"))
    assert not request.answered
    last = (await ward.events())[-1].detail
    assert isinstance(last, CardOutcome)
    assert (last.result, last.reason) == (OutcomeResult.REFUSED, reason)


async def test_a_copied_card_countersigns_nothing(ward: Bench) -> None:
    copy = personalised(guid=BEA.guid)
    request = await asked(ward)
    await hold(ward, copy, step("refused"))
    assert not request.answered
    assert (await ward.outcomes())[-1] == ("refused", Reason.CARD_KEY_WRONG)


async def test_an_unknown_card_is_turned_away_as_always(ward: Bench) -> None:
    request = await asked(ward)
    await ward.tap(STRANGER, Screen.REFUSED)
    assert (await ward.outcomes())[-1] == ("refused", Reason.CARD_UNKNOWN)
    assert not request.answered
    await hold(ward, BEA, step("done"))
    assert isinstance(await request.answer(), Signed)


async def test_where_the_application_asks_for_it_the_pin_stands_behind_it(ward: Bench) -> None:
    request = await asked(ward, pin=True)
    await hold(ward, BEA, step("pin"))
    assert not request.answered
    mark = len(ward.board.views)
    ward.readers.put(SLOT, BEA)
    await ward.until(lambda v: v.screen is Screen.CHECKING, mark)
    looked_at = next(at for at, v in enumerate(ward.since(mark)) if v.screen is Screen.CHECKING)
    await ward.until(step("pin"), mark + looked_at)
    mark = len(ward.board.views)
    ward.do(PinEntered(Pin("999999")))
    again = await ward.until(lambda v: panel(v).get("attempts") == 2, mark)
    assert panel(again)["words"] == words.PIN_AGAIN
    mark = len(ward.board.views)
    ward.do(PinEntered(Pin(PIN)))
    await ward.until(step("done"), mark)
    ward.readers.take(SLOT)
    answer = await request.answer()
    assert isinstance(answer, Signed)
    assert answer.record.credential.slot == "9A"
    verify_card(answer.record.credential.verify_key(), answer.record.event, answer.record.signature)
    assert PIN not in repr(ward.board.views)


async def test_a_tap_alone_is_no_pin(ward: Bench) -> None:
    request = await asked(ward, pin=True)
    await hold(ward, BEA, step("pin"))
    recorded = [e.detail for e in await ward.events() if isinstance(e.detail, CardRecorded)]
    assert recorded[-1].record.purpose == "tap"
    ward.clock.advance(ASK_S)
    assert await request.answer() is CountersignResult.EXPIRED


async def test_nobody_came(ward: Bench) -> None:
    request = await asked(ward)
    mark = ward.pass_time(ASK_S)
    assert await request.answer() is CountersignResult.EXPIRED
    await ward.until(lambda v: not v.covered and not panel(v), mark)
    assert await results(ward) == ["expired"]


async def test_the_seconds_left_are_shown(ward: Bench) -> None:
    await asked(ward)
    mark = ward.pass_time(10)
    counted = await ward.until(lambda v: panel(v).get("left_s", ASK_S) < ASK_S - 5, mark)
    assert panel(counted)["left_s"] == ASK_S - 11


async def test_the_application_goes_away(ward: Bench) -> None:
    request = await asked(ward)
    mark = len(ward.board.views)
    ward.post(AppAsked(Withdrawn(request.wanted)))
    await ward.until(lambda v: not v.covered, mark)
    assert await results(ward) == ["withdrawn"]


async def test_once_the_session_is_hidden_nothing_is_told(ward: Bench) -> None:
    request = await asked(ward)
    mark = len(ward.board.views)
    ward.do(LockPressed())
    locked = await ward.until(lambda v: v.screen is Screen.LOCKED, mark)
    assert await request.answer() is CountersignResult.SESSION_ENDED
    assert not panel(locked)
    await ward.rest()
    assert await results(ward) == ["session-ended"]


async def test_a_card_on_its_way_to_something_else_taps_over(ward: Bench) -> None:
    await ward.sign_on(BEA)
    await ward.tap(AMAL)
    mark = len(ward.board.views)
    request = Asked(ward)
    await ward.until(step("card"), mark)
    opened = await ward.tap(BEA)  # within the first second: nobody has read it
    assert opened.person is not None
    assert opened.person.name == "Bea"
    assert await request.answer() is CountersignResult.SESSION_ENDED
    assert not await countersigns(ward)


async def test_what_was_signed_for_a_text_that_is_gone_opens_nothing(ward: Bench) -> None:
    request = await asked(ward)
    slow = Behaviour(access=Access.CONTACTLESS_STRICT, profile=Profile("slow", ec_s=0.5))
    ward.readers.put(PLATE, BEA, slow)
    async with asyncio.timeout(DEADLINE_S):
        while not await countersigns(ward):  # each look waits for the disk
            pass
    ward.do(Cancelled())
    assert await request.answer() is CountersignResult.CANCELLED
    await ward.rest()
    ward.readers.take(PLATE)
    assert (await ward.outcomes())[-1] == ("refused", Reason.OFFER_ABANDONED)
    assert (await ward.changes())[-1] == ("amal", "opened", "tap")
    assert here(ward)


async def test_one_at_a_time(ward: Bench) -> None:
    first = await asked(ward)
    assert await Asked(ward, session=first.wanted.session).answer() is None
    assert not first.answered


async def test_a_session_that_is_not_there_asks_nobody(ward: Bench) -> None:
    assert await Asked(ward, session="0" * 32).answer() is CountersignResult.SESSION_ENDED
    assert await results(ward) == []


async def test_nobody_is_named_and_no_text_stands_while_a_card_is_looked_at(ward: Bench) -> None:
    request = await asked(ward)
    mark = len(ward.board.views)
    await hold(ward, BEA, step("done"))
    await request.answer()
    nameless = [view for view in ward.since(mark) if view.screen in NAMELESS]
    assert nameless
    assert not any(panel(view) or view.person for view in nameless)


async def test_if_the_journal_fails_nobody_has_countersigned(ward: Bench) -> None:
    request = await asked(ward)
    await ward.fail_disk()
    ward.readers.put(PLATE, BEA)
    assert await request.answer() is CountersignResult.SESSION_ENDED
    ward.readers.take(PLATE)
    await ward.mend_disk()
    assert OutcomeResult.COUNTERSIGNED not in {result for result, _ in await ward.outcomes()}
