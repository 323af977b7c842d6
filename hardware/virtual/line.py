"""One connection to a vpcd reader: vsmartcard's wire, and how a card leaves it.

A message is two bytes of length and a body; a body of one byte is control (power off, power on,
reset, ATR), anything longer a command.

* TCP_QUICKACK before every receive. The kernel forgets it, and vpcd sends length and body in two
  writes: without it the second waits for a delayed acknowledgement, 44 ms an exchange instead of
  0.1.
* A card leaves by closing its own direction only, and hangs up once vpcd has. Were the next card at
  the port before pcscd's poll has seen none, pcscd would never know of the change (measured: always
  when the first card was in for one poll only, and always after a command that was cut short).
"""

from __future__ import annotations

import select
import socket
import time
from contextlib import suppress
from enum import IntEnum
from threading import Thread
from typing import Final

LOOPBACK: Final = "127.0.0.1"
"""vpcd itself listens on every address; a virtual card talks to its own machine alone."""

_CONNECT_S: Final = 2.0
_NOTICE_S: Final = 5.0  # pcscd polls every 0.4 s; one that does not for so long is dead
_POLL: Final = b"\x00\x01\x04"
_AFTER_POLL_S: Final = 0.02  # pcscd may ask a second time in the same poll, 0.2 ms later
_UNTIL_POLL_S: Final = 0.5  # vpcd gave the card up for another reason; the poll comes after it
_LENGTH_BYTES: Final = 2


class Control(IntEnum):
    """Bodies of one byte."""

    POWER_OFF = 0
    POWER_ON = 1
    RESET = 2
    ATR = 4


class Line:
    """A connected card. One thread receives and sends; :meth:`interrupt` may come from another."""

    def __init__(self, port: int) -> None:
        """Connect to the reader on ``port``. Raises OSError."""
        self._connection = socket.create_connection((LOOPBACK, port), _CONNECT_S)
        self._connection.settimeout(None)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._woken, self._waker = socket.socketpair()
        self._leaving: Thread | None = None

    def interrupt(self) -> None:
        """End a :meth:`receive` that another thread is in, and every later one."""
        with suppress(OSError):  # closed already: there is nothing left to end
            self._waker.sendall(b"\0")

    def receive(self) -> bytes | None:
        """The next message; None once vpcd hung up, or after :meth:`interrupt`. Raises OSError."""
        header = self._exactly(_LENGTH_BYTES)
        return header and self._exactly(int.from_bytes(header, "big"))

    def send(self, body: bytes) -> None:
        """Answer. Raises OSError."""
        self._connection.sendall(len(body).to_bytes(_LENGTH_BYTES, "big") + body)

    def leave(self) -> None:
        """The card goes; returns at once."""
        try:
            self._connection.shutdown(socket.SHUT_WR)
        except OSError:
            self._close()  # vpcd went first
            return
        self._leaving = Thread(target=self._hang_up, name="card-leaving", daemon=True)
        self._leaving.start()

    def await_noticed(self) -> None:
        """Wait until pcscd has seen that the card left, up to its next poll."""
        if self._leaving is not None:
            self._leaving.join(_NOTICE_S)

    def _exactly(self, count: int) -> bytes | None:
        got = b""
        while len(got) < count:
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            ready, _, _ = select.select([self._connection, self._woken], [], [])
            if self._woken in ready:
                return None
            part = self._connection.recv(count - len(got))
            if not part:
                return None
            got += part
        return got

    def _hang_up(self) -> None:
        """Thread: read away what vpcd still asks, until it closes too and pcscd has polled."""
        self._connection.settimeout(_NOTICE_S)
        asked = b""
        # Closed by force, or silent for too long: the card is out either way.
        with suppress(OSError):
            while part := self._connection.recv(1024):
                asked = (asked + part)[-len(_POLL) - 1 :]
        self._close()
        time.sleep(_AFTER_POLL_S if asked == _POLL else _UNTIL_POLL_S)

    def _close(self) -> None:
        for end in (self._connection, self._woken, self._waker):
            end.close()
