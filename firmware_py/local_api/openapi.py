"""The local API's own description, made from its routes, as docs/api/terminal.json keeps it.

python -m firmware_py.local_api.openapi > docs/api/terminal.json
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from contract.wire import Part
from firmware_py.local_api import bodies
from firmware_py.local_api.routes import EVERYWHERE, ROUTES, Route

_REF: Final = "#/components/schemas/{model}"
_WORDS: Final = """\
What applications on a terminal may ask of it, on that terminal alone.

By the Unix socket `local.sock` in the folder that the settings name (`local_api.folder`, for its \
group; the kernel says who connects, and that is logged), or, where they name `local_api.port`, on \
loopback with `Authorization: Bearer <token>`: this run's address and token stand in `local.json`. \
Without a folder both are in `run` of the daemon's state, and its own user's alone. \
Requests of a browser's pages are refused.

Whatever is asked names the session for which it is asked, and is refused with 409 once that \
session is not on the glass: parked, locked, or ended. Nothing of a card is ever told.

A countersign's `signature` is checked with the standard tools alone: by `key` (DER \
SubjectPublicKeyInfo) over the line `tapover:card:v1`, its newline, and the bytes of `record`, \
with SHA-256 (ECDSA, or RSASSA-PKCS1-v1_5). `record` names the SHA-256 of all that was \
shown (title, newline, text) and the document's. \
That `key` is that person's is what the site's directory says."""
_MEANS: Final = {
    200: "As it is",
    204: "Done",
    400: "Not a body of this interface",
    401: "No token, or another run's",
    403: "From a page, or under another host's name",
    404: "There is no such thing to ask",
    405: "Asked with the wrong method",
    409: "That session is not on the glass, or it cannot be asked now",
    413: "Too much",
    415: "Not JSON",
    429: "Too often",
    503: "Too many streams",
}


def describe() -> str:
    """OpenAPI 3.1 as JSON, two blanks deep, with a newline at its end."""
    models: set[type[Part]] = {bodies.Refusal}
    for route in ROUTES:
        models |= {kind for kind in (route.takes, route.gives) if kind is not None}
    named = sorted(models, key=lambda kind: kind.__name__)
    _, schemas = models_json_schema([(kind, "validation") for kind in named], ref_template=_REF)
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    described = {
        "openapi": "3.1.0",
        "info": {"title": "tapover terminal", "version": "1", "description": _WORDS},
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.path.rpartition("/")[2],
        "summary": route.summary,
        "responses": {str(status): _response(route, status) for status in _statuses(route)},
    }
    if route.takes is not None:
        operation["requestBody"] = {
            "required": True,
            "description": f"At most {bodies.MAX_BODY_BYTES} bytes.",
            "content": {"application/json": {"schema": _schema(route.takes)}},
        }
    return operation


def _statuses(route: Route) -> list[int]:
    return sorted({200 if route.gives else 204, *route.errors, *EVERYWHERE})


def _response(route: Route, status: int) -> dict[str, Any]:
    response: dict[str, Any] = {"description": _MEANS[status]}
    kind = "application/json" if route.serve is not None else "text/event-stream"
    if status == 200 and route.gives is not None:  # noqa: PLR2004 - as RFC 9110 numbers them
        response["content"] = {kind: {"schema": _schema(route.gives)}}
    elif status != 204:  # noqa: PLR2004
        response["content"] = {"application/json": {"schema": _schema(bodies.Refusal)}}
    return response


def _schema(kind: type[Part]) -> dict[str, str]:
    return {"$ref": _REF.format(model=kind.__name__)}


def main() -> None:
    """Prints it."""
    sys.stdout.write(describe())


if __name__ == "__main__":
    main()
