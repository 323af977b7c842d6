"""A real Chromium: Debian's own, headless, with a fresh profile; killed and started by its pid.

Playwright speaks to it from outside, as to a browser that was there before, so that a kill of the
browser is a kill and not the end of a test's tool.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from playwright.sync_api import Browser, BrowserContext, Playwright, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from benchmarks.ward.processes import Command, Process, WardError, program

PX_A_MM: Final = 96 / 25.4
"""At the reference size: 96 pixels an inch, the definition of CSS."""
REFERENCE: Final = (1920, 1080)
"""A ward's screen of 508 by 286 mm (23 inches) at 96 pixels an inch."""
SMALL: Final = (1280, 720)
"""The smallest on which all of it must fit without scrolling."""

_READY_S: Final = 20.0
_FLAGS: Final = (
    "--headless",
    "--disable-gpu",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--force-color-profile=srgb",
    "--mute-audio",
    "--no-first-run",
    "--no-default-browser-check",
    # Nothing that asks the world: a terminal has no way out, and neither has a test.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-quic",
    "--disable-breakpad",
    "--disable-features=Translate,MediaRouter,OptimizationHints,AutofillServerCommunication",
    # A kiosk's page is always in front.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--remote-debugging-port=0",
)


class Chromium:
    """A context manager: the browser's processes, which may be driven several times (`driven`)."""

    def __init__(self, folder: Path) -> None:
        """State below ``folder``. Raises PartMissing."""
        self._folder = folder
        self._numbers = itertools.count(1)
        self._program = program("chromium", "chromium")
        self._process: Process | None = None
        self._endpoint = ""
        self._driver: Playwright | None = None
        self._browser: Browser | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()

    @contextmanager
    def driven(self) -> Iterator[Self]:
        """Playwright speaks to it inside the block, in this thread, whose event loop it takes."""
        with sync_playwright() as driver:
            self._driver = driver
            try:
                self._connect()
                yield self
            finally:
                if self._browser is not None and self._browser.is_connected():
                    self._browser.close()
                self._driver = self._browser = None

    @property
    def process(self) -> Process:
        """The browser's first process; the others end with it."""
        if self._process is None:
            raise WardError("no browser was started")
        return self._process

    @property
    def browser(self) -> Browser:
        """Playwright's handle on it."""
        if self._browser is None:
            raise WardError("nobody drives the browser")
        return self._browser

    def start(self) -> None:
        """With a profile that nobody used before; also after a kill. Raises NotReady.

        Driven again, where it was driven.
        """
        profile = self._folder / f"profile-{next(self._numbers)}"
        # Chromium's own sandbox refuses to be set up by root; a terminal's browser is not root.
        unsafe = ["--no-sandbox"] if os.geteuid() == 0 else []
        self._process = Process(
            Command(
                name="chromium",
                argv=[self._program, *_FLAGS, *unsafe, f"--user-data-dir={profile}", "about:blank"],
                log=self._folder / "chromium.log",
                environment={"HOME": str(self._folder)},
            )
        )
        self._process.start()
        listening = self._process.wait_for_line(r"DevTools listening on (ws://\S+)", _READY_S)
        self._endpoint = listening[1]
        self._connect()

    def _connect(self) -> None:
        if self._driver is not None:
            self._browser = self._driver.chromium.connect_over_cdp(self._endpoint)

    def kill(self) -> None:
        """SIGKILL: no page says goodbye."""
        self.process.kill()

    @contextmanager
    def context(
        self, size: tuple[int, int] = REFERENCE, *, touch: bool = False, night: bool = False
    ) -> Iterator[BrowserContext]:
        """One that shares nothing with others; closed at the end, if the browser still lives."""
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            has_touch=touch,
            color_scheme="dark" if night else "light",
            locale="en-GB",
            reduced_motion="no-preference",
        )
        context.set_default_timeout(20_000)
        try:
            yield context
        finally:
            if self.browser.is_connected():
                try:
                    context.close()
                except PlaywrightError as error:
                    if self.process.alive:
                        raise WardError(f"the browser's context does not close: {error}") from error

    def remove_profiles(self) -> None:
        """Forgets what it kept; only after it has ended."""
        shutil.rmtree(self._folder, ignore_errors=True)
