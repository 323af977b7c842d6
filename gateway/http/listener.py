"""A TLS listener for an ASGI application: uvicorn, with the client's certificate in the scope.

Nobody connects without a certificate of the listener's one CA. Uvicorn keeps that certificate to
itself, so a small subclass of its protocol hands it on.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.http.gate import MOST, Gate
from runtime.settings import PortError

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

PEER: Final = "tapover.peer_certificate"
"""Key of the scope: the client's certificate, DER."""
# Connections that wait to be accepted while the loop is busy.
_BACKLOG: Final = 512
# Requests at once: a site's terminals after a power cut, with room.
_AT_ONCE: Final = 4_000
# What a stopping gateway grants to requests under way.
_FAREWELL_S: Final = 3
_IDLE_S: Final = 15
# Between two looks at a connection: the largest answer (8 MiB) passes a slow line in it. One whose
# request is still the same at the next look (or has not come) is cut off: nobody holds on by
# sending or reading a byte now and then.
PATIENCE_S: Final = 60.0


class _WithPeer(H11Protocol):
    """Puts the peer's certificate into every request's scope; ends what does not end itself."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look(before=self)
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True)
        inner = cast("ASGIApp", self.app)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope[PEER] = certificate
            await inner(scope, receive, send)

        self.app = cast("Any", app)

    def connection_lost(self, exc: Exception | None) -> None:
        self._next_look.cancel()
        super().connection_lost(exc)

    def _look(self, before: object) -> None:
        if self.cycle is before:
            self.transport.abort()
        else:
            self._next_look = self.loop.call_later(PATIENCE_S, self._look, self.cycle)


class _Server(uvicorn.Server):
    """Signals are the daemon's, not a listener's: there are two listeners in one loop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepts = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.accepts.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(key: str, host: str, port: int, most: int = MOST) -> socket.socket:
    """Takes the address at once, before anything else is begun.

    `key` is the setting that names the port, `most` its connections at once. Raises PortError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = Gate(family, most)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise PortError(key, host, port, error) from error
    listening.settimeout(0)
    return listening


class Listener:
    """Serves an application on a bound socket until cancelled."""

    def __init__(self, app: FastAPI, listening: socket.socket, tls: ssl.SSLContext) -> None:
        self._listening = listening
        config = uvicorn.Config(
            app,
            http=_WithPeer,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            limit_concurrency=_AT_ONCE,
            timeout_keep_alive=_IDLE_S,
            timeout_graceful_shutdown=_FAREWELL_S,
            ssl_context_factory=lambda _config, _default: tls,
        )
        self._server = _Server(config)

    async def up(self) -> None:
        """Returns when it serves."""
        await self._server.accepts.wait()

    async def run(self) -> None:
        """Lets requests under way end, within a few seconds, when it is cancelled."""
        serving = asyncio.create_task(self._server.serve(sockets=[self._listening]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self._server.should_exit = True
            await serving
            raise
