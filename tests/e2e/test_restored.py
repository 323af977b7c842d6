"""A gateway restored from an old disk: nobody is stopped, no right comes back, and it is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.ward.evidence import wait_covered, wait_delivered, wait_held
from benchmarks.ward.site import Ward
from contract.directory import Status
from tests.e2e.asking import NOT_HERE, Mark, at_work, online, turned_away


@pytest.mark.full
@pytest.mark.timeout(120)
def test_a_gateway_restored_from_an_old_disk_stops_nobody_and_restores_no_right(
    ward: Ward, tmp_path: Path
) -> None:
    elena, disk, kept = ward.member("h-elena"), ward.folder / "gateway-state", tmp_path / "kept"
    for terminal in ward.terminals.values():
        at_work(ward, terminal, ward.member("h-amal"))
    ward.gateway.kill()
    shutil.copytree(disk, kept, ignore=shutil.ignore_patterns("*.sock"))
    ward.start_gateway()
    wait_held(ward, ward.set_status(elena, Status.SUSPENDED))
    wait_delivered(ward)
    wait_covered(ward)
    at = {name: Mark.now(ward, ward[name]) for name in ward.terminals}

    ward.gateway.kill()
    shutil.rmtree(disk)
    shutil.copytree(kept, disk)
    ward.start_gateway()
    ward.wait_linked()

    for name, terminal in ward.terminals.items():
        online(ward, terminal)
        assert turned_away(ward, terminal, elena).words == NOT_HERE
        at[name].wait_for("alarm", lambda alarm: alarm["code"] == "statement-refused")
        assert at[name].since("trust.changed") == []
    # It grows past what the terminals hold, and is found to be another log.
    for _ in range(20):
        ward.set_policy()
    for name, terminal in ward.terminals.items():
        at[name].wait_for("alarm", lambda alarm: alarm["code"] == "checkpoint-inconsistent")
        at_work(ward, terminal, ward.member("h-bronwen"))
        at_work(ward, terminal, ward.member("h-amal"))
        assert at[name].since("trust.changed") == []
