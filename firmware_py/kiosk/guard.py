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
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

SECRET_HEADER: Final = b"x-tapover-boot"
OPEN_PATHS: Final = frozenset({"/", "/kiosk.css", "/kiosk.js", "/cy.json"})
"""The page itself holds no secret and no name."""

# Our longest query is the secret's 43 letters behind `boot=`.
MAX_QUERY_BYTES: Final = 256

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a request must show. ``host`` is ``127.0.0.1:<port>``."""

    host: str
    secret: str = field(repr=False)

    def refusal(self, scope: Mapping[str, Any]) -> str | None:
        """Why the request (an ASGI scope) is refused; None when it may pass."""
        headers: Headers = list(scope["headers"])
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


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _from_query(query: bytes) -> list[bytes]:
    if len(query) > MAX_QUERY_BYTES:
        return []
    fields = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    return [value.encode("latin-1", "replace") for value in fields.get("boot", [])]
