"""Routes of help at 03:00: terminals ask, operators deposit PUKs and review the night."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from contract.certificates import common_name
from contract.help import MAX_HELP_BYTES, HelpAnswer, HelpRefused
from contract.helping import HelpReason
from contract.ids import TerminalId
from contract.puk import MAX_ESCROWS_BYTES
from contract.wire import encode_base64
from gateway.evidence.journal import Moment
from gateway.help.escrows import Deposits
from gateway.help.spares import Spares
from gateway.help.unblocking import Unblocking
from gateway.http.changes import REFUSALS, Asking, Counter, body_of
from gateway.http.limits import Buckets, Rate, too_many
from gateway.http.requests import JSON, OCTETS, peer, read_body
from gateway.link.publisher import Publisher
from runtime.clock import Clock

# A night has a few of these; what was done offline comes in one burst.
RATE: Final = Rate(a_second=0.2, burst=20)


@dataclass(frozen=True, slots=True)
class Helping:
    """What stands behind the routes."""

    spares: Spares
    unblocking: Unblocking
    deposits: Deposits


class DepositAnswer(BaseModel):
    """How many of the escrows are new here."""

    taken: int


class ReplacedAnswer(BaseModel):
    """Signed releases with the escrow of the PUK that the card holds now, base64.

    `doubtful`: of the PUK that it may hold; nobody reported.
    """

    releases: list[str]
    doubtful: list[str]


class AssignmentAnswer(BaseModel):
    """An assignment as it was judged; `message`: statement and terms, base64."""

    spare: str
    holder: str
    terminal: str
    begins_ms: int
    until_ms: int
    received_ms: int
    reason: str
    message: str


class AssignmentsAnswer(BaseModel):
    """The newest first."""

    assignments: list[AssignmentAnswer]


def add_terminal_routes(app: FastAPI, helping: Helping, publisher: Publisher, clock: Clock) -> None:
    """On the terminals' application."""
    buckets = Buckets(RATE, clock)

    async def asked(request: Request) -> tuple[bytes, TerminalId]:
        name = common_name(peer(request))
        if wait_s := buckets.wait_s(name):
            raise too_many("too much help is asked for", wait_s)
        buckets.take(name)
        return await read_body(request, MAX_HELP_BYTES), TerminalId(name)

    @app.post("/v1/help/spare")
    async def spare(request: Request) -> Response:
        message, terminal = await asked(request)
        now = Moment.of(clock)
        answer, applied = await run_in_threadpool(helping.spares.take, message, terminal, now)
        if applied is not None:
            publisher.change(applied)
        return Response(answer.to_bytes(), media_type=JSON)

    @app.post("/v1/help/puk")
    async def puk(request: Request) -> Response:
        message, terminal = await asked(request)
        try:
            now = Moment.of(clock)
            release = await run_in_threadpool(helping.unblocking.ask, message, terminal, now)
        except HelpRefused as refused:
            return _no(refused)
        return Response(release, media_type=OCTETS)

    @app.post("/v1/help/puk/report")
    async def report(request: Request) -> Response:
        message, terminal = await asked(request)
        try:
            await run_in_threadpool(helping.unblocking.report, message, terminal)
        except HelpRefused as refused:
            return _no(refused)
        return Response(HelpAnswer(reason=HelpReason.GRANTED).to_bytes(), media_type=JSON)


def add_operator_routes(app: FastAPI, helping: Helping, counter: Counter) -> None:
    """On the operators' application."""

    @app.post(
        "/v1/escrows",
        openapi_extra=body_of("A deposit's envelope, and its escrows a line each."),
        responses=REFUSALS,
    )
    async def deposit(request: Request, operator: Asking) -> DepositAnswer:
        message = await read_body(request, MAX_ESCROWS_BYTES)
        return DepositAnswer(taken=await counter.ask(operator, helping.deposits.take, message))

    @app.get("/v1/escrows")
    def replaced() -> ReplacedAnswer:
        held, doubtful = helping.deposits.replaced()
        return ReplacedAnswer(
            releases=[encode_base64(message) for message in held],
            doubtful=[encode_base64(message) for message in doubtful],
        )

    @app.get("/v1/assignments")
    def assignments() -> AssignmentsAnswer:
        rows = [
            AssignmentAnswer(
                spare=row.spare,
                holder=row.holder,
                terminal=row.terminal,
                begins_ms=row.begins_ms,
                until_ms=row.until_ms,
                received_ms=row.received_ms,
                reason=row.reason,
                message=encode_base64(row.message),
            )
            for row in helping.spares.newest()
        ]
        return AssignmentsAnswer(assignments=rows)


def _no(refused: HelpRefused) -> Response:
    """An answer like any other: it says why there is no release."""
    return Response(HelpAnswer(reason=refused.reason).to_bytes(), media_type=JSON)
