"""The kiosk's HTTP, as a page or a stranger may speak it on one connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from firmware_py.kiosk.server import bind
from firmware_py.loopback.http import MAX_UNWANTED_BYTES, Listener, Message, Receive, Send

DEADLINE_S = 10
GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Answers with the path and the body's length; `/deaf` does not read, `/bug` is one."""
    if scope["path"] == "/bug":
        raise LookupError(scope["path"])
    length, more = 0, scope["path"] != "/deaf"
    while more:
        piece = await receive()
        length += len(piece.get("body", b""))
        more = piece.get("more_body", False)
    words = f"{scope['path']} {length}\n".encode()
    headers = [(b"content-length", str(len(words)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": words})


@asynccontextmanager
async def served() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    bound = bind(0)
    address = bound.getsockname()
    listener = Listener(bound, echo)
    await listener.open()
    reader, writer = await asyncio.open_connection(*address)
    async with asyncio.timeout(DEADLINE_S):
        yield reader, writer
    writer.close()
    await listener.close()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head.split()[1])
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return status, await reader.readexactly(length)


async def test_requests_on_one_connection_are_answered_in_order() -> None:
    async with served() as (reader, writer):
        writer.write(GET % b"one" + GET % b"two%21")
        assert await answer(reader) == (200, b"/one 0\n")
        assert await answer(reader) == (200, b"/two! 0\n")


@pytest.mark.parametrize("size", [0, 1, MAX_UNWANTED_BYTES - 1])
async def test_a_body_that_nobody_wanted_is_not_taken_for_a_request(size: int) -> None:
    async with served() as (reader, writer):
        writer.write(b"POST /deaf HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        writer.write(b"G" * size + GET % b"next")
        assert await answer(reader) == (200, b"/deaf 0\n")
        assert await answer(reader) == (200, b"/next 0\n")


async def test_too_much_of_a_body_that_nobody_wanted_ends_the_connection() -> None:
    async with served() as (reader, writer):
        size = 4 * MAX_UNWANTED_BYTES
        writer.write(b"POST /deaf HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        writer.write(b"G" * (2 * MAX_UNWANTED_BYTES))
        assert await answer(reader) == (200, b"/deaf 0\n")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)


async def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    async with served() as (reader, writer):
        writer.write(b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n")
        writer.write(b"Expect: 100-continue\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        writer.write(b"{}")
        assert await answer(reader) == (200, b"/p 2\n")


async def test_our_own_bug_is_told_apart_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as (reader, writer):
        writer.write(GET % b"bug")
        assert (await answer(reader))[0] == 500
        assert await reader.read() == b""
    assert "LookupError" in caplog.text


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    ],
    ids=["TLS", "no host", "two hosts"],
)
async def test_what_is_no_http_is_refused(said: bytes) -> None:
    async with served() as (reader, writer):
        writer.write(said)
        assert (await answer(reader))[0] == 400
        assert await reader.read() == b""
