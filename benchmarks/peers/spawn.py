"""Small processes beside the benchmark that run foreign programs, and answer a line with a line.

One may stand in a mount namespace of its own, in which ``/etc/pam.d`` and ``/etc/passwd`` are ours:
PAM's services and their user exist in it alone. The machine's own files are not touched, whatever
ends the benchmark.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.ward.processes import WardError, program

_HERE: Final = Path(__file__).parent
_COVER: Final = 'mount --bind "$1" /etc/pam.d && mount --bind "$2" /etc/passwd && shift 2 && '
_NO_NAMESPACE: Final = (
    "the PAM modules are measured in a mount namespace of their own, which this machine does not "
    "allow ({}). Run as root, in a container with:\n    --cap-add SYS_ADMIN\n"
    "or let users have namespaces (as root):\n    sysctl -w kernel.unprivileged_userns_clone=1"
)


@dataclass(frozen=True, slots=True)
class Cover:
    """What stands in place of the machine's ``/etc/pam.d`` and ``/etc/passwd``."""

    pam_d: Path
    passwd: Path

    def around(self, argv: Sequence[str]) -> list[str]:
        """The command that runs ``argv`` under it."""
        unshare = [program("unshare", "util-linux"), "--mount"]
        if os.geteuid() != 0:
            unshare.append("--map-root-user")
        shell = ["sh", "-c", f'{_COVER}exec "$@"', "sh", str(self.pam_d), str(self.passwd)]
        return [*unshare, *shell, *argv]


class Talker:
    """A small Python program of this folder that answers each line with one. A context manager."""

    def __init__(
        self, script: str, environment: Mapping[str, str], *arguments: str, cover: Cover | None
    ) -> None:
        self._environment = environment
        argv = [sys.executable, "-I", "-S", str(_HERE / script), *arguments]
        self._argv = cover.around(argv) if cover else argv
        self._cover = cover

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(
            self._argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **self._environment},
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        """It ends when its input does."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            self._child.wait(5.0)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        for pipe in (self._child.stdout, self._child.stderr):
            assert pipe is not None
            pipe.close()

    def ask(self, **fields: object) -> dict[str, Any]:
        """Its answer. Raises WardError when it ended instead."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write(json.dumps(fields) + "\n")
            self._child.stdin.flush()
            line = self._child.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WardError(self._why_ended())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _why_ended(self) -> str:
        assert self._child.stderr is not None
        said = self._child.stderr.read().strip()
        if self._cover is not None and ("unshare" in said or "mount" in said):
            return _NO_NAMESPACE.format(said)
        return f"{self._argv[-1]} ended: {said}"


class Spawner:
    """Runs foreign programs one after the other, timed where they are forked."""

    def __init__(self, environment: Mapping[str, str], cover: Cover | None = None) -> None:
        self._talker = Talker("runner.py", environment, cover=cover)

    def __enter__(self) -> Self:
        self._talker.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._talker.__exit__()

    def run(self, argv: Sequence[str], stdin: str = "") -> tuple[float, str]:
        """Milliseconds from its fork to its end, and its words. Raises WardError if it failed."""
        done = self._talker.ask(argv=list(argv), stdin=stdin)
        if done["status"] != 0:
            raise WardError(f"{argv[0]} ended with {done['status']}: {done['said'].strip()}")
        return done["ns"] / 1e6, str(done["said"])
