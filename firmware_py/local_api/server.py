"""The local API over HTTP: guards first, then the table of routes; the stream of sessions."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from firmware_py.local_api import bodies
from firmware_py.local_api.apps import Apps, TooManyWatchers
from firmware_py.local_api.guard import Door
from firmware_py.local_api.routes import ROUTES, Here, Refused, Route, hung_up, who
from firmware_py.loopback.callers import PROVEN
from firmware_py.loopback.http import BodyRefused, Message, Receive, Send, read_json
from firmware_py.loopback.pace import Pace
from runtime.logs import Trouble

LOG: Final = logging.getLogger("tapover.local_api")

PING_S: Final = 10.0
"""A stream that says nothing for three of these is dead."""
_STATUS: Final = {"no-token": 401, "not-from-a-page": 403}
_ODD: Final = frozenset({401, 403, 429})
"""No honest application is refused so; whoever floods us does not flood the log."""
_HEADERS: Final = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class Server:
    """An application of ASGI's shape for one door."""

    def __init__(
        self,
        door: Door,
        apps: Apps,
        paces: tuple[Pace, Pace],
        now_ns: Callable[[], int],
    ) -> None:
        """`paces`: of all requests, and of those that wait for somebody at the glass."""
        self._door = door
        self._apps = apps
        self._pace, self._asks = paces
        self._now_ns = now_ns
        self._refusing = Trouble(LOG, "a request of an application")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        ends = False
        try:
            route = self._let_in(scope)
            ends = route.waits
            if route.serve is None:
                await self._stream(receive, send)
                return
            body = await _body(scope, receive) if route.takes else b""
            given = await route.serve(Here(self._apps, body, lambda: hung_up(receive)))
            answer = None if given is None else given.model_dump_json().encode()
        except Refused as refused:
            if refused.status in _ODD:
                self._refusing.failed(refused.error)
            told = {"error": refused.error, "words": str(refused)}
            words, after_s = json.dumps(told).encode(), refused.after_s
            await _answer(send, refused.status, words, ends=ends, after_s=after_s)
        else:
            await _answer(send, 204 if answer is None else 200, answer or b"", ends=ends)

    def _let_in(self, scope: Message) -> Route:
        if (why := self._door.refusal(scope)) is not None:
            raise Refused(_STATUS[why], why, "see the description of this interface")
        scope[PROVEN]()
        if not self._pace.lets(self._now_ns()):
            raise Refused(429, "too-fast", "ask less often", self._pace.wait_s)
        at = [route for route in ROUTES if route.path == scope["path"]]
        if not at:
            raise Refused(404, "not-here", "there is no such thing to ask")
        here = [route for route in at if route.method == scope["method"]]
        if not here:
            raise Refused(405, "wrong-method", f"ask with {at[0].method}")
        if here[0].waits and not self._asks.lets(self._now_ns()):
            raise Refused(429, "too-fast", "ask people less often", self._asks.wait_s)
        return here[0]

    async def _stream(self, receive: Receive, send: Send) -> None:
        try:
            watcher = self._apps.watch()
        except TooManyWatchers as error:
            raise Refused(503, "too-many", str(error)) from None
        gone = asyncio.ensure_future(hung_up(receive))
        gone.add_done_callback(lambda _: watcher.set())
        try:
            await _start(send, 200, b"text/event-stream", None, [], ends=True)
            last: bytes | None = None
            while not gone.done() and not self._apps.closing.is_set():
                watcher.clear()
                now = who(self._apps.who()).model_dump_json().encode()
                piece = b"event: ping\ndata: {}\n\n"
                if now != last:
                    last, piece = now, b"event: session\ndata: %s\n\n" % now
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                await _set_or(watcher, PING_S)
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            self._apps.leave(watcher)


async def _set_or(event: asyncio.Event, after_s: float) -> None:
    try:
        async with asyncio.timeout(after_s):
            await event.wait()
    except TimeoutError:
        return


async def _body(scope: Message, receive: Receive) -> bytes:
    """Raises Refused."""
    try:
        return await read_json(scope, receive, bodies.MAX_BODY_BYTES)
    except BodyRefused as refused:
        error = "too-much" if refused.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else "malformed"
        raise Refused(refused.status, error, str(refused)) from None


async def _answer(
    send: Send, status: int, body: bytes, *, ends: bool, after_s: int | None = None
) -> None:
    later = [] if after_s is None else [(b"retry-after", str(after_s).encode())]
    await _start(send, status, b"application/json", len(body), later, ends=ends)
    await send({"type": "http.response.body", "body": body})


async def _start(
    send: Send,
    status: int,
    kind: bytes,
    length: int | None,
    more: list[tuple[bytes, bytes]],
    *,
    ends: bool,
) -> None:
    headers = [*_HEADERS, *more, *([(b"connection", b"close")] if ends else [])]
    if status != 204:  # noqa: PLR2004 - which has no body by its definition
        headers.append((b"content-type", kind))
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
