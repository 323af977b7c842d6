"""Power cuts in a first boot: `python -m tests.firmware.cut_enrolment FOLDER`.

FOLDER holds enrolment files `1.json`, `2.json`, …, each with a token of its own. The journey of the
n-th is cut at its n-th durable step and then gone again, until a step comes that there is none of;
once losing what was written since its file was flushed, and once new names as well. Prints how many
cuts there were.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sys
from pathlib import Path

from firmware_py.enrolment.journey import Journey
from firmware_py.site.keystore import FileKeys
from firmware_py.site.place import is_enrolled
from runtime.clock import SystemClock
from runtime.durable import remove_leftovers
from tests.provisioning.cutting import Disk

_BOOT_S = 20.0


def boot(paper: Path, identity: Path) -> None:
    """A first boot, until it is enrolled."""
    remove_leftovers(identity)
    journey = Journey(
        paper, identity, FileKeys(), SystemClock(), random.Random(), lambda progress: None
    )
    asyncio.run(asyncio.wait_for(journey.run(), _BOOT_S))


def cut(paper: Path, identity: Path, step: int, *, loses_names: bool) -> bool:
    """Whether the power went before it was done."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            Disk(step, loses_names=loses_names).install()
            boot(paper, identity)
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    if not os.WIFSIGNALED(ended):
        assert os.WEXITSTATUS(ended) == 0, f"failed at step {step}"
    return os.WIFSIGNALED(ended)


def main(folder: Path) -> int:
    papers, cuts = itertools.count(1), 0
    for loses_names in (False, True):
        for step in itertools.count(1):
            number = next(papers)
            paper, identity = folder / f"{number}.json", folder / str(number)
            identity.mkdir(0o700)
            was_cut = cut(paper, identity, step, loses_names=loses_names)
            if not is_enrolled(identity):
                boot(paper, identity)
            # After a cut behind the last step the daemon tidies; here the file may stand.
            assert is_enrolled(identity)
            if not was_cut:
                assert not paper.exists()
                break
            cuts += 1
    return cuts


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))
