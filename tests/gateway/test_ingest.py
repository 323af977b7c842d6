"""From a message to a receipt: who is believed, what is refused, what a failing disk costs."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.directory import Terminal, TerminalState
from contract.ids import TerminalId
from contract.journal import BatchStatement, Receipt, Verdict, join_lines
from contract.signing import Envelope, PayloadType, SignatureRefused, seal
from contract.wire import WireError
from gateway.directory.register import NotRegistered, Register
from gateway.link.ingest import ALARM_EVERY_MS, GROUP, Incoming, Ingest, Receipts, verify
from tests.gateway.conftest import World
from tests.gateway.identities import Scribe
from tests.gateway.requests import terminal_entry
from tests.gateway.test_evidence import Stranger, failing

# A signature's length varies, and with it the message's.
_PLACE = st.integers(0, 2**20)
OURS = (WireError, SignatureRefused, NotRegistered)


class Desk:
    """Ingest at work; what it receipts can be awaited."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.register = Register(world.authority.statement)
        self.receipts: asyncio.Queue[Receipt] = asyncio.Queue()
        self.ingest = Ingest(world.evidence, self.register, world.clock, self._receipted)

    def _receipted(self, sealed: Receipts) -> None:
        for terminal, envelope in sealed:
            receipt = Receipt.open(envelope, self.world.identity.log.public)
            assert receipt.terminal == terminal
            self.receipts.put_nowait(receipt)

    def admit(self, scribe: Scribe, state: TerminalState = TerminalState.ACTIVE) -> None:
        entry: Terminal = terminal_entry(scribe.terminal, scribe.signer.public, state)
        self.register.apply([entry])

    async def send(self, scribe: Scribe, message: bytes) -> None:
        await self.ingest.offer(scribe.terminal, message)

    async def receipt(self) -> Receipt:
        async with asyncio.timeout(10):
            return await self.receipts.get()


@pytest.fixture
async def desk(world: World) -> AsyncIterator[Desk]:
    desk = Desk(world)
    running = asyncio.create_task(desk.ingest.run())
    yield desk
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def batch(scribe: Scribe, count: int = 3) -> bytes:
    _, envelope, bodies = scribe.cut(scribe.some(count))
    return join_lines(envelope, bodies)


async def test_batches_that_wait_share_transactions_and_each_is_receipted(desk: Desk) -> None:
    scribes = [Scribe(f"bay-{n}") for n in range(5)]
    messages = []
    for scribe in scribes:
        desk.admit(scribe)
        messages += [(scribe, batch(scribe)) for _ in range(20)]
    commits: list[object] = []
    sa.event.listen(desk.world.store.engine, "commit", commits.append)
    for scribe, message in messages:
        await desk.send(scribe, message)
    receipts = [await desk.receipt() for _ in messages]
    assert {receipt.verdict for receipt in receipts} == {Verdict.ACCEPTED}
    assert len({receipt.leaf for receipt in receipts}) == 100
    assert 100 / GROUP <= len(commits) < 100
    Stranger(desk.world.database).check()
    assert desk.ingest.counts.batches == {Verdict.ACCEPTED: 100}
    assert desk.ingest.counts.events == 300


async def test_a_batch_alone_does_not_wait_for_company(desk: Desk) -> None:
    scribe = Scribe("bay-1")
    desk.admit(scribe)
    await desk.send(scribe, batch(scribe))
    # The clock of this world stands still: nothing here can have waited for a time to pass.
    assert (await desk.receipt()).next == 3


async def test_a_write_that_does_not_end_is_told_to_the_watchdog(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk hangs, as a dying one does."""
    scribe = Scribe("bay-1")
    desk.admit(scribe)
    begun, go_on = threading.Event(), threading.Event()
    append = desk.world.evidence.append

    def hang(*arguments: object) -> object:
        begun.set()
        go_on.wait(10)
        return append(*arguments)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(desk.world.evidence, "append", hang)
    await desk.send(scribe, batch(scribe))
    assert await asyncio.to_thread(begun.wait, 10)
    assert not desk.ingest.stalled(60)
    desk.world.clock.advance(61)
    assert desk.ingest.stalled(60)
    go_on.set()
    assert (await desk.receipt()).verdict is Verdict.ACCEPTED
    assert not desk.ingest.stalled(0)


def faults(desk: Desk) -> dict[str, tuple[Scribe, bytes]]:
    """Bad input, each from a terminal that is otherwise in order."""

    def admitted(state: TerminalState = TerminalState.ACTIVE) -> Scribe:
        scribe = Scribe(f"bay-{secrets.token_hex(4)}")
        desk.admit(scribe, state)
        return scribe

    def made(change: str) -> tuple[Scribe, bytes]:
        scribe = admitted()
        statement, envelope, bodies = scribe.cut(scribe.some(3))
        match change:
            case "another's name":
                other = BatchStatement(**{**dict(statement), "terminal": TerminalId("bay-0")})
                envelope = other.seal(scribe.signer)
            case "another's key":
                envelope = statement.seal(Scribe("bay-0").signer)
            case "another type":
                envelope = seal(PayloadType.ENROLMENT, statement.to_bytes(), scribe.signer)
            case "a body exchanged":
                bodies = (*bodies[:-1], b"{}")
            case "a body missing":
                bodies = bodies[:-1]
            case "a body too many":
                bodies = (*bodies, b"{}")
            case "bodies in another order":
                bodies = bodies[::-1]
            case _:
                raise AssertionError(change)
        return scribe, join_lines(envelope, bodies)

    names = (
        "another's name",
        "another's key",
        "another type",
        "a body exchanged",
        "a body missing",
        "a body too many",
        "bodies in another order",
    )
    stranger, retired = Scribe("bay-9"), admitted(TerminalState.RETIRED)
    return {name: made(name) for name in names} | {
        "nobody of the register": (stranger, batch(stranger)),
        "a retired terminal": (retired, batch(retired)),
        "nothing": (admitted(), b""),
        "no JSON": (admitted(), b"\xff\n"),
        "too large": (admitted(), b"x" * 300_000),
    }


async def test_bad_input_is_refused_counted_and_alarmed_and_stops_nobody(desk: Desk) -> None:
    bad = faults(desk)
    for scribe, message in bad.values():
        await desk.send(scribe, message)
    good = Scribe("bay-1")
    desk.admit(good)
    await desk.send(good, batch(good))
    receipt = await desk.receipt()
    assert (receipt.terminal, receipt.verdict) == ("bay-1", Verdict.ACCEPTED)
    assert desk.ingest.counts.refused == len(bad)
    stranger = Stranger(desk.world.database)
    stranger.check()
    alarms = [body for body in stranger.events.values() if b"peer-refused" in body]
    assert len(alarms) == len(bad)


async def test_a_terminal_that_talks_nonsense_for_ever_fills_no_journal(desk: Desk) -> None:
    good, bad = Scribe("bay-1"), Scribe("bay-2")
    desk.admit(good)

    async def alarms_after(seconds: float) -> int:
        desk.world.clock.advance(seconds)
        for _ in range(50):
            await desk.send(bad, secrets.token_bytes(8))
        await desk.send(good, batch(good))
        await desk.receipt()
        events = Stranger(desk.world.database).events
        return sum(b"peer-refused" in body for body in events.values())

    assert await alarms_after(0) == 1
    assert await alarms_after(1) == 1
    assert await alarms_after(ALARM_EVERY_MS / 1000) == 2
    assert desk.ingest.counts.refused == 150


async def test_a_stolen_journal_is_alarmed_and_not_receipted(desk: Desk) -> None:
    owner, thief = Scribe("bay-1"), Scribe("bay-2")
    desk.admit(owner)
    desk.admit(thief)
    await desk.send(owner, batch(owner))
    await desk.receipt()
    thief.journal, thief.next, thief.chain = owner.journal, owner.next, owner.chain
    await desk.send(thief, batch(thief))
    await desk.send(owner, batch(owner))
    assert (await desk.receipt()).terminal == "bay-1"
    await desk.send(owner, batch(owner))
    await desk.receipt()
    assert desk.ingest.counts.refused == 1
    assert any(b"peer-refused" in body for body in Stranger(desk.world.database).events.values())


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_disk_that_fails_costs_a_receipt_and_nothing_else(desk: Desk, when: str) -> None:
    scribe = Scribe("bay-1")
    desk.admit(scribe)
    message = batch(scribe)
    with failing(desk.world, when):
        await desk.send(scribe, message)
        await desk.world.clock.next_deadline()  # it lets the database rest
    assert desk.receipts.empty()
    assert desk.ingest.counts.failed_commits == 1
    desk.world.clock.advance(1)
    await desk.send(scribe, message)
    expected = Verdict.ACCEPTED if when == "before" else Verdict.DUPLICATE
    assert (await desk.receipt()).verdict is expected
    Stranger(desk.world.database).check()


def test_the_gateways_own_batches_are_believed_by_the_statement_key(world: World) -> None:
    own = Scribe("gateway", world.identity.statement)
    register = Register(world.authority.statement)
    assert verify(Incoming(own.terminal, batch(own)), register).statement.terminal == "gateway"
    with pytest.raises(SignatureRefused):
        verify(Incoming(own.terminal, batch(Scribe("gateway"))), register)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_comes_ends_in_a_batch_or_in_our_own_errors(
    world: World, data: st.DataObject
) -> None:
    scribe = Scribe("bay-1")
    register = Register(world.authority.statement)
    register.apply([terminal_entry("bay-1", scribe.signer.public)])
    message = bytearray(batch(scribe, 2))
    match data.draw(st.sampled_from(["noise", "flip", "cut", "splice"])):
        case "noise":
            message = bytearray(data.draw(st.binary(max_size=300)))
        case "flip":
            place = data.draw(_PLACE) % len(message)
            message[place] ^= 1 << data.draw(st.integers(0, 7))
        case "cut":
            message = message[: data.draw(_PLACE) % len(message)]
        case _:
            place = data.draw(_PLACE) % (len(message) + 1)
            message[place:place] = data.draw(st.binary(min_size=1, max_size=20))
    try:
        verify(Incoming(scribe.terminal, bytes(message)), register)
    except OURS:
        return
    pytest.fail("a changed batch was believed")


def test_a_batch_is_kept_byte_for_byte_as_it_was_signed(world: World) -> None:
    scribe = Scribe("bay-1")
    register = Register(world.authority.statement)
    register.apply([terminal_entry("bay-1", scribe.signer.public)])
    message = batch(scribe)
    believed = verify(Incoming(scribe.terminal, message), register)
    assert b"\n".join((believed.line, *believed.bodies)) == message
    assert believed.digest == Envelope.from_bytes(believed.line).digest
