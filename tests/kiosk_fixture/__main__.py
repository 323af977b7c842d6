"""``python -m tests.kiosk_fixture``: the page with a face that is named on standard input.

Prints the page's address, then the names; an empty line shows the next one. With ``--pictures
FOLDER`` it makes a picture of each instead (``--small``: at 1280 by 720), and of some in Welsh.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from benchmarks.ward.chromium import REFERENCE, SMALL, Chromium
from tests.kiosk_fixture.serving import Fixture
from tests.kiosk_fixture.views import VIEWS

WELSH = ("locked-parked", "open", "pin", "breakglass", "hold", "downtime-declaring")


def main() -> None:
    """By the command line."""
    parser = argparse.ArgumentParser(prog="tests.kiosk_fixture")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("names", nargs="*")
    asked = parser.parse_args()
    with Fixture() as fixture:
        if asked.pictures is None:
            _by_hand(fixture)
        else:
            size = SMALL if asked.small else REFERENCE
            _pictures(fixture, asked.pictures, size, asked.names or list(VIEWS))


def _by_hand(fixture: Fixture) -> None:
    names = list(VIEWS)
    print(fixture.url, *names, sep="\n", flush=True)
    at = names.index("locked")
    for line in sys.stdin:
        name = line.strip()
        at = names.index(name) if name in VIEWS else (at + 1) % len(names)
        fixture.show(names[at])
        print(f"shows {names[at]}", flush=True)


def _pictures(fixture: Fixture, folder: Path, size: tuple[int, int], names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="kiosk-") as profile,
        Chromium(Path(profile)) as browser,
        browser.driven() as chromium,
        chromium.context(size) as context,
    ):
        page = context.new_page()
        page.on("console", lambda said: print("page:", said.text))
        page.on("pageerror", lambda error: print("page:", error))
        page.goto(fixture.url)
        for name in names:
            _picture(fixture, page, name, folder / f"{name}.png")
        _acted(fixture, page, folder)
        for name in WELSH:
            _picture(fixture, page, name, folder / f"{name}-cy.png")


def _picture(fixture: Fixture, page: Page, name: str, path: Path) -> None:
    fixture.drawn("checking" if name != "checking" else "locked")
    fixture.drawn(name)
    page.evaluate("() => document.getElementById('across').hidden = true")
    page.screenshot(path=path, animations="disabled")


def _acted(fixture: Fixture, page: Page, folder: Path) -> None:
    """What the page shows by itself."""
    fixture.drawn("checking")
    fixture.drawn("open")
    page.screenshot(path=folder / "across.png", animations="disabled")
    fixture.drawn("help-person")
    page.click("#guest-name")
    page.screenshot(path=folder / "letters.png", animations="disabled")
    fixture.drawn("locked-glass")
    page.click("#do-information")
    page.locator(".qr svg").wait_for()
    page.screenshot(path=folder / "information.png")
    page.click("#page-close")
    page.click("#do-help")
    page.screenshot(path=folder / "help-menu.png")
    page.keyboard.press("Escape")
    glass = page.locator("[data-hold]")
    glass.hover()
    page.mouse.down()
    page.wait_for_timeout(800)
    page.screenshot(path=folder / "glass-held.png")
    page.wait_for_timeout(1000)
    page.mouse.up()
    page.screenshot(path=folder / "reasons.png")
    page.keyboard.press("Escape")
    page.click("#do-clean")
    page.screenshot(path=folder / "clean.png")
    fixture.drawn("checking")
    fixture.drawn("locked")
    page.click("#do-language")


main()
