"""What a person sees and does at one kiosk in a real browser, and a diary of what could be read.

The diary is kept inside the page: whenever the page changes, the text that a person could read on
it is searched for everybody's names. It knows nothing of how the page is made, so that whatever
puts a name on the glass is noticed. Its times are turned into the driver's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import BrowserContext, Page

from benchmarks.ward.processes import NotReady
from benchmarks.ward.terminals import WardTerminal
from runtime.clock import SystemClock

COVERED: Final = "covered"
"""The page has hidden everything by itself: it does not hear its terminal."""
_CLOCK_LOOKS: Final = 5
_HEARD_MS: Final = 3
"""Between two looks into what the page has said."""

# Runs in the page before its own script. A look is taken after each batch of changes; the time at
# which it could be seen is that of the second frame from then, later by a frame than the truth.
_DIARY: Final = """
(() => {
  const names = NAMES;
  let last = "";
  const now = () => performance.timeOrigin + performance.now();
  const look = () => {
    const body = document.body;
    if (!body) return;
    const text = body.innerText;
    const screen = body.dataset.connected === undefined ? "covered" : body.dataset.screen;
    const seen = JSON.stringify([screen, names.filter((name) => text.includes(name))]);
    if (seen === last) return;
    last = seen;
    const at = now();
    requestAnimationFrame(() => requestAnimationFrame(() => {
      window.wardDiary(JSON.stringify([at, now(), ...JSON.parse(seen)]));
    }));
  };
  new MutationObserver(look).observe(
    document, { subtree: true, childList: true, characterData: true, attributes: true });
})();
"""


def notes(view: Mapping[str, Any]) -> Mapping[str, str] | None:
    """The text of the `screen` workspace and its ticket, while somebody's work takes input."""
    found: Mapping[str, str] | None = view["panels"].get("screen")
    return found if found and not view["covered"] else None


def notes_text(view: Mapping[str, Any]) -> str:
    """Of whoever's work is there; empty where nobody's is."""
    return (notes(view) or {"text": ""})["text"]


@dataclass(frozen=True, slots=True)
class Look:
    """What stood on the glass from some moment on (monotonic nanoseconds of this machine)."""

    changed_ns: int
    """The page was told to look so."""
    painted_ns: int
    """It was on the glass by then."""
    screen: str
    names: tuple[str, ...]
    """Of everybody who might be named, whom a person could read."""


class Screen:
    """One page at one terminal. For the thread of its browser."""

    def __init__(
        self, context: BrowserContext, terminal: WardTerminal, names: Iterable[str] = ()
    ) -> None:
        """``names`` are looked for on the glass at every change; nobody's: no diary is kept."""
        self.terminal = terminal
        self.page: Page = context.new_page()
        self.faults: list[str] = []
        """What the page complained of: a script's error, a rule of its policy broken."""
        self._clock = SystemClock()
        self._told: list[list[Any]] = []
        self._diary: list[Look] = []
        self._offset_ns = 0
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: self._complaint(said.type, said.text))
        looked_for = sorted(set(names))
        if looked_for:
            self.page.expose_function("wardDiary", lambda told: self._told.append(json.loads(told)))
            self.page.add_init_script(_DIARY.replace("NAMES", json.dumps(looked_for)))

    def open(self) -> None:
        """As whatever starts the browser on a terminal does: by the address of this boot."""
        self._settle()
        self.page.goto(self.terminal.url)
        self._offset_ns = self._clock_offset_ns()

    def wait(self, *screens: str, timeout_s: float = 10.0) -> str:
        """The first of these faces that the page shows. Raises Playwright's TimeoutError."""
        wanted = ",".join(f'body[data-connected][data-screen="{one}"]' for one in screens)
        self.page.locator(wanted).wait_for(timeout=timeout_s * 1000)
        return self.face

    def wait_covered(self, timeout_s: float = 10.0) -> None:
        """Returns when the page has hidden everything by itself."""
        self.page.locator("body:not([data-connected])").wait_for(timeout=timeout_s * 1000)

    def wait_name(self, name: str, timeout_s: float = 10.0) -> None:
        """Returns when the open screen names this person."""
        body = self.page.locator('body[data-connected][data-screen="open"]')
        body.filter(has_text=name).wait_for(timeout=timeout_s * 1000)

    def wait_drawn(self, name: str, since: int, timeout_s: float = 10.0) -> None:
        """Returns once the diary, after its first ``since`` looks, has this name alone as drawn.

        Quicker than `wait_name`, which looks less and less often. Raises NotReady.
        """
        deadline_ns = self._clock.monotonic_ns() + round(timeout_s * 1e9)
        while not any(look.names == (name,) for look in self.keep_diary()[since:]):
            if self._clock.monotonic_ns() > deadline_ns:
                raise NotReady(f"{name} was not drawn within {timeout_s:g} s")
            self.page.wait_for_timeout(_HEARD_MS)

    @property
    def face(self) -> str:
        """Which one the page shows now."""
        connected = 'document.body.dataset.connected === undefined ? "covered" : '
        return str(self.page.evaluate(f"() => {connected}document.body.dataset.screen"))

    @property
    def size(self) -> tuple[int, int]:
        """Of the glass, in pixels."""
        size = self.page.viewport_size
        if size is None:
            raise NotReady("the page has no size of its own")
        return size["width"], size["height"]

    @property
    def text(self) -> str:
        """All that a person could read."""
        return str(self.page.evaluate("() => document.body.innerText"))

    def diary(self) -> list[Look]:
        """Every look so far, oldest first, over all pages that this screen has opened."""
        if not self.page.is_closed():
            self.page.evaluate("() => 0")  # what the page has said by now has come when this has
        self._settle()
        return list(self._diary)

    def keep_diary(self) -> list[Look]:
        """The diary of a browser that was killed: what it could still say."""
        self._settle()
        return list(self._diary)

    def picture(self, path: Path) -> None:
        """As it looks now."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path, animations="disabled")

    def _settle(self) -> None:
        for at, painted, screen, names in self._told:
            changed_ns, painted_ns = (round(ms * 1e6) + self._offset_ns for ms in (at, painted))
            self._diary.append(Look(changed_ns, painted_ns, screen, tuple(names)))
        self._told.clear()

    def _clock_offset_ns(self) -> int:
        """From the page's time to ours, by the quickest of some questions."""
        best: tuple[int, int] | None = None
        for _ in range(_CLOCK_LOOKS):
            before_ns = self._clock.monotonic_ns()
            there_ms = self.page.evaluate("() => performance.timeOrigin + performance.now()")
            took_ns = self._clock.monotonic_ns() - before_ns
            offset_ns = before_ns + took_ns // 2 - round(there_ms * 1e6)
            if best is None or took_ns < best[0]:
                best = (took_ns, offset_ns)
        if best is None:
            raise NotReady("the page did not say its time")
        return best[1]

    def _complaint(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.faults.append(f"{kind}: {text}")
