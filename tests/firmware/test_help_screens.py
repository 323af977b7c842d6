"""The help desk's panels: what the page draws of a spare and of a blocked PIN, and nothing else.

Without the gateway, on a bench; the whole of it by real taps stands in `tests/e2e`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contract.directory import Entitlement, Name, Spare, Status
from contract.events import CardOutcome, Reason
from contract.ids import HolderId
from firmware_py.glass import commands, words
from firmware_py.glass.view import NAMELESS, Screen, View
from firmware_py.help import finding, screens
from firmware_py.help.commands import MAX_TEXT, FindPerson, NewPinWanted, SpareWanted
from firmware_py.help.errand import GIVEN_HERE, SAY, Step
from firmware_py.kiosk.commands import NAMES, CommandRefused, read_command
from firmware_py.signon.pad import STUCK_MS
from firmware_py.trust import people
from firmware_py.trust.store import Directory
from hardware.piv import Pin
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card, padded
from hardware.virtual.faults import Torn
from hardware.virtual.sample import personalised
from tests.firmware.bench import DEADLINE_S, PIN, Bench, staff
from tests.firmware.cards import PLATE, SLOT
from tests.firmware.rights import NOW_MS, position

AMAL, ELENA, SPARE = personalised(), personalised(), personalised()
WRONG = "975310"


def amal() -> Entitlement:
    name = Name(full="Amal Haddad", short="Amal H.", initials="AH")
    return staff("h-amal", "AH", AMAL, name=name)


def elena() -> Entitlement:
    return staff("h-elena", "EM", ELENA, positions=(position("resus-lead", "R8001L"),))


def spare(card: Card) -> Spare:
    held = staff("nobody", "NN", card)
    return Spare(
        guid=held.guid,
        credentials=held.credentials,
        guest=position("agency-nurse"),
        status=Status.ACTIVE,
        not_after_ms=NOW_MS + 10**9,
        salt=secrets.token_hex(16),
    )


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    for card in (AMAL, ELENA, SPARE):
        card.pin.change(padded(PIN.encode()))
    async with Bench(tmp_path / "state", helping=True) as bench:
        await bench.open_day(amal(), elena())
        await bench.publish(spare(SPARE))
        yield bench


def panel(view: View) -> dict[str, Any]:
    return dict(view.panels.get("help", {}))


def at(step: str) -> Any:  # noqa: ANN401 - a view's test
    return lambda view: panel(view).get("step") == step and view.screen is not Screen.CHECKING


def ask(bench: Bench, text: str) -> int:
    mark = len(bench.board.views)
    bench.do(FindPerson(text))
    return mark


async def searched(bench: Bench, text: str) -> dict[str, Any]:
    mark = ask(bench, text)
    done = await bench.until(
        lambda view: panel(view).get("text") == text and not panel(view)["searching"], mark
    )
    return panel(done)


async def test_a_form_says_what_to_ask_for_and_which_command_takes_it(bench: Bench) -> None:
    form = panel(await bench.until(at("person"), ask(bench, "")))
    assert form["kind"] == "spare"
    assert form["words"] == SAY["spare", Step.PERSON]
    asked = {field["name"]: field["command"] for field in form["fields"]}
    assert asked["text"] == "find_person"
    assert {name for name, command in asked.items() if command == "spare"} == {
        "holder",
        "name",
        "number",
        "lost",
        "minutes",
    }
    assert set(asked.values()) <= set(NAMES)
    assert form["left_s"] == 180


@pytest.mark.parametrize("text", ["AH", "haddad", "h-amal"])
async def test_a_person_is_found_and_not_named(bench: Bench, text: str) -> None:
    """The screen is nobody's: initials, role here and id alone."""
    told = await searched(bench, text)
    assert told["found"] == [{"holder": "h-amal", "initials": "AH", "role": "Nurse"}]
    assert told["note"] is None
    for view in bench.board.views:
        assert "Haddad" not in json.dumps(view.panels)


async def test_who_is_not_found_is_said_and_one_letter_is_no_search(bench: Bench) -> None:
    assert (await searched(bench, "nobody here"))["note"] == screens.NOBODY_YET
    one = await searched(bench, "h")
    assert (one["found"], one["note"]) == ([], None)


async def test_of_what_is_typed_in_a_hurry_the_newest_counts(bench: Bench) -> None:
    mark = len(bench.board.views)
    for text in ("nob", "nobo", "nobod", "ha", "had", "haddad"):
        bench.do(FindPerson(text))
    told = await bench.until(lambda view: bool(panel(view).get("found")), mark)
    assert panel(told)["text"] == "haddad"
    assert [one["holder"] for one in panel(told)["found"]] == ["h-amal"]


async def test_of_whom_a_spare_is_wanted_for_in_a_hurry_the_newest_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each wish would read the whole directory: one at a time does, and the newest after it."""
    begun: list[HolderId] = []
    first, goes_on = threading.Event(), threading.Event()

    def slowly(
        directory: Directory, holder: HolderId, now: Callable[[], int], until_ns: int
    ) -> list[Entitlement] | None:
        begun.append(holder)
        first.set()
        assert goes_on.wait(DEADLINE_S)
        return people.cards_of(directory, holder, now, until_ns)

    monkeypatch.setattr(finding, "cards_of", slowly)
    mark = len(bench.board.views)
    bench.do(SpareWanted(elena().holder, "", "", lost=False, minutes=60))
    assert await asyncio.to_thread(first.wait, DEADLINE_S)
    for _ in range(20):
        bench.do(SpareWanted(elena().holder, "", "", lost=False, minutes=60))
        bench.do(SpareWanted(amal().holder, "", "", lost=True, minutes=600))
    await bench.rest()
    goes_on.set()
    card = panel(await bench.until(at("card"), mark))
    assert card["whom"] == {"initials": None, "id": "h-amal"}
    assert begun == ["h-elena", "h-amal"]


async def last_outcome(bench: Bench) -> CardOutcome:
    *_, last = (e.detail for e in await bench.events() if isinstance(e.detail, CardOutcome))
    return last


async def test_a_spare_step_by_step(bench: Bench) -> None:
    await searched(bench, "AH")
    mark = len(bench.board.views)
    bench.do(SpareWanted(amal().holder, "", "", lost=True, minutes=600))
    card = panel(await bench.until(at("card"), mark))
    assert (card["minutes"], card["whom"]) == (600, {"initials": None, "id": "h-amal"})
    mark = len(bench.board.views)
    bench.readers.put(PLATE, SPARE)
    await bench.until(at("colleague"), mark)
    bench.readers.take(PLATE)
    bench.readers.put(SLOT, ELENA)
    pin = panel(await bench.until(at("pin"), mark))
    assert [(field["name"], field["command"]) for field in pin["fields"]] == [("pin", "pin")]
    mark = len(bench.board.views)
    bench.do(commands.PinEntered(Pin(WRONG)))
    again = panel(await bench.until(lambda view: panel(view).get("attempts") == 2, mark))
    assert again["words"] == words.PIN_AGAIN
    refused = await last_outcome(bench)
    assert (refused.reason, refused.guid) == (Reason.PIN_WRONG, elena().guid)
    mark = len(bench.board.views)
    bench.do(commands.PinEntered(Pin(PIN)))
    done = await bench.until(lambda view: view.words == GIVEN_HERE, mark)
    assert panel(done) == {}
    bench.readers.take(SLOT)


async def test_another_card_in_the_slot_is_given_no_pin_and_the_errand_goes_on(
    bench: Bench,
) -> None:
    mark = await at_the_leads_pin(bench)
    bench.readers.take(SLOT)
    bench.readers.put(SLOT, AMAL)
    await bench.rest()
    mark = len(bench.board.views)
    written = len(await bench.outcomes())
    bench.do(commands.PinEntered(Pin(PIN)))
    told = panel(await bench.until(lambda view: view.words == words.CARD_BACK, mark))
    assert told["step"] == "pin"
    assert len(await bench.outcomes()) == written
    assert AMAL.pin.left == 3
    bench.readers.take(SLOT)


async def at_the_leads_pin(bench: Bench) -> int:
    """Elena's card in the slot, for a spare that Amal is to have."""
    await searched(bench, "AH")
    mark = len(bench.board.views)
    bench.do(SpareWanted(amal().holder, "", "", lost=True, minutes=600))
    await bench.until(at("card"), mark)
    bench.readers.put(PLATE, SPARE)
    await bench.until(at("colleague"), mark)
    bench.readers.take(PLATE)
    bench.readers.put(SLOT, ELENA)
    await bench.until(at("pin"), mark)
    return mark


@pytest.mark.parametrize(
    ("status", "reason"), [(Status.LOST, Reason.LOST), (Status.REVOKED, Reason.REVOKED)]
)
async def test_a_card_out_of_use_gets_no_new_pin_and_the_log_says_why(
    bench: Bench, status: Status, reason: Reason
) -> None:
    await bench.publish(staff("h-amal", "AH", AMAL, status=status))
    mark = len(bench.board.views)
    bench.do(NewPinWanted())
    await bench.until(at("card"), mark)
    await bench.tap(AMAL, Screen.REFUSED)
    assert (await last_outcome(bench)).reason is reason


async def test_a_card_torn_away_is_refused_with_a_reference(bench: Bench) -> None:
    mark = len(bench.board.views)
    bench.do(NewPinWanted())
    await bench.until(at("card"), mark)
    refused = await bench.tap(AMAL, Screen.REFUSED, behaviour=Behaviour(faults=(Torn(1),)))
    told = [e for e in await bench.events() if isinstance(e.detail, CardOutcome)][-1]
    assert refused.reference == words.reference(told.journal, told.sequence)


async def test_a_copied_card_gets_no_new_pin_and_the_log_says_why(bench: Bench) -> None:
    mark = len(bench.board.views)
    bench.do(NewPinWanted())
    await bench.until(at("card"), mark)
    await bench.tap(AMAL.clone_with_other_keys(), Screen.REFUSED)
    assert (await last_outcome(bench)).reason is Reason.CARD_KEY_WRONG


async def test_a_guest_is_shown_by_initials_and_number(bench: Bench) -> None:
    mark = len(bench.board.views)
    bench.do(SpareWanted(None, "Gwen Agency", "12A3456E", lost=False, minutes=60))
    card = panel(await bench.until(at("card"), mark))
    assert card["whom"] == {"initials": "GA", "id": "12A3456E"}


async def test_time_left_counts_down_and_the_errand_ends(bench: Bench) -> None:
    await bench.until(at("person"), ask(bench, ""))
    mark = bench.pass_time(100)
    bench.do(commands.Activity())
    assert panel(await bench.until(at("person"), mark))["left_s"] <= 80
    mark = bench.pass_time(81)
    bench.do(commands.Activity())
    await bench.until(lambda view: panel(view) == {}, mark)


async def test_cancel_ends_it(bench: Bench) -> None:
    mark = ask(bench, "")
    await bench.until(at("person"), mark)
    bench.do(commands.Cancelled())
    await bench.until(lambda view: panel(view) == {} and view.screen is Screen.LOCKED, mark + 1)


async def test_a_form_that_was_left_open_keeps_nobody_from_working(bench: Bench) -> None:
    mark = ask(bench, "")
    await bench.until(at("person"), mark)
    await bench.sign_on(AMAL)
    assert panel(bench.board.view) == {}


async def blocked(bench: Bench) -> View:
    """Three wrong PINs in the slot."""
    mark = len(bench.board.views)
    bench.readers.put(SLOT, AMAL)
    await bench.until(lambda view: view.screen is Screen.PIN, mark)
    told = [await wrong(bench) for _ in range(3)]
    bench.readers.take(SLOT)
    return told[-1]


async def wrong(bench: Bench) -> View:
    """A wrong PIN, and what the glass says to it."""
    mark = len(bench.board.views)
    bench.do(commands.PinEntered(Pin(WRONG)))
    return await bench.until(lambda view: view.screen is not Screen.CHECKING, mark)


async def test_a_blocked_pin_leads_to_a_colleague(bench: Bench) -> None:
    told = await blocked(bench)
    assert (told.screen, told.words) == (Screen.REFUSED, words.COLLEAGUE_HELPS)
    assert panel(told) | {"words": ""} == {
        "kind": "puk",
        "step": "offered",
        "words": "",
        "fields": [],
    }
    mark = len(bench.board.views)
    bench.do(NewPinWanted())
    asked = panel(await bench.until(at("card"), mark))
    assert (asked["kind"], asked["words"]) == ("puk", SAY["puk", Step.CARD])
    bench.readers.put(PLATE, AMAL)
    colleague = panel(await bench.until(at("colleague"), mark))
    assert colleague["whom"] == {"initials": "AH", "id": "h-amal"}
    bench.readers.take(PLATE)


@pytest.mark.parametrize("ending", ["time", "another card", "cancel"])
async def test_the_offer_ends_with_the_next_card_a_touch_or_its_time(
    bench: Bench, ending: str
) -> None:
    await blocked(bench)
    mark = len(bench.board.views)
    if ending == "time":
        mark = bench.pass_time(STUCK_MS / 1000)
    elif ending == "another card":
        bench.readers.put(PLATE, ELENA)
    else:
        bench.do(commands.Cancelled())
    bench.do(commands.Activity())
    await bench.until(lambda view: panel(view) == {}, mark)
    if ending == "another card":
        bench.readers.take(PLATE)


async def test_no_panel_names_anybody_on_a_screen_that_is_nobodys(bench: Bench) -> None:
    await searched(bench, "AH")
    await blocked(bench)
    for view in bench.board.views:
        drawn = json.dumps(view.panels)
        if view.screen in NAMELESS:
            assert "Haddad" not in drawn
            assert "Full" not in drawn  # as the bench calls everybody else


@pytest.mark.parametrize("body", [b"{}", b'{"text":1}', b'{"text":"a\\u0000b"}', b'{"text":null}'])
def test_a_search_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(CommandRefused):
        read_command("find_person", body)


def test_a_search_has_a_longest_text() -> None:
    longest = json.dumps({"text": "x" * MAX_TEXT}).encode()
    assert read_command("find_person", longest) == FindPerson("x" * MAX_TEXT)
    with pytest.raises(CommandRefused):
        read_command("find_person", json.dumps({"text": "x" * (MAX_TEXT + 1)}).encode())
