"""Break-glass and downtime as people meet them: one gesture, a border that stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.ward.chromium import Chromium
from benchmarks.ward.evidence import wait_held
from benchmarks.ward.people import DOCTOR, LEAD, Member
from benchmarks.ward.screen import Screen
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal
from contract.ids import PositionId, TerminalId
from contract.policy import BreakGlass, BreakGlassState, Downtime
from tests.browser.looking import inspected
from tests.browser.ward_life import (
    break_glass,
    fresh,
    held,
    names,
    nobody,
    press,
    press_digits,
    tap,
    there,
    watching,
)
from tests.e2e.asking import RECOVERY_S, shows

# Their quick siblings: tests/browser/test_states.py, and each state by real taps in tests/e2e.
pytestmark = [pytest.mark.timeout(150), pytest.mark.full]

EMERGENCY: dict[str, object] = {
    "break_glass": BreakGlass(
        allowed=True,
        position=PositionId("ed-emergency"),
        reasons=("RESUS", "STROKE", "OTHER"),
        limit_s=600,
        states=(
            BreakGlassState.PIN_OWED,
            BreakGlassState.DIRECTORY_STALE,
            BreakGlassState.CARD_UNKNOWN,
            BreakGlassState.NO_CARD,
        ),
        without_card=(TerminalId("bay-2"),),
    ),
    "downtime": Downtime(roles=(LEAD.role, DOCTOR.role)),
}
PAST_ITS_LIMIT_S = 3


@pytest.fixture(scope="module", autouse=True)
def emergencies(ward: Ward) -> Iterator[None]:
    """The ward has break-glass and downtime."""
    wait_held(ward, ward.set_policy(**EMERGENCY))
    yield
    wait_held(ward, ward.set_policy())


@pytest.fixture(scope="module")
def staff_only(ward: Ward, chromium: Chromium) -> Iterator[Screen]:
    with watching(ward, chromium, ward["bay-2"]) as screen:
        yield screen


def test_who_owes_a_pin_breaks_the_glass_by_one_gesture_and_the_lead_sees_it_at_once(
    ward: Ward, bay: WardTerminal, screen: Screen, staff_only: Screen
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


@pytest.mark.full
def test_a_short_touch_breaks_nothing(ward: Ward, bay: WardTerminal, screen: Screen) -> None:
    nobody(bay, screen)
    tap(ward, bay, screen, fresh(ward), "notice", "offer")
    button = screen.page.locator("[data-hold]").first
    button.hover()
    screen.page.mouse.down()
    screen.page.wait_for_timeout(600)
    screen.page.mouse.up()
    assert screen.page.get_by_text("Emergency access: why?").count() == 0
    nobody(bay, screen)


def test_by_keyboard_the_gesture_is_the_same(ward: Ward, bay: WardTerminal, screen: Screen) -> None:
    nobody(bay, screen)
    tap(ward, bay, screen, fresh(ward), "notice", "offer")
    screen.page.locator("[data-hold]").first.focus()
    screen.page.keyboard.down("Enter")
    screen.page.wait_for_timeout(1700)
    screen.page.keyboard.up("Enter")
    screen.page.get_by_role("button", name="Stroke", exact=True).wait_for()
    inspected(screen, "emergency-reasons")
    screen.page.get_by_role("button", name="Stroke", exact=True).focus()
    screen.page.keyboard.press("Enter")
    shows(bay, lambda view: bool((view["panels"].get("breakglass") or {}).get("active")))
    nobody(bay, screen)


def test_without_a_card_a_colleague_confirms_or_she_reads_alone(
    ward: Ward, staff_only: Screen
) -> None:
    bay = ward["bay-2"]
    nobody(bay, staff_only)
    break_glass(staff_only, "Resuscitation")
    staff_only.page.get_by_role("button", name="Go on alone, read only", exact=True).wait_for()
    inspected(staff_only, "emergency-without-card")
    press(staff_only, "Go on alone, read only")
    shows(bay, lambda view: bool((view["panels"].get("breakglass") or {}).get("active")))
    text = inspected(staff_only, "emergency-alone")
    assert [name for name in names(ward) if name in text] == []
    assert "Not identified" in text
    nobody(bay, staff_only)


def test_downtime_is_declared_by_two_cards_and_striped_as_long_as_it_lasts(
    ward: Ward, bay: WardTerminal, screen: Screen
) -> None:
    there(ward, bay, screen, ward.member("h-amal"))
    wait_held(ward, ward.set_policy(**EMERGENCY, offline_limit_s=PAST_ITS_LIMIT_S))
    nobody(bay, screen)
    ward.broker.kill()
    try:
        shows(bay, lambda view: (view["panels"].get("downtime") or {}).get("state") == "offered")
        tap(ward, bay, screen, ward.member("h-amal"), "offer")
        nobody_is_named(ward, inspected(screen, "offer", "Emergency access"))
        press(screen, "Cancel")
        press(screen, "Downtime")
        inspected(screen, "downtime-asked")
        press(screen, "Declare downtime")
        for number, holder in enumerate(("h-elena", "h-chidi")):
            _signs(ward, bay, screen, ward.member(holder), f"downtime-{number + 1}")
        shows(bay, lambda view: view["panels"]["downtime"]["state"] == "on")
        inspected(screen, "downtime", "Downtime")
    finally:
        ward.broker.start()
        shows(bay, lambda view: view["link"] == "online", timeout_s=RECOVERY_S)


def nobody_is_named(ward: Ward, text: str) -> None:
    assert [name for name in names(ward) if name in text] == []


def _signs(ward: Ward, bay: WardTerminal, screen: Screen, member: Member, picture: str) -> None:
    shows(bay, lambda view: (view["panels"].get("downtime") or {}).get("state") == "declaring")
    inspected(screen, picture)
    with held(ward, bay, member, slot=True):
        screen.page.get_by_role("heading").filter(has_text="Your PIN, for this").wait_for()
        inspected(screen, f"{picture}-pin")
        press_digits(screen, member.pin, touch=False)
        shows(
            bay,
            lambda view: (
                member.entitlement.name.initials in view["panels"]["downtime"]["by"]
                or view["panels"]["downtime"]["state"] == "on"
            ),
        )
