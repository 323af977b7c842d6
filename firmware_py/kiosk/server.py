"""The kiosk's server: an application of ASGI's shape on loopback, in the daemon's own loop.

GET ``/`` and its files are the page (`assets`); GET ``/state`` streams views (Server-Sent Events,
the newest at once); GET ``/info`` is what the information page says; POST ``/<name>`` is a command
(`commands`), as often as a person gives it (`pace`). A few routes that never grow need no
framework, and a terminal's memory is counted.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from firmware_py.kiosk.assets import read_assets
from firmware_py.kiosk.board import Board, TooManyWatchers, Watcher
from firmware_py.kiosk.commands import (
    NAMES,
    Command,
    CommandRefused,
    body_cap,
    read_command,
)
from firmware_py.kiosk.guard import Rules
from firmware_py.kiosk.pace import Paces
from firmware_py.loopback.callers import PROVEN
from firmware_py.loopback.http import (
    MAX_CONNECTIONS,
    BodyRefused,
    Listener,
    Message,
    Receive,
    Send,
    read_json,
)
from runtime.logs import Trouble
from runtime.settings import PortError

LOG: Final = logging.getLogger("tapover.kiosk")

LOOPBACK: Final = "127.0.0.1"
PING_S: Final = 2.0
"""A page that hears nothing for three of these covers itself."""

_INFO: Final = "info"
_TEXT: Final = b"text/plain; charset=utf-8"
_HEADERS: Final = [
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"cache-control", b"no-store"),
]
"""Carried by every answer, refusals too."""


def bind(port: int) -> socket.socket:
    """A listening socket on loopback; 0 takes any free port. Raises PortError."""
    try:
        listener = socket.create_server((LOOPBACK, port), backlog=MAX_CONNECTIONS)
    except OSError as error:
        raise PortError("kiosk_port", LOOPBACK, port, error) from error
    # asyncio leaves Nagle's delay on for a socket that does not name its protocol, and this one
    # does not: two views of one tap would come up to 40 ms apart.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class Kiosk:
    """Serves ``board`` on a bound socket and hands each command to ``sink``. Monotonic ns.

    Made only where the page was built: raises AssetsMissing.
    """

    def __init__(
        self,
        listener: socket.socket,
        secret: str,
        board: Board,
        sink: Callable[[Command], None],
        now_ns: Callable[[], int],
    ) -> None:
        self._board = board
        self._sink = sink
        self.inform: Callable[[], Mapping[str, object]] = dict
        """What the information page says now (`firmware_py.kiosk.info`)."""
        self.port: int = listener.getsockname()[1]
        self._rules = Rules(f"{LOOPBACK}:{self.port}", secret)
        self._refusing = Trouble(LOG, "a request to the kiosk")
        self._paces = Paces((*NAMES, _INFO), now_ns)
        self._assets = read_assets()
        self._listener = Listener(listener, self._application)
        self._begun = asyncio.Event()

    @property
    def url(self) -> str:
        """Where the page is, with the secret of this boot: for the browser alone."""
        return f"http://{self._rules.host}/?boot={self._rules.secret}"

    async def listening(self) -> None:
        """Return once requests are answered."""
        await self._begun.wait()

    async def serve(self) -> None:
        """Serve until cancelled; then every stream and connection is ended."""
        await self._listener.open()
        self._begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._board.close()
            await self._listener.close()

    async def _application(self, scope: Message, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        if (why := self._rules.refusal(scope)) is not None:
            self._refusing.failed(why)  # whoever floods us does not flood the log
            await _answer(send, 403, b"refused\n")
        elif method == "GET" and (asset := self._assets.get(path)) is not None:
            await _answer(send, 200, asset.body, asset.kind)
        else:
            scope[PROVEN]()
            await self._to_the_page(scope, receive, send)

    async def _to_the_page(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer somebody who knows the secret."""
        method, path = scope["method"], scope["path"]
        name = path[1:]
        asks = (method == "POST" and name in NAMES) or (method == "GET" and name == _INFO)
        if asks and not self._paces.lets(name):
            await self._too_often(name, send)
        elif asks and method == "POST":
            status, words = await self._command(name, scope, receive)
            await _answer(send, status, words)
        elif method == "GET" and path == "/state":
            await self._state(receive, send)
        elif asks:
            body = json.dumps(self.inform(), ensure_ascii=False).encode()
            await _answer(send, 200, body, b"application/json")
        else:
            await _answer(send, 404, b"not here\n")

    async def _too_often(self, name: str, send: Send) -> None:
        if self._paces.merges(name):
            await _answer(send, 204, b"")
            return
        self._refusing.failed(f"{name} too often")
        after = (b"retry-after", str(self._paces.wait_s(name)).encode())
        await _answer(send, 429, b"ask less often\n", more=(after,))

    async def _state(self, receive: Receive, send: Send) -> None:
        try:
            watcher = self._board.watch()
        except TooManyWatchers:
            await _answer(send, 503, b"too many streams\n")
            return
        leaving = asyncio.create_task(_until_gone(receive, watcher))
        try:
            await _start(send, 200, b"text/event-stream", None)
            async for message in watcher.messages(PING_S):
                piece = b"event: ping\ndata: {}\n\n"
                if message is not None:
                    piece = b"id: %d\ndata: %s\n\n" % message
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            leaving.cancel()
            self._board.leave(watcher)

    async def _command(self, name: str, scope: Message, receive: Receive) -> tuple[int, bytes]:
        try:
            self._sink(read_command(name, await read_json(scope, receive, body_cap(name))))
        except BodyRefused as refused:
            return refused.status, f"{refused}\n".encode()
        except CommandRefused as refused:
            return 400, f"{refused}\n".encode()
        return 204, b""


async def _until_gone(receive: Receive, watcher: Watcher) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    watcher.close()


async def _answer(
    send: Send,
    status: int,
    body: bytes,
    kind: bytes = _TEXT,
    more: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    await _start(send, status, kind, len(body), more)
    await send({"type": "http.response.body", "body": body})


async def _start(
    send: Send,
    status: int,
    kind: bytes,
    length: int | None,
    more: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    headers = [(b"content-type", kind), *more, *_HEADERS]
    if length is not None and status != 204:  # noqa: PLR2004 - which has no body by its definition
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
