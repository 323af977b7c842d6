"""Operators' routes for terminals: grants, devices that wait for a word, what is kept of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, HTTPException, Path, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from contract.ids import TerminalId
from contract.signing import Envelope
from contract.tap import DirectoryVersion
from contract.wire import encode_base64
from gateway.enrolment.admission import Answer
from gateway.enrolment.grants import Grants, TerminalFile
from gateway.enrolment.pending import Waiting
from gateway.http.changes import NOTHING, REFUSALS, Asking, Counter, body_of
from gateway.http.requests import read_body

Code = Annotated[str, Path(pattern=r"^[A-Z2-7]{8}$", description="The letters on the glass.")]
Name = Annotated[str, Path(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?$")]


@dataclass(frozen=True, slots=True)
class Ports:
    """Where devices reach this gateway and its broker."""

    enrol: int
    https: int
    broker: int


class GrantAnswer(BaseModel):
    """The grant stands; the ports are for the devices' enrolment files."""

    terminals: int
    until_ms: int
    enrol_port: int
    https_port: int
    broker_port: int


class WaitingDevice(BaseModel):
    """A device as it said; `request` is the digest that an approval names."""

    code: str
    terminal: str
    address: str
    first_ms: int
    last_ms: int
    request: str


class WaitingDevices(BaseModel):
    """The oldest first."""

    waiting: list[WaitingDevice]


class DecidedAnswer(BaseModel):
    """`directory` null: the device was turned away."""

    terminal: str
    directory: DirectoryVersion | None


class CertificateAnswer(BaseModel):
    """A certificate by its serial number, hexadecimal."""

    serial: str
    issued_ms: int
    until_ms: int
    revoked_ms: int | None
    ended_ms: int | None


class TokenAnswer(BaseModel):
    """A one-time token, which itself is nowhere here."""

    ward: str
    granted_ms: int
    until_ms: int
    used_ms: int | None


class TerminalAnswer(BaseModel):
    """`entry`: its line in the directory, base64; null: the register does not know it."""

    terminal: str
    entry: str | None
    certificates: list[CertificateAnswer]
    tokens: list[TokenAnswer]
    late_batches: int


@dataclass(frozen=True, slots=True)
class Enrolling:
    """What stands behind the routes. `issued` is told of an answer, in the event loop."""

    grants: Grants
    ports: Ports
    issued: Callable[[Answer], None]


def add_routes(app: FastAPI, counter: Counter, enrolling: Enrolling | None) -> None:
    """The routes, on the operators' application. None: this gateway enrols nobody."""

    def here() -> Enrolling:
        if enrolling is None:
            raise HTTPException(404, "this gateway enrols nobody: set `enrol_port`")
        return enrolling

    @app.post(
        "/v1/grants",
        openapi_extra=body_of("A grant's envelope."),
        responses={**REFUSALS, **NOTHING},
    )
    async def grants(request: Request, operator: Asking) -> GrantAnswer:
        message = await read_body(request, Envelope.CAP)
        grant, ports = await counter.ask(operator, here().grants.grant, message), here().ports
        return GrantAnswer(
            terminals=len(grant.terminals),
            until_ms=grant.until_ms,
            enrol_port=ports.enrol,
            https_port=ports.https,
            broker_port=ports.broker,
        )

    @app.get("/v1/enrolments", responses=NOTHING)
    def enrolments() -> WaitingDevices:
        return WaitingDevices(waiting=[_device(w) for w in here().grants.waiting(counter.now())])

    @app.post(
        "/v1/enrolments/{code}",
        openapi_extra=body_of("An approval's envelope, on the digest of the device's request."),
        responses={**REFUSALS, **NOTHING},
    )
    async def decide(code: Code, request: Request, operator: Asking) -> DecidedAnswer:
        message = await read_body(request, Envelope.CAP)
        found, answer = await counter.ask(operator, here().grants.decide, code, message)
        if answer is not None:
            here().issued(answer)
        directory = answer.issued.directory if answer else None
        return DecidedAnswer(terminal=found.order.request.terminal, directory=directory)

    @app.get("/v1/terminals/{terminal}", responses=NOTHING)
    async def terminal(terminal: Name) -> TerminalAnswer:
        return _file(terminal, await run_in_threadpool(here().grants.show, TerminalId(terminal)))


def _device(waiting: Waiting) -> WaitingDevice:
    return WaitingDevice(
        code=waiting.code,
        terminal=waiting.order.request.terminal,
        address=waiting.address,
        first_ms=waiting.first_ms,
        last_ms=waiting.last_ms,
        request=waiting.order.envelope.digest,
    )


def _file(terminal: str, kept: TerminalFile) -> TerminalAnswer:
    return TerminalAnswer(
        terminal=terminal,
        entry=encode_base64(kept.entry) if kept.entry else None,
        certificates=[
            CertificateAnswer(
                serial=f"{row.serial:x}",
                issued_ms=row.issued_ms,
                until_ms=row.until_ms,
                revoked_ms=row.revoked_ms,
                ended_ms=row.ended_ms,
            )
            for row in kept.certificates
        ],
        tokens=[
            TokenAnswer(
                ward=row.ward,
                granted_ms=row.granted_ms,
                until_ms=row.until_ms,
                used_ms=row.used_ms,
            )
            for row in kept.tokens
        ],
        late_batches=kept.late_batches,
    )
