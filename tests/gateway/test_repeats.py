"""Batches that come again: what it costs a gateway that has enough to do."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from contract.directory import TerminalState
from contract.ids import TerminalId
from contract.journal import Verdict
from contract.signing import PayloadType, seal, sha256
from gateway.directory.register import Register
from gateway.evidence.journal import Batch
from gateway.link.ingest import Incoming, verify
from gateway.link.repeats import MAX_TOLD, Repeats
from tests.gateway.identities import Scribe
from tests.gateway.test_ingest import Desk, batch, desk

__all__ = ["desk"]


async def test_a_batch_that_comes_again_is_receipted_without_being_looked_at(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loaded site's terminals send everything again: that shall not load it more."""
    scribe = Scribe("bay-1")
    desk.admit(scribe)
    message = batch(scribe)
    await desk.send(scribe, message)
    first = await desk.receipt()
    verified, statements = verifications(monkeypatch), sql(desk)
    for _ in range(50):
        await desk.send(scribe, message)
        assert await desk.receipt() == first
    assert (len(verified), len(statements), desk.ingest.counts.repeats) == (0, 0, 50)
    assert desk.ingest.counts.batches == {Verdict.ACCEPTED: 1}


async def test_a_batch_that_comes_again_while_it_waits_is_receipted_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    scribe, other = Scribe("bay-1"), Scribe("bay-2")
    desk.admit(scribe)
    desk.admit(other)
    verified = verifications(monkeypatch)
    messages = [batch(scribe) for _ in range(4)]
    # Nothing here lets the loop turn: the first of them still waits when the last comes.
    for _ in range(25):
        for message in messages:
            await desk.send(scribe, message)
    await desk.send(other, batch(other))
    receipts = [await desk.receipt() for _ in range(5)]
    assert [receipt.terminal for receipt in receipts] == [scribe.terminal] * 4 + [other.terminal]
    assert desk.receipts.empty()
    assert (len(verified), desk.ingest.counts.repeats) == (5, 96)


async def test_only_the_very_bytes_on_the_very_topic_are_a_repeat(desk: Desk) -> None:
    scribe, thief = Scribe("bay-1"), Scribe("bay-2")
    desk.admit(scribe)
    desk.admit(thief)
    message = batch(scribe)
    await desk.send(scribe, message)
    await desk.receipt()
    await desk.send(thief, message)
    await desk.send(scribe, message[:-1] + b" ")
    await desk.send(thief, batch(thief))
    assert (await desk.receipt()).terminal == thief.terminal
    assert (desk.ingest.counts.refused, desk.ingest.counts.repeats) == (2, 0)


async def test_a_retired_terminal_hears_nothing_again(desk: Desk) -> None:
    scribe, other = Scribe("bay-1"), Scribe("bay-2")
    desk.admit(scribe)
    desk.admit(other)
    message = batch(scribe)
    await desk.send(scribe, message)
    await desk.receipt()
    desk.admit(scribe, TerminalState.RETIRED)
    await desk.send(scribe, message)
    await desk.send(other, batch(other))
    assert (await desk.receipt()).terminal == other.terminal
    assert desk.ingest.counts.repeats == 0


async def test_a_gap_is_judged_anew_each_time(desk: Desk) -> None:
    scribe = Scribe("bay-1")
    desk.admit(scribe)
    before, after = batch(scribe), batch(scribe)
    for message in (after, after, before, after):
        await desk.send(scribe, message)
        await desk.receipt()
    assert desk.ingest.counts.batches == {Verdict.GAP: 2, Verdict.ACCEPTED: 2}


async def test_what_was_refused_is_looked_at_again(desk: Desk) -> None:
    """Its terminal may be registered a moment later."""
    scribe, other = Scribe("bay-1"), Scribe("bay-2")
    message = batch(scribe)
    desk.admit(other)
    await desk.send(scribe, message)
    await desk.send(other, batch(other))
    await desk.receipt()
    desk.admit(scribe)
    await desk.send(scribe, message)
    assert (await desk.receipt()).terminal == scribe.terminal


def test_the_memory_of_what_was_told_is_bounded() -> None:
    repeats = Repeats()
    receipt = seal(PayloadType.RECEIPT, b"{}", Scribe("bay-0").signer)
    keys = [(TerminalId("bay-1"), sha256(str(n).encode())) for n in range(MAX_TOLD + 1)]
    for key in keys[:-1]:
        repeats.tell(key, receipt)
    assert repeats.told(keys[0]) == receipt  # used: the second is the oldest now
    repeats.tell(keys[-1], receipt)
    assert [repeats.told(key) for key in (keys[0], keys[1], keys[-1])] == [receipt, None, receipt]


def verifications(monkeypatch: pytest.MonkeyPatch) -> list[Incoming]:
    """Each message that is verified from now on."""
    seen: list[Incoming] = []

    def counted(incoming: Incoming, register: Register) -> Batch:
        seen.append(incoming)
        return verify(incoming, register)

    monkeypatch.setattr("gateway.link.ingest.verify", counted)
    return seen


def sql(desk: Desk) -> list[object]:
    """Each statement that the store runs from now on."""
    seen: list[object] = []
    sa.event.listen(
        desk.world.store.engine,
        "before_cursor_execute",
        lambda *arguments: seen.append(arguments[2]),
    )
    return seen
