"""The operators' listener: changes of the directory, the fleet, the log's newest checkpoint.

An operator is known by a certificate of the operator CA, and what he asks for carries his own
signature under the same key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from cryptography import x509
from fastapi import Depends, FastAPI, Query, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from contract.certificates import spki
from contract.directory import MAX_CHANGE_BYTES
from contract.ids import OperatorId
from contract.signing import SignatureRefused, VerifyKey
from contract.statements import TerminalStatus
from contract.tap import DirectoryVersion
from contract.wire import MAX_SAFE_INTEGER
from gateway.checkpoints import Checkpoints
from gateway.directory import Directory, Operator, RequestRefused
from gateway.fleet import Fleet
from gateway.http.requests import JSON, peer, peer_name, read_body, translate_errors
from gateway.journal import Moment
from gateway.publisher import Publisher
from runtime.clock import Clock


class ChangeAnswer(BaseModel):
    """The version that carries the request out, and when it was sent to the terminals."""

    version: DirectoryVersion
    published_ms: int


class FleetTerminal(BaseModel):
    """A terminal; `state` null: the register does not know it; `status` null: never heard."""

    terminal: str
    ward: str | None
    state: str | None
    seen_ms: int | None
    status: TerminalStatus | None
    forks: int


class FleetAnswer(BaseModel):
    """Every terminal of the site, by name."""

    terminals: list[FleetTerminal]


class Health(BaseModel):
    """Of a gateway that answers at all."""

    log_size: int
    checkpoint_size: int
    directory: DirectoryVersion
    broker: str
    batches: dict[str, int]
    events: int
    refused: int
    failed_commits: int
    dropped: int


def make_app(
    directory: Directory,
    publisher: Publisher,
    fleet: Fleet,
    checkpoints: Checkpoints,
    health: Callable[[], Health],
    clock: Clock,
) -> FastAPI:
    app = FastAPI(title="tapover gateway, for operators", docs_url=None, redoc_url=None)
    translate_errors(app)

    @app.post("/v1/changes")
    async def changes(
        request: Request, certificate: Annotated[x509.Certificate, Depends(peer)]
    ) -> ChangeAnswer:
        operator = _operator(certificate)
        message = await read_body(request, MAX_CHANGE_BYTES)
        applied = await run_in_threadpool(directory.apply, message, operator, Moment.of(clock))
        published_ms = publisher.change(applied) if applied.is_new else clock.wall_ms()
        version = DirectoryVersion.of(applied.version)
        return ChangeAnswer(version=version, published_ms=published_ms)

    @app.get("/v1/fleet")
    def terminals() -> FleetAnswer:
        rows = [
            FleetTerminal(
                terminal=row.terminal,
                ward=row.ward,
                state=row.state,
                seen_ms=row.seen.seen_ms if row.seen else None,
                status=row.seen.status if row.seen else None,
                forks=row.forks,
            )
            for row in fleet.rows()
        ]
        return FleetAnswer(terminals=rows)

    @app.get("/v1/log/checkpoint")
    def checkpoint(since: Annotated[int, Query(ge=0, le=MAX_SAFE_INTEGER)] = 0) -> Response:
        return Response(checkpoints.since(since).to_bytes(), media_type=JSON)

    @app.get("/healthz")
    def healthz() -> Health:
        return health()

    return app


def _operator(certificate: x509.Certificate) -> Operator:
    key = certificate.public_key()
    try:
        return Operator(OperatorId(peer_name(certificate)), VerifyKey.from_spki(spki(key)))
    except SignatureRefused as error:
        raise RequestRefused(f"the certificate's key cannot sign: {error}") from error
