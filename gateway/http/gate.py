"""The door before TLS: how many connections a listener holds, in all and from one address.

A TLS connection costs a third of a mebibyte before anybody has shown a certificate. So whoever
reaches the port could fill the gateway's memory, or use up its file descriptors, without being
let in. Above the limits a connection is closed at once; terminals try again.
"""

from __future__ import annotations

import resource
import socket
from typing import Any, Final
from weakref import WeakSet

# Terminals of a site after a power cut, at 0.6 GiB; those beyond come a moment later.
MOST: Final = 2_000
# A terminal has one. A hospital's address translation may stand before some dozens.
MOST_FROM_ONE_ADDRESS: Final = 128
# Of our file descriptors, for each of three listeners: the database and the broker need some too.
_SHARE: Final = 4


class Gate(socket.socket):
    """A listening socket that hangs up on connections above the limits."""

    def __init__(self, family: socket.AddressFamily, most: int = MOST) -> None:
        # The protocol by its number: asyncio sets TCP_NODELAY for no other socket.
        super().__init__(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = min(most, files // _SHARE)
        self._callers: dict[str, WeakSet[socket.socket]] = {}

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection. Raises ConnectionAbortedError, as a client's own hanging up does."""
        connection, address = super().accept()
        self._callers = {host: held for host, held in self._callers.items() if _open(held)}
        callers = self._callers.setdefault(address[0], WeakSet())
        held = sum(_open(each) for each in self._callers.values())
        if held >= self._most or _open(callers) >= MOST_FROM_ONE_ADDRESS:
            connection.close()
            raise ConnectionAbortedError("too many connections")
        callers.add(connection)
        return connection, address


def _open(connections: WeakSet[socket.socket]) -> int:
    return sum(connection.fileno() >= 0 for connection in connections)
