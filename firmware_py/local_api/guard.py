"""Who may ask: programs of this machine that its administrator let in, and no page of a browser.

* On the Unix socket the kernel has asked already: owner and group of the socket. Who connects is
  logged (`SO_PEERCRED`).
* On loopback anybody of this machine could connect: ``Host`` is our own address, so that no foreign
  name can be pointed at it, and ``Authorization`` carries this run's token, compared in constant
  time and never logged.
* A browser says where a request comes from (``Origin``, ``Sec-Fetch-Site``): refused on both.
* Everybody together makes `RATE` requests a second, after a burst of `BURST`; and asks for few
  countersigns a minute: each covers somebody's work and leaves an event in the journal.
"""

from __future__ import annotations

import hmac
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

RATE: Final = 20
BURST: Final = 60
"""An application asks a few times a minute; whoever makes this many keeps the terminal busy."""
ASK_RATE: Final = 0.2
ASK_BURST: Final = 12
"""Countersigns: a round of drugs for two people is slower."""
_CREDENTIALS: Final = struct.Struct("3i")

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Peer:
    """Of the Unix socket, as the kernel tells."""

    pid: int
    uid: int
    gid: int

    @classmethod
    def of(cls, connected: socket.socket) -> Peer:
        """SO_PEERCRED (unix(7))."""
        raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return cls(*_CREDENTIALS.unpack(raw))


@dataclass(frozen=True, slots=True)
class Door:
    """What a request must show. Without host and token: the Unix socket."""

    host: str | None = None
    token: str | None = field(default=None, repr=False)

    def refusal(self, scope: Mapping[str, Any]) -> str | None:
        """Why a request is refused: ``not-from-a-page`` or ``no-token``; None when it may pass."""
        headers: Headers = list(scope["headers"])
        names = {name for name, _ in headers}
        if names & {b"origin", b"sec-fetch-site"}:
            return "not-from-a-page"
        if self.host is None or self.token is None:
            return None
        if _values(headers, b"host") != [self.host.encode()]:
            return "not-from-a-page"
        shown, wanted = _values(headers, b"authorization"), f"Bearer {self.token}".encode()
        if len(shown) != 1 or not hmac.compare_digest(shown[0], wanted):
            return "no-token"
        return None


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]
