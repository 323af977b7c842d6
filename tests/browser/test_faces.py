"""Every face that the page can be asked to draw, made up: also those that no ward reaches.

Looked at as the real ones are (`test_states`): axe-core, targets in millimetres, nothing cut off on
the smallest glass, by day and at night, in English and in Welsh.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Page

from benchmarks.ward.chromium import PX_A_MM, REFERENCE, SMALL, Chromium
from tests.browser.axe import findings
from tests.kiosk_fixture.serving import Fixture
from tests.kiosk_fixture.views import INFORMATION, VIEWS

TARGET_PX = 20 * PX_A_MM
SOME = ("locked-parked", "pin-last", "breakglass-unrecorded", "help-person", "downtime")
_SMALL_TARGETS = """
(least) => [...document.querySelectorAll("button, input, textarea")]
  .filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.disabled)
  .map((each) => [each.innerText || each.id, each.getBoundingClientRect()])
  .filter(([, box]) => Math.min(box.width, box.height) < least)
  .map(([label]) => label)
"""
_CUT_OFF = """
() => [...document.querySelectorAll("main, body, .bar, #dock")]
  .filter((each) =>
    each.scrollHeight > each.clientHeight + 1 || each.scrollWidth > each.clientWidth + 1)
  .map((each) => each.id || each.className || each.tagName)
"""


@pytest.fixture(scope="module")
def fixture() -> Iterator[Fixture]:
    with Fixture() as fixture:
        yield fixture


@pytest.fixture(scope="module")
def page(chromium: Chromium, fixture: Fixture) -> Iterator[Page]:
    with chromium.context() as context:
        page = context.new_page()
        page.emulate_media(reduced_motion="reduce")
        page.goto(fixture.url)
        yield page


def wrong(page: Page) -> list[str]:
    found = [*findings(page)]
    found += [f"“{one}” is too small" for one in page.evaluate(_SMALL_TARGETS, TARGET_PX - 0.1)]
    page.set_viewport_size({"width": SMALL[0], "height": SMALL[1]})
    found += [f"{one} is cut off" for one in page.evaluate(_CUT_OFF)]
    found += [
        f"small: “{one}” is too small" for one in page.evaluate(_SMALL_TARGETS, TARGET_PX - 0.1)
    ]
    page.set_viewport_size({"width": REFERENCE[0], "height": REFERENCE[1]})
    return found


def looked_at(page: Page, fixture: Fixture, name: str, *, night: bool, welsh: bool) -> list[str]:
    view = VIEWS[name]
    panels = {**view.panels, "language": {"code": "cy"}} if welsh else view.panels
    fixture.drawn(replace(view, around=replace(view.around, night=night), panels=panels))
    page.evaluate("() => document.getElementById('across').hidden = true")
    return wrong(page)


@pytest.mark.parametrize("name", SOME)
def test_a_face_is_legible_reachable_and_whole(page: Page, fixture: Fixture, name: str) -> None:
    assert looked_at(page, fixture, name, night=False, welsh=False) == []


@pytest.mark.full
@pytest.mark.timeout(180)
@pytest.mark.parametrize("welsh", [False, True], ids=["english", "welsh"])
@pytest.mark.parametrize("night", [False, True], ids=["day", "night"])
def test_every_face_is_legible_reachable_and_whole(
    page: Page, fixture: Fixture, *, night: bool, welsh: bool
) -> None:
    faults = {
        name: found
        for name in VIEWS
        if (found := looked_at(page, fixture, name, night=night, welsh=welsh))
    }
    assert not faults, "\n".join(
        f"{name}:\n  " + "\n  ".join(all_) for name, all_ in faults.items()
    )


def test_what_is_wrong_with_a_face_is_seen(page: Page, fixture: Fixture) -> None:
    looked_at(page, fixture, "open", night=False, welsh=False)
    page.evaluate(
        """() => document.getElementById("work").insertAdjacentHTML("beforeend",
        '<div id="bad" class="initials">pale<button>tiny</button></div>')"""
    )
    bad = "() => Object.assign(document.getElementById('bad').style,"
    page.evaluate(bad + " { flex: 'none', height: '900px', color: '#678' })")
    found = "\n".join(wrong(page))
    page.evaluate("() => document.getElementById('bad').remove()")
    assert "color-contrast" in found
    assert "“tiny” is too small" in found
    assert "main is cut off" in found


LITTLE = ((1024, 600), (800, 480))
"""Smaller than what is promised: nothing is lost there, but some of it is a page further."""
_SIGHT = """
() => {
  const body = document.getElementById("page-body").getBoundingClientRect();
  return [...document.querySelectorAll("#page li, #page .qr")].map((each) => {
    const box = each.getBoundingClientRect();
    return box.top >= body.top - 1 && box.bottom <= body.bottom + 1
      && box.left >= body.left - 1 && box.right <= body.right + 1;
  });
}
"""


@pytest.mark.parametrize("size", [REFERENCE, SMALL, *LITTLE], ids=lambda size: str(size[0]))
def test_every_line_of_the_information_page_is_come_to_by_one_large_button(
    page: Page, fixture: Fixture, size: tuple[int, int]
) -> None:
    fixture.drawn("locked")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.click("#do-information")
    page.locator(".qr svg").wait_for()
    further, read = page.locator("#page-more"), page.evaluate(_SIGHT)
    presses = 0
    while further.is_visible():
        further.click()
        read = [before or now for before, now in zip(read, page.evaluate(_SIGHT), strict=True)]
        presses += 1
    page.click("#page-close")
    page.set_viewport_size({"width": REFERENCE[0], "height": REFERENCE[1]})
    assert len(read) > len(INFORMATION["policy"])  # type: ignore[arg-type]
    assert all(read)
    assert (presses == 0) == (size == REFERENCE)


def test_who_reads_the_information_page_keeps_her_place_when_it_is_told_anew(
    chromium: Chromium, fixture: Fixture
) -> None:
    with chromium.context(SMALL) as context:
        page = context.new_page()
        page.goto(fixture.url)
        page.click("#do-information")
        page.locator(".qr svg").wait_for()
        page.click("#page-more")
        page.focus("#page-close")
        place = page.evaluate("() => document.getElementById('page-body').scrollTop")
        # It asks every five seconds; a clock made to leap would be a stream gone silent.
        page.wait_for_event("response", lambda answer: "/info" in answer.url)
        page.locator(".qr svg").wait_for()
        now = page.evaluate(
            "() => [document.getElementById('page-body').scrollTop, document.activeElement.id]"
        )
    assert now == [place, "page-close"]
    assert place > 0


@pytest.mark.parametrize("night", [False, True], ids=["day", "night"])
@pytest.mark.parametrize("size", [REFERENCE, SMALL], ids=["reference", "small"])
def test_a_camera_reads_the_checkpoint_to_the_letter(
    page: Page, fixture: Fixture, size: tuple[int, int], *, night: bool
) -> None:
    fixture.drawn(replace(VIEWS["locked"], around=replace(VIEWS["locked"].around, night=night)))
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.click("#do-information")
    page.locator(".qr svg").wait_for()
    picture = Image.open(io.BytesIO(page.screenshot())).convert("L")
    page.click("#page-close")
    page.set_viewport_size({"width": REFERENCE[0], "height": REFERENCE[1]})
    read = zxingcpp.read_barcodes(np.asarray(picture))
    assert [code.text for code in read] == [INFORMATION["checkpoint"]]
