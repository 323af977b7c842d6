"""Letters on the glass: for a ward lead with gloves on and no keyboard beside the screen."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from benchmarks.ward.chromium import PX_A_MM, REFERENCE, SMALL, Chromium
from firmware_py.help.commands import FindPerson, SpareWanted
from firmware_py.kiosk.commands import Command
from tests.browser.axe import findings
from tests.browser.looking import targets
from tests.browser.test_faces import wrong
from tests.kiosk_fixture.serving import Fixture

HAND_MS = 45
LETTERS = "#letters"
LITTLE = (800, 480)
GLOVES_PX = 20 * PX_A_MM


@pytest.fixture(scope="module")
def fixture() -> Iterator[Fixture]:
    with Fixture() as fixture:
        yield fixture


@pytest.fixture(scope="module")
def glass(chromium: Chromium, fixture: Fixture) -> Iterator[Page]:
    with chromium.context(touch=True) as context:
        page = context.new_page()
        page.goto(fixture.url)
        yield page


@pytest.fixture
def page(glass: Page, fixture: Fixture) -> Page:
    """The form for a spare has just come."""
    fixture.drawn("locked")
    fixture.drawn("help-person")
    while not fixture.heard.empty():
        fixture.heard.get_nowait()
    return glass


def write(page: Page, text: str) -> None:
    """Touch after touch; a space and what has a name are keys of their own."""
    for letter in text:
        named = {" ": "Space", "<": "Delete", "^": "Capital letters"}.get(letter, letter)
        page.locator(LETTERS).get_by_role("button", name=named, exact=True).tap()


def said(fixture: Fixture, kind: type[Command]) -> Command:
    while True:
        try:
            found = fixture.heard.get(timeout=5)
        except queue.Empty:
            raise AssertionError(f"no {kind.__name__} was said") from None
        if isinstance(found, kind):
            return found


def test_who_needs_a_card_is_searched_for_by_touch_alone(page: Page, fixture: Fixture) -> None:
    assert page.locator(LETTERS).is_hidden()
    page.locator("#find").tap()
    write(page, "llŷrr<")
    assert page.evaluate("() => document.activeElement.id") == "find"
    page.get_by_role("button", name="Search", exact=True).tap()
    assert said(fixture, FindPerson) == FindPerson("llŷr")
    assert page.locator(LETTERS).is_hidden()


def test_a_guests_name_begins_with_capitals_and_her_number_is_of_them(
    page: Page, fixture: Fixture
) -> None:
    page.locator("#guest-name").tap()
    write(page, "siân o'neil-")
    page.locator("#letters-others").tap()
    write(page, "éa")
    write(page, "^b")
    page.locator("#guest-number").tap()
    write(page, "12a3")
    assert page.input_value("#guest-name") == "Siân O'Neil-ÉaB"
    page.get_by_role("button", name="Give the guest a card", exact=True).tap()
    asked = said(fixture, SpareWanted)
    assert isinstance(asked, SpareWanted)
    assert (asked.name, asked.number) == ("Siân O'Neil-ÉaB", "12A3")


def test_a_letter_goes_where_the_caret_is_and_over_what_is_marked(page: Page) -> None:
    page.locator("#find").tap()
    write(page, "amah")
    page.evaluate("() => document.getElementById('find').setSelectionRange(2, 3)")
    write(page, "in")
    assert page.input_value("#find") == "aminh"
    page.evaluate("() => document.getElementById('find').setSelectionRange(0, 5)")
    write(page, "<")
    assert page.input_value("#find") == ""


def test_no_more_is_written_than_the_field_takes(page: Page) -> None:
    page.locator("#guest-number").tap()
    page.fill("#guest-number", "x" * 32)
    write(page, "y<z")
    assert page.input_value("#guest-number") == "x" * 31 + "Z"


def test_a_key_of_a_keyboard_sends_them_away_and_is_written(page: Page) -> None:
    page.locator("#find").tap()
    write(page, "a")
    page.keyboard.press("m", delay=HAND_MS)
    assert page.locator(LETTERS).is_hidden()
    assert page.input_value("#find") == "am"
    assert page.locator("#guest-name").is_visible(), "all of the form is there again"


def test_done_and_a_touch_beside_them_bring_the_whole_form_back(page: Page) -> None:
    for way_out in ("Done", "beside"):
        page.locator("#find").tap()
        assert page.locator("#guest-name").is_hidden()
        if way_out == "Done":
            page.get_by_role("button", name="Done", exact=True).tap()
        else:
            page.touchscreen.tap(60, 300)
        assert page.locator(LETTERS).is_hidden()
        assert page.locator("#guest-name").is_visible()


def test_they_go_with_their_form_and_take_nothing_to_the_next(page: Page, fixture: Fixture) -> None:
    page.locator("#find").tap()
    write(page, "secret")
    fixture.drawn("checking")
    assert page.locator(LETTERS).is_hidden()
    fixture.drawn("locked")
    fixture.drawn("help-person")
    assert page.locator(LETTERS).is_hidden()
    assert page.input_value("#find") == ""


@pytest.mark.parametrize("welsh", [False, True], ids=["english", "welsh"])
@pytest.mark.parametrize("field", ["find", "guest-name"])
def test_they_are_legible_reachable_and_whole(
    page: Page, fixture: Fixture, field: str, *, welsh: bool
) -> None:
    if welsh:
        fixture.drawn("locked")
        page.locator("#do-language").tap()
        fixture.drawn("help-person")
    page.locator(f"#{field}").tap()
    page.locator("#letters-others").tap()
    assert wrong(page) == []
    page.locator("#letters-others").tap()
    assert wrong(page) == []
    if welsh:
        assert page.get_by_role("button", name="Bwlch", exact=True).is_visible()
        fixture.drawn("locked")
        page.locator("#do-language").tap()


def test_on_a_small_glass_they_are_as_large_as_it_allows_and_the_field_is_seen(page: Page) -> None:
    page.set_viewport_size({"width": LITTLE[0], "height": LITTLE[1]})
    page.locator("#guest-number").tap()
    field = page.locator("#guest-number").bounding_box()
    keys = page.locator(LETTERS).bounding_box()
    small = [label for label, width, high in targets(page) if min(width, high) < GLOVES_PX / 2]
    found = findings(page)
    page.set_viewport_size({"width": REFERENCE[0], "height": REFERENCE[1]})
    assert field is not None
    assert keys is not None
    assert keys["y"] + keys["height"] <= LITTLE[1] + 1
    assert field["y"] + field["height"] <= keys["y"] + 1
    assert (small, found) == ([], [])


def test_at_the_smallest_promised_glass_every_letter_is_for_gloves(page: Page) -> None:
    page.set_viewport_size({"width": SMALL[0], "height": SMALL[1]})
    page.locator("#find").tap()
    small = [label for label, width, high in targets(page) if min(width, high) < GLOVES_PX - 0.1]
    page.set_viewport_size({"width": REFERENCE[0], "height": REFERENCE[1]})
    assert small == []
