"""Become another program: bound to its parent's life, unprivileged, and with a socket to serve.

Run as ``python -I -S launch.py PARENT USER FD PROGRAM [ARGUMENT ...]`` by `processes`; imports
nothing of ours. It replaces what would be a ``preexec_fn``, which is unsafe in a process with
threads. ``USER`` and ``FD`` may be ``-``. ``FD`` is a listening socket, handed on the way systemd
does it (sd_listen_fds(3)): as descriptor 3, with LISTEN_FDS and LISTEN_PID.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_LISTEN_FD: Final = 3  # SD_LISTEN_FDS_START


def _become(user: str) -> None:
    account = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def _die_with(parent: int) -> None:
    # After the change of user, which clears the setting.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        sys.exit("the parent died while its child was starting")


def main() -> None:
    """Become the program named in the arguments."""
    parent, user, descriptor, *program = sys.argv[1:]
    if user != "-":
        _become(user)
    _die_with(int(parent))
    if descriptor != "-":
        if int(descriptor) != _LISTEN_FD:
            os.dup2(int(descriptor), _LISTEN_FD)
            os.close(int(descriptor))
        os.set_inheritable(_LISTEN_FD, True)  # noqa: FBT003 - the library's own positional flag
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
    os.execvp(program[0], program)  # noqa: S606 - to become it is the point


main()
