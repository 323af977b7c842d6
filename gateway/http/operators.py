"""The operators' listener: changes of the directory, the fleet, the log's newest checkpoint.

Described in docs/api/admin.openapi.json; how often one may ask is limited, by person and address.

An operator is known by a certificate of the operator CA, and what he asks for carries his own
signature under the same key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Final

from fastapi import Depends, FastAPI, Query, Request, Response
from pydantic import BaseModel

from contract.emergency import Emergency
from contract.statements import TerminalStatus
from contract.tap import DirectoryVersion
from contract.wire import MAX_SAFE_INTEGER
from gateway.directory.desk import Desk
from gateway.directory.source import Directory
from gateway.evidence.checkpoints import Checkpoints
from gateway.http import changes, grants
from gateway.http.changes import Counter
from gateway.http.emergencies import EmergencyAnswer, answer_of
from gateway.http.grants import Enrolling
from gateway.http.help import Helping, add_operator_routes
from gateway.http.limits import Buckets, Rate, too_many
from gateway.http.requests import JSON, ErrorAnswer, operator_of, translate_errors
from gateway.link.fleet import Fleet
from gateway.link.publisher import Publisher
from runtime.clock import Clock

# A set of 500 requests is two calls each: it takes its ten seconds. Several people may sit behind
# one address.
OPERATOR_RATE: Final = Rate(a_second=100, burst=200)
ADDRESS_RATE: Final = Rate(a_second=200, burst=400)
_DESCRIPTION: Final = (
    "Over TLS 1.3 with a client certificate of the site's operator CA; its CN is the operator."
    " What changes something is a statement signed by the certificate's own key (DSSE), and becomes"
    " a leaf of the evidence log; what is refused becomes an event. No session, no cookie, no"
    " password."
)


class FleetTerminal(BaseModel):
    """A terminal; `state` null: the register does not know it; `status` null: never heard."""

    terminal: str
    ward: str | None
    state: str | None
    seen_ms: int | None
    status: TerminalStatus | None
    forks: int
    unserved: bool = False
    """Its readers cannot serve its ward's policy any more: no PIN can be given there."""


class FleetAnswer(BaseModel):
    """Every terminal of the site, by name; `emergencies`: break-glass of the last hours."""

    terminals: list[FleetTerminal]
    emergencies: list[EmergencyAnswer] = []


class RevocationState(BaseModel):
    """The broker's list: valid until then; `trouble` empty when the broker has the newest."""

    until_ms: int
    trouble: str


class Health(BaseModel):
    """Of a gateway that answers at all."""

    log_size: int
    checkpoint_size: int
    directory: DirectoryVersion
    broker: str
    batches: dict[str, int]
    events: int
    refused: int
    repeats: int
    failed_commits: int
    dropped: int
    revocation: RevocationState | None = None
    """Null where this gateway keeps no revocation list."""
    unsettled: bool = False
    """Restored from a back-up, and what was lost since has not been brought back."""


def make_app(
    directory: Directory,
    desk: Desk,
    publisher: Publisher,
    fleet: Fleet,
    checkpoints: Checkpoints,
    health: Callable[[], Health],
    clock: Clock,
    *,
    helping: Helping,
    enrolling: Enrolling | None = None,
    emergencies: Callable[[], Sequence[Emergency]] = tuple,
) -> FastAPI:
    """`enrolling` is None where terminals are enrolled by hand."""
    app = FastAPI(
        title="tapover gateway, for operators",
        description=_DESCRIPTION,
        version="1",
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(_limited(clock))],
        generate_unique_id_function=lambda route: route.name,
        responses={429: {"model": ErrorAnswer, "description": "Too often; Retry-After says when."}},
    )
    translate_errors(app)
    counter = Counter(directory, desk, publisher, clock)
    changes.add_routes(app, counter)
    grants.add_routes(app, counter, enrolling)
    add_operator_routes(app, helping, counter)

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
                unserved=row.unserved,
            )
            for row in fleet.rows()
        ]
        return FleetAnswer(terminals=rows, emergencies=[answer_of(one) for one in emergencies()])

    @app.get("/v1/log/checkpoint")
    def checkpoint(since: Annotated[int, Query(ge=0, le=MAX_SAFE_INTEGER)] = 0) -> Response:
        return Response(checkpoints.since(since).to_bytes(), media_type=JSON)

    @app.get("/healthz")
    def healthz() -> Health:
        return health()

    return app


def _limited(clock: Clock) -> Callable[[Request], Awaitable[None]]:
    """A dependency that refuses with 429 whoever asks too often, by person and by address."""
    by_operator, by_address = Buckets(OPERATOR_RATE, clock), Buckets(ADDRESS_RATE, clock)

    async def limited(request: Request) -> None:
        operator = operator_of(request).name
        address = request.client.host if request.client else ""
        for buckets, caller in ((by_operator, operator), (by_address, address)):
            if wait_s := buckets.wait_s(caller):
                raise too_many("too many requests", wait_s)
            buckets.take(caller)

    return limited
