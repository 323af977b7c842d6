"""A reader of a real pcscd: the card's side of vsmartcard's vpcd, over TCP on loopback.

A message is two bytes of length and a body; a body of one byte is control (power off, power on,
reset, ATR), anything longer a command. vpcd sends length and body in two writes, and pcscd polls:

* TCP_QUICKACK before every receive. The kernel forgets it, and without it the second write waits
  for a delayed acknowledgement: 44 ms an exchange instead of 0.1.
* A card is seen at the next poll, up to 0.4 s after it was put in; a swap takes two.
* A card stays in its reader while pcscd restarts, and is there when it comes back.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import closing
from enum import IntEnum
from threading import Thread
from types import TracebackType
from typing import Final, Self

from hardware.apdu import CardTorn, ReaderError
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card
from hardware.virtual.pace import Pace, RealPace
from hardware.virtual.powered import PoweredCard

LOOPBACK: Final = "127.0.0.1"
"""vpcd itself listens on every address; a virtual card talks to its own machine alone."""

_CONNECT_S: Final = 2.0
_RETRY_NS: Final = 50_000_000
_LENGTH_BYTES: Final = 2
_JOIN_S: Final = 5.0  # a card that is taken away leaves its thread at once


class _Control(IntEnum):
    POWER_OFF = 0
    POWER_ON = 1
    RESET = 2
    ATR = 4


class VirtualReader:
    """One virtual reader, by the TCP port its vpcd listens on. Holds one card at a time.

    The card answers in a thread of its own, so that nobody's event loop disturbs its timing.
    """

    def __init__(self, port: int, pace: Pace | None = None) -> None:
        """Nothing is connected before a card is put in."""
        self.port = port
        self._pace = pace or RealPace()
        self._visit: PoweredCard | None = None
        self._thread: Thread | None = None
        self._connection: socket.socket | None = None
        self.emptied_ns = 0

    def __enter__(self) -> Self:
        """An empty reader."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take out what is in it."""
        self.remove()

    @property
    def occupied(self) -> bool:
        """Whether a card is in the reader (a torn one has left)."""
        return self._visit is not None and not self._visit.gone.is_set()

    @property
    def holds(self) -> str | None:
        """The file of the card in the reader, "" for one without; None when empty."""
        if self._visit is None or not self.occupied:
            return None
        return str(self._visit.card.path or "")

    def insert(self, card: Card, behaviour: Behaviour | None = None) -> PoweredCard:
        """Put ``card`` in; it stays until :meth:`remove`, or until a fault tears it out.

        Raises ReaderError when nothing listens or a card is in it, CardFileError when the card is
        in another reader.
        """
        if self.occupied:
            raise ReaderError(f"a card is in reader {self.port} already")
        self.remove()
        visit = PoweredCard(card, behaviour or Behaviour(), self._pace)
        visit.begin()
        try:
            self._connection = self._connect()
        except OSError as error:
            visit.close()
            raise ReaderError(f"no virtual reader on port {self.port}: {error.strerror}") from error
        self._visit = visit
        self._thread = Thread(
            target=self._stay, args=(visit,), name=f"card-{self.port}", daemon=True
        )
        self._thread.start()
        return visit

    def remove(self) -> None:
        """Take the card out, whatever it is doing. Nothing happens to an empty reader."""
        visit, thread = self._visit, self._thread
        if visit is None or thread is None:
            return
        visit.leave()
        _hang_up(self._connection)
        thread.join(_JOIN_S)
        if thread.is_alive():
            raise ReaderError(f"the card in reader {self.port} does not come out")
        self._visit = self._thread = self._connection = None

    def swap(self, card: Card, behaviour: Behaviour | None = None) -> PoweredCard:
        """One card out, another in, faster than pcscd looks."""
        self.remove()
        return self.insert(card, behaviour)

    def tap(self, card: Card, hold_s: float, behaviour: Behaviour | None = None) -> PoweredCard:
        """Hold the card to the reader for ``hold_s`` seconds. Returns after it has left."""
        visit = self.insert(card, behaviour)
        self._pace.wait(visit.inserted_ns + round(hold_s * 1e9), visit.gone)
        self.remove()
        return visit

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((LOOPBACK, self.port), _CONNECT_S)
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _stay(self, visit: PoweredCard) -> None:
        """Thread: answer until the card leaves; find the reader again when pcscd restarts."""
        with closing(visit):
            while not visit.gone.is_set():
                connection = self._connection
                if connection is not None:
                    _serve(connection, visit)
                    visit.power_off()
                # Set before `gone` is looked at again, so that `remove` reaches the newest one.
                self._connection = self._again(visit)
        self.emptied_ns = self._pace.now_ns()

    def _again(self, visit: PoweredCard) -> socket.socket | None:
        if visit.gone.is_set():
            return None
        try:
            return self._connect()
        except OSError:
            # pcscd is away. It will listen again, or the card will be taken out.
            self._pace.wait(self._pace.now_ns() + _RETRY_NS, visit.gone)
            return None


def _hang_up(connection: socket.socket | None) -> None:
    """End a receive that another thread is in."""
    if connection is not None:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # closed already: that was the aim


def _serve(connection: socket.socket, visit: PoweredCard) -> None:
    """Answer one pcscd until it or the card goes away."""
    with connection:
        try:
            while (body := _receive(connection)) is not None:
                answer = _control(body[0], visit) if len(body) == 1 else visit.transmit(body)
                if answer:
                    connection.sendall(len(answer).to_bytes(_LENGTH_BYTES, "big") + answer)
        except (CardTorn, OSError):
            return  # to pcscd both are the same: the card is not there any more


def _control(code: int, visit: PoweredCard) -> bytes:
    match code:
        case _Control.POWER_ON:
            visit.power_on()
        case _Control.POWER_OFF:
            visit.power_off()
        case _Control.RESET:
            visit.reset()
        case _Control.ATR:
            return visit.behaviour.atr
    return b""


def _receive(connection: socket.socket) -> bytes | None:
    header = _exactly(connection, _LENGTH_BYTES)
    return header and _exactly(connection, int.from_bytes(header, "big"))


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    """``count`` bytes, None once the other side has closed."""
    got = b""
    while len(got) < count:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        part = connection.recv(count - len(got))
        if not part:
            return None
        got += part
    return got


class Rotation:
    """Several readers used in turn, the one that has been empty longest first.

    Insert and remove back to back costs 0.8 s on one virtual reader: pcscd has to see it empty.
    """

    def __init__(self, readers: Sequence[VirtualReader]) -> None:
        """Use ``readers``, at least one."""
        self._readers = tuple(readers)

    def free(self) -> VirtualReader:
        """The next empty reader. Raises ReaderError when every one holds a card."""
        empty = [reader for reader in self._readers if not reader.occupied]
        if not empty:
            raise ReaderError("every reader of the rotation holds a card")
        return min(empty, key=lambda reader: reader.emptied_ns)
