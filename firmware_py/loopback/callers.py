"""Who is connected: strangers, and whoever has shown the secret of this boot.

Any process of this machine, and any page in its browser, can connect to loopback and say nothing.
Such a connection is counted as long as it stays, so a few of them would keep the kiosk's own page
out. Here strangers share a few places, and the latest takes the place of the one that came first;
a connection on which the secret was shown is no stranger any more.
"""

from __future__ import annotations

import asyncio
from typing import Final

PROVEN: Final = "tapover.proven"
"""Key of a request's scope: to be called when the request has shown the secret."""
# The page, its style and its script come on two or three connections at once.
MAX_STRANGERS: Final = 16


class Callers:
    """The connections of one listener, by their writers."""

    def __init__(self) -> None:
        self._strangers: dict[asyncio.StreamWriter, None] = {}

    def arrived(self, writer: asyncio.StreamWriter) -> None:
        """One more stranger; the first of too many is hung up on."""
        if len(self._strangers) >= MAX_STRANGERS:
            first = next(iter(self._strangers))
            del self._strangers[first]
            first.transport.abort()
        self._strangers[writer] = None

    def proven(self, writer: asyncio.StreamWriter) -> None:
        self._strangers.pop(writer, None)

    def left(self, writer: asyncio.StreamWriter) -> None:
        self._strangers.pop(writer, None)
