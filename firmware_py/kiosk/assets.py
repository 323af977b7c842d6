"""The page as set-up built it: read once when the daemon starts, served from memory.

The sources stand in ``page/``; ``make setup`` builds them into ``page/built/`` with the parts that
npm brings (`scripts/build-page`). Nothing of the build runs on a terminal.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.settings import StartError

BUILT: Final = Path(__file__).parent / "page" / "built"
PATHS: Final = {
    "/": ("index.html", b"text/html; charset=utf-8"),
    "/kiosk.css": ("kiosk.css", b"text/css; charset=utf-8"),
    "/kiosk.js": ("kiosk.js", b"text/javascript; charset=utf-8"),
    "/cy.json": ("cy.json", b"application/json"),
}
"""What anybody on loopback may fetch: it holds no secret and no name."""
MAX_PAGE_BYTES: Final = 160_000
"""All of it, in the daemon's memory and before a terminal's first paint."""


class AssetsMissing(StartError):
    """The page was not built, or not wholly."""

    def __init__(self, path: Path) -> None:
        """Say which file is missing, and what makes it."""
        super().__init__(
            f"{path} is missing: the kiosk's page was not built. In a checkout run `make setup`;"
            " a wheel is built after it"
        )


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the page."""

    body: bytes
    kind: bytes


def read_assets(folder: Path = BUILT) -> dict[str, Asset]:
    """Every file of the page by its path. Raises AssetsMissing."""
    assets = {}
    for path, (name, kind) in PATHS.items():
        try:
            assets[path] = Asset((folder / name).read_bytes(), kind)
        except OSError as error:
            raise AssetsMissing(folder / name) from error
    return assets
