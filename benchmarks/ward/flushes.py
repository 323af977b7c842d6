"""The flushes of a daemon, seen from outside, and slowed to those of a worse disk.

A C file of ours is compiled and preloaded into the daemon (`slow_flush.c`). It carries out every
fsync and fdatasync in full, then waits for as long as it is told here, at any time.
"""

from __future__ import annotations

import mmap
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from benchmarks.ward.processes import WardError, program

_SOURCE: Final = Path(__file__).with_name("slow_flush.c")
_HEAD: Final = struct.Struct("=QQ")
_KEPT: Final = 65_536
_SIZE: Final = _HEAD.size * (1 + _KEPT)


@dataclass(frozen=True, slots=True)
class Flush:
    """One fsync or fdatasync, its delay included. Monotonic nanoseconds."""

    began_ns: int
    ended_ns: int


class Flushes:
    """A context manager; `environment` goes to the daemon that is watched. One daemon each."""

    def __init__(self, folder: Path) -> None:
        """Compiles the part that is preloaded. Raises PartMissing, WardError."""
        folder.mkdir(parents=True, exist_ok=True)
        library, self._path = folder / "slow_flush.so", folder / "flushes"
        compiler = program("gcc", "gcc")
        argv = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise WardError(f"{_SOURCE.name} does not compile: {done.stderr.strip()}")
        self._path.write_bytes(bytes(_SIZE))
        self.environment: Final = {
            "LD_PRELOAD": str(library.absolute()),
            "WARD_FLUSHES": str(self._path.absolute()),
        }

    def __enter__(self) -> Self:
        with self._path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _SIZE)
        return self

    def __exit__(self, *_: object) -> None:
        self._shared.close()

    def slow_by(self, delay_ms: float) -> None:
        """Makes each flush from now on longer by so much."""
        struct.pack_into("=Q", self._shared, 0, round(delay_ms * 1000))

    @property
    def count(self) -> int:
        """Flushes so far."""
        count: int = _HEAD.unpack_from(self._shared)[1]
        return count

    def since(self, mark: int) -> list[Flush]:
        """Those after the first ``mark``, oldest first. Raises WardError when some were lost."""
        count = self.count
        if count - mark > _KEPT:
            raise WardError(f"more than {_KEPT} flushes between two looks")
        at = (_HEAD.size * (1 + number % _KEPT) for number in range(mark, count))
        return [Flush(*_HEAD.unpack_from(self._shared, offset)) for offset in at]
