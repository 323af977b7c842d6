"""A PIN proved at one terminal of a ward: where it counts, from when, and for how long."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.events import AlarmCode
from contract.ids import HolderId, TerminalId, WardId
from contract.moving import PinHeard
from contract.policy import GraceScope
from contract.tap import PinProof
from contract.wire import encode_base64
from firmware_py.glass.view import Screen
from firmware_py.site.link import PinProofHeard
from hardware.virtual.sample import personalised
from tests.firmware import rights
from tests.firmware.air import Air
from tests.firmware.bench import Bench, staff

AMAL = personalised()
HERE, THERE = "resus-1", "resus-2"
SHARED = {"grace_scope": GraceScope.WARD, "grace_approved_by": HolderId("elena")}
HOUR_S = 3600


@pytest.fixture
async def air(tmp_path: Path) -> AsyncIterator[Air]:
    async with Air(tmp_path, HERE, THERE) as air:
        await air.open_day(staff("amal", "AM", AMAL), **SHARED)
        yield air


async def heard(bench: Bench) -> list[PinHeard]:
    return [e.detail for e in await bench.events() if isinstance(e.detail, PinHeard)]


async def prove(air: Air) -> None:
    """Amal signs on here with her PIN; the other terminal hears of it."""
    await air[HERE].sign_on(AMAL)
    await air.rest()
    air.tell_pins(HERE)
    await air.rest()


async def asks(air: Air) -> Screen:
    """What the other terminal shows when she taps there."""
    view = await air[THERE].tap(AMAL, Screen.OPEN, Screen.PIN, Screen.NOTICE)
    return view.screen


async def test_on_a_ward_that_shares_it_a_tap_is_enough_at_the_next_terminal(air: Air) -> None:
    await prove(air)
    assert await asks(air) is Screen.OPEN
    (event,) = await heard(air[THERE])
    assert event.terminal == HERE


async def test_elsewhere_the_pin_is_asked(air: Air) -> None:
    await air.publish(rights.policy())
    await prove(air)
    assert await asks(air) is not Screen.OPEN
    assert await heard(air[THERE]) == []


async def test_it_ends_by_this_terminals_own_policy_and_clock(air: Air) -> None:
    await prove(air)
    await air.publish(rights.policy(grace_s=HOUR_S, **SHARED))
    await air.later(HOUR_S + 1)
    assert await asks(air) is not Screen.OPEN


async def test_a_ward_that_takes_it_back_is_obeyed_at_once(air: Air) -> None:
    await prove(air)
    await air.publish(rights.policy())
    assert await asks(air) is not Screen.OPEN


async def test_a_proof_that_was_held_back_counts_from_when_it_was_made(air: Air) -> None:
    await air.publish(rights.policy(grace_s=HOUR_S, **SHARED))
    await air[HERE].sign_on(AMAL)
    await air.later(HOUR_S + 1)
    air.tell_pins(HERE)
    await air.rest()
    assert await asks(air) is not Screen.OPEN


async def test_a_proof_played_again_makes_nothing_longer(air: Air) -> None:
    await air.publish(rights.policy(grace_s=HOUR_S, **SHARED))
    await prove(air)
    await air.later(HOUR_S - 10)
    air.tell_pins(HERE)
    await air.later(20)
    assert await asks(air) is not Screen.OPEN
    assert len(await heard(air[THERE])) == 1


async def test_another_wards_terminal_gives_none(air: Air) -> None:
    await air.publish(rights.terminal(name=TerminalId(HERE), ward=WardId("icu")))
    await prove(air)
    assert await asks(air) is not Screen.OPEN


async def test_without_the_heartbeat_that_it_names_nobody_knows_since_when(air: Air) -> None:
    await air[HERE].sign_on(AMAL)
    (proof,) = air[HERE].proofs
    bare = proof.model_copy(update={"heartbeat": None})
    air[THERE].post(PinProofHeard(TerminalId(HERE), bare.to_bytes()))
    await air.rest()
    assert await asks(air) is not Screen.OPEN


@pytest.mark.parametrize("lie", ["another's key", "another's name", "no record", "rubbish"])
async def test_what_does_not_hold_gives_none_and_is_alarmed(air: Air, lie: str) -> None:
    await air[HERE].sign_on(AMAL)
    (proof,) = air[HERE].proofs
    name, data = TerminalId(HERE), proof.to_bytes()
    match lie:
        case "another's key":
            forged = encode_base64(rights.signer("forger").sign(b"anything"))
            data = proof.model_copy(update={"signature": forged}).to_bytes()
        case "another's name":
            await air.publish(rights.terminal(name=TerminalId("resus-3")))
            name = TerminalId("resus-3")
        case "no record":
            data = PinProof(record=encode_base64(b"{}"), signature="").to_bytes()
        case _:
            data = b"\xff" * 99
    air[THERE].post(PinProofHeard(name, data))
    await air.rest()
    assert await asks(air) is not Screen.OPEN
    assert AlarmCode.PEER_REFUSED in air[THERE].alarms


async def test_after_a_restart_it_is_still_known(air: Air) -> None:
    await prove(air)
    await air.restart(THERE)
    assert await asks(air) is Screen.OPEN
