"""How enrolment's answers look on the wire: issued, pending, refused (`contract.enrolment`)."""

from __future__ import annotations

import base64
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509 import Certificate, load_der_x509_certificate
from fastapi import FastAPI, HTTPException, Request, Response

from contract.enrolment import (
    MAX_CSR_BYTES,
    REFUSALS,
    EnrolmentRefused,
    Order,
    Refusal,
    RefusalAnswer,
    check_csr,
)
from contract.ids import TerminalId
from contract.wire import WireError
from gateway.http.requests import JSON, read_body
from gateway.store import StoreFailed
from runtime.logs import Trouble

PKCS7: Final = "application/pkcs7-mime"
# A database that failed is asked again by forty devices: not all at once.
RETRY_S: Final = 5
# Devices that find no room among those who wait for an operator.
CROWDED_S: Final = 30
# Base64 of the largest PKCS#10 request, with its line ends.
_EST_CAP: Final = MAX_CSR_BYTES * 3 // 2
_log: Final = logging.getLogger(__name__)
_failing: Final = Trouble(_log, "enrolling")


async def answered(work: Callable[[], Awaitable[Response]]) -> Response:
    """Has the work done; what refuses it becomes its answer."""
    try:
        return await work()
    except EnrolmentRefused as error:
        _log.info("enrolment refused", extra={"reason": str(error.reason)})
        return refusal(error.reason, error.words)
    except WireError as error:
        return refusal(Refusal.MALFORMED, str(error))
    except HTTPException as error:
        reason = Refusal.TOO_LARGE if error.status_code == _LARGE else Refusal.TOO_MANY
        return refusal(reason, str(error.detail), error.headers)
    except StoreFailed as error:
        _failing.failed(str(error))
        words = "the gateway cannot write; nothing was changed"
        return refusal(Refusal.STORE_FAILED, words, {"Retry-After": str(RETRY_S)})


_LARGE: Final = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def translate_refusals(app: FastAPI) -> None:
    """What refuses a caller before its route is reached becomes its answer too."""

    def handler(_request: Request, error: Exception) -> Response:
        assert isinstance(error, EnrolmentRefused)  # noqa: S101 - registered for it alone
        return refusal(error.reason, error.words)

    app.add_exception_handler(EnrolmentRefused, handler)


def refusal(reason: Refusal, words: str, headers: Mapping[str, str] | None = None) -> Response:
    """A `RefusalAnswer` under its status."""
    number, status = REFUSALS[reason]
    answer = RefusalAnswer(error=reason, code=number, detail=words[:300])
    given = dict(headers or {})
    if status == HTTPStatus.UNAUTHORIZED:
        given["WWW-Authenticate"] = 'Basic realm="tapover"'
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        given.setdefault("Retry-After", str(CROWDED_S))
    return Response(answer.to_bytes(), status, given, JSON)


def certs_only(certificate: Certificate) -> Response:
    """RFC 7030 §4.1.3: a degenerate PKCS#7 in base64."""
    der = pkcs7.serialize_certificates([certificate], Encoding.DER)
    headers = {"Content-Transfer-Encoding": "base64"}
    media_type = f"{PKCS7}; smime-type=certs-only"
    return Response(base64.encodebytes(der), headers=headers, media_type=media_type)


def certs_only_der(certificate: bytes) -> Response:
    return certs_only(load_der_x509_certificate(certificate))


async def read_csr(request: Request) -> tuple[TerminalId, bytes]:
    """The name and the key in an EST body (RFC 7030 §4.2.1). Raises EnrolmentRefused."""
    body = await read_body(request, _EST_CAP)
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
    except ValueError as error:
        raise EnrolmentRefused(Refusal.MALFORMED, "the body is not base64") from error
    _, name, key = check_csr(der)
    return name, key


async def read_order(request: Request) -> Order:
    return Order.from_bytes(await read_body(request, Order.CAP))
