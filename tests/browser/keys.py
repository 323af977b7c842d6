"""Hands on a keyboard alone: from stop to stop by Tab, and what has the focus is seen to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from playwright.sync_api import Page

from tests.browser.ward_life import HAND_MS

MOST_STOPS: Final = 60
_FOCUSED: Final = """
() => {
  const each = document.activeElement;
  if (!each || each === document.body) return null;
  const style = getComputedStyle(each);
  const label = each.getAttribute("aria-label") || each.innerText || each.name || each.id;
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const box = each.getBoundingClientRect();
  const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  return [each.tagName, label.trim(), ring || style.boxShadow !== "none", inside];
}
"""


@dataclass(frozen=True, slots=True)
class Stop:
    """What the keyboard is at."""

    tag: str
    label: str
    visible: bool
    """A ring or a shadow says so, and it lies on the glass."""


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
        page.keyboard.press("Tab", delay=HAND_MS)
        stop = focused(page)
        if stop is None:
            continue
        assert stop.visible, f"nobody sees that {stop} has the focus"
        if stop.label == label:
            return stop
        stops.append(stop.label)
    raise AssertionError(f"Tab never came to “{label}”, only to {sorted(set(stops))}")


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
        page.keyboard.press("Tab", delay=HAND_MS)
        stop = focused(page)
        if stop is not None:
            assert stop.visible, f"nobody sees that {stop} has the focus"
            if stop.label in seen and len(seen) > 1 and stop.label == next(iter(seen)):
                break
            seen.setdefault(stop.label)
    return set(seen)
