"""What both listeners share: who asks, bodies with a cap, our errors as answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography import x509
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from contract.certificates import common_name, spki
from contract.ids import OperatorId, is_name
from contract.signing import SignatureRefused, VerifyKey
from contract.wire import WireError
from gateway.directory.requests import Operator, RequestConflicts, RequestRefused
from gateway.directory.serving import PolicyRefused
from gateway.directory.snapshot import NoSnapshot
from gateway.directory.source import VersionUnknown
from gateway.directory.waiting import NothingWaits
from gateway.evidence.checkpoints import NoSuchSize
from gateway.http.listener import PEER
from gateway.store import StoreFailed
from runtime.durable import StorageError

JSON: Final = "application/json"
OCTETS: Final = "application/octet-stream"
_STATUS_OF: Final[dict[type[Exception], int]] = {
    WireError: 400,
    NoSuchSize: 400,
    RequestConflicts: 409,
    RequestRefused: 403,
    PolicyRefused: 422,
    NoSnapshot: 404,
    NothingWaits: 404,
    VersionUnknown: 410,
    StoreFailed: 503,
    StorageError: 503,
}


class ErrorAnswer(BaseModel):
    """Why not, in words."""

    detail: str


def peer(request: Request) -> x509.Certificate:
    """The certificate by which the client is connected: TLS has checked it against our CA."""
    return x509.load_der_x509_certificate(request.scope[PEER])


def peer_name(certificate: x509.Certificate) -> str:
    """Its CN. Raises HTTPException 403 for a name that nobody of ours bears."""
    name = common_name(certificate)
    if not is_name(name):
        raise HTTPException(403, "the certificate names nobody of this site")
    return name


def operator_of(request: Request) -> Operator:
    """Who asks on the operators' listener. Raises HTTPException 403, RequestRefused."""
    certificate = peer(request)
    try:
        key = VerifyKey.from_spki(spki(certificate.public_key()))
    except SignatureRefused as error:
        raise RequestRefused(f"the certificate's key cannot sign: {error}") from error
    return Operator(OperatorId(peer_name(certificate)), key)


async def read_body(request: Request, cap: int) -> bytes:
    """The body, of at most `cap` bytes. Raises HTTPException 413 without reading on."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > cap:
            raise HTTPException(413, f"more than {cap} bytes")
    return bytes(body)


def signed(envelope: bytes) -> Response:
    """A statement: its bytes as they are."""
    return Response(envelope, media_type=JSON)


def translate_errors(app: FastAPI) -> None:
    """Our error families become status codes; anything else is a bug, and 500."""
    for family, status in _STATUS_OF.items():
        app.add_exception_handler(family, _answer(status))


def _answer(status: int) -> Callable[[Request, Exception], JSONResponse]:
    def handler(_request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=status)

    return handler
