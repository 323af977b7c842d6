"""Fetching from the gateway: real TLS both ways, every answer capped, every failure one of ours."""

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contract.directory import CATCH_UP_CHANGES, MAX_CHUNK_BYTES
from contract.ids import Version
from contract.signing import sha256
from contract.wire import encode_base64
from firmware_py.fetch import ANSWER_NS, FetchFailed, Gateway, NotKnown
from runtime.clock import ManualClock
from runtime.mqtt import client_context
from tests.firmware.fake_site import FakeSite
from tests.ward.pki import Authority

Answer = tuple[int, bytes]


class Site(ThreadingHTTPServer):
    """Answers as it is told to, over TLS 1.3, to whoever has a terminal's certificate."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer | Callable[[BaseHTTPRequestHandler], None]] = {}
        self.seen: list[tuple[str, bytes]] = []
        self.connections = 0
        self.folder = folder
        self.terminals, self.operators = Authority("terminals"), Authority("operators")
        (folder / "operators.pem").write_bytes(self.operators.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(*self.operators.server().write(folder, "server"))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self.terminals.certificate.decode())
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def finish_request(self, request: object, client_address: object) -> None:
        self.connections += 1
        super().finish_request(request, client_address)  # type: ignore[arg-type]  # as given

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up in the middle is what some tests are about."""

    def client(
        self,
        authority: Authority | None = None,
        *,
        trusts: str = "operators",
        clock: ManualClock | None = None,
        anybody: bool = False,
    ) -> Gateway:
        issued = (authority or self.terminals).client("ward-a-t7")
        paths = issued.write(self.folder, "client")

        def tls() -> ssl.SSLContext:
            return client_context(self.folder / f"{trusts}.pem", *paths)

        def tls_to_anybody() -> ssl.SSLContext:
            context = tls()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context

        address, clock = ("127.0.0.1", self.server_port), clock or ManualClock()
        return Gateway(address, tls, clock, tls_to_anybody if anybody else None)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.server.seen.append((self.path, body))
        answer = self.server.answers.get(self.path, (404, b"{}"))
        if callable(answer):
            answer(self)
            return
        status, data = answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Silent."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.01,))
        thread.start()
        yield site
        site.shutdown()
        thread.join()


async def test_one_connection_serves_many_questions(site: Site) -> None:
    gateway, world = site.client(), FakeSite()
    message = world.checkpoint_message(0)
    site.answers["/v1/log/checkpoint?since=0"] = 200, message.to_bytes()
    for _ in range(5):
        assert await gateway.checkpoint(0) == message
    assert site.connections == 1
    gateway.close()


async def test_chunks_are_checked_against_their_digest(site: Site) -> None:
    gateway, chunk = site.client(), b"x" * MAX_CHUNK_BYTES
    digest = sha256(chunk)
    site.answers[f"/v1/directory/chunks/{digest}"] = 200, chunk
    assert await gateway.chunk(digest) == chunk
    site.answers[f"/v1/directory/chunks/{digest}"] = 200, chunk[:-1]
    with pytest.raises(FetchFailed, match="digest"):
        await gateway.chunk(digest)
    gateway.close()


async def test_changes_come_in_order_and_unknown_ones_say_so(site: Site) -> None:
    gateway = site.client()
    path = "/v1/directory/changes?epoch=1&after=7"
    site.answers[path] = 200, changes([b"one", b"two"])
    assert await gateway.changes(Version(1, 7)) == (b"one", b"two")
    site.answers[path] = 410, b"{}"
    with pytest.raises(NotKnown):
        await gateway.changes(Version(1, 7))
    with pytest.raises(NotKnown):
        await gateway.manifest()
    gateway.close()


async def test_proofs_come_one_for_each_leaf(site: Site) -> None:
    gateway = site.client()
    step = encode_base64(b"\x01" * 32)
    site.answers["/v1/log/inclusion"] = 200, json.dumps({"proofs": [[step], None]}).encode()
    assert await gateway.inclusion(9, [3, 4]) == ((b"\x01" * 32,), None)
    assert json.loads(site.seen[-1][1]) == {"size": 9, "leaves": [3, 4]}
    with pytest.raises(FetchFailed, match="one proof"):
        await gateway.inclusion(9, [3])
    gateway.close()


def changes(messages: list[bytes]) -> bytes:
    return json.dumps({"changes": [encode_base64(each) for each in messages]}).encode()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((200, b"not json"), id="not JSON"),
        pytest.param((200, b"[]"), id="not an object"),
        pytest.param((200, b'{"changes": 1}'), id="not a list"),
        pytest.param((200, b'{"changes": [1]}'), id="not text"),
        pytest.param((200, b'{"changes": ["QQ=\\n="]}'), id="not base64"),
        pytest.param((200, changes([b""] * (CATCH_UP_CHANGES + 1))), id="too many"),
        pytest.param((200, b'{"changes": ["' + b"A" * 3_000_000 + b'"]}'), id="too long"),
        pytest.param((500, b"a" * 100), id="an error"),
        pytest.param((500, b"a" * 1_000_000), id="a long error"),
        pytest.param((302, b""), id="a redirection"),
    ],
)
async def test_what_the_contract_does_not_allow_is_our_own_error(
    site: Site, answer: Answer
) -> None:
    gateway = site.client()
    path = "/v1/directory/changes?epoch=1&after=7"
    site.answers[path] = answer
    with pytest.raises(FetchFailed):
        await gateway.changes(Version(1, 7))
    site.answers[path] = 200, changes([])
    assert await gateway.changes(Version(1, 7)) == ()
    gateway.close()


async def test_an_answer_that_never_ends_is_given_up(site: Site) -> None:
    clock = ManualClock()  # moved by the server itself
    gateway, path = site.client(clock=clock), "/v1/keys"

    def dribble(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        while True:  # until the client hangs up
            handler.wfile.write(b"a")
            clock.advance(ANSWER_NS / 1e9)

    site.answers[path] = dribble
    with pytest.raises(FetchFailed, match="does not end"):
        await gateway.keys()
    gateway.close()


async def test_a_connection_that_the_gateway_closed_meanwhile_is_made_again(site: Site) -> None:
    gateway, world = site.client(), FakeSite()
    data = world.checkpoint_message(0).to_bytes()

    def last_answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
        handler.close_connection = True

    site.answers["/v1/log/checkpoint?since=0"] = last_answer
    for _ in range(3):
        await gateway.checkpoint(0)
    assert site.connections == 3
    gateway.close()


async def test_nobody_answers(site: Site) -> None:
    gateway = site.client()
    site.shutdown()
    site.server_close()
    with pytest.raises(FetchFailed):
        await gateway.keys()


async def test_a_gateway_of_another_authority_is_not_believed(site: Site, tmp_path: Path) -> None:
    impostor = Authority("impostor").certificate
    (tmp_path / "other.pem").write_bytes(impostor)
    gateway = site.client(trusts="other")
    with pytest.raises(FetchFailed, match="CERTIFICATE_VERIFY_FAILED"):
        await gateway.keys()


async def test_a_terminal_of_another_authority_gets_nothing(site: Site) -> None:
    gateway = site.client(Authority("impostor"))
    site.answers["/v1/keys"] = 200, b"secret"
    with pytest.raises(FetchFailed):
        await gateway.keys()
    assert site.seen == []


async def test_whoever_stops_does_not_wait_for_a_silent_gateway(site: Site) -> None:
    gateway = site.client()
    asked, released = threading.Event(), threading.Event()

    def silence(_handler: BaseHTTPRequestHandler) -> None:
        asked.set()
        released.wait(30)

    site.answers["/v1/keys"] = silence
    question = asyncio.create_task(gateway.keys())
    await asyncio.to_thread(asked.wait, 10)
    question.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(question, 2)
    released.set()
