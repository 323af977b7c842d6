"""The whole gateway as a process: from a batch on the broker to an export that can be checked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import tapover_verify
from contract.checkpoint import CheckpointMessage, open_checkpoint
from contract.directory import DirectoryChange
from contract.journal import Receipt, Verdict, join_lines, split_lines
from contract.signing import Envelope
from contract.statements import Heartbeat
from contract.topics import FromTerminal, Site, ToTerminal, site_topic, terminal_topic
from runtime.mqtt import Message, MqttLink
from tests.gateway.conftest import Box
from tests.gateway.export_reader import read_export
from tests.gateway.identities import SITE, Person, Scribe
from tests.gateway.requests import request, terminal_entry


async def hear(link: MqttLink, wanted: Callable[[Message], bool]) -> Message:
    async with asyncio.timeout(10):
        async for message in link.messages():
            if wanted(message):
                return message
    raise AssertionError


def change_directory(box: Box, *people: Person) -> dict[str, object]:
    entries = [terminal_entry(person.name, person.signer.public) for person in people]
    with box.http(box.operator, box.admin_port) as client:
        answer = client.post("/v1/changes", content=request(entries, box.operator.signer))
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


async def test_a_batch_is_receipted_covered_by_a_checkpoint_and_exported(box: Box) -> None:
    with box.broker:
        box.start()
        terminal = box.terminal("bay-1")
        receipts = terminal_topic(Scribe("bay-1").terminal, ToTerminal.RECEIPT)
        async with box.link(terminal) as link:
            await hear(link, lambda m: m.topic == site_topic(Site.HEARTBEAT))
            answer = await asyncio.to_thread(change_directory, box, terminal)
            change = await hear(link, lambda m: m.topic == site_topic(Site.DIRECTORY))
            behind = await hear(link, lambda m: m.topic == site_topic(Site.HEARTBEAT))
            envelope, _ = split_lines(change.payload, len(change.payload))
            made = DirectoryChange.open(envelope, box.identity.statement.public)
            beat = Heartbeat.open(
                Envelope.from_bytes(behind.payload), box.identity.statement.public
            )
            assert answer["version"] == made.version.model_dump() == beat.version.model_dump()
            assert beat.head == envelope.digest

            scribe = Scribe("bay-1", terminal.signer)
            statement, batch, bodies = scribe.cut(scribe.some(20))
            audit = terminal_topic(scribe.terminal, FromTerminal.AUDIT)
            await link.publish(audit, join_lines(batch, bodies))
            heard = await hear(link, lambda m: m.topic == receipts)
            receipt = Receipt.open(Envelope.from_bytes(heard.payload), box.identity.log.public)
            assert (receipt.verdict, receipt.next) == (Verdict.ACCEPTED, statement.next)

            def covers(message: Message) -> bool:
                if message.topic != site_topic(Site.CHECKPOINT):
                    return False
                note = CheckpointMessage.from_bytes(message.payload).note
                newest = open_checkpoint(note, SITE, 1, box.identity.log.public)
                return receipt.leaf is not None and newest.size > receipt.leaf

            await hear(link, covers)
        status, lines = await asyncio.to_thread(box.done, "export", str(box.folder / "out"))
        assert status == 0, lines
        assert box.gateway.stop() == 0
    export = read_export(box.folder / "out", box.identity.log.public)
    assert receipt.leaf is not None
    assert export.leaves[receipt.leaf] == batch.to_bytes()
    assert set(bodies) <= export.bodies
    assert tapover_verify.main([str(box.folder / "out"), "--root", box.identity.fingerprint]) == 0


async def test_what_was_sent_before_the_gateway_started_is_receipted_after_it_is_resent(
    box: Box,
) -> None:
    box.start()
    terminal = box.terminal("bay-1")
    await asyncio.to_thread(change_directory, box, terminal)
    scribe = Scribe("bay-1", terminal.signer)
    _, batch, bodies = scribe.cut(scribe.some(3))
    receipts = terminal_topic(scribe.terminal, ToTerminal.RECEIPT)
    with box.broker:  # it comes up after the gateway, which has waited for it
        async with box.link(terminal) as link:
            await hear(link, lambda m: m.topic == site_topic(Site.HEARTBEAT))
            audit = terminal_topic(scribe.terminal, FromTerminal.AUDIT)
            verdicts = []
            for _ in range(2):
                await link.publish(audit, join_lines(batch, bodies))
                heard = await hear(link, lambda m: m.topic == receipts)
                receipt = Receipt.open(Envelope.from_bytes(heard.payload), box.identity.log.public)
                verdicts.append((receipt.verdict, receipt.leaf))
                box.gateway.kill()
                box.start()
                await hear(link, lambda m: m.topic == site_topic(Site.HEARTBEAT))
        assert box.gateway.stop() == 0
    assert [verdict for verdict, _ in verdicts] == [Verdict.ACCEPTED, Verdict.DUPLICATE]
    assert verdicts[0][1] == verdicts[1][1]
