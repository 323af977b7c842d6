"""axe-core, which set-up brings from npm, asked about a page."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page

_AXE: Final = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
_TAGS: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
_ASK: Final = """
async (tags) => {
  const found = await axe.run(document, {
    runOnly: { type: "tag", values: tags }, resultTypes: ["violations"], preload: false,
  });
  return found.violations.map((one) => [one.id, one.help,
    one.nodes.map((node) => node.html + " | " + node.failureSummary)]);
}
"""


@functools.cache
def _source() -> str:
    if not _AXE.exists():
        pytest.fail(f"{_AXE} is missing. Install it:\n    make setup", pytrace=False)
    return _AXE.read_text(encoding="utf-8")


def findings(page: Page) -> list[str]:
    """What axe finds wrong: level A and AA of WCAG 2.2, and its own best practices."""
    if not page.evaluate("() => typeof window.axe === 'object'"):
        page.evaluate(_source())
    found: list[list[Any]] = page.evaluate(_ASK, list(_TAGS))
    return [
        f"axe, {rule}: {help_}\n" + "\n".join(f"    {node}" for node in nodes[:4])
        for rule, help_, nodes in found
    ]
