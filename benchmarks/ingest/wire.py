"""As much of MQTT 3.1.1 as a simulated terminal speaks, over non-blocking TLS sockets.

A thousand clients in one process must cost little beside the broker and the gateway that they load,
so this is no asyncio client but a socket, two buffers and a table. It answers for nobody but the
benchmark; the product speaks by `runtime.mqtt`.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Final

from contract.ids import TerminalId
from contract.topics import FromTerminal, Site, ToTerminal, site_topic, terminal_topic

_CONNECT: Final = 0x10
_CONNACK: Final = 2
_PUBLISH: Final = 3
_PUBACK: Final = 4
_SUBSCRIBE: Final = 0x82
_SUBACK: Final = 9
_QOS1: Final = 0x32
_KEEPALIVE_S: Final = 600
_READ: Final = 64 * 1024
_CLEAN: Final = 0x02


def _text(value: str) -> bytes:
    data = value.encode()
    return len(data).to_bytes(2, "big") + data


def packet(kind: int, body: bytes) -> bytes:
    """Fixed header, remaining length, body (MQTT 3.1.1 §2.2)."""
    left, length = len(body), bytearray()
    while True:
        left, digit = left >> 7, left & 0x7F
        length.append(digit | 0x80 if left else digit)
        if not left:
            return bytes((kind,)) + bytes(length) + body


def packets(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Takes every whole packet out of `buffer`: its first byte and its body."""
    while len(buffer) >= 2:
        length = shift = 0
        at = 1
        while at < len(buffer):
            digit = buffer[at]
            length |= (digit & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not digit & 0x80:
                break
        else:
            return
        if len(buffer) < at + length:
            return
        first, body = buffer[0], bytes(buffer[at : at + length])
        del buffer[: at + length]
        yield first, body


class Client:
    """One terminal's connection. `up` once it hears its receipts; `down` calls back once.

    It acknowledges what it is sent, and subscribes to what a terminal subscribes to: its own
    receipts and inbox, and all that the site says to everybody.
    """

    def __init__(
        self,
        terminal: TerminalId,
        context: ssl.SSLContext,
        port: int,
        poll: select.epoll,
        heard: Callable[[str, bytes], None],
    ) -> None:
        self.terminal = terminal
        self.up = False
        self.descriptor = -1
        self._context = context
        self._port = port
        self._poll = poll
        self._heard = heard
        self._socket: ssl.SSLSocket | None = None
        self._out = bytearray()
        self._in = bytearray()
        self._shaking = False
        self._is_working = False
        self._hurries = False
        self._mask = 0
        self._number = 0
        audit = _text(terminal_topic(terminal, FromTerminal.AUDIT))
        self._audit = audit

    def connect(self) -> None:
        """Begins; raises OSError where nobody listens."""
        plain = socket.create_connection(("127.0.0.1", self._port), timeout=5.0)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.settimeout(0.0)
        self._socket = self._context.wrap_socket(
            plain, server_hostname="127.0.0.1", do_handshake_on_connect=False
        )
        self.descriptor = self._socket.fileno()
        self._shaking, self.up = True, False
        self._out.clear()
        self._in.clear()
        self._mask = select.EPOLLIN | select.EPOLLOUT
        self._poll.register(self.descriptor, self._mask)
        body = _text("MQTT") + bytes((4, _CLEAN)) + _KEEPALIVE_S.to_bytes(2, "big")
        self._out += packet(_CONNECT, body + _text(self.terminal))
        filters = [terminal_topic(self.terminal, channel) for channel in ToTerminal]
        filters += [site_topic(channel) for channel in Site]
        wanted = b"".join(_text(each) + b"\x01" for each in filters)
        self._out += packet(_SUBSCRIBE, self._next_number() + wanted)
        self._hurries = True

    @property
    def is_writing(self) -> bool:
        """Whether something waits for the socket."""
        return bool(self._out)

    def publish(self, payload: bytes) -> None:
        """A batch on the terminal's audit topic, QoS 1. Raises OSError when the line broke."""
        self._out += packet(_QOS1, self._audit + self._next_number() + payload)
        self._hurries = True
        if not self._is_working:
            self.flush()

    def flush(self) -> None:
        """Writes what waits, acknowledgements too. Raises OSError when the line broke."""
        self._hurries = True
        self.work(reading=False)

    def work(self, *, reading: bool = True) -> None:
        """Goes on as far as the socket lets it. Raises OSError when the line broke.

        Acknowledgements alone are left for `flush`: nothing waits for them.
        """
        line = self._socket
        if line is None:
            return
        self._is_working, wanted = True, select.EPOLLIN
        try:
            if self._shaking:
                line.do_handshake()
                self._shaking = False
            if reading:
                self._read(line)
            while self._hurries and self._out:
                del self._out[: line.send(self._out)]
            self._hurries = False
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLWantWriteError:
            wanted |= select.EPOLLOUT
        finally:
            self._is_working = False
        if wanted != self._mask:
            self._mask = wanted
            self._poll.modify(self.descriptor, wanted)

    def close(self) -> None:
        """Forgets the connection, without a farewell."""
        self.up = False
        line, self._socket = self._socket, None
        if line is None:
            return
        try:
            self._poll.unregister(self.descriptor)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EBADF):
                raise
        line.close()

    def _read(self, line: ssl.SSLSocket) -> None:
        while True:
            try:
                data = line.recv(_READ)
            except ssl.SSLWantReadError:
                return
            if not data:
                raise ConnectionResetError("the broker hung up")
            self._in += data
            for first, body in packets(self._in):
                self._take(first, body)
            if len(data) < _READ and not line.pending():
                return

    def _take(self, first: int, body: bytes) -> None:
        match first >> 4:
            case kind if kind == _PUBLISH:
                end = 2 + int.from_bytes(body[:2], "big")
                topic = body[2:end].decode()
                if first & 0x06:
                    self._out += packet(_PUBACK << 4, body[end : end + 2])
                    end += 2
                self._heard(topic, body[end:])
            case kind if kind == _CONNACK and body[1]:
                raise ConnectionRefusedError(f"CONNACK {body[1]}")
            case kind if kind == _SUBACK:
                self.up = True
            case _:
                pass  # PUBACKs prove nothing; receipts do

    def _next_number(self) -> bytes:
        self._number = self._number % 0xFFFF + 1
        return self._number.to_bytes(2, "big")
