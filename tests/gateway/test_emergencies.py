"""Break-glass at the gateway: a leaf at once, reviewed first, and said to the ward it is of."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from contract.emergency import (
    AHEAD_MS,
    SHOWN_MS,
    BreakGlassOpened,
    BreakGlassTold,
    Emergency,
    Kept,
)
from contract.events import Alarm, Detail, Event
from contract.ids import PositionId, SessionId, SiteId, TerminalId, WardId
from contract.policy import BreakGlassState
from contract.signing import Envelope, SoftwareSigner
from gateway.link.emergencies import AGAIN_NS, MOST_SAID, Emergencies, EmergencyRefused
from runtime.clock import ManualClock
from tests.gateway.conftest import World
from tests.gateway.identities import SITE
from tests.gateway.night import BAY, ED, key
from tests.gateway.test_spares import Site


def opened(now_ms: int, **changes: Any) -> BreakGlassOpened:  # noqa: ANN401 - by field
    fields: dict[str, Any] = {
        "session": SessionId("5e" * 16),
        "position": PositionId("emergency"),
        "reason": "RESUS",
        "state": BreakGlassState.DIRECTORY_STALE,
        "read_only": False,
        "holder": None,
        "guid": None,
        "record": None,
        "proof": None,
        "begins_ms": now_ms,
        "limit_s": 600,
        "kept": Kept.LATER,
    }
    return BreakGlassOpened(**{**fields, **changes})


class Ward:
    """A site with terminals, and what it hears of break-glass."""

    def __init__(self, world: World) -> None:
        self.site = Site(world)
        self.world = world
        self.clock = ManualClock(wall_ms=world.now.wall_ms)
        self.path = world.database.parent / "emergencies.json"
        self.emergencies = self.begin()

    def begin(self) -> Emergencies:
        world = self.world
        parts = (world.store, world.evidence, self.site.register, SITE)
        return Emergencies(*parts, self.path, self.clock)

    def said(self, signer: SoftwareSigner | None = None, **changes: Any) -> bytes:  # noqa: ANN401
        fields: dict[str, Any] = {"site": SITE, "terminal": BAY, "ward": ED}
        fields["opened"] = opened(self.world.now.wall_ms)
        statement = Emergency(**{**fields, **changes})
        return statement.seal(signer or self.site.batch).to_bytes()

    def take(self, message: bytes, terminal: TerminalId = BAY) -> bool:
        return self.emergencies.take(message, terminal, self.world.now)

    def told(self) -> list[Detail]:
        """What the gateway's own journal says of it."""
        size = self.world.evidence.log.edge().size
        with self.world.store.read() as tx:
            lines = [body for body in tx.log.bodies(size) if b'"tapover/event/v1"' in body]
        details = [Event.from_bytes(line).detail for line in lines]
        return [one for one in details if isinstance(one, BreakGlassTold | Alarm)]


@pytest.fixture
def ward(world: World) -> Ward:
    return Ward(world)


def test_what_a_terminal_tells_is_a_leaf_and_an_event_to_be_reviewed_first(ward: Ward) -> None:
    message = ward.said()
    before = ward.world.evidence.log.edge().size
    assert ward.take(message)
    assert ward.world.evidence.log.edge().size == before + 2
    with ward.world.store.read() as tx:
        assert tx.log.has_statement(Envelope.from_bytes(message).digest)
    (told,) = ward.told()
    assert isinstance(told, BreakGlassTold)
    assert (told.priority, told.terminal, told.session) == ("high", BAY, "5e" * 16)
    assert told.subject == Envelope.from_bytes(message).digest
    assert [one.opened.reason for one in ward.emergencies.standing()] == ["RESUS"]


def test_told_again_it_is_the_same_one(ward: Ward) -> None:
    message = ward.said()
    assert ward.take(message)
    size = ward.world.evidence.log.edge().size
    assert not ward.take(message)
    assert ward.world.evidence.log.edge().size == size
    assert len(ward.emergencies.standing()) == 1


@pytest.mark.parametrize(
    "lie",
    [
        {"site": SiteId("elsewhere")},
        {"terminal": TerminalId("bay-2")},
        {"ward": WardId("icu")},
        {"signer": key()},
    ],
)
def test_what_another_terminal_site_or_ward_would_say_is_refused_with_an_alarm(
    ward: Ward, lie: dict[str, Any]
) -> None:
    with pytest.raises(EmergencyRefused):
        ward.take(ward.said(**lie))
    assert [one.kind for one in ward.told()] == ["alarm"]
    assert ward.emergencies.standing() == []


@pytest.mark.parametrize("message", [b"", b"{}", b"x" * 20_000, b'{"payloadType":"x"}'])
def test_bytes_that_are_none_end_in_a_refusal(ward: Ward, message: bytes) -> None:
    with pytest.raises(EmergencyRefused):
        ward.take(message)


def test_a_terminal_that_is_not_in_the_register_tells_nothing(ward: Ward) -> None:
    with pytest.raises(EmergencyRefused):
        ward.take(ward.said(), TerminalId("bay-9"))


def test_it_is_shown_for_some_hours_also_after_a_restart(ward: Ward) -> None:
    ward.take(ward.said())
    again = ward.begin()
    assert len(again.standing()) == 1
    ward.clock.advance(SHOWN_MS / 1000)
    assert again.standing() == []


def test_another_word_of_the_same_session_takes_its_place(ward: Ward) -> None:
    now_ms = ward.world.now.wall_ms
    for kept in (Kept.GATEWAY, Kept.LATER):
        ward.take(ward.said(opened=opened(now_ms, kept=kept)))
    assert [one.opened.kept for one in ward.emergencies.standing()] == [Kept.LATER]


def test_a_terminal_that_tells_it_all_the_time_silences_no_other(ward: Ward) -> None:
    liar, now_ms = TerminalId("bay-2"), ward.world.now.wall_ms
    ward.take(ward.said())
    for number in (0x5E, *range(MOST_SAID + 5)):  # first under the name of the true one's session
        session = SessionId(f"{number:02x}" * 16 if number == 0x5E else f"{number:032x}")
        lie = opened(now_ms, session=session)
        ward.take(ward.said(ward.site.other, terminal=liar, opened=lie), liar)
    said = [one.terminal for one in ward.emergencies.standing()]
    assert (len(said), said.count(BAY)) == (MOST_SAID, 1)


async def test_it_is_said_again_for_whoever_comes_later(ward: Ward) -> None:
    message = ward.said()
    ward.take(message)
    heard: list[bytes] = []
    said = asyncio.Event()

    def say(one: bytes) -> None:
        heard.append(one)
        said.set()

    running = asyncio.create_task(ward.emergencies.run(say))
    for _ in range(2):
        said.clear()
        await ward.clock.next_deadline()
        ward.clock.advance(AGAIN_NS / 1e9)
        await said.wait()
    running.cancel()
    assert heard == [message, message]


def test_a_damaged_file_is_no_evidence_and_stops_nothing(ward: Ward) -> None:
    ward.take(ward.said())
    ward.path.write_bytes(b"damaged")
    assert ward.begin().standing() == []


def test_what_cannot_be_read_of_what_was_said_is_told_to_the_log(
    ward: Ward, caplog: pytest.LogCaptureFixture
) -> None:
    assert ward.begin().standing() == []
    assert not caplog.records  # nothing was ever said
    ward.path.write_bytes(b"half a fi")
    assert ward.begin().standing() == []
    assert [one.message for one in caplog.records] == ["what was said is not known any more"]


def test_what_is_refused_again_and_again_is_one_alarm_a_minute(ward: Ward) -> None:
    """A terminal that believes itself elsewhere says it for hours."""
    for at_s in (0, 5, 5, 49, 2):
        ward.clock.advance(at_s)
        with pytest.raises(EmergencyRefused):
            ward.take(ward.said(ward=WardId("icu")))
    with pytest.raises(EmergencyRefused):
        ward.take(b"nonsense", TerminalId("bay-2"))
    assert [one.kind for one in ward.told()] == ["alarm"] * 3


def test_what_is_dated_ahead_is_not_said_for_ever(ward: Ward) -> None:
    ahead = ward.world.now.wall_ms + AHEAD_MS
    ward.take(ward.said(opened=opened(ahead)))
    assert len(ward.emergencies.standing()) == 1
    far = opened(ahead + 1, session=SessionId("5f" * 16))
    assert ward.take(ward.said(opened=far)), "the log has it"
    assert [one.opened.begins_ms for one in ward.emergencies.standing()] == [ahead]


def test_a_gateway_that_died_before_it_said_it_says_it_when_it_is_told_again(ward: Ward) -> None:
    message = ward.said()
    ward.take(message)
    ward.path.unlink()
    ward.emergencies = ward.begin()
    assert ward.emergencies.standing() == []
    size = ward.world.evidence.log.edge().size
    assert ward.take(message), "to be said"
    assert ward.world.evidence.log.edge().size == size, "and no second leaf"
    assert len(ward.emergencies.standing()) == 1
