"""SIGKILL at any moment: what terminals sent is in the log once, and each receipt told the truth.

Counted against what the terminals of this test wrote down themselves, never against the gateway's
own word. A kill falls where it falls: the printed histogram says in which phase each one was seen
to have fallen, by how the batches that were under way are answered when they are sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from contextlib import AsyncExitStack

import pytest

import tapover_verify
from contract.journal import Receipt, Verdict, join_lines
from contract.signing import Envelope, VerifyKey
from contract.topics import FromTerminal, ToTerminal, terminal_topic
from runtime.mqtt import LinkError, MqttLink
from tests.gateway.conftest import Box
from tests.gateway.export_reader import read_export
from tests.gateway.identities import Person, Scribe
from tests.gateway.test_serve import change_directory

WINDOW = 4
RESEND_S = 0.4


class Sender:
    """A terminal that keeps what is not receipted and sends it again, byte for byte."""

    def __init__(self, person: Person, link: MqttLink, key: VerifyKey) -> None:
        self.scribe = Scribe(person.name, person.signer)
        self.link = link
        self.key = key
        self.pending: dict[str, bytes] = {}
        self.lines: dict[str, bytes] = {}
        self.bodies: list[bytes] = []
        self.leaf_of: dict[str, int] = {}
        self.resent: set[str] = set()
        self.answers: Counter[Verdict] = Counter()
        """To batches that were under way at a kill."""
        self.finishing = False
        self.receipt = asyncio.Event()
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Until it is told to finish, and everything is receipted."""
        hearing = asyncio.create_task(self._hear())
        try:
            while self.pending or not self.finishing:
                while len(self.pending) < WINDOW and not self.finishing:
                    await self._send(self._cut())
                self._news.clear()
                try:
                    await asyncio.wait_for(self._news.wait(), RESEND_S)
                except TimeoutError:
                    for message in list(self.pending.values()):
                        await self._send(message)
        finally:
            hearing.cancel()
            await asyncio.wait([hearing])

    def killed(self) -> None:
        """The gateway was killed; these batches were under way."""
        self.resent |= set(self.pending)

    def _cut(self) -> bytes:
        _, envelope, bodies = self.scribe.cut(self.scribe.some(5))
        self.bodies += bodies
        self.lines[envelope.digest] = envelope.to_bytes()
        self.pending[envelope.digest] = message = join_lines(envelope, bodies)
        return message

    async def _send(self, message: bytes) -> None:
        with contextlib.suppress(LinkError):
            topic = terminal_topic(self.scribe.terminal, FromTerminal.AUDIT)
            await self.link.publish(topic, message)

    async def _hear(self) -> None:
        topic = terminal_topic(self.scribe.terminal, ToTerminal.RECEIPT)
        async for message in self.link.messages():
            if message.topic != topic:
                continue
            receipt = Receipt.open(Envelope.from_bytes(message.payload), self.key)
            assert receipt.verdict is not Verdict.FORK
            if receipt.leaf is None:
                continue
            before = self.leaf_of.setdefault(receipt.batch, receipt.leaf)
            assert before == receipt.leaf, "a second receipt names another leaf"
            self.pending.pop(receipt.batch, None)
            if receipt.batch in self.resent:
                self.resent.discard(receipt.batch)
                self.answers[receipt.verdict] += 1
            self._news.set()
            self.receipt.set()

    async def receipted(self, more: int) -> None:
        """Returns when so many more batches are receipted."""
        wanted = len(self.leaf_of) + more
        async with asyncio.timeout(30):
            while len(self.leaf_of) < wanted:
                self.receipt.clear()
                await self.receipt.wait()


@pytest.mark.parametrize("kills", [4, pytest.param(40, marks=pytest.mark.full)])
@pytest.mark.timeout(400)
async def test_nothing_is_lost_doubled_or_unproven(box: Box, kills: int) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    phases: Counter[str] = Counter()
    box.start()
    people = [box.terminal(f"bay-{number}") for number in range(3)]
    await asyncio.to_thread(change_directory, box, *people)
    async with AsyncExitStack() as stack:
        stack.enter_context(box.broker)
        links = [await stack.enter_async_context(box.link(person)) for person in people]
        key = box.identity.log.public
        senders = [Sender(*each, key) for each in zip(people, links, strict=True)]
        running = [asyncio.create_task(sender.run()) for sender in senders]
        for _ in range(kills):
            await senders[0].receipted(chance.randint(1, 20))
            await asyncio.sleep(chance.uniform(0, 0.02))
            await asyncio.to_thread(box.gateway.kill)
            before = sum((sender.answers for sender in senders), Counter[Verdict]())
            for sender in senders:
                sender.killed()
            await asyncio.to_thread(box.start)
            for sender in senders:
                await sender.receipted(WINDOW + 1)
            after = sum((sender.answers for sender in senders), Counter[Verdict]())
            committed = after[Verdict.DUPLICATE] > before[Verdict.DUPLICATE]
            uncommitted = after[Verdict.ACCEPTED] > before[Verdict.ACCEPTED]
            phases[
                ("committed before receipt" if committed else "")
                + (" + " if committed and uncommitted else "")
                + ("not committed" if uncommitted else "")
                or "nothing under way"
            ] += 1
        for sender in senders:
            sender.finishing = True
        async with asyncio.timeout(30):
            await asyncio.gather(*running)
    assert box.gateway.stop() == 0
    status, lines = box.done("export", str(box.folder / "out"))
    assert status == 0, lines
    export = read_export(box.folder / "out", key)
    sent = [body for sender in senders for body in sender.bodies]
    lost = set(sent) - export.bodies
    counts = Counter(export.leaves)
    doubled = [line for line, count in counts.items() if count > 1]
    unproven = [
        digest
        for sender in senders
        for digest, line in sender.lines.items()
        if export.leaves[sender.leaf_of[digest]] != line
    ]
    print(f"seed {seed}, kills {kills}, batches {len(sent) // 5}, phases {dict(phases)}")
    assert (len(lost), len(doubled), len(unproven)) == (0, 0, 0), f"seed {seed}"
    assert tapover_verify.main([str(box.folder / "out"), "--root", box.identity.fingerprint]) == 0
