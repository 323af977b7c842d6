"""A terminal of the site that has turned cannot have another one go on without the site.

It has its place in the register, its own topic, everything that was ever said, and what cards have
signed in its slot. Two real consumers with journals hear it, past their limit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.declaring import DowntimeSaid
from contract.directory import Status, TerminalState
from contract.events import AlarmCode, CardOutcome, CardRecorded
from contract.ids import Digest, TerminalId, WardId
from contract.moving import MoveRefused
from contract.signing import sha256
from contract.tap import CountersignRecord, DowntimeRecord, PinRecord, TapRecord
from contract.wire import MAX_SAFE_INTEGER, encode_base64
from firmware_py.emergency.heard import read
from firmware_py.glass.view import Screen
from firmware_py.roaming.heard import Refused
from firmware_py.site import link
from hardware.virtual.sample import personalised
from tests.firmware import rights
from tests.firmware.air import Air
from tests.firmware.bench import Bench
from tests.firmware.downtime_air import (
    AGAIN_S,
    HERE,
    THERE,
    day,
    event_of,
    forged,
    heard,
    is_on,
    passes,
    say,
    signed,
    silence,
    terms_of,
)
from tests.firmware.downtime_ward import AMAL, ELENA, FFION, HOURS_S, declare, lead

ELENAS_OTHER = personalised()
TURNED, OF_ANOTHER_WARD = TerminalId("resus-9"), TerminalId("theatre-1")


@pytest.fixture
async def air(tmp_path: Path) -> AsyncIterator[Air]:
    async with Air(tmp_path, HERE, THERE) as air:
        await day(
            air,
            lead("elena", "EL", ELENAS_OTHER),
            rights.terminal(name=TURNED),
            rights.terminal(name=OF_ANOTHER_WARD, ward=WardId("theatre")),
        )
        await silence(air)
        yield air


async def refusals(bench: Bench) -> list[str]:
    found = [e.detail for e in await bench.events() if isinstance(e.detail, MoveRefused)]
    assert {one.what for one in found} <= {"downtime"}
    return [one.reason.value for one in found]


async def require_nothing(air: Air, reason: str | None = None) -> None:
    """Neither on nor noted as heard; refused aloud where it is a lie."""
    await passes(air, AGAIN_S)
    bench = air[THERE]
    assert not is_on(bench)
    assert await heard(bench) == []
    assert await refusals(bench) == ([reason] if reason else [])
    assert (AlarmCode.PEER_REFUSED in bench.alarms) is (reason is not None)


async def test_what_two_cards_signed_is_believed(air: Air) -> None:
    """Else nothing below shows anything: this is what their holders can say, and they alone."""
    await say(air, await forged(air[THERE], terms_of(air[THERE]), ELENA, FFION))
    assert is_on(air[THERE])


@pytest.mark.parametrize("kind", [TapRecord, PinRecord, CountersignRecord])
async def test_what_cards_sign_at_a_sign_on_or_under_a_text_declares_nothing(
    air: Air, kind: type[Any]
) -> None:
    terms = terms_of(air[THERE])
    line, text = terms.to_bytes(), sha256(terms.words().encode())
    fields = {"text": text, "document": sha256(line)} if kind is CountersignRecord else {}
    events = [await event_of(air[THERE], card, kind, **fields) for card in (ELENA, FFION)]
    events = [event.model_copy(update={"terminal": TerminalId(HERE)}) for event in events]
    by = tuple(
        [
            await signed(air[THERE], card, event)
            for card, event in zip((ELENA, FFION), events, strict=True)
        ]
    )
    await say(air, DowntimeSaid(terms=encode_base64(line), by=by).to_bytes())
    await require_nothing(air, "not-believed")


async def test_nor_do_their_real_sign_ons_at_its_own_slot(air: Air) -> None:
    """What its journal holds of two leads who signed on there with their PINs."""
    air.confirm(HERE)
    for card in (ELENA, FFION):
        await air[HERE].sign_on(card)
    await air[HERE].rest()
    events = await air[HERE].events()
    records = {e.sequence: e for e in events if isinstance(e.detail, CardRecorded)}
    proved = [
        (records[e.detail.record], e.detail.signature)
        for e in events
        if isinstance(e.detail, CardOutcome) and e.detail.result == "proved"
        if e.detail.record is not None
    ]
    assert len(proved) == 2
    real = DowntimeSaid.from_bytes(await forged(air[HERE], terms_of(air[HERE]), ELENA, FFION))
    by = tuple(
        one.model_copy(update={"record": encode_base64(event.to_bytes()), "signature": signature})
        for one, (event, signature) in zip(real.by, proved, strict=True)
    )
    await say(air, real.model_copy(update={"by": by}).to_bytes())
    await require_nothing(air, "not-believed")


async def test_one_person_is_not_two_at_another_screen_either(air: Air) -> None:
    terms = terms_of(air[THERE])
    await say(air, await forged(air[THERE], terms, ELENA, ELENAS_OTHER))
    await say(air, await forged(air[THERE], terms, ELENA, ELENA))
    await require_nothing(air, "not-believed")


async def test_one_card_alone_declares_nothing(air: Air) -> None:
    await say(air, await forged(air[THERE], terms_of(air[THERE]), ELENA))
    await require_nothing(air, "not-believed")


async def test_whom_the_policy_does_not_name_declares_nothing_there(air: Air) -> None:
    await say(air, await forged(air[THERE], terms_of(air[THERE]), ELENA, AMAL))
    await say(air, await forged(air[THERE], terms_of(air[THERE]), ELENA, personalised()))
    await require_nothing(air)


async def test_a_card_that_is_lost_where_it_is_heard_declares_nothing(air: Air) -> None:
    await air.publish(lead("ffion", "FF", FFION, status=Status.LOST))
    await passes(air, 5 * HOURS_S)
    await say(air, await forged(air[THERE], terms_of(air[THERE]), ELENA, FFION))
    await require_nothing(air)


async def test_a_copied_card_declares_nothing_there(air: Air) -> None:
    copied = FFION.clone_with_other_keys()
    await say(air, await forged(air[THERE], terms_of(air[THERE]), ELENA, copied))
    await require_nothing(air, "not-believed")


@pytest.mark.parametrize("name", [TURNED, TerminalId("nobody"), OF_ANOTHER_WARD])
async def test_it_cannot_say_anothers_declaration_as_its_own(air: Air, name: TerminalId) -> None:
    """Another one's word, a terminal that is none, or one of another ward."""
    data = await forged(air[THERE], terms_of(air[THERE]), ELENA, FFION)
    await say(air, data, name=name)
    unknown = "terminal-unknown" if name == "nobody" else "not-believed"
    await require_nothing(air, None if name == OF_ANOTHER_WARD else unknown)


async def test_a_retired_terminals_word_counts_for_nothing(air: Air) -> None:
    await air.publish(rights.terminal(TerminalState.RETIRED, name=TURNED))
    await passes(air, 5 * HOURS_S)
    terms = terms_of(air[THERE], terminal=TURNED)
    await say(air, await forged(air[THERE], terms, ELENA, FFION), name=TURNED)
    await require_nothing(air, "terminal-unknown")


@pytest.mark.parametrize(
    "changes",
    [
        {"ward": WardId("theatre")},
        {"site": "elsewhere"},
        {"terminal": TURNED},
    ],
)
async def test_terms_of_another_ward_site_or_terminal_declare_nothing(
    air: Air, changes: dict[str, Any]
) -> None:
    data = await forged(air[THERE], terms_of(air[THERE], **changes), ELENA, FFION)
    await say(air, data)
    await require_nothing(air, "not-believed")


async def test_what_was_signed_for_one_end_serves_no_later_one(air: Air) -> None:
    terms = terms_of(air[THERE], limit_s=60)
    said = DowntimeSaid.from_bytes(await forged(air[THERE], terms, ELENA, FFION))
    longer = terms.model_copy(update={"limit_s": 12 * HOURS_S})
    lie = said.model_copy(update={"terms": encode_base64(longer.to_bytes())})
    await say(air, lie.to_bytes())
    await require_nothing(air, "not-believed")


async def test_under_another_text_than_is_shown_nothing_is_declared(air: Air) -> None:
    """Cards that signed these terms under another text than the one that stands for them."""
    said = await forged(air[THERE], terms_of(air[THERE]), ELENA, FFION, text=Digest("aa" * 32))
    await say(air, said)
    await require_nothing(air, "not-believed")


async def test_it_lasts_no_longer_than_the_wards_policy_lets_it(air: Air) -> None:
    terms = terms_of(air[THERE], limit_s=12 * HOURS_S)
    await say(air, await forged(air[THERE], terms, ELENA, FFION))
    assert is_on(air[THERE])
    await passes(air, 2 * HOURS_S + 1)
    assert not is_on(air[THERE])
    await say(air, await forged(air[THERE], terms, ELENA, FFION))
    assert not is_on(air[THERE])


async def test_played_again_when_it_is_over_it_begins_nothing(air: Air) -> None:
    await declare(air[HERE], ELENA, FFION)
    await air.rest()
    said = air[HERE].downtime_said[0]
    await passes(air, 2 * HOURS_S + 1)
    assert not is_on(air[THERE])
    for _ in range(3):
        await say(air, said)
    assert not is_on(air[THERE])
    assert len(await heard(air[THERE])) == 1


async def test_signatures_kept_for_another_day_declare_nothing_then(air: Air) -> None:
    """Terms dated for the next outage, which cards have signed in this one."""
    bench = air[THERE]
    later_ms = bench.custody.freshness().now_ms + 3 * 24 * HOURS_S * 1000
    kept = await forged(bench, terms_of(bench, begins_ms=later_ms), ELENA, FFION)
    await say(air, kept)
    await require_nothing(air, "not-believed")
    await passes(air, 3 * 24 * HOURS_S - 6 * HOURS_S)
    air.confirm()  # the site was back in between
    await silence(air, hours=6)
    await say(air, kept)
    assert not is_on(bench)
    assert await heard(bench) == []


async def test_without_a_heartbeat_that_says_when_nothing_is_declared(air: Air) -> None:
    said = DowntimeSaid.from_bytes(await forged(air[THERE], terms_of(air[THERE]), ELENA, FFION))
    bare = tuple(one.model_copy(update={"heartbeat": None}) for one in said.by)
    await say(air, said.model_copy(update={"by": bare}).to_bytes())
    await require_nothing(air)


async def test_while_the_site_is_heard_it_declares_nothing(air: Air) -> None:
    air.confirm(THERE)
    await air.rest()
    await say(air, await forged(air[THERE], terms_of(air[THERE]), ELENA, FFION))
    await require_nothing(air)


# --- that it is over ------------------------------------------------------------------------


async def on_there(air: Air) -> None:
    await declare(air[HERE], ELENA, FFION)
    await passes(air, 60)
    assert is_on(air[THERE])


async def test_nobody_ends_it_there_without_such_a_card(air: Air) -> None:
    await on_there(air)
    terms = terms_of(air[THERE], ends=True)
    for lie in (
        await forged(air[THERE], terms, AMAL),
        await forged(air[THERE], terms, ELENA.clone_with_other_keys()),
        await forged(air[THERE], terms, ELENA, FFION),
        await forged(air[THERE], terms.model_copy(update={"ward": WardId("theatre")}), ELENA),
    ):
        await say(air, lie)
    assert is_on(air[THERE])


async def test_an_end_of_earlier_ends_nothing_that_began_since(air: Air) -> None:
    earlier = await forged(air[THERE], terms_of(air[THERE], ends=True), ELENA)
    await passes(air, 60)
    await on_there(air)
    await say(air, earlier)
    assert is_on(air[THERE])


async def test_nor_does_one_that_is_dated_for_later(air: Air) -> None:
    await on_there(air)
    later_ms = air[THERE].custody.freshness().now_ms + HOURS_S * 1000
    await say(
        air, await forged(air[THERE], terms_of(air[THERE], ends=True, begins_ms=later_ms), ELENA)
    )
    assert is_on(air[THERE])
    assert "not-believed" in await refusals(air[THERE])


@pytest.mark.parametrize("bare", [False, True])
async def test_nor_does_one_signed_days_ago_for_this_night(air: Air, *, bare: bool) -> None:
    """One visit of such a card would do for every outage to come."""
    bench = air[THERE]
    later_ms = bench.custody.freshness().now_ms + 3 * 24 * HOURS_S * 1000
    kept = await forged(bench, terms_of(bench, ends=True, begins_ms=later_ms), ELENA)
    said = DowntimeSaid.from_bytes(kept)
    if bare:
        by = tuple(one.model_copy(update={"heartbeat": None}) for one in said.by)
        said = said.model_copy(update={"by": by})
    await passes(air, 3 * 24 * HOURS_S - 6 * HOURS_S)
    air.confirm()  # the site was back in between
    await silence(air, hours=5.9)
    await on_there(air)
    await passes(air, 300)
    await say(air, said.to_bytes())
    assert is_on(bench)


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("padding", [1000, 2400])
async def test_terms_that_no_event_could_hold_stop_no_terminal(
    air: Air, *, padding: int, ends: bool
) -> None:
    """They are refused, and not tried: what cannot be journalled would end the daemon."""
    off = tuple(f"R{n:031}" for n in range(32))
    terms = terms_of(air[THERE], off=off, ends=ends)
    line = terms.to_bytes() + b" " * padding
    cards = (ELENA,) if ends else (ELENA, FFION)
    text = sha256(terms.words().encode())
    by = []
    for card in cards:
        event = await event_of(air[THERE], card, DowntimeRecord, terms=sha256(line), text=text)
        event = event.model_copy(update={"terminal": terms.terminal})
        by.append(await signed(air[THERE], card, event))
    await say(air, DowntimeSaid(terms=encode_base64(line), by=tuple(by)).to_bytes())
    assert await refusals(air[THERE]) == ["malformed"]
    await on_there(air)


async def test_an_end_of_a_far_year_takes_no_later_downtime_from_whom_no_clock_tells(
    tmp_path: Path,
) -> None:
    """It cannot tell by how much the other's clock is ahead: by days, and not by centuries."""
    async with Air(tmp_path, HERE, THERE) as air:
        await day(air)
        for name in (HERE, THERE):
            await air[name].__aexit__()
        air.clock.reboot()
        for name in (HERE, THERE):
            await air.start(name)
        await silence(air)
        terms = terms_of(air[THERE], ends=True, begins_ms=MAX_SAFE_INTEGER)
        await say(air, await forged(air[HERE], terms, ELENA))
        assert await refusals(air[THERE]) == ["not-believed"]
        await declare(air[THERE], FFION, ELENA)
        await passes(air, 1)
        assert is_on(air[THERE])


# --- any bytes whatever ---------------------------------------------------------------------


@settings(max_examples=200)
@given(st.binary(max_size=400) | st.just(b'{"type":"tapover/downtime-said/v1"}'))
def test_any_bytes_end_in_our_own_refusal(data: bytes) -> None:
    with pytest.raises(Refused):
        read(data)


async def test_any_change_of_a_real_message_begins_nothing(air: Air) -> None:
    data = await forged(air[THERE], terms_of(air[THERE]), ELENA, FFION)
    for at in range(0, len(data), 61):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        air[THERE].post(link.DowntimeSaid(TerminalId(HERE), changed))
    await air.rest()
    assert not is_on(air[THERE])
    assert len(await refusals(air[THERE])) <= 4


async def test_what_it_says_fills_no_journal(air: Air) -> None:
    before = len(await air[THERE].events())
    for n in range(300):
        air[THERE].post(link.DowntimeSaid(TURNED, b'{"type":"tapover/downtime-said/v1"' + b"x" * n))
    await air.rest()
    assert len(await air[THERE].events()) - before <= 2


async def test_no_declaration_is_a_proof_of_a_pin(air: Air) -> None:
    """A record of downtime serves for nothing else: she owes her PIN as before."""
    await on_there(air)
    details = [event.detail for event in await air[HERE].events()]
    kinds = {type(one.record) for one in details if isinstance(one, CardRecorded)}
    assert kinds == {TapRecord, DowntimeRecord}
    assert air[HERE].proofs == []
    view = await air[HERE].tap(ELENA, Screen.OPEN, Screen.PIN, Screen.NOTICE)
    assert view.screen is not Screen.OPEN
