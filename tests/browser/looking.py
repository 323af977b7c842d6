"""What must hold of every state on the glass, whoever made it and however it was reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

from benchmarks.ward.chromium import PX_A_MM, SMALL
from tests.browser.axe import findings
from tests.browser.eyes import Watched

PICTURES: Final = Path(__file__).resolve().parents[2] / "build" / "screens"
TARGET_PX: Final = 20 * PX_A_MM
NAME_PX: Final = 48.0
TEXT_PX: Final = 20.0
"""5 mm: nothing on the glass is smaller; what matters from afar is larger."""
_ROUNDING_PX: Final = 0.1

# Text that a person sees, each piece with its size; hidden words for screen readers apart.
_TEXTS: Final = """
() => {
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const words = node.data.trim();
    const parent = node.parentElement;
    if (!words || parent.closest("script, style, noscript, option")) continue;
    if (!parent.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    const shell = parent.closest(".nhsuk-u-visually-hidden, [data-hidden-words]");
    if (shell || box.width < 2 || box.height < 2) continue;
    found.push([words, parseFloat(getComputedStyle(parent).fontSize)]);
  }
  return found;
}
"""
_TARGETS: Final = """
() => [...document.querySelectorAll("button, a[href], input, select, textarea, summary")]
  .filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.disabled)
  .map((each) => {
    const box = each.getBoundingClientRect();
    const label = each.getAttribute("aria-label") || each.innerText || each.name || each.id;
    return [label.trim(), box.width, box.height];
  })
"""
_OVERFLOW: Final = """
() => {
  const root = document.scrollingElement;
  return [root.scrollWidth - root.clientWidth, root.scrollHeight - root.clientHeight];
}
"""
_OWN_FAULTS: Final = ("Content Security Policy", "Uncaught", "Error:")


def inspected(screen: Watched, name: str, *says: str, named: str | None = None) -> str:
    """Waits for what the state ``says``, looks at it from every side, keeps its picture.

    Returns its text. ``named``: who must be readable, large. Fails with all that is wrong.
    """
    screen.wait_says(*says)
    screen.picture(PICTURES / f"{name}.png")
    text = screen.text
    wrong = [*findings(screen.page), *_small_targets(screen), *_small_texts(screen)]
    if named is not None:
        wrong += _unreadable(screen, named)
    wrong += [f"the page says: {one}" for one in own_faults(screen)]
    size = screen.size
    screen.page.set_viewport_size({"width": SMALL[0], "height": SMALL[1]})
    wrong += _overflowing(screen)
    screen.page.set_viewport_size({"width": size[0], "height": size[1]})
    assert not wrong, f"{name}:\n" + "\n".join(wrong)
    return text


def own_faults(screen: Watched) -> list[str]:
    """What the page complained of, apart from a network that a test took away."""
    return [one for one in screen.faults if any(word in one for word in _OWN_FAULTS)]


def targets(page: Page) -> list[tuple[str, float, float]]:
    """Everything that can be pressed: what it is called, its width and height in pixels."""
    found: list[list[Any]] = page.evaluate(_TARGETS)
    return [(str(label), float(width), float(height)) for label, width, height in found]


def _small_targets(screen: Watched) -> list[str]:
    least = TARGET_PX - _ROUNDING_PX
    return [
        f"“{label}” is {width / PX_A_MM:.1f} × {height / PX_A_MM:.1f} mm"
        for label, width, height in targets(screen.page)
        if min(width, height) < least
    ]


def _texts(screen: Watched) -> list[tuple[str, float]]:
    return [(str(words), float(size)) for words, size in screen.page.evaluate(_TEXTS)]


def _small_texts(screen: Watched) -> list[str]:
    return [f"“{words}” in {size:g} px" for words, size in _texts(screen) if size < TEXT_PX]


def _unreadable(screen: Watched, name: str) -> list[str]:
    sizes = [size for words, size in _texts(screen) if name in words]
    if sizes and max(sizes) >= NAME_PX:
        return []
    return [f"{name}'s name is {max(sizes, default=0):g} px, {NAME_PX:g} at least"]


def _overflowing(screen: Watched) -> list[str]:
    wide, high = screen.page.evaluate(_OVERFLOW)
    if wide <= 1 and high <= 1:
        return []
    return [f"at {SMALL[0]} × {SMALL[1]} it must be scrolled by {wide} × {high} px"]
