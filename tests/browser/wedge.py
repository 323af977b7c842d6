"""What comes in through a keyboard that two share: a typist who never pauses, and a scanner.

A scanner is a keyboard that writes a wristband's number faster than any hand, each key stamped by
the machine when it came. Each press is remembered with the times between which it happened.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from itertools import cycle
from string import ascii_letters
from typing import Any, Final

from playwright.sync_api import BrowserContext

from benchmarks.ward.screen import Screen
from runtime.clock import SystemClock

HAND_S: Final = (0.03, 0.06)
"""Between two keys of somebody who is fast, and a little for what takes the key there."""
SCAN_EVERY: Final = 9
"""Keys of the typist to one wristband."""
SCANNED_S: Final = 0.004
"""Between two keys of the scanner."""
BAND: Final = 10


@dataclass(frozen=True, slots=True)
class Press:
    """One key, down and up (monotonic nanoseconds)."""

    char: str
    before_ns: int
    after_ns: int


@dataclass
class Wedge:
    """Both of them, in the thread of the browser."""

    screen: Screen
    context: BrowserContext
    luck: random.Random
    presses: list[Press] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._clock = SystemClock()
        self._wire = self.context.new_cdp_session(self.screen.page)
        self._letters = cycle(ascii_letters)
        self._bands = self._keys = self._scan_at = 0

    def work(self) -> None:
        """One key of the typist; and a wristband, as often as they are read."""
        at = self._keys % SCAN_EVERY
        if at == 0:
            self._scan_at = self.luck.randrange(SCAN_EVERY)
        self._keys += 1
        self.letter(next(self._letters))
        if at == self._scan_at:
            self.scan()

    def rest(self) -> None:
        """As long as a fast hand needs to its next key."""
        time.sleep(self.luck.uniform(*HAND_S))

    def letter(self, char: str) -> None:
        """One key of the typist."""
        before_ns = self._clock.monotonic_ns()
        self.screen.page.keyboard.press(char)
        self.presses.append(Press(char, before_ns, self._clock.monotonic_ns()))

    def scan(self) -> None:
        """One wristband, as quick as scanners are."""
        self._bands += 1
        began_s = time.time()
        for number, char in enumerate(f"{self._bands:0{BAND}d}\n"):
            before_ns = self._clock.monotonic_ns()
            for kind in ("keyDown", "keyUp"):
                key = _key(char) if kind == "keyDown" else _key(char) | {"text": ""}
                stamp = began_s + number * SCANNED_S
                self._wire.send("Input.dispatchKeyEvent", {**key, "type": kind, "timestamp": stamp})
            self.presses.append(Press(char, before_ns, self._clock.monotonic_ns()))

    def clear(self) -> None:
        """All of the text away, where there is one."""
        self.screen.page.keyboard.press("Control+a")
        self.screen.page.keyboard.press("Delete")


def _key(char: str) -> dict[str, Any]:
    if char == "\n":
        names = {"key": "Enter", "code": "Enter", "text": "\r"}
        return {**names, "windowsVirtualKeyCode": 13}
    names = {"key": char, "code": f"Digit{char}", "text": char, "unmodifiedText": char}
    return {**names, "windowsVirtualKeyCode": ord(char)}
