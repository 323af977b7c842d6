"""The TLS side of a link: whom it believes, and what becomes of its socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runtime.durable import StorageError, read_capped
from runtime.mqtt.port import LinkDown
from runtime.settings import CertificateError

if TYPE_CHECKING:
    from typing_extensions import Buffer  # in collections.abc from Python 3.12 on

_PEM_CAP: Final = 64 * 1024  # a chain of certificates is a few kilobytes
_RECORD_BYTES: Final = 16 * 1024  # the most that TLS puts into one record (RFC 8446, section 5.1)
_GATHER_BYTES: Final = 64 * 1024  # more than this does not wait for the loop's next turn
_FULL_LINE_S: Final = 0.005  # until a line that took nothing is tried again
NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME, which Python does not name: whoever sets it judges times himself."""


def client_context(
    authority: Path, certificate: Path, key: Path, *, clock_tells: bool = True
) -> ssl.SSLContext:
    """TLS 1.3 that believes one authority, never the system's; raises CertificateError.

    ``authority`` holds exactly one CA certificate (PEM); ``key`` is not encrypted: nobody is there
    to type a passphrase. Where the machine's clock is known to be wrong, ``clock_tells`` is false:
    then a peer's certificate is not held against it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    if not clock_tells:
        context.verify_flags |= NO_CHECK_TIME
    try:
        context.load_verify_locations(cadata=read_capped(authority, _PEM_CAP).decode("ascii"))
    except StorageError as error:
        raise CertificateError(f"{error}; it should hold the broker's authority") from error
    except (ValueError, ssl.SSLError) as error:
        raise CertificateError(f"{authority} holds no certificate; put the authority's") from error
    if len(context.get_ca_certs()) != 1:
        raise CertificateError(f"{authority} must hold exactly one authority; remove the others")
    try:
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        raise CertificateError(
            f"{certificate} and {key} are no certificate and its unencrypted key; enrol again"
        ) from error
    except OSError as error:
        raise CertificateError(
            f"{certificate} or {key} cannot be read ({error.strerror}); enrol, or let this user"
        ) from error
    return context


class Line:
    """The TLS socket of one connection, which the library keeps to itself.

    It learns why the connection ended (with TLS 1.3 a refused certificate shows at the first read,
    and the library would only time out), and can end one that the library has lost sight of.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, context: ssl.SSLContext) -> None:
        self.ended: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._reason = ""
        self._cut = False
        self._shaking = False
        self._socket: ssl.SSLSocket | None = None
        context.sslsocket_class = type("Watched", (_Watched,), {"line": self})

    @property
    def reason(self) -> str:
        """Why it ended, as far as is known."""
        return self._reason

    def still_there(self) -> None:
        """Raises LinkDown when it has ended."""
        if self.ended.done():
            # Its alert does not always outrun its reset, so the likeliest cause is said too.
            said = self._reason or "it gave no reason"
            raise LinkDown(f"hung up while we connected ({said}); is our certificate refused?")

    def begin(self, opened: ssl.SSLSocket) -> None:
        """In the library's thread: the handshake begins. Raises when nobody wants it any more."""
        self._socket, self._shaking = opened, True
        if self._cut:
            # Else it would connect late, and the broker would drop its successor for it.
            raise ConnectionAbortedError("given up meanwhile")

    def connected(self) -> None:
        """In the library's thread: the handshake is done. Raises like `begin`."""
        self._shaking = False
        if self._cut:
            raise ConnectionAbortedError("given up meanwhile")

    def soon(self, work: Callable[[], None], after_s: float = 0.0) -> None:
        """In the loop's thread: has it done in the loop's next turn, or a little later."""
        if after_s:
            self._loop.call_later(after_s, work)
        else:
            self._loop.call_soon(work)

    def note(self, reason: str) -> None:
        """In any thread: it is at its end; the first reason known counts."""
        self._reason = self._reason or reason
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end)

    def cut(self, reason: str) -> None:
        """In the loop's thread: end it, whatever the library thinks."""
        self._cut = True
        self._reason = self._reason or reason
        if self._socket is None or (descriptor := self._socket.fileno()) < 0:
            return
        if self._shaking:
            # The library's thread waits on it, and closes it when it wakes.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            return
        self._loop.remove_reader(descriptor)
        self._loop.remove_writer(descriptor)
        self._socket.close()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


class _Watched(ssl.SSLSocket):
    """Reads a record at a time and writes what a turn of the loop has gathered.

    The library reads a packet in pieces of a byte and writes each packet apart, and every
    call of TLS lets go of the interpreter, which a busy thread may then hold for long.
    """

    line: Line  # in the one subclass that the context of a line makes its socket of
    # The context makes the instance: no __init__ of ours.
    _read: bytes = b""
    _read_at: int = 0
    _waiting: bytearray | None = None

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's
        try:
            self.line.begin(self)
            super().do_handshake(block)
            self.line.connected()
        except OSError as error:
            self.line.note(_reason_of(error))
            self.close()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        if self._read_at == len(self._read):
            try:
                self._read, self._read_at = super().recv(_RECORD_BYTES, flags), 0
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except OSError as error:
                self.line.note(_reason_of(error))
                raise
        taken = self._read[self._read_at : self._read_at + buflen]
        self._read_at += len(taken)
        return taken

    def pending(self) -> int:
        return len(self._read) - self._read_at + super().pending()

    def send(self, data: Buffer, flags: int = 0) -> int:
        """Takes all of it, to be written in the loop's next turn, unless much waits."""
        if self._waiting is None:
            self._waiting = bytearray()
        elif len(self._waiting) >= _GATHER_BYTES:
            self._write(flags)
        if not self._waiting:
            self.line.soon(self.flush)
        before = len(self._waiting)
        self._waiting += data
        return len(self._waiting) - before

    def flush(self) -> None:
        """In the loop's thread: writes what waits; a full line is tried again soon."""
        if not self._waiting or self.fileno() < 0:
            return
        try:
            self._write(0)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self.line.soon(self.flush, _FULL_LINE_S)
        except OSError:
            return  # noted; whoever reads or sends next learns of it

    def _write(self, flags: int) -> None:
        while self._waiting:
            try:
                del self._waiting[: super().send(self._waiting, flags)]
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except OSError as error:
                self.line.note(_reason_of(error))
                raise

    def close(self) -> None:
        self.flush()  # the library's farewell
        super().close()
        self.line.note("")


def _reason_of(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the broker's certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"TLS: {error.reason.replace('_', ' ').lower()}"
    return error.strerror or str(error)
