"""The power goes, or the disk is full, at every step of making a site and of changing its keys."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.provisioning import scenarios

ROOT = Path(__file__).resolve().parents[2]


IN_ITS_OWN_MOUNTS = ("unshare", "--map-root-user", "--mount")


def run(*argv: str, timeout: float) -> str:
    done = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def rarer(name: str) -> object:
    """In the quick set three stand for all of them."""
    quick = name in ("init", "rotate-terminal-ca", "boot-folder")
    return pytest.param(name, marks=() if quick else pytest.mark.full)


SCENARIOS = pytest.mark.parametrize("scenario", [rarer(name) for name in scenarios.ALL])


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "stride", [pytest.param(1, marks=pytest.mark.full, id="each"), pytest.param(7, id="some")]
)
@SCENARIOS
def test_whenever_the_power_goes_all_of_it_stands_or_none(
    scenario: str, stride: int, tmp_path: Path
) -> None:
    module = "tests.provisioning.cutting"
    argv = (sys.executable, "-m", module, scenario, str(tmp_path), str(stride))
    last = run(*argv, timeout=580)
    print(f"{scenario}: power cut at each {stride}. of {last} steps, twice")
    assert int(last) > 5


@SCENARIOS
def test_a_full_disk_leaves_all_of_it_or_none_and_room_is_enough_to_go_on(
    scenario: str, tmp_path: Path
) -> None:
    module = "tests.provisioning.full_disk"
    argv = (*IN_ITS_OWN_MOUNTS, sys.executable, "-m", module, scenario, str(tmp_path))
    said = run(*argv, timeout=50)
    print(f"{scenario}: disks of {said} KiB were too small")
    assert said
