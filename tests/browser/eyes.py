"""A screen that is looked at as often as a person looks, in tests that wait for many things.

Playwright looks less and less often, up to half a second apart; a test of forty steps would wait
for its own eyes most of the time.
"""

from __future__ import annotations

from typing import Final

from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from benchmarks.ward.screen import COVERED, Screen
from runtime.clock import SystemClock

_LOOK_MS: Final = 15
"""Between two looks."""
_FACE: Final = """
(wanted) => wanted.includes(document.body.dataset.connected === undefined
  ? "covered" : document.body.dataset.screen)
"""
_NAMED: Final = """
(name) => document.body.dataset.connected !== undefined
  && document.body.dataset.screen === "open" && document.body.innerText.includes(name)
"""
_SAYS: Final = "(words) => document.body.innerText.includes(words)"
_LANGUAGE: Final = "(code) => document.documentElement.lang === code"


class Watched(Screen):
    """As `Screen`; what it waits for is noticed within some milliseconds."""

    def wait(self, *screens: str, timeout_s: float = 10.0) -> str:
        """As `Screen.wait`."""
        self._until(_FACE, list(screens), timeout_s)
        return self.face

    def wait_covered(self, timeout_s: float = 10.0) -> None:
        """As `Screen.wait_covered`."""
        self._until(_FACE, [COVERED], timeout_s)

    def wait_name(self, name: str, timeout_s: float = 10.0) -> None:
        """As `Screen.wait_name`."""
        self._until(_NAMED, name, timeout_s)

    def wait_says(self, *words: str, timeout_s: float = 10.0) -> None:
        """Returns when a person can read each of these. Raises Playwright's TimeoutError."""
        for one in words:
            self._until(_SAYS, one, timeout_s)

    def wait_language(self, code: str) -> None:
        """Returns when the page speaks it. Raises Playwright's TimeoutError."""
        self._until(_LANGUAGE, code, 10.0)

    def _until(self, script: str, wanted: object, timeout_s: float) -> None:
        clock = SystemClock()
        deadline_ns = clock.monotonic_ns() + round(timeout_s * 1e9)
        while not self.page.evaluate(script, wanted):
            if clock.monotonic_ns() > deadline_ns:
                words = [one.view["words"] for one in self.terminal.glass.since(0)[-12:]]
                said = f"{self.face} says {self.text!r} after {words}"
                raise PlaywrightTimeoutError(f"not {wanted} within {timeout_s:g} s: {said}")
            self.page.wait_for_timeout(_LOOK_MS)
