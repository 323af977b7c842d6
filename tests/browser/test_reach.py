"""Whatever can be pressed on any face is come to by Tab, and is seen to have the focus.

The page alone, with made-up views: every face is gone through, also those that a ward seldom shows.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from benchmarks.ward.chromium import Chromium
from tests.browser.keys import stops
from tests.browser.looking import targets
from tests.kiosk_fixture.serving import Fixture
from tests.kiosk_fixture.views import VIEWS

OFTEN = {"locked-glass", "choose", "open-parked", "offer", "hold-asks", "help-person"}
DEAD = {"starting", "checking"}
"""No key reaches anything."""


@pytest.fixture(scope="module")
def fixture() -> Iterator[Fixture]:
    with Fixture() as fixture:
        yield fixture


@pytest.fixture(scope="module")
def page(chromium: Chromium, fixture: Fixture) -> Iterator[Page]:
    with chromium.context() as context:
        page = context.new_page()
        page.goto(fixture.url)
        yield page


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in OFTEN else pytest.mark.full)
        for name in sorted(VIEWS.keys() - DEAD)
    ],
)
def test_whatever_can_be_pressed_is_come_to_by_tab(page: Page, fixture: Fixture, name: str) -> None:
    fixture.drawn("checking")
    fixture.drawn(name)
    assert {label for label, _, _ in targets(page)} <= stops(page)
