"""What a run says of its machine is the machine's, and a disk in memory is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.footprint import Spent, idle_percent, shift_mb, wakeups
from benchmarks.harness import machine
from tests.test_house.tree import ROOT


def test_the_machine_is_described_with_its_disk_and_its_versions() -> None:
    told = machine.describe(ROOT)
    assert told["synchronous mode"] == "terminal FULL, gateway FULL"
    assert " on /" in told["state folder"] or "overlay" in told["state folder"]
    assert told["pyscard"][0].isdigit()
    assert told["mosquitto"].startswith("2.")
    assert "p50" in told["a flush of 4 kB there"]


def test_the_deepest_mount_is_the_one_that_counts(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/a / ext4 rw 0 0\n"
        f"tmpfs {tmp_path}/in\\040memory tmpfs rw 0 0\n"
        f"/dev/b {tmp_path} xfs ro 0 0\n"
    )
    (tmp_path / "in memory" / "state").mkdir(parents=True)
    assert machine.file_system(tmp_path / "in memory" / "state", mounts)[0] == "tmpfs"
    assert machine.file_system(tmp_path, mounts) == ("xfs", "/dev/b", "ro")
    assert machine.file_system(Path("/"), mounts)[0] == "ext4"


def test_a_state_folder_in_memory_is_refused() -> None:
    with pytest.raises(machine.NoDisk):
        machine.describe(Path("/dev/shm"))


def test_a_folder_outside_any_checkout_has_no_commit(tmp_path: Path) -> None:
    assert machine.commit(tmp_path) == "unknown"


def test_idling_is_told_a_second() -> None:
    before = Spent(at_ns=0, ticks=100, switches=1000, written=0, journal=0)
    after = Spent(at_ns=5_000_000_000, ticks=105, switches=1100, written=0, journal=0)
    assert wakeups(before, after) == 20.0
    assert 0 < idle_percent(before, after) <= 5.0


def test_a_shift_is_its_taps_and_its_rest() -> None:
    megabyte = 1024 * 1024
    assert shift_mb(megabyte, 0.0) == 240.0
    assert shift_mb(0.0, megabyte / 3600) == pytest.approx(12.0)
