"""The administration interface's own description, as docs/api/admin.openapi.json keeps it.

python -m gateway.http.openapi > docs/api/admin.openapi.json
"""

from __future__ import annotations

import json
import sys
from typing import Any, cast

from fastapi import FastAPI

from gateway.http import operators
from runtime.clock import SystemClock


def describe(app: FastAPI) -> str:
    """OpenAPI 3.1 as JSON, two blanks deep, with a newline at its end."""
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"


def admin_app() -> FastAPI:
    """The operators' application without a gateway behind it: described, never served."""
    nothing = cast("Any", None)
    parts = (nothing,) * 6
    return operators.make_app(*parts, SystemClock(), helping=nothing)


def main() -> None:
    """Prints it."""
    sys.stdout.write(describe(admin_app()))


if __name__ == "__main__":
    main()
