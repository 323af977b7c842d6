"""The ward's broker, on the wire: who gets in, and who may say and hear what."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ward.ports import PortBlock
from runtime.mqtt import LinkDown, MqttLink
from tests import parts
from tests.ward.site import T7, T8, BrokerSite


@pytest.fixture
def site(tmp_path: Path) -> Iterator[BrokerSite]:
    with PortBlock() as ports:
        site = BrokerSite(ports, tmp_path)
        with site.mosquitto:
            yield site


async def payloads_until(link: MqttLink, last: bytes) -> list[bytes]:
    arrived: list[bytes] = []
    async with asyncio.timeout(5):
        while last not in arrived:
            arrived += [message.payload for message in await link.take()]
    return arrived


async def test_a_terminal_of_the_site_gets_in_and_is_heard(site: BrokerSite) -> None:
    async with site.link("gateway", ["tapover/v1/+/audit"]) as gateway, site.link(T7) as terminal:
        await terminal.publish(f"tapover/v1/{T7}/audit", b"batch")
        assert await payloads_until(gateway, b"batch") == [b"batch"]


async def test_nobody_speaks_for_another_terminal_or_for_the_gateway(site: BrokerSite) -> None:
    forbidden = [f"tapover/v1/{T8}/{topic}" for topic in ("audit", "status", "pin", "move")]
    forbidden += [f"tapover/v1/{T7}/{topic}" for topic in ("receipt", "inbox", "other")]
    forbidden += [f"tapover/v1/site/{topic}" for topic in ("directory", "heartbeat", "checkpoint")]
    forbidden += ["elsewhere", "tapover/v1/gateway/audit"]
    everything = [f"tapover/v1/+/{topic}" for topic in ("audit", "status", "pin", "move")]
    async with (
        site.link("gateway", everything) as gateway,
        site.link(T8, [f"tapover/v1/{T8}/inbox", "tapover/v1/site/+"]) as other,
        site.link(T7) as terminal,
    ):
        for topic in forbidden:
            await terminal.publish(topic, b"forged")
        for topic in ("audit", "status", "pin", "move"):
            await terminal.publish(f"tapover/v1/{T7}/{topic}", topic.encode())
        # The broker handles one connection's messages in order, so the forged came before.
        heard = await payloads_until(gateway, b"move")
        assert heard == [b"audit", b"status", b"pin", b"move"]
        await gateway.publish("tapover/v1/site/heartbeat", b"beat")
        assert await payloads_until(other, b"beat") == [b"beat"]


async def test_a_terminal_hears_the_site_its_own_mail_and_the_others_pins_and_moves(
    site: BrokerSite,
) -> None:
    async with (
        # The broker accepts any subscription and filters what it delivers.
        site.link(T8, ["tapover/v1/#"]) as curious,
        site.link(T7) as terminal,
        site.link("gateway") as gateway,
    ):
        for topic in ("audit", "status", "pin", "move"):
            await terminal.publish(f"tapover/v1/{T7}/{topic}", f"t7 {topic}".encode())
        for name in (T7, T8):
            for topic in ("receipt", "inbox"):
                await gateway.publish(f"tapover/v1/{name}/{topic}", f"{name} {topic}".encode())
        await gateway.publish("tapover/v1/site/directory", b"directory")
        heard = await payloads_until(curious, b"directory")
    assert heard == [
        b"t7 pin",
        b"t7 move",
        f"{T8} receipt".encode(),
        f"{T8} inbox".encode(),
        b"directory",
    ]


async def test_the_certificate_names_the_client_whatever_it_says(site: BrokerSite) -> None:
    """Else one terminal could push another off the broker."""
    async with (
        site.link(T7) as terminal,
        site.link(T7, issued=site.terminals.client(T8)) as impostor,
        site.link("gateway", ["tapover/v1/+/status"]) as gateway,
    ):
        await impostor.publish(f"tapover/v1/{T7}/status", b"forged")
        await impostor.publish(f"tapover/v1/{T8}/status", b"own")
        await terminal.publish(f"tapover/v1/{T7}/status", b"still here")
        assert sorted(await payloads_until(gateway, b"still here")) == [b"own", b"still here"]


async def test_the_operators_authority_opens_nothing_here(site: BrokerSite) -> None:
    with pytest.raises(LinkDown):
        async with site.link("gateway", issued=site.operators.client("gateway")):
            pass


def test_without_a_certificate_or_with_older_tls_nobody_gets_in(site: BrokerSite) -> None:
    certificate, key = site.terminals.client(T7).write(site.folder, "t7")
    shown = ["-cert", str(certificate), "-key", str(key)]
    connect = [
        *(parts.program("openssl"), "s_client", "-connect", f"127.0.0.1:{site.mosquitto.port}"),
        *("-CAfile", str(site.folder / "operators.pem"), "-verify_return_error"),
    ]
    # A CONNECT packet of MQTT 3.1.1 and what the broker says to it.
    hello = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x0a\x00\x02t7"
    accepted = b"\x20\x02\x00\x00"
    for options, lets_in in [
        ([*shown, "-quiet"], True),
        (["-quiet"], False),
        ([*shown, "-quiet", "-tls1_2"], False),
    ]:
        with subprocess.Popen(
            [*connect, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as client:
            assert client.stdin is not None
            assert client.stdout is not None
            client.stdin.write(hello)
            client.stdin.flush()
            assert (client.stdout.read(4) == accepted) is lets_in
            client.kill()


async def test_a_revoked_certificate_is_refused_from_the_next_connection_on(
    site: BrokerSite,
) -> None:
    stolen = site.terminals.client(T7)
    async with site.link(T7, issued=stolen) as live:
        site.mosquitto.revoke(site.terminals.crl(stolen))
        with pytest.raises(LinkDown):
            async with site.link(T7, issued=stolen):
                pass
        # mosquitto lets it live on: whoever revokes must end the connection otherwise.
        await live.publish(f"tapover/v1/{T7}/status", b"alive")
        async with site.link(T8):
            pass
        site.mosquitto.revoke(site.terminals.crl())
        async with site.link(T7, issued=stolen):
            pass


async def test_a_killed_broker_comes_back_on_its_port_and_forgets(site: BrokerSite) -> None:
    async with site.link(T7) as terminal:
        await terminal.publish(f"tapover/v1/{T7}/status", b"here", retain=True)
        before = site.mosquitto.pid_file.read_text()
        site.mosquitto.restart()
        await terminal.fallen()
    assert site.mosquitto.pid_file.read_text() == f"{site.mosquitto.process.pid}\n" != before
    async with (
        site.link("gateway", ["tapover/v1/+/status"]) as gateway,
        site.link(T7) as terminal,
    ):
        await terminal.publish(f"tapover/v1/{T7}/status", b"again")
        assert await payloads_until(gateway, b"again") == [b"again"]


def test_it_runs_unprivileged_and_its_key_is_its_own(site: BrokerSite) -> None:
    status = Path(f"/proc/{site.mosquitto.process.pid}/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[2]
    assert effective != "0"
    key = site.mosquitto.folder / "key.pem"
    assert (key.stat().st_mode & 0o777, key.stat().st_uid) == (0o600, int(effective))
    assert "PRIVATE" not in repr(site.mosquitto.process.command)
