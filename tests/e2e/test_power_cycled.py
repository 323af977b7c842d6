"""The whole ward power-cycled with the gateway gone, with and without a clock: what each can do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from benchmarks.ward.evidence import wait_held
from benchmarks.ward.people import DOCTOR, LEAD, NURSE, STAFF, Member, hired, person
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal
from contract.directory import Status
from contract.ids import PositionId
from contract.policy import BreakGlass, Downtime, OfflineBoot
from runtime.clock import SystemClock
from tests.e2e.asking import LONG_DAY, Log, at_work, online, shows
from tests.e2e.power_cut import Cells, ask, break_the_glass, declare, differs, page

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

LIMIT_S: Final = 2
WITH_CHIP, WITHOUT = "bay-1", "bay-2"
COLUMNS: Final = (
    ("chip", "with a clock chip, within the limit"),
    ("none", "without, within the powered time"),
    ("refuse", "without, where the ward refuses such a start"),
    ("chip-late", "with a clock chip, beyond the limit"),
    ("none-late", "without, beyond the powered time"),
)
BREAK_GLASS: Final = BreakGlass(
    allowed=True, position=PositionId("ed-emergency"), reasons=("E1",), limit_s=600
)
POLICY: Final[dict[str, object]] = {
    **LONG_DAY,
    "break_glass": BREAK_GLASS,
    "downtime": Downtime(roles=(LEAD.role, DOCTOR.role)),
}
PEOPLE: Final = (
    *STAFF,
    person("h-farah", "Farah Idris", "503817", NURSE),
    person("h-hari", "Hari Thapa", "729450", NURSE),
)


@pytest.fixture
def ward(short_tmp: Path) -> Iterator[Ward]:
    with Ward(short_tmp / "ward", (WITH_CHIP, WITHOUT), PEOPLE, POLICY) as ward:
        yield ward


def who_asks(ward: Ward, bay: WardTerminal) -> dict[str, Member]:
    """The page's people, as this terminal met them before the cut."""
    here, there = ("h-amal", "h-bronwen") if bay.name == WITH_CHIP else ("h-bronwen", "h-amal")
    return {
        "warm": ward.member(here),
        "elsewhere": ward.member(there),
        "owed": ward.member("h-farah"),
        "lead": ward.member("h-elena"),
        "suspended": ward.member("h-dafydd"),
        "unknown": unknown(ward),
    }


def unknown(ward: Ward) -> Member:
    """A sound card that was never published here."""
    found = ward.members.get("unknown")
    if found is None:
        somebody = person("h-gwen", "Gwen Morris", "618204", NURSE)
        found = hired(ward.folder / "strange", somebody, SystemClock().wall_ms())
        ward.members["unknown"] = found
    return found


def before_the_cut(ward: Ward) -> None:
    """An ordinary shift; both terminals online, and the chip of one seen to be right."""
    ward[WITH_CHIP].reboot(rtc=True)
    for bay in ward.terminals.values():
        online(ward, bay)
        shows(bay, lambda view: view["clock"] == "site")
    at_work(ward, ward[WITH_CHIP], ward.member("h-amal"))
    at_work(ward, ward[WITHOUT], ward.member("h-bronwen"))


def cut(ward: Ward) -> None:
    """Power off, power on; gateway and broker stay away."""
    ward.gateway.kill()
    ward.broker.kill()
    ward[WITH_CHIP].reboot(rtc=True)
    ward[WITHOUT].reboot()
    shows(ward[WITH_CHIP], lambda view: view["clock"] == "rtc")
    shows(ward[WITHOUT], lambda view: view["clock"] == "unconfirmed")


def mend(ward: Ward) -> None:
    ward.broker.start()
    ward.start_gateway()
    for bay in ward.terminals.values():
        online(ward, bay)


def column(ward: Ward, name: str, key: str, cells: Cells) -> None:
    bay = ward[name]
    for row, member in who_asks(ward, bay).items():
        cells[row, key] = ask(ward, bay, member)
    reason = BREAK_GLASS.reasons[0]
    cells["emergency", key] = break_the_glass(ward, bay, ward.member("h-hari"), reason)
    cells["downtime", key] = declare(bay)


def test_what_each_person_can_do_is_what_the_page_says(ward: Ward, log: Log) -> None:
    cells: Cells = {}
    wait_held(ward, ward.set_status(ward.member("h-dafydd"), Status.SUSPENDED))

    before_the_cut(ward)
    cut(ward)
    column(ward, WITH_CHIP, "chip", cells)
    column(ward, WITHOUT, "none", cells)
    mend(ward)

    wait_held(ward, ward.set_policy(offline_boot=OfflineBoot.REFUSE))
    before_the_cut(ward)
    cut(ward)
    column(ward, WITHOUT, "refuse", cells)
    mend(ward)

    late = ward.set_policy(offline_limit_s=LIMIT_S, offline_boot_s=0)
    wait_held(ward, late)
    before_the_cut(ward)
    cut(ward)
    shows(ward[WITH_CHIP], lambda view: (view["rights_age_s"] or 0) > LIMIT_S)
    column(ward, WITH_CHIP, "chip-late", cells)
    column(ward, WITHOUT, "none-late", cells)
    mend(ward)

    told = differs(page(COLUMNS, cells))
    assert not told, told
    log.verified()
