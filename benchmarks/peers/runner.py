"""Run programs and time them from a small process: ``python -I -S runner.py``.

A line of JSON in, ``{"argv": [...], "stdin": "..."}``; a line out. It imports nothing of ours, so
that forking costs little, and it may stand in a mount namespace of its own (see `spawn`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Final

_SAID: Final = 2000  # characters of a program's words that are handed on
_TIMEOUT_S: Final = 60.0


def main() -> None:
    """Until the driver closes our input."""
    for line in sys.stdin:
        wanted = json.loads(line)
        began_ns = time.monotonic_ns()
        try:
            done = subprocess.run(
                wanted["argv"],
                input=wanted["stdin"].encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_TIMEOUT_S,
                check=False,
            )
            status, said = done.returncode, done.stdout.decode(errors="replace")
        except (OSError, subprocess.TimeoutExpired) as error:
            status, said = -1, str(error)
        ended_ns = time.monotonic_ns()
        answer = {"ns": ended_ns - began_ns, "status": status, "said": said[-_SAID:]}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
