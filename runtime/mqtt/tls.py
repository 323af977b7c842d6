"""The TLS side of a link: whom it believes, and what becomes of its socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runtime.durable import StorageError, read_capped
from runtime.mqtt.port import LinkDown
from runtime.settings import CertificateError

if TYPE_CHECKING:
    from typing_extensions import Buffer  # in collections.abc from Python 3.12 on

_PEM_CAP: Final = 64 * 1024  # a chain of certificates is a few kilobytes


def client_context(authority: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.3 that believes one authority, never the system's; raises CertificateError.

    ``authority`` holds exactly one CA certificate (PEM); ``key`` is not encrypted: nobody is there
    to type a passphrase.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
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
        line = self

        class Watched(ssl.SSLSocket):
            def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as above
                try:
                    line.begin(self)
                    super().do_handshake(block)
                    line.connected()
                except OSError as error:
                    line.note(_reason_of(error))
                    self.close()
                    raise

            def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
                try:
                    return super().recv(buflen, flags)
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    raise
                except OSError as error:
                    line.note(_reason_of(error))
                    raise

            def send(self, data: Buffer, flags: int = 0) -> int:
                try:
                    return super().send(data, flags)
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    raise
                except OSError as error:
                    line.note(_reason_of(error))
                    raise

            def close(self) -> None:
                super().close()
                line.note("")

        context.sslsocket_class = Watched

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


def _reason_of(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the broker's certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"TLS: {error.reason.replace('_', ' ').lower()}"
    return error.strerror or str(error)
