"""Backends of the workspace on a bench, each with an eye on what it really shows.

The hooks' program is a real one: a shell script whose glass is a file, and which tells over a pipe
what it has done. `misbehave` makes it fail or hang.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from contract.ids import HolderId, PositionId, SessionId
from firmware_py.sessions.port import SessionAbout, Workspace
from firmware_py.sessions.values import Kind
from firmware_py.workspace.command import CommandWorkspace
from firmware_py.workspace.hooks import Hooks
from firmware_py.workspace.screen import ScreenWorkspace
from runtime.clock import Clock, SystemClock
from tests.test_house.tree import ROOT

DEADLINE_S: Final = 10.0
"""For a test to see what it waits for; far above what anything takes."""

PROGRAM: Final = r"""#!/bin/sh
cd "$HOME" || exit 9
read -r line
verb=${line#*\"verb\": \"}; verb=${verb%%\"*}
session=${line#*\"session\": }; session=${session%%,*}; session=${session#\"}; session=${session%\"}
printf '%s\n' "$line" >> told
if [ -e "hang.$verb" ]; then
    sleep 600 &
    printf '%s %s\n' "$$" "$!" > hung
    printf 'hangs %s\n' "$verb" > done
    wait
fi
if [ -e "fail.$verb" ]; then printf 'fails %s\n' "$verb" > done; exit 7; fi
case $verb in
    show) printf '%s' "$session" > glass ;;
    lock) rm -f glass ;;
esac
printf '%s %s\n' "$verb" "$session" > done
"""


def a_session() -> SessionId:
    return SessionId(secrets.token_hex(16))


def about(session: SessionId, initials: str = "AH") -> SessionAbout:
    return SessionAbout(
        session, HolderId("h-amal"), PositionId("p-nurse"), "RN", Kind.ORDINARY, initials
    )


class Stand(Protocol):
    """One backend, and what is seen of it."""

    failures: list[str]

    @property
    def workspace(self) -> Workspace: ...

    async def settle(self) -> None:
        """Until everything asked so far has been done."""
        ...

    def glass(self) -> str | None:
        """Whose work it shows, by its own account."""
        ...

    async def close(self) -> None: ...


class ScreenStand:
    def __init__(self) -> None:
        self.workspace = ScreenWorkspace()
        self.failures: list[str] = []

    async def settle(self) -> None:
        await asyncio.sleep(0)

    def glass(self) -> str | None:
        return self.workspace.shown

    async def close(self) -> None:
        await self.workspace.close()


class HookStand:
    """A site's program in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        *,
        program: str = PROGRAM,
        limit_s: float = 5.0,
        clock: Clock | None = None,
        path: str = "",
    ) -> None:
        self.folder = folder
        self.program = folder / "program"
        self.program.write_text(program)
        self.program.chmod(0o700)
        os.mkfifo(folder / "done")
        self._pipe = os.open(folder / "done", os.O_RDWR | os.O_NONBLOCK)
        self._half = b""
        self.done: list[str] = []
        self._news = asyncio.Event()
        self.failures: list[str] = []
        asyncio.get_running_loop().add_reader(self._pipe, self._read)
        environment = {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PATH": f"{path}{os.environ['PATH']}",
            "SECRET": "not for it",
        }
        clock = clock or SystemClock()
        hooks = Hooks(self.program, limit_s, clock, environment)
        self.workspace = CommandWorkspace(hooks, clock, self._failed)

    def misbehave(self, how: str, verb: str) -> None:
        """``fail`` or ``hang`` at a verb."""
        (self.folder / f"{how}.{verb}").touch()

    def behave(self) -> None:
        for file in (*self.folder.glob("fail.*"), *self.folder.glob("hang.*")):
            file.unlink()

    @property
    def told(self) -> list[dict[str, object]]:
        """What it has read, a hook each."""
        return [json.loads(line) for line in (self.folder / "told").read_text().splitlines()]

    async def until(self, wanted: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not wanted():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"done: {self.done}; failed: {self.failures}") from None

    async def settle(self) -> None:
        """A parked stranger comes last: whatever was asked before has been done by then."""
        stranger = a_session()
        self.workspace.create(stranger, about(stranger))
        self.workspace.park(stranger)
        self.workspace.dispose(stranger)
        await self.until(lambda: f"dispose {stranger}" in self.done)

    def glass(self) -> str | None:
        glass = self.folder / "glass"
        return glass.read_text() if glass.exists() else None

    async def close(self) -> None:
        await self.workspace.close()
        asyncio.get_running_loop().remove_reader(self._pipe)
        os.close(self._pipe)

    def _failed(self, why: str) -> None:
        self.failures.append(why)
        self._news.set()

    def _read(self) -> None:
        *lines, self._half = (self._half + os.read(self._pipe, 65536)).split(b"\n")
        self.done += [line.decode() for line in lines]
        self._news.set()


EXAMPLE: Final = ROOT / "docs" / "examples" / "remote-desktop"
_AROUND: Final = r"""#!/bin/sh
read -r line
verb=${line#*\"verb\": \"}; verb=${verb%%\"*}
session=${line#*\"session\": }; session=${session%%,*}; session=${session#\"}; session=${session%\"}
printf '%s\n' "$line" | EXAMPLE
status=$?
printf '%s %s\n' "$verb" "$session" > "$HOME/done"
exit $status
"""
# A client's window is there a moment after its start, and is on the glass at once.
_XFREERDP: Final = r"""#!/bin/sh
for each; do case $each in /title:*) window=${each#/title:tapover-};; esac; done
touch "$HOME/on-the-glass/$window" "$HOME/there/$window"
trap 'rm -f "$HOME/on-the-glass/$window" "$HOME/there/$window"; exit' TERM
sleep 600 &
wait
"""
_XDOTOOL: Final = r"""#!/bin/sh
for each; do case $each in ^tapover-*) window=${each#^tapover-}; window=${window%\$};; esac; done
case " $* " in
    *" search --sync "*) while [ ! -e "$HOME/there/$window" ]; do sleep 0.01; done ;;
esac
[ -e "$HOME/there/$window" ] || exit 1
case " $* " in
    *" windowmap "*) touch "$HOME/on-the-glass/$window" ;;
    *" windowunmap "*) rm -f "$HOME/on-the-glass/$window" ;;
    *" --onlyvisible "*) [ -e "$HOME/on-the-glass/$window" ] ;;
esac
"""


class DesktopStand(HookStand):
    """The example of docs/examples, with stand-ins for client and window tool: no X is here."""

    def __init__(self, folder: Path) -> None:
        for name in ("bin", "on-the-glass", "there"):
            (folder / name).mkdir()
        for name, program in (("xfreerdp", _XFREERDP), ("xdotool", _XDOTOOL)):
            (folder / "bin" / name).write_text(program)
            (folder / "bin" / name).chmod(0o700)
        around = _AROUND.replace("EXAMPLE", str(EXAMPLE))
        super().__init__(folder, program=around, path=f"{folder / 'bin'}:")

    def glass(self) -> str | None:
        windows = [file.name for file in (self.folder / "on-the-glass").iterdir()]
        assert len(windows) <= 1
        return windows[0] if windows else None
