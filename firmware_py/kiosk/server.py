"""The kiosk's server: Starlette under uvicorn on loopback, inside the daemon's own event loop.

GET ``/`` is the page; GET ``/state`` streams views (Server-Sent Events, the newest at once); POST
``/pin``, ``/position``, ``/activity``, ``/lock``, ``/cancel`` and ``/received`` are commands.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.resources import files
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from firmware_py.kiosk.board import Board, TooManyWatchers, Watcher
from firmware_py.kiosk.commands import (
    MAX_BODY_BYTES,
    NAMES,
    Command,
    CommandRefused,
    read_command,
)
from firmware_py.kiosk.guard import Guard, Rules
from runtime.settings import PortError

LOG: Final = logging.getLogger("tapover.kiosk")

LOOPBACK: Final = "127.0.0.1"
PING_S: Final = 2.0
"""A page that hears nothing for three of these covers itself."""

# The page's own connections are three; the rest is room for a slow close. Above it: 503.
MAX_CONNECTIONS: Final = 32
# A browser's headers to loopback stay below 2 KiB.
MAX_HEADER_BYTES: Final = 8192
CLOSE_S: Final = 1

_PAGE: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/kiosk.css": ("kiosk.css", "text/css; charset=utf-8"),
    "/kiosk.js": ("kiosk.js", "text/javascript; charset=utf-8"),
}


def bind(port: int) -> socket.socket:
    """A listening socket on loopback; 0 takes any free port. Raises PortError."""
    try:
        return socket.create_server((LOOPBACK, port), backlog=MAX_CONNECTIONS)
    except OSError as error:
        raise PortError("kiosk_port", LOOPBACK, port, error) from error


class Kiosk:
    """Serves ``board`` on a bound socket and hands each command to ``sink``."""

    def __init__(
        self, listener: socket.socket, secret: str, board: Board, sink: Callable[[Command], None]
    ) -> None:
        self._listener = listener
        self._board = board
        self._sink = sink
        self.port: int = listener.getsockname()[1]
        self._rules = Rules(f"{LOOPBACK}:{self.port}", secret)
        self._server = _Server(
            uvicorn.Config(
                Guard(self._application(), self._rules),
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,  # a line of it would show the secret in the stream's address
                server_header=False,
                date_header=False,
                proxy_headers=False,
                limit_concurrency=MAX_CONNECTIONS,
                h11_max_incomplete_event_size=MAX_HEADER_BYTES,
                timeout_graceful_shutdown=CLOSE_S,
            )
        )

    @property
    def url(self) -> str:
        """Where the page is, with the secret of this boot: for the browser alone."""
        return f"http://{self._rules.host}/?boot={self._rules.secret}"

    async def listening(self) -> None:
        """Return once requests are answered."""
        await self._server.begun.wait()

    async def serve(self) -> None:
        """Serve until cancelled; then every stream and connection is ended."""
        serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        try:
            await asyncio.shield(serving)
        finally:
            self._board.close()
            self._server.should_exit = True
            await serving

    def _application(self) -> Starlette:
        pages = [Route(path, _page(name, kind)) for path, (name, kind) in _PAGE.items()]
        commands = [Route(f"/{name}", self._command(name), methods=["POST"]) for name in NAMES]
        return Starlette(routes=[*pages, Route("/state", self._state), *commands])

    async def _state(self, _request: Request) -> Response:
        try:
            watcher = self._board.watch()
        except TooManyWatchers:
            return PlainTextResponse("too many streams\n", status_code=503)
        return StreamingResponse(self._stream(watcher), media_type="text/event-stream")

    async def _stream(self, watcher: Watcher) -> AsyncIterator[bytes]:
        try:
            async for message in watcher.messages(PING_S):
                if message is None:
                    yield b"event: ping\ndata: {}\n\n"
                else:
                    yield b"id: %d\ndata: %s\n\n" % message
        finally:
            self._board.leave(watcher)

    def _command(self, name: str) -> Callable[[Request], Response]:
        async def take(request: Request) -> Response:
            if request.headers.get("content-type", "").split(";")[0] != "application/json":
                return PlainTextResponse("send JSON\n", status_code=415)
            try:
                body = await _body(request)
                self._sink(read_command(name, body))
            except CommandRefused as error:
                return PlainTextResponse(f"{error}\n", status_code=400)
            except ClientDisconnect:
                return Response(status_code=400)
            return Response(status_code=204)

        return take  # type: ignore[return-value]  # Starlette types endpoints loosely


async def _body(request: Request) -> bytes:
    """At most MAX_BODY_BYTES, however long the sender says or goes on. Raises CommandRefused."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise CommandRefused(f"more than {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _page(name: str, media_type: str) -> Callable[[Request], Response]:
    content = files("firmware_py.kiosk").joinpath("page", name).read_bytes()

    async def answer(_request: Request) -> Response:
        return Response(content, media_type=media_type)

    return answer  # type: ignore[return-value]  # Starlette types endpoints loosely


class _Server(uvicorn.Server):
    """uvicorn in a loop that is not its own: signals stay the daemon's, and its start is told."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.begun = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.begun.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
