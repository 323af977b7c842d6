"""Who may talk to the kiosk: its own page on this machine, and nobody else.

The listener is on loopback, which a page of any other origin in a browser of this machine could
reach. So, before anything else is looked at:

* ``Host`` stands once and is our own address: a foreign name pointed at loopback is refused.
* ``Origin``, where sent, is our own; a POST must send it.
* ``Sec-Fetch-Site``, where sent, is ``same-origin`` or ``none``.
* The state stream and every POST carry the secret of this boot, which only its owner can read from
  ``kiosk.url``. It is compared in constant time and never logged.
"""

from __future__ import annotations

import hmac
import logging
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG: Final = logging.getLogger("tapover.kiosk")

SECRET_HEADER: Final = b"x-tapover-boot"
OPEN_PATHS: Final = frozenset({"/", "/kiosk.css", "/kiosk.js"})
"""The page itself holds no secret and no name."""

# Our longest query is the secret's 43 letters behind `boot=`.
MAX_QUERY_BYTES: Final = 256

HEADERS: Final = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"cache-control", b"no-store"),
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a request must show. ``host`` is ``127.0.0.1:<port>``."""

    host: str
    secret: str = field(repr=False)

    def refusal(self, scope: Scope) -> str | None:
        """Why the request is refused; None when it may pass."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if _values(headers, b"host") != [self.host.encode()]:
            return "host"
        origins = _values(headers, b"origin")
        if origins not in ([], [f"http://{self.host}".encode()]):
            return "origin"
        if any(v not in (b"same-origin", b"none") for v in _values(headers, b"sec-fetch-site")):
            return "site"
        match scope["method"]:
            case "POST":
                if not origins:
                    return "origin"
                shown = _values(headers, SECRET_HEADER)
            case "GET" if scope["path"] in OPEN_PATHS:
                return None
            case "GET":
                shown = _from_query(scope["query_string"])
            case _:
                return "method"
        return None if self._is_secret(shown) else "secret"

    def _is_secret(self, shown: list[bytes]) -> bool:
        return len(shown) == 1 and hmac.compare_digest(shown[0], self.secret.encode())


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _from_query(query: bytes) -> list[bytes]:
    if len(query) > MAX_QUERY_BYTES:
        return []
    fields = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    return [value.encode("latin-1", "replace") for value in fields.get("boot", [])]


class Guard:
    """Refuses before the application sees a request; adds the headers that every answer carries."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        if scope["type"] != "http":
            return
        why = self._rules.refusal(scope)
        if why is None:
            await self._app(scope, receive, send_guarded)
            return
        LOG.warning("kiosk request refused", extra={"why": why, "method": scope["method"]})
        refused = PlainTextResponse("refused\n", status_code=403)
        await refused(scope, receive, send_guarded)
