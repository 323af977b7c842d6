"""The gateway as a device without a certificate sees it (RFC 7030, `contract.enrolment`).

- `keys` and `roots` alone are asked of a peer that nobody vouches for; nothing secret goes with
  them.
- Everything else goes over a connection that believes the site's operator CA alone.
- A machine whose clock lags behind what the site has signed cannot judge when a certificate is
  valid: for it the site's own time floor judges instead, after the handshake and before a word.

Methods block, for some seconds at most. Each answer is capped.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from contract.enrolment import Issued, Order, Pending, RefusalAnswer
from contract.signing import Envelope
from contract.wire import WireError
from firmware_py.enrolment.orders import NotOurs, require_unlapsed
from runtime.mqtt import NO_CHECK_TIME

CONNECT_S: Final = 5.0
"""For connecting, and for each silence afterwards."""
# One certificate is 500 bytes in PKCS#7; a refusal's words are 300 letters.
_ANSWER_CAP: Final = 64 * 1024
_PIECE: Final = 16 * 1024
# An honest answer comes in one or two; a peer that drips holds us no longer than five minutes.
_MOST_PIECES: Final = 64


class Trouble(StrEnum):
    """What stands between this device and an answer."""

    NAME = "name"
    """The gateway's name is not found."""
    GATEWAY = "gateway"
    """Nobody answers there, or not in the way of a gateway."""
    CERTIFICATE = "certificate"
    """Who answers does not show a certificate of this site that holds."""
    OURS = "ours"
    """It refuses the certificate that we show."""


class Away(Exception):
    """No answer that says anything. `reached`: the other side was there, and broke off."""

    def __init__(self, trouble: Trouble, why: str, *, reached: bool = False) -> None:
        self.trouble = trouble
        self.reached = reached
        super().__init__(why)


class Refused(Exception):
    """The gateway says no. `retry_s`: when it wants to be asked again, where it said so."""

    def __init__(self, answer: RefusalAnswer, retry_s: int | None) -> None:
        self.answer = answer
        self.retry_s = retry_s
        super().__init__(f"{answer.error} ({answer.code}): {answer.detail}")


@dataclass(frozen=True, slots=True)
class Peer:
    """How its listener is spoken to. `floor_ms` is given where this machine's clock cannot tell."""

    url: str
    tls: Callable[[], ssl.SSLContext]
    floor_ms: int | None = None


def believing_nobody() -> ssl.SSLContext:
    """For the key statement, whose truth is the root's signature."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def believing(authority: bytes, *, clock_tells: bool) -> ssl.SSLContext:
    """TLS 1.3 that believes one CA (DER) and shows no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    if not clock_tells:
        context.verify_flags |= NO_CHECK_TIME
    context.load_verify_locations(cadata=authority)
    return context


class Desk:
    """One listener of the gateway. Each call is a connection of its own."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        url = urlsplit(peer.url)
        self._host, self._port = url.hostname or "", url.port or 443

    def keys(self) -> Envelope:
        """The key statement, unverified. Raises Away."""
        status, body, _ = self._ask("GET", "/v1/keys")
        if status != HTTPStatus.OK:
            raise Away(Trouble.GATEWAY, f"it answers {status} to the question for its keys")
        try:
            return Envelope.from_bytes(body)
        except WireError as error:
            raise Away(Trouble.GATEWAY, f"its keys: {error}") from error

    def roots(self) -> bytes:
        """How the site's roots follow one another (`succession.split_line`). Raises Away."""
        status, body, _ = self._ask("GET", "/v1/roots")
        if status != HTTPStatus.OK:
            raise Away(Trouble.GATEWAY, f"it answers {status} to the question for its roots")
        return body

    def cacerts(self) -> bytes:
        """DER PKCS#7 (RFC 7030 §4.1.3). Raises Away."""
        status, body, _ = self._ask("GET", "/.well-known/est/cacerts")
        if status != HTTPStatus.OK:
            raise Away(Trouble.GATEWAY, f"it answers {status} to the question for its CA")
        try:
            return base64.b64decode(b"".join(body.split()), validate=True)
        except binascii.Error as error:
            raise Away(Trouble.GATEWAY, "its CA is not in base64") from error

    def order(self, path: str, order: Order, basic: tuple[str, str] | None) -> Issued | Pending:
        """`basic` is terminal and token. Raises Away, Refused."""
        headers = {"Content-Type": "application/json"}
        if basic is not None:
            given = ":".join(basic).encode("ascii")
            headers["Authorization"] = f"Basic {base64.b64encode(given).decode('ascii')}"
        status, body, answered = self._ask("POST", path, order.to_bytes(), headers)
        try:
            if status == HTTPStatus.OK:
                return Issued.from_bytes(body)
            if status == HTTPStatus.ACCEPTED:
                return Pending.from_bytes(body)
            raise Refused(RefusalAnswer.from_bytes(body), _retry_s(answered))
        except WireError as error:
            # Its door turns away whom the register does not know, before anything is read.
            trouble = Trouble.OURS if status == HTTPStatus.FORBIDDEN else Trouble.GATEWAY
            raise Away(trouble, f"it answers {status} and {error}") from error

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=CONNECT_S, context=self._peer.tls()
        )
        reached = False
        try:
            connection.connect()
            reached = True
            if self._peer.floor_ms is not None:
                require_unlapsed(_shown(connection), self._peer.floor_ms)
            connection.request(method, path, body, dict(headers))
            with connection.getresponse() as response:
                return response.status, _read(response), response.headers
        except NotOurs as error:
            raise Away(Trouble.CERTIFICATE, str(error)) from error
        except (OSError, http.client.HTTPException) as error:
            raise _away(error, reached=reached) from error
        finally:
            connection.close()


def _shown(connection: http.client.HTTPSConnection) -> bytes:
    opened = connection.sock
    shown = opened.getpeercert(binary_form=True) if isinstance(opened, ssl.SSLSocket) else None
    return shown or b""


def _read(response: http.client.HTTPResponse) -> bytes:
    body = bytearray()
    for _ in range(_MOST_PIECES):
        piece = response.read1(_PIECE)
        body += piece
        if not piece:
            return bytes(body)
        if len(body) > _ANSWER_CAP:
            break
    raise http.client.HTTPException("an answer that does not end")


def _away(error: OSError | http.client.HTTPException, *, reached: bool) -> Away:
    words = (error.strerror if isinstance(error, OSError) else None) or str(error)
    match error:
        case socket.gaierror():
            return Away(Trouble.NAME, words)
        case ssl.SSLCertVerificationError():
            return Away(Trouble.CERTIFICATE, error.verify_message)
        case ssl.SSLError() if "ALERT" in (error.reason or ""):
            return Away(Trouble.OURS, (error.reason or "").replace("_", " ").lower())
        case _:
            return Away(Trouble.GATEWAY, words or type(error).__name__, reached=reached)


def _retry_s(headers: http.client.HTTPMessage) -> int | None:
    text = headers.get("Retry-After", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else None  # noqa: PLR2004
