"""The gateway's ports, attacked by those who may not come in, and by those who may."""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.ward.ports import PortBlock
from contract.ids import BootId, TerminalId
from contract.signing import Envelope
from contract.statements import Heartbeat, TerminalCounts, TerminalStatus
from contract.tap import DirectoryVersion
from contract.topics import FromTerminal, Site, ToTerminal, site_topic, terminal_topic
from gateway.http.gate import MOST_FROM_ONE_ADDRESS
from gateway.http.listener import Listener, bind
from runtime.clock import SystemClock
from runtime.mqtt import Message, MqttLink
from tests.gateway.conftest import Box, made_box
from tests.gateway.identities import Person

SILENT = MOST_FROM_ONE_ADDRESS + 200
MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def module_tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("door")


@pytest.fixture(scope="module")
def box(module_tmp: Path) -> Iterator[Box]:
    """A gateway and a broker that are up."""
    with made_box(module_tmp) as box, box.broker:
        box.start()
        yield box
        assert box.gateway.stop() == 0


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kib) * 1024


def gone(connection: socket.socket) -> bool:
    """Whether the other side has closed; it says nothing before a request."""
    connection.settimeout(0)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_silent_connections_without_a_certificate_cost_little_and_keep_nobody_out(
    box: Box,
) -> None:
    before = resident_bytes(box.gateway.pid)
    with ExitStack() as held:
        silent = [
            held.enter_context(socket.create_connection(("127.0.0.1", box.https_port)))
            for _ in range(SILENT)
        ]
        keys = request_from("127.0.0.9", box, box.terminal("bay-1"))
        assert keys.startswith(b"HTTP/1.1 200")
        cost = resident_bytes(box.gateway.pid) - before
        assert sum(gone(each) for each in silent) >= SILENT - MOST_FROM_ONE_ADDRESS
    assert cost < 80 * MEBIBYTE
    with box.http(box.terminal("bay-1"), box.https_port) as client:
        assert client.get("/v1/keys").status_code == 200


def request_from(address: str, box: Box, who: Person) -> bytes:
    """A terminal elsewhere asks for the keys."""
    tls = ssl.create_default_context(cafile=str(box.identity.folder / "operator_ca.crt.pem"))
    tls.load_cert_chain(who.certificate_file, who.key_file)
    plain = socket.create_connection(("127.0.0.1", box.https_port), 10, (address, 0))
    with tls.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
        connection.sendall(b"GET /v1/keys HTTP/1.1\r\nHost: gateway\r\n\r\n")
        return connection.recv(65_536)


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET /v1/keys HTTP/1.1\r\nHo",
        b"POST / HTTP/1.1\r\nHost: g\r\nContent-Length: 9\r\n\r\n",
    ],
    ids=["nothing", "half a header", "half a body"],
)
async def test_a_request_that_does_not_end_is_cut_off(
    box: Box, beginning: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.http.listener.PATIENCE_S", 0.3)
    who = box.terminal("bay-1")
    folder = box.identity.folder
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "server.crt.pem", folder / "server.key.pem")
    client = ssl.create_default_context(cafile=str(folder / "operator_ca.crt.pem"))
    client.load_cert_chain(who.certificate_file, who.key_file)

    async def patient(_scope: object, receive, _send: object) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        while (await receive())["type"] != "http.disconnect":
            pass

    with PortBlock() as ports, bind("https_port", "127.0.0.1", (port := ports.take().start)) as at:
        listener = Listener(patient, at, server)  # type: ignore[arg-type]
        serving = asyncio.create_task(listener.run())
        await listener.up()
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
            writer.write(beginning)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            writer.transport.abort()
            serving.cancel()
            await asyncio.wait([serving])


def asking(terminal: str, nonce: str) -> bytes:
    return TerminalStatus(
        terminal=TerminalId(terminal),
        state="online",
        software="0.1",
        boot=BootId("ab" * 16),
        journal=None,
        directory=DirectoryVersion(epoch=0, n=0),
        counts=TerminalCounts(),
        question=nonce,
    ).to_bytes()


async def test_a_terminal_that_asks_all_the_time_does_not_silence_the_site(box: Box) -> None:
    nonces = [secrets.token_hex(32) for _ in range(6_000)]
    topic = terminal_topic(TerminalId("bay-1"), FromTerminal.STATUS)
    inbox = terminal_topic(TerminalId("bay-1"), ToTerminal.INBOX)
    async with asyncio.timeout(40), box.link(box.terminal("bay-2")) as other:
        flooder = box.link(box.terminal("bay-1"))
        async with flooder:
            gaps: list[float] = []
            beats = asyncio.create_task(note_heartbeats(other, gaps))
            for start in range(0, len(nonces), 60):
                some = nonces[start : start + 60]
                await asyncio.gather(*(flooder.publish(topic, asking("bay-1", n)) for n in some))
            answers: list[str | None] = []
            while not answers or answers[-1] != nonces[-1]:
                heard = [m for m in await flooder.take() if m.topic == inbox]
                answers += [nonce_of(box, message) for message in heard]
        beats.cancel()
        with pytest.raises(asyncio.CancelledError):
            await beats
    assert len(answers) < 60, "once a second at most, and the newest question in the end"
    assert max(gaps) < 2.0, "everybody else hears the site's heartbeats as ever"


async def note_heartbeats(link: MqttLink, gaps: list[float]) -> None:
    """Notes the seconds between heartbeats until it is cancelled."""
    clock = SystemClock()
    before_ns = clock.monotonic_ns()
    try:
        async for message in link.messages():
            if message.topic == site_topic(Site.HEARTBEAT):
                now_ns = clock.monotonic_ns()
                gaps.append((now_ns - before_ns) / 1e9)
                before_ns = now_ns
    finally:
        gaps.append((clock.monotonic_ns() - before_ns) / 1e9)


def nonce_of(box: Box, message: Message) -> str | None:
    key = box.identity.statement.public
    return Heartbeat.open(Envelope.from_bytes(message.payload), key).nonce
