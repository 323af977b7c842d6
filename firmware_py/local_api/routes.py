"""The routes, in one table: what each takes and gives, and what is done for it.

Whatever is asked names its session, and is done only while that one is on the glass: a program that
is slow, or was left behind by somebody who has gone, reaches nobody else's work.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from pydantic import ValidationError

from contract.countersigning import CountersignResult
from contract.wire import Part, WireError, check_i_json, encode_base64
from firmware_py.countersign.values import Answer, Signed, Wanted, Withdrawn
from firmware_py.local_api import bodies
from firmware_py.local_api.apps import Apps, SignedOn, Told
from firmware_py.loopback.http import Receive
from firmware_py.sessions.machine import Extended, LockPressed, Unsaved

TOLD_S: Final = 5.0
"""The consumer turns round many times a second; one that does not is about to be ended."""

B = TypeVar("B", bound=Part)


class Refused(Exception):
    """Said to the application as a `Refusal`; `after_s`: when it may ask again."""

    def __init__(self, status: int, error: str, words: str, after_s: int | None = None) -> None:
        self.status = status
        self.error = error
        self.after_s = after_s
        super().__init__(words)


@dataclass(frozen=True, slots=True)
class Here:
    """What a route works with."""

    apps: Apps
    body: bytes
    gone: Callable[[], Awaitable[object]]
    """Returns when who asked has hung up."""


def who(now: SignedOn | None) -> bodies.Who:
    """As an application is told."""
    if now is None:
        return bodies.Who(signed_on=None)
    return bodies.Who(
        signed_on=bodies.SignedOnNow.model_validate(
            {name: getattr(now, name) for name in bodies.SignedOnNow.model_fields}, strict=False
        )
    )


async def _session(here: Here) -> bodies.Who:
    return who(here.apps.who())


async def _unsaved(here: Here) -> None:
    wish = read(bodies.UnsavedNow, here.body)
    await _tell(here, wish.session, Unsaved(wish.session, wish.unsaved))


async def _extend(here: Here) -> None:
    wish = read(bodies.Extend, here.body)
    await _tell(here, wish.session, Extended(wish.session, wish.seconds))


async def _lock(here: Here) -> None:
    wish = read(bodies.Lock, here.body)
    await _tell(here, wish.session, LockPressed())


async def _tell(here: Here, session: Any, happening: Unsaved | Extended | LockPressed) -> None:  # noqa: ANN401 - a field of a body
    told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    here.apps.ask(Told(session, happening, lambda there: _settle(told, there)))
    async with asyncio.timeout(TOLD_S):
        if not await told:
            raise ended()


async def _countersign(here: Here) -> bodies.Countersigned:
    wish = read(bodies.Countersign, here.body)
    signed: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    wanted = Wanted(
        *(wish.session, wish.title, wish.text, wish.document, wish.pin),
        answer=lambda answer: _settle(signed, answer),
    )
    here.apps.ask(wanted)
    gone = asyncio.ensure_future(here.gone())
    closing = asyncio.ensure_future(here.apps.closing.wait())
    try:
        await asyncio.wait((signed, gone, closing), return_when=asyncio.FIRST_COMPLETED)
    finally:
        closing.cancel()
        gone.cancel()
        if not signed.done():
            here.apps.ask(Withdrawn(wanted))
    if not signed.done():
        raise ended()
    answer = signed.result()
    if answer is None:
        raise Refused(409, "not-now", "somebody is asked already, or nobody is named here")
    if answer is CountersignResult.SESSION_ENDED:
        raise ended()
    if isinstance(answer, CountersignResult):
        return bodies.Countersigned(result=answer, signed=None)
    return bodies.Countersigned(result=CountersignResult.SIGNED, signed=_signature(answer))


def _signature(signed: Signed) -> bodies.Signature:
    record = signed.record
    event = json.loads(record.event)
    return bodies.Signature.model_validate(
        {
            "record": encode_base64(record.event),
            "signature": encode_base64(record.signature),
            "key": record.credential.key,
            "algorithm": record.credential.algorithm,
            "slot": record.credential.slot,
            "holder": signed.by.holder,
            "initials": signed.by.name.initials,
            "terminal": event["terminal"],
            "journal": event["journal"],
            "sequence": record.sequence,
        }
    )


def ended() -> Refused:
    """Its session is not on the glass."""
    return Refused(409, "session-ended", "that session is not on the glass any more")


def read(kind: type[B], body: bytes) -> B:
    """A body, exactly. Raises Refused, which never quotes it."""
    try:
        check_i_json(body, bodies.MAX_BODY_BYTES)
        return kind.model_validate_json(body)
    except WireError as error:
        raise Refused(400, "malformed", str(error)) from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise Refused(400, "malformed", f"{where}: {first['msg']}") from None


def _settle(future: asyncio.Future[Any], result: Any) -> None:  # noqa: ANN401 - as the future's
    if not future.done():
        future.set_result(result)


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that may be asked."""

    method: Literal["GET", "POST"]
    path: str
    summary: str
    serve: Callable[[Here], Awaitable[Part | None]] | None
    """Null: the stream, which `server` serves."""
    takes: type[Part] | None = None
    gives: type[Part] | None = None
    """Null: 204."""
    errors: tuple[int, ...] = ()
    waits: bool = False
    """Answered when it is done: whoever hangs up takes it back, so the connection ends with it."""


ROUTES: Final = (
    Route("GET", "/v1/session", "Who is signed on", _session, gives=bodies.Who),
    Route(
        "GET",
        "/v1/events",
        "Who is signed on, now and whenever it changes, as Server-Sent Events named `session`",
        None,
        gives=bodies.Who,
        errors=(503,),
    ),
    Route(
        "POST",
        "/v1/unsaved",
        "Whether the application holds what is not saved: such work is ended last",
        _unsaved,
        bodies.UnsavedNow,
        errors=(400, 409, 413, 415),
    ),
    Route(
        "POST",
        "/v1/extend",
        "In use without input, up to the ward's cap",
        _extend,
        bodies.Extend,
        errors=(400, 409, 413, 415),
    ),
    Route("POST", "/v1/lock", "Lock the screen", _lock, bodies.Lock, errors=(400, 409, 413, 415)),
    Route(
        "POST",
        "/v1/countersign",
        "Another person's card signs a text; answered when it is done, or came to nothing",
        _countersign,
        bodies.Countersign,
        bodies.Countersigned,
        errors=(400, 409, 413, 415),
        waits=True,
    ),
)
EVERYWHERE: Final = (401, 403, 404, 405, 429)
"""What any request may be refused with."""


async def hung_up(receive: Receive) -> None:
    """Returns when who asked has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
