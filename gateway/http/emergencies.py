"""The route by which a terminal tells of break-glass, and how operators see it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from contract.certificates import common_name
from contract.emergency import MAX_EMERGENCY_BYTES, Emergency
from contract.help import HelpAnswer
from contract.helping import HelpReason
from contract.ids import TerminalId
from gateway.evidence.journal import Moment
from gateway.http.limits import Buckets, Rate, too_many
from gateway.http.requests import JSON, peer, read_body
from gateway.link.emergencies import Emergencies, EmergencyRefused
from gateway.link.publisher import Publisher
from runtime.clock import Clock

# A terminal opens a few a night, and says each again every five seconds until it is answered.
RATE: Final = Rate(a_second=1.0, burst=60)


class EmergencyAnswer(BaseModel):
    """Break-glass at a terminal; `holder` null: in nobody's name. For review, newest first."""

    terminal: str
    ward: str
    session: str
    position: str
    holder: str | None
    reason: str
    state: str
    read_only: bool
    kept: str
    begins_ms: int
    limit_s: int


def answer_of(emergency: Emergency) -> EmergencyAnswer:
    """As an operator sees it."""
    opened = emergency.opened
    return EmergencyAnswer(
        terminal=emergency.terminal,
        ward=emergency.ward,
        session=opened.session,
        position=opened.position,
        holder=opened.holder,
        reason=opened.reason,
        state=opened.state,
        read_only=opened.read_only,
        kept=opened.kept,
        begins_ms=opened.begins_ms,
        limit_s=opened.limit_s,
    )


def add_routes(app: FastAPI, emergencies: Emergencies, publisher: Publisher, clock: Clock) -> None:
    """On the terminals' application."""
    buckets = Buckets(RATE, clock)

    @app.post("/v1/help/emergency")
    async def emergency(request: Request) -> Response:
        name = common_name(peer(request))
        if wait_s := buckets.wait_s(name):
            raise too_many("too much is told", wait_s)
        buckets.take(name)
        message = await read_body(request, MAX_EMERGENCY_BYTES)
        now = Moment.of(clock)
        try:
            new = await run_in_threadpool(emergencies.take, message, TerminalId(name), now)
        except EmergencyRefused as refused:
            raise HTTPException(HTTPStatus.FORBIDDEN, "not believed") from refused
        if new:
            publisher.emergency(message)
        return Response(HelpAnswer(reason=HelpReason.GRANTED).to_bytes(), media_type=JSON)
