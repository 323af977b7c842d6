"""Terminals' routes for a new certificate: an order signed by the old key, and plain EST's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from contract.certificates import common_name, spki
from contract.enrolment import EnrolmentRefused, Refusal, check_order
from contract.ids import SiteId
from contract.signing import SignatureRefused, VerifyKey
from gateway.enrolment.admission import Answer, Enrolments, Wanted
from gateway.evidence.journal import Moment
from gateway.http.limits import Buckets, Rate, too_many
from gateway.http.refusals import answered, certs_only_der, read_csr, read_order
from gateway.http.requests import JSON, peer
from runtime.clock import Clock

# A certificate is renewed after three weeks; what asks more often is broken.
RATE: Final = Rate(a_second=0.2, burst=10)


def add_routes(
    app: FastAPI,
    enrolments: Enrolments,
    site: SiteId,
    issued: Callable[[Answer], None],
    clock: Clock,
) -> None:
    buckets = Buckets(RATE, clock)

    def require_turn(request: Request) -> None:
        name = common_name(peer(request))
        if wait_s := buckets.wait_s(name):
            raise too_many("too many renewals", wait_s)
        buckets.take(name)

    @app.post("/v1/renewal")
    async def renewal(request: Request) -> Response:
        async def work() -> Response:
            require_turn(request)
            sent, shown = await read_order(request), peer(request)
            try:
                old = VerifyKey.from_spki(spki(shown.public_key()))
            except SignatureRefused as error:
                raise EnrolmentRefused(Refusal.CERTIFICATE_REFUSED, str(error)) from error
            checked = await run_in_threadpool(check_order, sent, site, old)
            _require_same(checked.request.terminal, common_name(shown))
            answer = await run_in_threadpool(
                enrolments.renew, Wanted.of(checked), shown, Moment.of(clock)
            )
            issued(answer)
            return Response(answer.issued.to_bytes(), media_type=JSON)

        return await answered(work)

    @app.post("/.well-known/est/simplereenroll")
    async def simplereenroll(request: Request) -> Response:
        async def work() -> Response:
            require_turn(request)
            name, key = await read_csr(request)
            shown = peer(request)
            _require_same(name, common_name(shown))
            answer = await run_in_threadpool(
                enrolments.renew, Wanted.plain(name, key), shown, Moment.of(clock)
            )
            issued(answer)
            return certs_only_der(answer.certificate)

        return await answered(work)


def _require_same(asked: str, shown: str) -> None:
    if asked != shown:
        raise EnrolmentRefused(
            Refusal.NAME_MISMATCH, "the request names another terminal than the certificate"
        )
