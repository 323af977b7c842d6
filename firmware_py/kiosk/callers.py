"""Who is connected: strangers, and whoever has shown the secret of this boot.

Any process of this machine, and any page in its browser, can connect to loopback and say nothing.
Uvicorn counts such connections and never ends one that has asked nothing, so a few of them would
keep the kiosk's own page out. Here strangers share a few places, and the latest takes the place of
the one that came first; a connection on which the secret was shown is no stranger any more.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

PROVEN: Final = "tapover.proven"
"""Key of a request's scope: to be called when the request has shown the secret."""
# The page, its style and its script come on two or three connections at once.
MAX_STRANGERS: Final = 16


def callers() -> type[H11Protocol]:
    """Uvicorn's protocol for one listener: its connections know each other."""
    strangers: dict[H11Protocol, None] = {}

    class Caller(H11Protocol):
        """One connection."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(strangers) >= MAX_STRANGERS:
                first = next(iter(strangers))
                del strangers[first]
                first.transport.abort()
            strangers[self] = None
            inner = self.app

            async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - uvicorn's
                scope[PROVEN] = lambda: strangers.pop(self, None)
                await inner(scope, receive, send)

            self.app = cast("Any", app)

        def connection_lost(self, exc: Exception | None) -> None:
            strangers.pop(self, None)
            super().connection_lost(exc)

    return Caller
