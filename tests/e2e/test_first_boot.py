"""A terminal is unpacked: from its first boot to the first tap, whatever comes in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ward.people import STAFF
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal
from tests.e2e.asking import RECOVERY_S

pytestmark = pytest.mark.timeout(120)

BAYS = ("bay-1", "bay-2", "bay-3", "bay-4")
View = dict[str, Any]


@pytest.fixture(scope="module")
def ward(module_tmp: Path) -> Iterator[Ward]:
    """Nothing but boxes: no terminal is known to the site."""
    with Ward(module_tmp / "ward", (), STAFF[:2], blank=BAYS) as ward:
        yield ward


def in_service(bay: WardTerminal, mark: int = 0) -> None:
    """Somebody could sign on there."""
    bay.glass.wait(
        lambda view: view["screen"] == "locked" and view["link"] == "online",
        mark,
        timeout_s=RECOVERY_S,
    )


def waits_at(step: str) -> Any:  # noqa: ANN401 - a condition on a view
    def holds(view: View) -> bool:
        return bool(view["screen"] == "enrolling" and view["waits_for"] == [step])

    return holds


def test_a_terminal_enrols_at_its_first_boot_and_serves_the_first_tap(ward: Ward) -> None:
    bay, amal = ward["bay-1"], ward.member("h-amal")
    ward.unpack("bay-1")
    paper = bay.partition / "tapover" / "enrolment.json"
    token = json.loads(paper.read_bytes())["token"]
    bay.start()
    in_service(bay)
    assert not paper.exists()
    assert token.encode() not in b"".join(f.read_bytes() for f in bay.identity.iterdir())
    assert all(f.stat().st_mode & 0o077 == 0 for f in bay.identity.iterdir())
    bay.sign_on_with_pin(amal)
