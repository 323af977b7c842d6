"""The link on a real broker: what it delivers, what it refuses, and how it falls."""

import asyncio
import gc
import random
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from runtime.clock import SystemClock
from runtime.mqtt import (
    Limits,
    LinkDown,
    Message,
    PayloadTooLarge,
    Protocol,
    Unacknowledged,
    Will,
    client_context,
)
from runtime.settings import CertificateError
from runtime.supervisor import Backoff, State, Supervisor
from tests.ward.pki import Authority
from tests.ward.site import T7, BrokerSite

AUDIT = f"tapover/v1/{T7}/audit"
ALL_AUDIT = "tapover/v1/+/audit"
STATUS = f"tapover/v1/{T7}/status"


@pytest.mark.parametrize("protocol", list(Protocol))
async def test_what_is_published_arrives_whole_and_in_order(
    site: BrokerSite, protocol: Protocol
) -> None:
    sent = [bytes([n]) * n for n in range(200)]
    async with (
        site.link("gateway", [ALL_AUDIT], protocol=protocol) as gateway,
        site.link(T7, protocol=protocol) as terminal,
    ):
        for payload in sent:
            await terminal.publish(AUDIT, payload)
        arrived: list[Message] = []
        while len(arrived) < len(sent):
            arrived += await gateway.take()
    assert arrived == [Message(AUDIT, payload, retain=False) for payload in sent]


async def test_messages_come_one_by_one_too(site: BrokerSite) -> None:
    async with site.link("gateway", [ALL_AUDIT]) as gateway, site.link(T7) as terminal:
        await terminal.publish(AUDIT, b"1", qos=0)
        await terminal.publish(AUDIT, b"2", qos=0)
        arrived = []
        async for message in gateway.messages():
            arrived.append(message.payload)
            if len(arrived) == 2:
                break
    assert arrived == [b"1", b"2"]


async def test_many_publish_at_once(site: BrokerSite) -> None:
    async with site.link("gateway", [ALL_AUDIT]) as gateway, site.link(T7) as terminal:
        async with asyncio.TaskGroup() as group:
            for number in range(300):
                group.create_task(terminal.publish(AUDIT, b"%d" % number))
        arrived: list[bytes] = []
        while len(arrived) < 300:
            arrived += [message.payload for message in await gateway.take()]
    assert sorted(arrived) == sorted(b"%d" % number for number in range(300))


async def test_a_retained_message_awaits_the_late_and_goodbye_sends_no_will(
    site: BrokerSite,
) -> None:
    async with site.link(T7, will=Will(STATUS, b"lost")) as terminal:
        await terminal.publish(STATUS, b"here", retain=True)
    async with site.link("gateway", ["tapover/v1/+/status"]) as gateway:
        assert await gateway.take() == [Message(STATUS, b"here", retain=True)]


async def test_the_will_is_sent_when_a_link_ends_without_goodbye(site: BrokerSite) -> None:
    # The same certificate connects twice, so the broker drops the first.
    async with (
        site.link("gateway", ["tapover/v1/+/status"]) as gateway,
        site.link(T7, will=Will(STATUS, b"lost")) as first,
        site.link(T7),
    ):
        await first.fallen()
        assert await gateway.take() == [Message(STATUS, b"lost", retain=False)]


async def test_a_killed_broker_is_noticed_at_once_by_everybody_who_waits(
    site: BrokerSite,
) -> None:
    async with site.link("gateway", [ALL_AUDIT]) as gateway, site.link(T7) as terminal:
        site.mosquitto.process.signal(SIGSTOP)
        waiting = [
            asyncio.create_task(gateway.take()),
            asyncio.create_task(terminal.publish(AUDIT, b"x")),
        ]
        await asyncio.sleep(0)
        site.mosquitto.kill()
        async with asyncio.timeout(2):
            ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(end) for end in ends] == [LinkDown, LinkDown]
        with pytest.raises(LinkDown):
            await terminal.publish(AUDIT, b"y")
        with pytest.raises(LinkDown):
            await gateway.take()


async def test_what_had_arrived_is_still_handed_over_after_the_fall(site: BrokerSite) -> None:
    async with site.link("gateway", [ALL_AUDIT]) as gateway, site.link(T7) as terminal:
        await terminal.publish(AUDIT, b"1")
        await gateway.take()
        await terminal.publish(AUDIT, b"2")
        await terminal.publish(AUDIT, b"3", qos=0)
        site.mosquitto.process.stop()
        await gateway.fallen()
        assert [message.payload for message in await gateway.take()] == [b"2", b"3"]
        with pytest.raises(LinkDown):
            await gateway.take()


async def test_a_broker_that_does_not_answer_leaves_a_publish_unacknowledged(
    site: BrokerSite,
) -> None:
    async with site.link(T7, patience_s=0.5) as terminal:
        site.mosquitto.process.signal(SIGSTOP)
        try:
            with pytest.raises(Unacknowledged):
                await terminal.publish(AUDIT, b"x")
        finally:
            site.mosquitto.process.signal(SIGCONT)
        await terminal.publish(AUDIT, b"y")


async def test_a_publish_given_up_by_its_caller_harms_nobody(site: BrokerSite) -> None:
    async with site.link(T7) as terminal:
        publishing = asyncio.create_task(terminal.publish(AUDIT, b"x"))
        await asyncio.sleep(0)
        publishing.cancel()
        await asyncio.wait({publishing})
        await terminal.publish(AUDIT, b"y")


async def test_a_payload_above_the_cap_is_not_sent(site: BrokerSite) -> None:
    async with site.link(T7, limits=Limits(payload_bytes=10)) as terminal:
        await terminal.publish(AUDIT, b"x" * 10)
        with pytest.raises(PayloadTooLarge):
            await terminal.publish(AUDIT, b"x" * 11)


async def test_a_payload_above_the_cap_is_not_taken(site: BrokerSite) -> None:
    # MQTT 3.1.1 cannot tell the broker, so the link itself refuses.
    async with (
        site.link(
            "gateway",
            [ALL_AUDIT],
            limits=Limits(payload_bytes=10),
            protocol=Protocol.V3_1_1,
        ) as gateway,
        site.link(T7) as terminal,
    ):
        await terminal.publish(AUDIT, b"x" * 11)
        await terminal.publish(AUDIT, b"x" * 10)
        assert [message.payload for message in await gateway.take()] == [b"x" * 10]
        assert gateway.discarded == 1


@pytest.mark.parametrize("limits", [Limits(inbox_messages=5), Limits(inbox_bytes=5)])
async def test_a_full_inbox_discards_and_counts(site: BrokerSite, limits: Limits) -> None:
    async with (
        site.link("gateway", [ALL_AUDIT, "tapover/v1/+/status"], limits=limits) as gateway,
        site.link(T7) as terminal,
    ):
        for number in range(8):
            await terminal.publish(AUDIT, b"%d" % number)
        async with asyncio.timeout(5):
            while gateway.discarded < 3:
                await terminal.publish(AUDIT, b"+")
        assert [message.payload for message in await gateway.take()] == [
            b"%d" % n for n in range(5)
        ]
        await terminal.publish(STATUS, b"room")
        while (await gateway.take())[-1].payload != b"room":
            pass


# Who gets in, and whom the client believes.


async def test_a_certificate_of_another_authority_is_refused_with_its_reason(
    site: BrokerSite,
) -> None:
    stranger = Authority("terminals").client(T7)
    with pytest.raises(LinkDown, match="is our certificate refused"):
        async with site.link(T7, issued=stranger):
            pass


async def test_a_broker_of_another_authority_is_not_believed(
    site: BrokerSite, tmp_path: Path
) -> None:
    (tmp_path / "operators.pem").write_bytes(Authority("operators").certificate)
    with pytest.raises(LinkDown, match="certificate is not valid"):
        async with site.link(T7):
            pass


async def test_nobody_at_the_port_is_a_link_down(site: BrokerSite) -> None:
    site.mosquitto.kill()
    with pytest.raises(LinkDown, match="refused"):
        async with site.link(T7):
            pass


def test_the_context_is_tls_1_3_with_one_authority(site: BrokerSite) -> None:
    context = site.context(site.terminals.client(T7), T7)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert len(context.get_ca_certs()) == 1
    assert context.check_hostname


def test_files_that_do_not_serve_are_named(tmp_path: Path) -> None:
    authority = Authority("operators")
    certificate, key = authority.client(T7).write(tmp_path, "a")
    _, other_key = authority.client(T7).write(tmp_path, "b")
    good, two, none = tmp_path / "good", tmp_path / "two", tmp_path / "none"
    good.write_bytes(authority.certificate)
    two.write_bytes(authority.certificate + Authority("other").certificate)
    none.write_bytes(b"nothing")
    absent = tmp_path / "absent"
    for files, said in [
        ((absent, certificate, key), "should hold the broker's authority"),
        ((two, certificate, key), "exactly one authority"),
        ((none, certificate, key), "holds no certificate"),
        ((good, certificate, absent), "cannot be read"),
        ((good, certificate, other_key), "are no certificate and its unencrypted key"),
        ((good, none, key), "are no certificate and its unencrypted key"),
    ]:
        with pytest.raises(CertificateError, match=said):
            client_context(*files)


# Brokers that hang.


@pytest.fixture
def mute_port() -> Iterator[int]:
    """A server that accepts connections and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        accepting = threading.Thread(target=accept)
        accepting.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        accepting.join()
        for each in held:
            each.close()


async def test_a_mute_server_is_given_up_in_time_and_leaves_nothing_behind(
    site: BrokerSite, mute_port: int
) -> None:
    link = site.link(T7, port=mute_port, patience_s=0.5)
    with pytest.raises(LinkDown, match=r"no answer within 0\.5 s"):
        async with link:
            pass
    # The thread that shook hands ends by itself: this would wait for it, and gc would complain.
    await asyncio.get_running_loop().shutdown_default_executor()
    del link
    gc.collect()


async def test_a_broker_that_stops_while_we_connect_does_not_get_us_late(
    site: BrokerSite,
) -> None:
    """A connection given up must not come through after all: it would push out its successor."""
    site.mosquitto.process.signal(SIGSTOP)
    with pytest.raises(LinkDown):
        async with site.link(T7, patience_s=0.5):
            pass
    site.mosquitto.process.signal(SIGCONT)
    async with site.link(T7, ["tapover/v1/site/+"]) as successor, site.link("gateway") as gateway:
        for _ in range(50):
            await gateway.publish("tapover/v1/site/heartbeat", b"beat")
        while len(await successor.take()) == 0:
            pass
        await successor.publish(AUDIT, b"still here")


async def test_under_a_supervisor_it_comes_back_with_the_broker(site: BrokerSite) -> None:
    stood = asyncio.Queue[None]()

    async def session(stands: object) -> None:
        assert callable(stands)
        async with site.link(T7) as link:
            stands()
            stood.put_nowait(None)
            raise await link.fallen()

    supervisor = Supervisor(
        "the broker",
        session,
        (LinkDown,),
        SystemClock(),
        random.Random(1),
        Backoff(first_s=0.01, most_s=0.05),
    )
    waits = asyncio.Event()
    supervisor.listen(lambda change: waits.set() if change.state is State.WAITING else None)
    running = asyncio.create_task(supervisor.run())
    await stood.get()
    await asyncio.to_thread(site.mosquitto.kill)
    await waits.wait()
    await asyncio.to_thread(site.mosquitto.start)
    await stood.get()
    assert supervisor.now.state is State.UP
    running.cancel()
    await asyncio.wait({running})
