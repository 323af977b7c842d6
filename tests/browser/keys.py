"""Hands on a keyboard alone: from stop to stop by Tab, and what has the focus is seen to.

Where the focus stands after a step is the page's promise: `stands_at` holds it to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from playwright.sync_api import Page

from runtime.clock import SystemClock
from tests.browser.ward_life import HAND_MS, HELD_MS

MOST_STOPS: Final = 60
TAB_MS: Final = 30
"""Between two stops: more than what is taken for a scanner's, even where a face is new."""
_LOOK_MS: Final = 15
_STANDS_NS: Final = 5_000_000_000
_FOCUSED: Final = """
() => {
  const each = document.activeElement;
  if (!each || each === document.body) return null;
  const style = getComputedStyle(each);
  const label = each.getAttribute("aria-label") || each.innerText || each.name || each.id;
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const box = each.getBoundingClientRect();
  const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
  const over = document.elementFromPoint(x, y); // something else may lie over it
  const bare = inside && (!over || each.contains(over) || over.closest("label")?.contains(each));
  return [each.tagName, label.trim(), ring || style.boxShadow !== "none", bare];
}
"""
_MATCHES: Final = "(where) => document.activeElement.matches(where)"


@dataclass(frozen=True, slots=True)
class Stop:
    """What the keyboard is at."""

    tag: str
    label: str
    visible: bool
    """A ring or a shadow says so, and it lies on the glass with nothing over it."""


def focused(page: Page) -> Stop | None:
    """What has the focus; null where nothing has."""
    found: list[Any] | None = page.evaluate(_FOCUSED)
    if found is None:
        return None
    tag, label, ringed, inside = found
    return Stop(str(tag), str(label), bool(ringed) and bool(inside))


def tab_to(page: Page, label: str) -> Stop:
    """Tab until this is reached; fails where it never is, or where the focus cannot be seen."""
    stops = []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab", delay=TAB_MS)
        stop = focused(page)
        if stop is None:
            continue
        assert stop.visible, f"nobody sees that {stop} has the focus"
        if stop.label.partition("\n")[0] == label:
            return stop
        stops.append(stop.label)
    shown = page.evaluate("() => document.body.innerText")
    raise AssertionError(f"Tab never came to “{label}”, only to {sorted(set(stops))}: {shown!r}")


def stands_at(page: Page, where: str) -> None:
    """Returns when this (a selector) has the focus, and is seen to have it."""
    clock = SystemClock()
    deadline_ns = clock.monotonic_ns() + _STANDS_NS
    while not page.evaluate(_MATCHES, where):
        at = focused(page)
        assert clock.monotonic_ns() < deadline_ns, f"the keyboard stands at {at}, not at {where}"
        page.wait_for_timeout(_LOOK_MS)
    if where != "body":
        stop = focused(page)
        assert stop is not None, f"{where} had the focus for a moment alone"
        assert stop.visible, f"nobody sees that {stop} has the focus"


def hold(page: Page, key: str, for_ms: int = HELD_MS) -> None:
    """A key held down for so long, and its repeats."""
    page.keyboard.down(key)
    for _ in range(3):
        page.wait_for_timeout(for_ms // 3)
        page.keyboard.down(key)
    page.keyboard.up(key)


def pin(page: Page, digits: str) -> None:
    """At the pad, and Enter."""
    page.keyboard.type(digits, delay=HAND_MS)
    page.keyboard.press("Enter", delay=HAND_MS)


def press(page: Page, label: str) -> None:
    """As somebody does who has no mouse and no touch."""
    tab_to(page, label)
    page.keyboard.press("Enter", delay=HAND_MS)


def keypad(page: Page, digits: str) -> None:
    """A number block with its lock on, and its own Enter."""
    wire = page.context.new_cdp_session(page)
    for digit in digits:
        known = {"key": digit, "text": digit, "code": f"Numpad{digit}", "isKeypad": True}
        known |= {"location": 3, "windowsVirtualKeyCode": 96 + int(digit)}
        wire.send("Input.dispatchKeyEvent", {**known, "type": "keyDown"})
        page.wait_for_timeout(HAND_MS)
        wire.send("Input.dispatchKeyEvent", {**known, "type": "keyUp", "text": ""})
    page.keyboard.press("NumpadEnter")


def stops(page: Page) -> set[str]:
    """Everything that Tab comes to, going round once."""
    seen: dict[str, None] = {}
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab", delay=TAB_MS)
        stop = focused(page)
        if stop is not None:
            assert stop.visible, f"nobody sees that {stop} has the focus"
            if stop.label in seen and len(seen) > 1 and stop.label == next(iter(seen)):
                break
            seen.setdefault(stop.label)
    return set(seen)
