"""HTTP/1.1 on loopback, in the daemon's own loop: h11 is the parser (RFC 9112), asyncio the socket.

An application is a function of ASGI's shape: a request's scope, `receive` and `send`. Its requests
come one after the other on a connection, each in a task of that connection.

* A head of more than `MAX_HEADER_BYTES`, or anything that is not HTTP, is answered with 400.
* The rest of a body that the application did not want is read up to a cap, and thrown away.
* A connection on which an answer was streamed ends with it, and so does one that stays idle.
* Who goes away in the middle is no error; a bug of the application is logged, answered with 500.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import unquote

import h11

from firmware_py.loopback.callers import PROVEN, Callers

_log: Final = logging.getLogger(__name__)

# Strangers' places, and as many for the page, which has three. Above it: 503.
MAX_CONNECTIONS: Final = 32
# A browser's headers to loopback stay below 2 KiB.
MAX_HEADER_BYTES: Final = 8192
# So that whoever sends too much still reads why he was refused, before his connection is cut.
MAX_UNWANTED_BYTES: Final = 1 << 16
# What the kernel holds until we turn round to it: a crowd there shall not keep the page waiting.
BACKLOG: Final = 512
IDLE_S: Final = 5
CLOSE_S: Final = 1
"""What is under way at the end has so long to come to its own."""
_PIECE: Final = 4096
SOCKET: Final = "tapover.socket"
"""Key of a request's scope: the connection it came by."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class BodyRefused(Exception):
    """A body that is no JSON, or too long. `status` is HTTP's; the words never quote it."""

    def __init__(self, status: int, words: str) -> None:
        self.status = status
        super().__init__(words)


async def read_json(scope: Message, receive: Receive, cap: int) -> bytes:
    """At most `cap` bytes, however long the sender says or goes on. Raises BodyRefused."""
    kinds = [value for key, value in scope["headers"] if key == b"content-type"]
    if [kind.split(b";")[0].strip() for kind in kinds] != [b"application/json"]:
        raise BodyRefused(415, "send JSON")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyRefused(400, "gone before the end")
        body += message.get("body", b"")
        if len(body) > cap:
            raise BodyRefused(413, f"more than {cap} bytes")
        if not message.get("more_body", False):
            return bytes(body)


class Listener:
    """Serves `application` on a bound socket, from `open` to `close`."""

    def __init__(self, bound: socket.socket, application: Application) -> None:
        self._bound = bound
        self._application = application
        self._callers = Callers()
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Returns once connections are taken."""
        self._server = await asyncio.start_server(
            self._connected, sock=self._bound, limit=MAX_HEADER_BYTES, backlog=BACKLOG
        )

    async def close(self) -> None:
        """No more connections; what is under way may end, for a moment."""
        if self._server is not None:
            self._server.close()
        if self._open:
            await asyncio.wait(self._open, timeout=CLOSE_S)
        for task, writer in self._open.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers.arrived(writer)
        task = asyncio.get_running_loop().create_task(self._converse(reader, writer))
        self._open[task] = writer
        task.add_done_callback(self._open.pop)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(reader, writer)
        try:
            await self._requests(connection, writer)
        except ConnectionError:
            pass
        except h11.RemoteProtocolError:
            await connection.refuse(400, b"this is no HTTP\n")
        except Exception:  # noqa: BLE001 - a page's request ends here, not the ward's terminal
            _log.exception("a bug of our own application")
            await connection.refuse(500, b"our fault\n")
        finally:
            self._callers.left(writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _requests(self, connection: _Connection, writer: asyncio.StreamWriter) -> None:
        scope = await connection.request()
        while scope is not None:
            if len(self._open) > MAX_CONNECTIONS:
                await connection.refuse(503, b"too many connections\n")
                return
            scope[PROVEN] = lambda: self._callers.proven(writer)
            scope[SOCKET] = writer.get_extra_info("socket")
            await self._application(scope, connection.receive, connection.send)
            if not await connection.turn():
                return
            try:
                async with asyncio.timeout(IDLE_S):
                    scope = await connection.request()
            except TimeoutError:
                return


class _Connection:
    """One connection: its present request and the answer to it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADER_BYTES)
        self._bodiless = False
        self._last = False

    async def request(self) -> Message | None:
        """The next request's scope; None where there is none. Raises RemoteProtocolError."""
        event = await self._next()
        if not isinstance(event, h11.Request):
            return None
        path, _, query = event.target.partition(b"?")
        self._bodiless = event.method == b"HEAD"
        return {
            "type": "http",
            "method": event.method.decode("ascii"),
            "path": unquote(path.decode("ascii")),
            "query_string": query,
            "headers": list(event.headers),
        }

    async def receive(self) -> Message:
        """ASGI's: a piece of the body; after its end, the connection's end."""
        if self._http.their_state is h11.SEND_BODY:
            if self._http.they_are_waiting_for_100_continue:
                await self._write(h11.InformationalResponse(status_code=100, headers=[]))
            try:
                event = await self._next()
            except h11.RemoteProtocolError:  # cut off, or no chunk: either way there is no more
                return {"type": "http.disconnect"}
            data = bytes(event.data) if isinstance(event, h11.Data) else b""
            return {"type": "http.request", "body": data, "more_body": isinstance(event, h11.Data)}
        self._last = True
        await self._reader.read(1)  # whoever talks into a streamed answer is cut off, too
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """ASGI's. Raises ConnectionError when nobody is there."""
        if message["type"] == "http.response.start":
            head = h11.Response(status_code=message["status"], headers=message["headers"])
            await self._write(head)
            return
        if body := message["body"]:
            await self._write(h11.Data(data=b"" if self._bodiless else body))
        if not message.get("more_body", False):
            await self._write(h11.EndOfMessage())

    async def turn(self) -> bool:
        """Whether another request may follow; throws away what is left of this one."""
        left = MAX_UNWANTED_BYTES
        while self._http.their_state is h11.SEND_BODY and left > 0:
            event = await self._next()
            left -= len(event.data) if isinstance(event, h11.Data) else 0
        states = (self._http.our_state, self._http.their_state)
        if self._last or states != (h11.DONE, h11.DONE):
            return False
        self._http.start_next_cycle()
        return True

    async def refuse(self, status: int, words: bytes) -> None:
        """Says why, where no answer has begun; nothing follows."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        length = str(len(words)).encode()
        headers = [
            *((b"content-type", b"text/plain; charset=utf-8"), (b"content-length", length)),
            (b"connection", b"close"),
        ]
        try:
            await self.send({"type": "http.response.start", "status": status, "headers": headers})
            await self.send({"type": "http.response.body", "body": words})
        except ConnectionError:
            pass  # nobody is there to be told

    async def _next(self) -> object:
        """h11's next event, reading for it."""
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(_PIECE))
        return event

    async def _write(self, event: h11.Event) -> None:
        if data := self._http.send(event):
            self._writer.write(data)
            await self._writer.drain()
