"""A terminal of the site that has turned: what it may send hurts nobody but itself."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import utils

from contract.ids import TerminalId
from contract.journal import Receipt, Verdict, join_lines
from contract.signing import Envelope
from contract.topics import FromTerminal, Site, ToTerminal, site_topic, terminal_topic
from contract.wire import decode_base64, encode_base64
from runtime.mqtt import Message, MqttLink
from tests.gateway.conftest import Box, made_box
from tests.gateway.identities import Person, Scribe
from tests.gateway.requests import request, terminal_entry

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
DEEP = b'{"a":' * 9_000 + b"1" + b"}" * 9_000
NONSENSE = (
    *(b"", b"\x00", b"\xff" * 999, b"{}", b"{}\n{}", b"null", b"\n" * 200_000, DEEP),
    *(b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":1' + b"0" * 5_000 + b"}", b'{"a":"\\ud800"}'),
    b'{"a":"' + b"\\u0000" * 30_000 + b'"}',
    b"x" * 250_000,
)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A gateway and a broker that are up; two terminals are registered."""
    with made_box(tmp_path_factory.mktemp("turned")) as box, box.broker:
        box.start()
        yield box
        assert box.gateway.stop() == 0


@pytest.fixture(scope="module")
def bays(box: Box) -> tuple[Person, Person]:
    bays = box.terminal("bay-1"), box.terminal("bay-2")
    entries = [terminal_entry(bay.name, bay.signer.public) for bay in bays]
    with box.http(box.operator, box.admin_port) as client:
        answer = client.post("/v1/changes", content=request(entries, box.operator.signer))
    assert answer.status_code == 200, answer.text
    return bays


def health(box: Box) -> dict[str, Any]:
    with box.http(box.operator, box.admin_port) as client:
        found: dict[str, Any] = client.get("/healthz").json()
        return found


async def delivered(link: MqttLink, scribe: Scribe) -> Receipt:
    """The receipt of a batch of this terminal's."""
    _, envelope, bodies = scribe.cut(scribe.some(3))
    audit = terminal_topic(scribe.terminal, FromTerminal.AUDIT)
    receipts = terminal_topic(scribe.terminal, ToTerminal.RECEIPT)
    await link.publish(audit, join_lines(envelope, bodies))
    async for message in link.messages():
        if message.topic == receipts:
            return Receipt.from_bytes(decode_base64(Envelope.from_bytes(message.payload).payload))
    raise AssertionError


async def test_nonsense_of_a_genuine_terminal_is_refused_counted_and_hardly_written_down(
    box: Box, bays: tuple[Person, Person]
) -> None:
    bad, good = bays
    log = box.folder / "serve.log"
    async with asyncio.timeout(30), box.link(good) as other:
        before, written = await asyncio.to_thread(health, box), log.stat().st_size
        async with box.link(bad) as link:
            for channel in FromTerminal:
                topic = terminal_topic(TerminalId("bay-1"), channel)
                retain = channel is FromTerminal.STATUS
                await asyncio.gather(
                    *(link.publish(topic, each, retain=retain) for each in NONSENSE * 5)
                )
            receipt = await delivered(link, Scribe("bay-1", bad.signer))
        assert receipt.verdict is Verdict.ACCEPTED, "its own word still counts"
        assert (await delivered(other, Scribe("bay-2", good.signer))).verdict is Verdict.ACCEPTED
        after = await asyncio.to_thread(health, box)
    taken = {key: after[key] - before[key] for key in ("refused", "repeats")}
    assert taken["refused"] + taken["repeats"] == 5 * len(NONSENSE)
    assert taken["refused"] >= len(NONSENSE), "a repeat is what waits already"
    assert after["log_size"] - before["log_size"] <= 4, "two batches, an alarm or two"
    assert log.stat().st_size - written < 8_192


async def test_a_terminal_writes_neither_for_another_nor_for_the_site(
    box: Box, bays: tuple[Person, Person]
) -> None:
    bad, good = bays
    others = [terminal_topic(TerminalId("bay-2"), channel) for channel in FromTerminal]
    others += [terminal_topic(TerminalId(name), ToTerminal.RECEIPT) for name in ("bay-1", "bay-2")]
    others += [site_topic(channel) for channel in Site] + ["tapover/v1/gateway/audit"]
    stolen = Scribe("bay-2", bad.signer)
    _, envelope, bodies = stolen.cut(stolen.some(1))
    async with asyncio.timeout(30), box.link(good) as other, box.link(bad) as link:
        before = await asyncio.to_thread(health, box)
        for topic in others:
            await link.publish(topic, b"forged", retain=True)
        # In another's name on its own topic; then under an id that is the gateway's own.
        await link.publish(
            terminal_topic(TerminalId("bay-1"), FromTerminal.AUDIT), join_lines(envelope, bodies)
        )
        own = Scribe("gateway", bad.signer)
        _, envelope, bodies = own.cut(own.some(1))
        await link.publish(
            terminal_topic(TerminalId("bay-1"), FromTerminal.AUDIT), join_lines(envelope, bodies)
        )
        heard: list[Message] = []
        receipt = await delivered(link, Scribe("bay-1", bad.signer))
        while site_topic(Site.HEARTBEAT) not in [message.topic for message in heard]:
            heard += await other.take()
        after = await asyncio.to_thread(health, box)
    assert receipt.verdict is Verdict.ACCEPTED
    assert [message for message in heard if message.payload == b"forged"] == []
    assert after["refused"] - before["refused"] == 2
    assert after["batches"].get("fork", 0) == 0


async def test_the_other_form_of_a_signature_makes_no_fork_of_an_honest_journal(
    box: Box, bays: tuple[Person, Person]
) -> None:
    """Who carries a batch can write (r, n - s) for (r, s), without the key."""
    bay = bays[0]
    scribe = Scribe("bay-1", bay.signer)
    _, envelope, bodies = scribe.cut(scribe.some(2))
    sent = envelope.signatures[0]
    r, s = utils.decode_dss_signature(decode_base64(sent.sig))
    other = encode_base64(utils.encode_dss_signature(r, P256_ORDER - s))
    signatures = (sent.model_copy(update={"sig": other}),)
    forged = envelope.model_copy(update={"signatures": signatures})
    audit = terminal_topic(scribe.terminal, FromTerminal.AUDIT)
    receipts = terminal_topic(scribe.terminal, ToTerminal.RECEIPT)
    before = await asyncio.to_thread(health, box)
    async with asyncio.timeout(30), box.link(bay) as link:
        for form in (forged, envelope):
            await link.publish(audit, join_lines(form, bodies))
        heard = [m async for m in some(link, lambda m: m.topic == receipts, 1)]
    after = await asyncio.to_thread(health, box)
    receipt = Receipt.open(Envelope.from_bytes(heard[0].payload), box.identity.log.public)
    assert (receipt.verdict, receipt.batch) == (Verdict.ACCEPTED, envelope.digest)
    assert after["refused"] - before["refused"] == 1


async def some(
    link: MqttLink, wanted: Callable[[Message], bool], count: int
) -> AsyncIterator[Message]:
    async for message in link.messages():
        if wanted(message):
            yield message
            count -= 1
        if not count:
            return


def test_an_operators_word_counts_once_for_his_site_and_by_his_key_alone(
    box: Box, bays: tuple[Person, Person]
) -> None:
    entry = terminal_entry("bay-3", bays[0].signer.public)
    nonce = secrets.token_hex(32)
    asked = request([entry], box.operator.signer, nonce=nonce)
    head = health(box)["directory"]
    with box.http(box.operator, box.admin_port) as client:

        def post(message: bytes) -> int:
            return client.post("/v1/changes", content=message).status_code

        assert post(asked) == 200
        assert post(asked) == 200, "an answer that was lost is given again"
        assert post(request([entry], box.operator.signer, nonce=nonce)) == 409
        assert post(request([entry], bays[0].signer)) == 403
        assert post(request([entry], box.operator.signer, operator="carl")) == 403
        for name in ("gateway", "site"):
            bad = entry.model_copy(update={"terminal": name})
            assert post(request([bad], box.operator.signer)) == 403
        assert post(asked + b"\n" + entry.to_bytes()) == 403
        assert post(b"x" * (32 << 20)) in {403, 413}
    assert health(box)["directory"]["n"] == head["n"] + 1
