"""What two people do at one screen, and one person at two: each state by real cards, looked at."""

from __future__ import annotations

import pytest

from benchmarks.ward.chromium import Chromium
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from tests.browser.eyes import Watched
from tests.browser.looking import inspected
from tests.browser.ward_life import (
    names,
    nobody,
    tap,
    there,
    watching,
)
from tests.e2e.asking import shows

pytestmark = pytest.mark.timeout(120)


def test_tap_here_closes_there(
    ward: Ward, bay: WardTerminal, screen: Watched, chromium: Chromium
) -> None:
    amal, other = ward.member("h-amal"), ward["bay-2"]
    there(ward, bay, screen, amal)
    nobody(bay, screen)
    with watching(ward, chromium, other) as elsewhere:
        there(ward, other, elsewhere, amal)
        tap(ward, bay, screen, amal)
        shows(other, lambda view: view["screen"] == "locked" and view["name"] is None)
        elsewhere.wait("locked")
        text = inspected(elsewhere, "moved-away")
        assert [name for name in names(ward) if name in text] == []
        tap(ward, other, elsewhere, amal)
        inspected(elsewhere, "moved-here", named=amal.shown)
        shows(bay, lambda view: not is_open_for(view, amal))
