"""A disk without a free block, and the journal's reserve on it.

`unshare --map-root-user --mount python -m tests.firmware.full_reserve FOLDER` mounts it where
nobody else sees it, and says what the reserve then holds.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from firmware_py.emergency.reserve import Reserve
from runtime.durable import DiskFull, write_file
from tests.provisioning.full_disk import mount


def main(folder: Path) -> None:
    """Raises what it did not expect."""
    mount(folder, "size=256k")
    reserve = Reserve(folder / "journal.reserve")
    reserve.prepare()
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
        while filler.write(b"x" * 4096):
            pass
    try:
        write_file(folder / "another", b"x" * 8192)
    except DiskFull:
        reserve.put(b"kept")
    print(*(record.decode() for record in reserve.records()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
