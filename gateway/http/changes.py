"""Operators' routes that change the directory: requests, sets of them, a second operator's word.

Bodies are signed statements, as bytes; what comes back is how it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from contract.administration import MAX_SET_REQUESTS, Findings
from contract.directory import MAX_CHANGE_BYTES
from contract.ids import Digest, Version
from contract.signing import Envelope
from contract.tap import DirectoryVersion
from contract.wire import MAX_SAFE_INTEGER, encode_base64
from gateway.directory.desk import Desk
from gateway.directory.requests import Operator, RequestRefused
from gateway.directory.source import Applied, Directory, Held
from gateway.directory.waiting import Standing
from gateway.evidence.journal import Moment
from gateway.http.limits import Buckets, Rate, too_many
from gateway.http.requests import OCTETS, ErrorAnswer, operator_of, read_body, signed
from gateway.link.publisher import Publisher
from runtime.clock import Clock

# A denial is an event in the journal: a person who mistypes has room, a loop fills no disk.
DENIALS: Final = Rate(a_second=0.5, burst=30)
T = TypeVar("T")
Subject = Annotated[
    str, Path(pattern=r"^[0-9a-f]{64}$", description="Digest of the envelope that waits.")
]
Asking = Annotated[Operator, Depends(operator_of)]
_BINARY: Final = {"type": "string", "format": "binary"}
_COUNT: Final = {"ge": 0, "le": MAX_SAFE_INTEGER}


class ChangeAnswer(BaseModel):
    """The version that carries the request out, and when it was sent to the terminals."""

    version: DirectoryVersion
    published_ms: int


class HeldAnswer(BaseModel):
    """Nothing was changed: the guard stopped it, and a second operator must approve `subject`."""

    subject: str
    until_ms: int
    findings: Findings


class StandingAnswer(BaseModel):
    """How a set, or a request that waits, stands.

    `missing`: places of requests that have not come in; `left`: requests still to be carried out;
    `version`: the one that this step made.
    """

    subject: str
    kind: str
    operator: str
    state: str
    opened_ms: int
    until_ms: int
    requests: int
    missing: list[int]
    left: int
    findings: Findings
    version: DirectoryVersion | None


class WaitingAnswer(BaseModel):
    """What is under way, the oldest first."""

    waiting: list[StandingAnswer]


class ChangesAnswer(BaseModel):
    """Change messages that follow a version, in order, base64; none when there are none.

    `requests`: for each the operator's signed request, null where the gateway itself acted.
    """

    changes: list[str]
    requests: list[str | None]


class Counter:
    """What stands behind the routes. For the event loop."""

    def __init__(
        self, directory: Directory, desk: Desk, publisher: Publisher, clock: Clock
    ) -> None:
        self.directory = directory
        self.desk = desk
        self._publisher = publisher
        self._denials = Buckets(DENIALS, clock)
        self._clock = clock

    def now(self) -> Moment:
        return Moment.of(self._clock)

    async def ask(self, operator: Operator, act: Callable[..., T], *given: object) -> T:
        """Runs it in a thread; whoever is refused again and again waits."""
        if wait_s := self._denials.wait_s(operator.name):
            raise too_many("too many refused requests", wait_s)
        try:
            return await run_in_threadpool(act, *given, operator, self.now())
        except RequestRefused:
            self._denials.take(operator.name)
            raise

    def publish(self, applied: Applied) -> int:
        """Sends what is new to the terminals; returns when, in Unix ms."""
        return self._publisher.change(applied) if applied.is_new else self._clock.wall_ms()

    def answer(self, standing: Standing) -> StandingAnswer:
        """Publishes what this step made, and says how it stands."""
        if standing.applied is not None:
            self.publish(standing.applied)
        return _answer(standing)


def add_routes(app: FastAPI, counter: Counter) -> None:
    """The routes, on the operators' application."""
    _add_changes(app, counter)
    _add_sets(app, counter)
    _add_waiting(app, counter)


def _add_changes(app: FastAPI, counter: Counter) -> None:
    @app.post(
        "/v1/changes",
        openapi_extra=body_of("A change request's envelope, and its entries a line each."),
        responses={202: {"model": HeldAnswer, "description": "The guard stopped it."}, **REFUSALS},
    )
    async def changes(
        request: Request,
        operator: Asking,
        response: Response,
        *,
        recovers: Annotated[
            int, Query(ge=0, le=1, description="1: what a restored directory has lost.")
        ] = 0,
    ) -> ChangeAnswer | HeldAnswer:
        message = await read_body(request, MAX_CHANGE_BYTES)
        apply = partial(counter.directory.apply, recovers=bool(recovers))
        applied = await counter.ask(operator, apply, message)
        if isinstance(applied, Held):
            response.status_code = HTTPStatus.ACCEPTED
            return HeldAnswer(
                subject=applied.subject, until_ms=applied.until_ms, findings=applied.findings
            )
        version = DirectoryVersion.of(applied.version)
        return ChangeAnswer(version=version, published_ms=counter.publish(applied))

    @app.get("/v1/directory/changes", responses=GONE)
    def history(
        epoch: Annotated[int, Query(**_COUNT)], after: Annotated[int, Query(**_COUNT)]
    ) -> ChangesAnswer:
        messages = counter.directory.history_after(Version(epoch, after))
        requests = counter.desk.requests_of(messages)
        return ChangesAnswer(
            changes=[encode_base64(message) for message in messages],
            requests=[None if one is None else encode_base64(one) for one in requests],
        )


def _add_sets(app: FastAPI, counter: Counter) -> None:
    desk = counter.desk

    @app.post("/v1/sets", openapi_extra=body_of("A change set's envelope."), responses=REFUSALS)
    async def open_set(request: Request, operator: Asking) -> StandingAnswer:
        message = await read_body(request, Envelope.CAP)
        return counter.answer(await counter.ask(operator, desk.open_set, message))

    @app.post(
        "/v1/sets/{subject}/requests",
        openapi_extra=body_of("A request that the set names, and its entries a line each."),
        responses={**REFUSALS, **NOTHING},
    )
    async def stage(subject: Subject, request: Request, operator: Asking) -> StandingAnswer:
        message = await read_body(request, MAX_CHANGE_BYTES)
        return counter.answer(await counter.ask(operator, desk.stage, Digest(subject), message))

    @app.post("/v1/sets/{subject}/steps", responses={**REFUSALS, **NOTHING})
    async def step(subject: Subject, operator: Asking) -> StandingAnswer:
        return counter.answer(await counter.ask(operator, desk.advance, Digest(subject)))

    @app.post(
        "/v1/approvals",
        openapi_extra=body_of("An approval's envelope, of another operator than asked."),
        responses={**REFUSALS, **NOTHING},
    )
    async def approvals(request: Request, operator: Asking) -> StandingAnswer:
        message = await read_body(request, Envelope.CAP)
        return counter.answer(await counter.ask(operator, desk.decide, message))


def _add_waiting(app: FastAPI, counter: Counter) -> None:
    desk = counter.desk

    @app.get("/v1/held")
    def held() -> WaitingAnswer:
        return WaitingAnswer(waiting=[_answer(one) for one in desk.waiting(counter.now())])

    @app.get("/v1/held/{subject}", responses=NOTHING)
    def one_held(subject: Subject) -> StandingAnswer:
        return _answer(desk.find(Digest(subject)))

    @app.get("/v1/held/{subject}/envelope", response_class=Response, responses=BYTES)
    def envelope(subject: Subject) -> Response:
        return signed(desk.find(Digest(subject)).row.envelope)

    @app.get("/v1/held/{subject}/requests/{place}", response_class=Response, responses=BYTES)
    def held_request(
        subject: Subject, place: Annotated[int, Path(ge=0, lt=MAX_SET_REQUESTS)]
    ) -> Response:
        return Response(desk.request(Digest(subject), place), media_type=OCTETS)


def body_of(description: str) -> dict[str, Any]:
    """The description of a body of bytes."""
    content = {OCTETS: {"schema": _BINARY}}
    return {"requestBody": {"required": True, "description": description, "content": content}}


def _refusal(description: str) -> dict[str, Any]:
    return {"model": ErrorAnswer, "description": description}


REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    403: _refusal("Not believed, or of no use to a terminal; the words say which."),
    409: _refusal("It contradicts what stands."),
    413: _refusal("More bytes than the cap."),
    422: _refusal("A policy that its ward cannot serve; the words say what to mend."),
    503: _refusal("Not written: the disk or the database failed. Ask again."),
}
NOTHING: Final[dict[int | str, dict[str, Any]]] = {404: _refusal("Nothing of it is here.")}
BYTES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {OCTETS: {"schema": _BINARY}}, "description": "As it was sent."},
    **NOTHING,
}
GONE: Final[dict[int | str, dict[str, Any]]] = {410: _refusal("No such version.")}


def _answer(standing: Standing) -> StandingAnswer:
    row = standing.row
    applied = standing.applied
    return StandingAnswer(
        subject=row.subject,
        kind=row.kind,
        operator=row.operator,
        state=row.state,
        opened_ms=row.opened_ms,
        until_ms=row.until_ms,
        requests=standing.requests,
        missing=list(standing.missing),
        left=standing.left,
        findings=standing.findings,
        version=DirectoryVersion.of(applied.version) if applied else None,
    )
