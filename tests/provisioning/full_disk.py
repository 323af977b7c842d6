"""A full disk: something is done on ever larger ones, until it fits.

`unshare --map-root-user --mount python -m tests.provisioning.full_disk SCENARIO FOLDER` mounts them
where nobody else sees them.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Final

from provisioning.errors import DiskFailed
from tests.provisioning import scenarios

_PAGE_KIB: Final = 4
_ROOM_KIB: Final = 1024


def mount(folder: Path, options: str) -> None:
    argv = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    subprocess.run(argv, check=True, capture_output=True)


def too_small(scenario: scenarios.Scenario, folder: Path) -> list[int]:
    """Sizes in KiB of the disks on which it failed; each was then given room, and it was done."""
    failed: list[int] = []
    for pages in itertools.count(0, 3):
        place = folder / str(pages)
        place.mkdir()
        mount(place, f"size={_ROOM_KIB}k")
        scenario.prepare(place)
        used = max(_PAGE_KIB, _used_kib(place) + pages * _PAGE_KIB)  # 0 would be no limit
        mount(place, f"remount,size={used}k")
        try:
            scenario.do(place)
        except DiskFailed:
            failed.append(used)
            scenario.check_after_cut(place)
        else:
            scenario.check_done(place)
            return failed
        mount(place, f"remount,size={_ROOM_KIB}k")
        scenario.do(place)
        scenario.check_done(place)
    raise AssertionError("never reached")


def _used_kib(folder: Path) -> int:
    said = subprocess.run(
        ["df", "--output=used", "-k", str(folder)], check=True, capture_output=True, text=True
    )
    return int(said.stdout.split()[-1])


if __name__ == "__main__":
    print(*too_small(scenarios.ALL[sys.argv[1]], Path(sys.argv[2])))
