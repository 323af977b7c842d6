"""Break-glass and downtime as people meet them: one gesture, a border that stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.ward.chromium import Chromium
from benchmarks.ward.evidence import wait_held
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal
from tests.browser.eyes import Watched
from tests.browser.looking import inspected
from tests.browser.ward_life import (
    EMERGENCY,
    break_glass,
    fresh,
    names,
    nobody,
    tap,
    there,
    watching,
)
from tests.e2e.asking import shows

pytestmark = pytest.mark.timeout(150)


@pytest.fixture(scope="module", autouse=True)
def emergencies(ward: Ward) -> Iterator[None]:
    """The ward has break-glass and downtime."""
    wait_held(ward, ward.set_policy(**EMERGENCY))
    yield
    wait_held(ward, ward.set_policy())


@pytest.fixture(scope="module")
def staff_only(ward: Ward, chromium: Chromium) -> Iterator[Watched]:
    with watching(ward, chromium, ward["bay-2"]) as screen:
        yield screen


def test_who_owes_a_pin_breaks_the_glass_by_one_gesture_and_the_lead_sees_it_at_once(
    ward: Ward, bay: WardTerminal, screen: Watched, staff_only: Watched
) -> None:
    newcomer, elena = fresh(ward), ward.member("h-elena")
    there(ward, ward["bay-2"], staff_only, elena)
    nobody(bay, screen)
    tap(ward, bay, screen, newcomer, "notice", "offer")
    inspected(screen, "emergency-offered")
    break_glass(screen, "Resuscitation")
    shows(bay, lambda view: bool((view["panels"].get("breakglass") or {}).get("active")))
    text = inspected(screen, "emergency", named=newcomer.shown)
    assert "Emergency access" in text
    assert "Resuscitation" in text
    shows(ward["bay-2"], lambda view: bool((view["panels"].get("alerts") or {}).get("list")))
    told = inspected(staff_only, "emergency-alert", named=elena.shown)
    assert "Emergency access at" in told
    assert [name for name in names(ward) if name in told] == [elena.shown]
    nobody(bay, screen)


def test_a_short_touch_breaks_nothing(ward: Ward, bay: WardTerminal, screen: Watched) -> None:
    nobody(bay, screen)
    tap(ward, bay, screen, fresh(ward), "notice", "offer")
    button = screen.page.locator("[data-hold]").first
    button.hover()
    screen.page.mouse.down()
    screen.page.wait_for_timeout(600)
    screen.page.mouse.up()
    assert screen.page.get_by_text("Emergency access: why?").count() == 0
    nobody(bay, screen)
