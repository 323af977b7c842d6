"""A terminal of the site that has turned: what it can say on its move and PIN topics harms nobody.

Two honest terminals with real consumers and journals; the third is the attacker: it has its own
place in the register, its own batch key, everything that was ever said, and the broker's leave to
speak under its own name. It has no card.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.bedside import SessionKind
from contract.directory import Status, TerminalState
from contract.events import AlarmCode, CardRecorded, Event
from contract.ids import Digest, HolderId, PositionId, SessionId, TerminalId
from contract.journal import join_lines
from contract.move import STATE_CAP, SessionHandover, StateTaken, seal_state
from contract.moving import MoveRefused, SessionMoved
from contract.signing import Envelope, sha256
from contract.tap import MoveRequest, TapRecord, is_move_request
from contract.wire import WireError, decode_base64, encode_base64
from firmware_py.glass.view import Screen
from firmware_py.roaming.heard import Refused, open_pin, open_request
from firmware_py.roaming.reserve import Fresh
from firmware_py.site.link import MoveHeard, PinProofHeard
from firmware_py.site.peerrate import BURST, PeerRate
from hardware.virtual.sample import personalised
from tests.firmware import rights
from tests.firmware.air import Air, begin, who
from tests.firmware.bench import Bench, staff
from tests.firmware.emergency_ward import active, glass, take, without_journal

AMAL, BEA = personalised(), personalised()
NOTES = "bed 4: fluids"
HERE, THERE, TURNED = "resus-1", "resus-2", TerminalId("resus-9")


@pytest.fixture
async def air(tmp_path: Path) -> AsyncIterator[Air]:
    """Amal works at the first, with something written; she has worked at the second before."""
    async with Air(tmp_path, HERE, THERE) as air:
        await air.open_day(
            staff("amal", "AM", AMAL),
            staff("bea", "BE", BEA),
            rights.terminal(name=TURNED),
            still_you_s=1,
        )
        yield air


def requests(air: Air) -> list[tuple[TerminalId, MoveRequest]]:
    return [
        (name, MoveRequest.from_bytes(data)) for name, data in air.said if is_move_request(data)
    ]


async def say(air: Air, data: bytes, name: TerminalId = TURNED) -> None:
    for bench in air.benches.values():
        bench.post(MoveHeard(name, data))
    await air.rest()


async def refusals(bench: Bench) -> list[str]:
    found = [e.detail for e in await bench.events() if isinstance(e.detail, MoveRefused)]
    return [one.reason.value for one in found]


async def moves(bench: Bench) -> int:
    return sum(isinstance(e.detail, SessionMoved) for e in await bench.events())


def forged(event: Event, key: Fresh, **changes: Any) -> bytes:  # noqa: ANN401 - by field
    """The attacker's own record of a tap that never was, under a key of his own."""
    detail = event.detail
    assert isinstance(detail, CardRecorded)
    assert isinstance(detail.record, TapRecord)
    record = detail.record.model_copy(update={"seal": key.seal, "nonce": secrets.token_hex(32)})
    made = {"terminal": TURNED, "detail": CardRecorded(record=record), **changes}
    return event.model_copy(update=made).to_bytes()


async def test_it_closes_nobodys_session_without_a_signature_of_the_card(air: Air) -> None:
    await begin(air, HERE, THERE, AMAL, NOTES)
    (_, newest) = requests(air)[-1]
    key = Fresh.make()
    line = forged(Event.from_bytes(decode_base64(newest.record)), key)
    for signature in (newest.signature, encode_base64(rights.batch_key_of(TURNED).sign(line))):
        lie = MoveRequest(
            record=encode_base64(line),
            signature=signature,
            key=encode_base64(key.spki),
            heartbeat=newest.heartbeat,
        )
        await say(air, lie.to_bytes())
    assert who(air[HERE]) == "AM"
    assert set(await refusals(air[HERE])) == {"not-believed"}
    assert AlarmCode.PEER_REFUSED in air[HERE].alarms


async def test_it_cannot_say_anothers_request_as_its_own(air: Air) -> None:
    await begin(air, HERE, THERE, AMAL, NOTES)
    for _, request in requests(air):
        await say(air, request.to_bytes())
    assert who(air[HERE]) == "AM"
    assert "not-believed" in await refusals(air[HERE])


async def test_a_request_played_again_closes_nothing(air: Air) -> None:
    """Even under the name of the terminal that made it: as a broker that has turned could."""
    await begin(air, HERE, THERE, AMAL, NOTES)
    mark = await moves(air[HERE])
    for name, request in requests(air):
        if name != HERE:
            air[HERE].post(MoveHeard(name, request.to_bytes()))
    await air.rest()
    assert who(air[HERE]) == "AM"
    assert await moves(air[HERE]) == mark
    await air.later(120)
    air[HERE].touch()
    for name, request in requests(air):
        if name != HERE:
            air[HERE].post(MoveHeard(name, request.to_bytes()))
    await air.rest()
    assert who(air[HERE]) == "AM"


async def test_it_cannot_put_its_own_key_under_a_tap(air: Air) -> None:
    """And so read what moves after an honest one."""
    await begin(air, HERE, THERE, AMAL, NOTES)
    name, newest = requests(air)[-1]
    own = newest.model_copy(update={"key": encode_base64(Fresh.make().spki)})
    assert name == HERE
    air[THERE].post(MoveHeard(name, own.to_bytes()))
    await air.rest()
    assert "not-believed" in await refusals(air[THERE])


async def test_what_is_parked_elsewhere_is_sealed_to_the_tap_alone(air: Air) -> None:
    await begin(air, HERE, THERE, AMAL, NOTES)
    await air[THERE].tap(AMAL)
    await air.rest()
    handed = [data for name, data in air.said if name == HERE and not is_move_request(data)]
    assert handed
    for data in handed:
        assert b"bed 4" not in data
        assert encode_base64(b"bed 4")[:6].encode() not in data
    # Said again to the attacker as if it were for him, it is not signed any more.
    envelope, _, line = handed[-1].partition(b"\n")
    said = SessionHandover.from_bytes(decode_base64(Envelope.from_bytes(envelope).payload))
    again = said.model_copy(update={"to": TURNED}).seal(rights.batch_key_of(TURNED))
    await say(air, join_lines(again, [line]))
    assert air[THERE].workspace.notes == NOTES


async def test_an_old_tap_takes_no_state_with_it(air: Air) -> None:
    """A signature in hand is worth a state for a minute: then only its holder's next tap is."""
    await begin(air, HERE, THERE, AMAL, NOTES)
    air.cut(THERE)
    await air[THERE].tap(AMAL)  # made, and kept back by a terminal that has turned
    await air.rest()
    await air.later(90)
    air[HERE].touch()
    air.heal(THERE)
    await air.rest()
    assert who(air[HERE]) is None  # it is the later tap, and hers: parked, with all it has
    assert air[THERE].workspace.notes == ""


async def test_it_slips_nothing_into_anybodys_work(air: Air) -> None:
    await begin(air, HERE, THERE, AMAL, NOTES)
    _, newest = requests(air)[-1]
    line = decode_base64(newest.record)
    for signer, terminal in ((TURNED, TURNED), (TURNED, TerminalId(THERE))):
        handover = SessionHandover(
            site=rights.SITE,
            terminal=terminal,
            to=TerminalId(HERE),
            record=sha256(line),
            session=SessionId("5e" * 16),
            holder=HolderId("bea"),
            position=PositionId("nurse"),
            ground=SessionKind.ORDINARY,
            state=None,
            unsaved=False,
            until_ms=rights.NOW_MS + 3_600_000,
        )
        sealed = seal_state(handover, newest, b"give 10 x the dose")
        said = handover.model_copy(update={"state": sha256(sealed)})
        await say(air, join_lines(said.seal(rights.batch_key_of(signer)), [sealed]))
    assert air[HERE].workspace.notes == NOTES


async def test_a_terminal_that_was_retired_is_heard_no_more(air: Air) -> None:
    await begin(air, HERE, THERE, AMAL, NOTES)
    await air.publish(rights.terminal(TerminalState.RETIRED, TerminalId(THERE)))
    await air[THERE].tap(AMAL, Screen.REFUSED, Screen.OPEN)
    name, newest = [one for one in requests(air) if one[0] == THERE][-1]
    air[HERE].post(MoveHeard(name, newest.to_bytes()))
    await air.rest()
    assert who(air[HERE]) == "AM"
    assert "terminal-unknown" in await refusals(air[HERE])


async def test_a_lost_card_closes_nobodys_session(air: Air) -> None:
    await begin(air, HERE, THERE, AMAL, NOTES)
    other = personalised()
    await air.publish(staff("amal", "AM", other))
    air.cut(HERE)
    await air[THERE].sign_on(other)
    await air.rest()
    air.up.add(TerminalId(HERE))
    await air.publish(staff("amal", "AM", other, status=Status.LOST))
    name, newest = [one for one in requests(air) if one[0] == THERE][-1]
    air[HERE].post(MoveHeard(name, newest.to_bytes()))
    await air.rest()
    assert who(air[HERE]) == "AM"
    assert "card-lost" in await refusals(air[HERE])


async def test_it_cannot_make_another_terminal_forget_work_by_thanking_for_it(air: Air) -> None:
    await begin(air, HERE, THERE, AMAL, NOTES)
    air.deaf.add(TerminalId(THERE))  # the state is sent, and never arrives
    await air[THERE].tap(AMAL)
    await air.rest()
    moved = [e.detail for e in await air[HERE].events() if isinstance(e.detail, SessionMoved)][-1]
    for name in (TURNED, TerminalId(THERE)):
        taken = StateTaken(
            site=rights.SITE,
            terminal=name,
            origin=TerminalId(HERE),
            record=moved.record,
            session=moved.session,
        )
        await say(air, taken.seal(rights.batch_key_of(TURNED)).to_bytes())
    assert air[HERE].workspace.keep(moved.session) == NOTES.encode()


async def test_what_it_says_fills_no_journal(air: Air) -> None:
    await begin(air, HERE, THERE, AMAL, NOTES)
    before = len(await air[HERE].events())
    for n in range(300):
        air[HERE].post(MoveHeard(TURNED, b'{"type":"tapover/move-request/v1"' + b"x" * n))
        air[HERE].post(MoveHeard(TURNED, b"\x00" * n))
    await air.rest()
    assert len(await air[HERE].events()) - before <= 4
    assert who(air[HERE]) == "AM"


def test_who_floods_is_taken_in_no_more_than_others_are() -> None:
    rate, second = PeerRate(), 1_000_000_000
    taken = sum(rate.takes(TURNED, now_ns) for now_ns in range(0, second, second // 5_000))
    assert taken <= BURST + 21
    assert rate.takes(TerminalId(HERE), second)


# ---- any bytes whatever ------------------------------------------------------------------------


class Nothing:
    """A directory that knows nobody: whatever gets so far is no error."""

    def entitlement(self, _: object) -> None:
        return None


@settings(max_examples=200)
@given(st.binary(max_size=400) | st.just(b'{"type":"tapover/move-request/v1"}'))
def test_any_bytes_end_in_our_own_refusal(data: bytes) -> None:
    for read in (
        lambda: open_request(data, TURNED, Nothing(), lambda _: True),  # type: ignore[arg-type]
        lambda: open_pin(data, TURNED, Nothing()),  # type: ignore[arg-type]
    ):
        with pytest.raises(Refused):
            read()


async def test_any_change_of_a_real_message_is_refused_or_nothing(air: Air) -> None:
    """One byte at a time, at places by chance: never an error that is not ours, nobody parked."""
    await begin(air, HERE, THERE, AMAL, NOTES)
    _, newest = requests(air)[-1]
    data = bytearray(newest.to_bytes())
    for at in range(0, len(data), 97):
        changed = bytes(data[:at]) + bytes([data[at] ^ 1]) + bytes(data[at + 1 :])
        air[THERE].post(MoveHeard(TerminalId(HERE), changed))
        air[HERE].post(MoveHeard(TerminalId(THERE), changed))
        air[THERE].post(PinProofHeard(TerminalId(HERE), changed))
    await air.rest()
    assert who(air[HERE]) == "AM"


async def test_any_change_of_a_real_handover_slips_nothing_in(air: Air) -> None:
    await begin(air, HERE, THERE, AMAL, NOTES)
    air.deaf.add(TerminalId(THERE))  # it was sent; only what is changed arrives
    await air[THERE].tap(AMAL)
    await air.rest()
    name, data = [one for one in air.said if not is_move_request(one[1])][-1]
    assert name == HERE
    for at in range(0, len(data), 61):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        air[THERE].post(MoveHeard(name, changed))
    await air.rest()
    assert who(air[THERE]) == "AM"
    assert air[THERE].workspace.notes == ""

    air[THERE].post(MoveHeard(name, data))
    await air.rest()
    assert air[THERE].workspace.notes == NOTES


def test_a_state_has_a_cap_on_both_sides() -> None:
    from contract.move import StateRefused, open_state

    key = Fresh.make()
    handover = SessionHandover(
        site=rights.SITE,
        terminal=TerminalId(HERE),
        to=TerminalId(THERE),
        record=Digest("7a" * 32),
        session=SessionId("5e" * 16),
        holder=HolderId("amal"),
        position=PositionId("nurse"),
        ground=SessionKind.ORDINARY,
        state=None,
        unsaved=False,
        until_ms=0,
    )
    request = MoveRequest(record="", signature="", key=encode_base64(key.spki))
    line = seal_state(handover, request, b"x" * STATE_CAP)
    assert open_state(handover, key.key, line) == b"x" * STATE_CAP
    with pytest.raises(StateRefused):
        seal_state(handover, request, b"x" * (STATE_CAP + 1))
    for other in (
        handover.model_copy(update={"session": SessionId("5f" * 16)}),
        handover.model_copy(update={"to": TURNED}),
    ):
        with pytest.raises(StateRefused):
            open_state(other, key.key, line)
    with pytest.raises(StateRefused):
        open_state(handover, ec.generate_private_key(ec.SECP256R1()), line)
    with pytest.raises(StateRefused):
        open_state(handover, key.key, b"\xff" * 999)
    with pytest.raises(WireError):
        SessionHandover.from_bytes(b"x" * 100_000)


async def test_an_old_tap_does_not_close_an_emergency_that_no_journal_could_take(
    air: Air,
) -> None:
    """Said again by whoever still shows her earlier work, or by a broker that has turned."""
    await air.publish(rights.policy(break_glass=glass()))
    await air[THERE].sign_on(AMAL)
    await air.later(5)
    await without_journal(air[HERE])
    await air[HERE].tap(AMAL, Screen.OFFER)
    await take(air[HERE])
    await air[HERE].mend_disk()
    await air.later(1)
    for name, request in requests(air):
        air[HERE].post(MoveHeard(name, request.to_bytes()))
    await air.rest()
    assert active(air[HERE].board.view)
