"""The listener for devices that have no certificate yet: enrolment, and plain EST (RFC 7030).

Nobody here is believed. Everything that a stranger can send is capped and rated, and what he can
reach is the site's public key statement, how its roots followed one another, the terminal CA's
certificate, and a refusal.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, TypeVar

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from contract.enrolment import CheckedOrder, EnrolmentRefused, Order, Pending, Refusal, check_order
from contract.ids import TerminalId
from contract.succession import join_line
from contract.topics import GATEWAY, RESERVED
from gateway.authority import Authority
from gateway.enrolment.admission import Answer, Enrolments, Wanted
from gateway.enrolment.pending import RETRY_S, PendingOrders
from gateway.evidence.journal import Moment
from gateway.http.limits import AtOnce, Buckets, Rate, too_many
from gateway.http.refusals import answered, certs_only, certs_only_der, read_csr, read_order
from gateway.http.requests import JSON, OCTETS, signed
from runtime.clock import Clock

# Forty devices of a ward unpacked at once, behind one address, ask four things each.
ADDRESS_RATE: Final = Rate(a_second=10, burst=200)
EVERYBODY: Final = Rate(a_second=50, burst=400)
# Devices in work at once: signatures, and eight letters that are dear to compute.
AT_ONCE: Final = 64
# A site's devices after a delivery, with room; a connection costs a third of a mebibyte.
MOST_CONNECTIONS: Final = 256
# "<48 letters>:<43 letters>" in base64, with room.
_BASIC_CAP: Final = 256
T = TypeVar("T")


class EnrolmentDesk:
    """Answers orders, one way or another. Methods of the event loop."""

    def __init__(
        self,
        enrolments: Enrolments,
        pending: PendingOrders,
        issued: Callable[[Answer], None],
        authority: Authority,
        clock: Clock,
    ) -> None:
        """`issued` is told of every answer, in the event loop."""
        self.enrolments = enrolments
        self.pending = pending
        self._issued = issued
        self._site = authority.site
        self._clock = clock
        self._by_address = Buckets(ADDRESS_RATE, clock)
        self._together = Buckets(EVERYBODY, clock)
        self._at_once = AtOnce(AT_ONCE)

    def require_turn(self, request: Request) -> None:
        """Raises HTTPException 429."""
        for buckets, caller in ((self._by_address, _address(request)), (self._together, "")):
            if wait_s := buckets.wait_s(caller):
                raise too_many("too many requests", wait_s)
            buckets.take(caller)

    async def order(self, request: Request) -> Response:
        """POST /v1/enrolment."""
        self.require_turn(request)
        sent = await read_order(request)
        credentials = _basic(request)
        with self._at_once.one("order"):
            checked = await run_in_threadpool(self._check, sent)
            if credentials is None:
                return await self._without_token(checked, _address(request))
            answer = await self._thread(self._by_token, Wanted.of(checked), *credentials)
        return self._serve(answer)

    async def plain(self, request: Request) -> Response:
        """POST /.well-known/est/simpleenroll."""
        self.require_turn(request)
        name, key = await read_csr(request)
        credentials = _basic(request)
        if credentials is None:
            raise EnrolmentRefused(Refusal.TOKEN_UNKNOWN, "give terminal and token (HTTP Basic)")
        with self._at_once.one("order"):
            wanted = Wanted.plain(_require_usable(name), key)
            answer = await self._thread(self._by_token, wanted, *credentials)
        self._issued(answer)
        return certs_only_der(answer.certificate)

    async def _without_token(self, checked: CheckedOrder, address: str) -> Response:
        """The same answer as before, or eight letters for an operator."""
        now = Moment.of(self._clock)
        answer = await self._thread(self.enrolments.known, Wanted.of(checked), now)
        if answer is not None:
            return self._serve(answer)
        waiting = await self._thread(self.pending.put, checked, address, now.wall_ms)
        body = Pending(code=waiting.code, retry_s=RETRY_S).to_bytes()
        return Response(body, HTTPStatus.ACCEPTED, {"Retry-After": str(RETRY_S)}, JSON)

    def _by_token(self, wanted: Wanted, name: str, token: str) -> Answer:
        return self.enrolments.by_token(wanted, name, token, Moment.of(self._clock))

    def _check(self, sent: Order) -> CheckedOrder:
        checked = check_order(sent, self._site, None)
        _require_usable(checked.request.terminal)
        return checked

    def _serve(self, answer: Answer) -> Response:
        self._issued(answer)
        return Response(answer.issued.to_bytes(), media_type=JSON)

    async def _thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await run_in_threadpool(work, *arguments)


def make_app(authority: Authority, desk: EnrolmentDesk) -> FastAPI:
    app = FastAPI(title="tapover gateway, for enrolment", openapi_url=None)

    @app.get("/v1/keys")
    async def keys(request: Request) -> Response:
        async def work() -> Response:
            desk.require_turn(request)
            return signed(authority.keys_envelope.to_bytes())

        return await answered(work)

    @app.get("/v1/roots")
    async def roots(request: Request) -> Response:
        async def work() -> Response:
            desk.require_turn(request)
            return Response(join_line(authority.successions), media_type=OCTETS)

        return await answered(work)

    @app.get("/.well-known/est/cacerts")
    async def cacerts(request: Request) -> Response:
        async def work() -> Response:
            desk.require_turn(request)
            return certs_only(desk.enrolments.ca)

        return await answered(work)

    @app.post("/v1/enrolment")
    async def enrolment(request: Request) -> Response:
        return await answered(lambda: desk.order(request))

    @app.post("/.well-known/est/simpleenroll")
    async def simpleenroll(request: Request) -> Response:
        return await answered(lambda: desk.plain(request))

    return app


def _require_usable(name: TerminalId) -> TerminalId:
    if name in (GATEWAY, RESERVED):
        raise EnrolmentRefused(Refusal.NAME_MISMATCH, f"no terminal may be called {name!r}")
    return name


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _basic(request: Request) -> tuple[str, str] | None:
    """Name and token (RFC 7617), None where neither is given. Raises EnrolmentRefused."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic" or len(value) > _BASIC_CAP:
        raise EnrolmentRefused(Refusal.TOKEN_UNKNOWN, "give terminal and token (HTTP Basic)")
    try:
        name, colon, token = base64.b64decode(value, validate=True).decode("ascii").partition(":")
    except ValueError as error:
        raise EnrolmentRefused(Refusal.TOKEN_UNKNOWN, "that is no HTTP Basic") from error
    if not colon:
        raise EnrolmentRefused(Refusal.TOKEN_UNKNOWN, "that is no HTTP Basic")
    return name, token
