"""Power cuts: something is done to a folder, and the power goes at every durable step of it.

`python -m tests.provisioning.cutting SCENARIO FOLDER STRIDE` forks for each STRIDE-th step. Before
its n-th flush, rename, link, removal or new folder the child loses what a disk may lose, and is
killed by SIGKILL: what was written to a file since its last flush, and (in a second round) names
made in a folder since that folder was flushed. Then the same is done again in what is left.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.provisioning import scenarios

_STEPS: Final = ("fsync", "rename", "replace", "link", "unlink", "rmdir", "mkdir")


class Disk:
    """What is not flushed yet, as far as Python's `os` shows it; cuts at step `cut_at`."""

    def __init__(self, cut_at: int, *, loses_names: bool) -> None:
        self.step = 0
        self._cut_at = cut_at
        self._loses_names = loses_names
        self._unflushed: set[Path] = set()
        self._names: dict[Path, set[Path]] = {}
        self._real = {name: getattr(os, name) for name in (*_STEPS, "open")}

    def install(self) -> None:
        for name in _STEPS:
            setattr(os, name, self._watched(name))
        os.open = self._open  # the same but for noting what is written

    def _watched(self, name: str) -> Callable[..., Any]:
        real = self._real[name]

        def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as os has it
            self.step += 1
            if self.step == self._cut_at:
                self._lose()
                os.kill(os.getpid(), signal.SIGKILL)
            done = real(*arguments, **options)
            if not options.get("dir_fd"):
                self._note(name, arguments)
            return done

        return call

    def _open(self, path: Any, flags: int, *arguments: Any, **options: Any) -> int:  # noqa: ANN401
        descriptor: int = self._real["open"](path, flags, *arguments, **options)
        if flags & os.O_CREAT and options.get("dir_fd") is None:
            where = Path(path).resolve()
            self._unflushed.add(where)
            self._names.setdefault(where.parent, set()).add(where)
        return descriptor

    def _note(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "fsync":
            where = Path(f"/proc/self/fd/{arguments[0]}").resolve()
            self._unflushed.discard(where)
            self._names.pop(where, None)
        elif name in ("link", "mkdir"):
            where = Path(arguments[-1 if name == "link" else 0]).resolve()
            self._names.setdefault(where.parent, set()).add(where)

    def _lose(self) -> None:
        for where in self._unflushed:
            with contextlib.suppress(OSError):
                os.truncate(where, where.stat().st_size // 2)
        if self._loses_names:
            for where in set().union(*self._names.values()):
                if where.is_dir():
                    shutil.rmtree(where, ignore_errors=True)
                with contextlib.suppress(OSError):
                    self._real["unlink"](where)


def cut_everywhere(scenario: scenarios.Scenario, folder: Path, stride: int) -> int:
    """Returns the last step there was. Raises AssertionError where something stood half made."""
    last = 0
    for loses_names in (False, True):
        for step in itertools.count(1 + loses_names, stride):
            place = folder / f"{'names' if loses_names else 'data'}-{step}"
            place.mkdir(parents=True)
            scenario.prepare(place)
            if not _cut(scenario, place, step, loses_names=loses_names):
                break
            last = step
            scenario.check_after_cut(place)
            scenario.do(place)
            scenario.check_done(place)
            shutil.rmtree(place)
    return last


def _cut(scenario: scenarios.Scenario, place: Path, step: int, *, loses_names: bool) -> bool:
    """Whether the power went before it was done."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            Disk(step, loses_names=loses_names).install()
            scenario.do(place)
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    if os.WIFSIGNALED(ended):
        return True
    assert os.WEXITSTATUS(ended) == 0, f"failed at step {step}"
    return False


if __name__ == "__main__":
    print(cut_everywhere(scenarios.ALL[sys.argv[1]], Path(sys.argv[2]), int(sys.argv[3])))
