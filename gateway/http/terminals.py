"""The terminals' listener: what is too large, or too particular, for the broker.

A terminal is known by its certificate. One that the register has retired is told so, and gets
nothing else; one that the register does not know yet may read, since it must fetch the directory to
learn of itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from cryptography import x509
from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from contract.checkpoint import InclusionQuery
from contract.directory import TerminalState
from contract.enrolment import EnrolmentRefused, Refusal
from contract.ids import Digest, TerminalId, Version
from contract.succession import join_line
from contract.topics import GATEWAY
from contract.wire import MAX_SAFE_INTEGER, encode_base64
from gateway.authority import Authority
from gateway.directory.register import Register
from gateway.directory.snapshot import Snapshots
from gateway.directory.source import Directory
from gateway.evidence.checkpoints import Checkpoints
from gateway.http.limits import AtOnce
from gateway.http.refusals import translate_refusals
from gateway.http.requests import JSON, peer, peer_name, read_body, signed, translate_errors
from runtime.clock import Clock

# A terminal asks one thing after another. A thousand proofs are some tens of milliseconds of a
# thread: whoever asks for more at once takes it from the others.
PROOFS_AT_ONCE: Final = 2
_COUNT = {"ge": 0, "le": MAX_SAFE_INTEGER}


def make_app(
    authority: Authority,
    register: Register,
    directory: Directory,
    snapshots: Snapshots,
    checkpoints: Checkpoints,
    clock: Clock,
    met: Callable[[x509.Certificate], None] = lambda _: None,
) -> FastAPI:
    """`met` hears of every certificate that is shown, in a worker thread."""

    def known_terminal(certificate: Annotated[x509.Certificate, Depends(peer)]) -> TerminalId:
        terminal = TerminalId(peer_name(certificate))
        registered = register.find(terminal)
        if terminal == GATEWAY:
            raise HTTPException(403, "not a terminal")
        if registered is not None and registered.state is TerminalState.RETIRED:
            raise EnrolmentRefused(Refusal.TERMINAL_RETIRED, "this terminal has been retired")
        met(certificate)
        return terminal

    app = FastAPI(
        title="tapover gateway, for terminals",
        openapi_url=None,
        dependencies=[Depends(known_terminal)],
    )
    translate_errors(app)
    translate_refusals(app)

    @app.get("/v1/keys")
    def keys() -> Response:
        return signed(authority.keys_envelope.to_bytes())

    @app.get("/v1/roots")
    def roots() -> Response:
        line = join_line(authority.successions)
        return Response(line, media_type="application/octet-stream")

    @app.get("/v1/directory/manifest")
    def manifest() -> Response:
        return signed(snapshots.manifest(clock.wall_ms()))

    @app.get("/v1/directory/chunks/{digest}")
    def chunk(digest: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]) -> Response:
        return Response(snapshots.chunk(Digest(digest)), media_type="application/octet-stream")

    @app.get("/v1/directory/changes")
    def changes(
        epoch: Annotated[int, Query(**_COUNT)], after: Annotated[int, Query(**_COUNT)]
    ) -> dict[str, list[str]]:
        messages = directory.changes_after(Version(epoch, after))
        return {"changes": [encode_base64(message) for message in messages]}

    _add_log(app, checkpoints)
    return app


def _add_log(app: FastAPI, checkpoints: Checkpoints) -> None:
    proving = AtOnce(PROOFS_AT_ONCE)

    @app.get("/v1/log/checkpoint")
    def checkpoint(since: Annotated[int, Query(**_COUNT)] = 0) -> Response:
        return Response(checkpoints.since(since).to_bytes(), media_type=JSON)

    @app.post("/v1/log/inclusion")
    async def inclusion(
        request: Request, certificate: Annotated[x509.Certificate, Depends(peer)]
    ) -> dict[str, list[list[str] | None]]:
        with proving.one(peer_name(certificate)):
            query = InclusionQuery.from_bytes(await read_body(request, InclusionQuery.CAP))
            proofs = await run_in_threadpool(checkpoints.inclusion, query.size, query.leaves)
        return {
            "proofs": [
                None if proof is None else [encode_base64(each) for each in proof]
                for proof in proofs
            ]
        }
