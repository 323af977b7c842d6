"""A private PC/SC service with virtual readers, by the real pcscd and vsmartcard's driver.

It runs unprivileged and is reached through PCSCLITE_CSOCK_NAME; the system's own pcscd, if there
is one, is not touched. A driver entry brings two readers, on two ports, on every address of the
machine (vpcd knows no other way). A virtual card plugs itself in by connecting to a reader's port.
"""

from __future__ import annotations

import atexit
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from benchmarks.ward.ports import PortBlock
from benchmarks.ward.processes import (
    Command,
    PartMissing,
    Process,
    WardError,
    program,
    unprivileged_user,
)

_DRIVER: Final = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
_RUN: Final = Path("/run/pcscd")  # pcscd ends without it, though it writes nothing there for us
_READER_LIST: Final = Path(__file__).with_name("reader_list.py")
_SOCKET_VARIABLE: Final = "PCSCLITE_CSOCK_NAME"
_BACKLOG: Final = 16
_READERS_A_PAIR: Final = 2
_MOST_READERS: Final = 16  # PCSCLITE_MAX_READERS_CONTEXTS

TWO_PAIRS: Final = ("Ward Contactless", "Ward Contact")


@dataclass(frozen=True, slots=True)
class VirtualReader:
    """A reader as PC/SC names it, and the port where its card connects (127.0.0.1)."""

    name: str
    port: int


class Pcscd:
    """One private pcscd: a context manager; may be killed and restarted on the same socket.

    ``pairs`` names driver entries, each two readers: the defaults give ``Ward Contactless 00 00``,
    ``… 00 01``, ``Ward Contact 00 00``, ``… 00 01``. Clients need `environment`.
    """

    def __init__(
        self, ports: PortBlock, pairs: Sequence[str] = TWO_PAIRS, log: Path | None = None
    ) -> None:
        """Prepare, without starting; ``log`` outlives it, else the log goes with its folder.

        Raises PartMissing with the command that installs the part.
        """
        if len(set(pairs)) != len(pairs) or not 0 < len(pairs) * _READERS_A_PAIR <= _MOST_READERS:
            # Two entries of one name would be two readers of one name.
            raise WardError(f"pairs of readers need different names, 1 to 8 of them: {pairs}")
        daemon = program("pcscd", "pcscd")
        if not _DRIVER.exists():
            raise PartMissing(str(_DRIVER), "vsmartcard-vpcd")
        _make_run_directory()
        # Short, since a unix socket's path has at most 107 bytes, and open to an unprivileged user.
        self.folder = Path(tempfile.mkdtemp(prefix="tap-pcscd-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.socket = self.folder / "socket"
        self._entries: dict[str, str] = {}
        self._without: Collection[str] = ()
        self.readers = self._configure(pairs, ports)
        options = ["--foreground", "--info", "--config", str(self.folder / "conf")]
        if _knows_polkit(daemon):
            options.append("--disable-polkit")
        self.process = Process(
            Command(
                name="pcscd",
                argv=[daemon, *options],
                log=log or self.folder / "pcscd.log",
                user=unprivileged_user(),
            )
        )

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def environment(self) -> dict[str, str]:
        """What a client process needs in its environment to reach this service."""
        return {_SOCKET_VARIABLE: str(self.socket)}

    def start(self) -> None:
        """Start it, and check that every reader is there. Raises WardError."""
        self.socket.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(self.socket))
            # Our copy closes at the end of this block: while no pcscd runs, clients are refused
            # at once, as on a machine whose pcscd was killed.
            listener.listen(_BACKLOG)
            if self.process.command.user is not None:
                os.chown(self.socket, pwd.getpwnam(self.process.command.user).pw_uid, -1)
            self.process.start(listen=listener)
        self.process.wait_for_line("daemon ready")
        self._check_readers()

    def kill(self) -> None:
        """SIGKILL: cards are unplugged, clients' contexts die."""
        self.process.kill()

    def restart(self, without: Collection[str] = ()) -> None:
        """Kill it if it runs, and start it on the same socket and ports. Raises WardError.

        ``without`` names pairs that are unplugged until the next restart: this driver's readers
        cannot be taken from a running service.
        """
        self.kill()
        self._write_configuration(without)
        self.start()

    def close(self) -> None:
        """Stop it and remove its files."""
        self.process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def use_here(self) -> None:
        """Let this process's own PC/SC calls reach this service, from now on.

        libpcsclite reads the variable once a process, so it gets a link that each call re-points.
        """
        link = _link_of_this_process()
        fresh = link.with_name(f"{link.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self.socket)
        fresh.replace(link)

    def list_readers(self) -> list[str]:
        """The readers that a client sees. Raises WardError if the service does not answer."""
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(_READER_LIST)],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        if done.returncode != 0:
            raise WardError(f"pcscd does not answer: {done.stderr.strip()}")
        return [str(name) for name in json.loads(done.stdout)]

    def _configure(self, pairs: Sequence[str], ports: PortBlock) -> tuple[VirtualReader, ...]:
        readers = []
        for number, pair in enumerate(pairs):
            taken = ports.take(_READERS_A_PAIR)
            # A copy each: pcscd hangs when two entries name one file, or a link to it.
            driver = shutil.copyfile(_DRIVER, self.folder / f"vpcd-{number}.so")
            self._entries[pair] = (
                f'FRIENDLYNAME "{pair}"\n'
                f"DEVICENAME /dev/null:{taken.start}\n"
                f"LIBPATH {driver}\n"
                f"CHANNELID {taken.start}\n"
            )
            readers += [
                VirtualReader(f"{pair} 00 {slot:02d}", port) for slot, port in enumerate(taken)
            ]
        self._write_configuration(())
        return tuple(readers)

    def _write_configuration(self, without: Collection[str]) -> None:
        conf = self.folder / "conf"
        conf.mkdir(exist_ok=True)
        self._without = without
        plugged = [entry for pair, entry in self._entries.items() if pair not in without]
        (conf / "ward").write_text("".join(plugged))

    def _check_readers(self) -> None:
        # pcscd runs on without a reader whose port was taken.
        unplugged = tuple(f"{pair} 00 " for pair in self._without)
        names = {reader.name for reader in self.readers}
        wanted = {name for name in names if not name.startswith(unplugged)}
        found = set(self.list_readers())
        if found != wanted:
            self.process.kill()
            said = "\n".join(f"    {line}" for line in self.process.lines)
            raise WardError(
                f"pcscd offers {sorted(found)} instead of {sorted(wanted)}; is another program on "
                f"ports {self.readers[0].port} to {self.readers[-1].port}? It said:\n{said}"
            )


def _make_run_directory() -> None:
    if _RUN.is_dir():
        return
    try:
        _RUN.mkdir(mode=0o755, exist_ok=True)
    except PermissionError as error:
        raise WardError(
            f"pcscd needs the directory {_RUN}. Make it (as root):\n    mkdir -p {_RUN}"
        ) from error


def _knows_polkit(daemon: str) -> bool:
    """pcsc-lite from 2.0 on asks polkit about each client, which a private one cannot pass."""
    said = subprocess.run(
        [daemon, "--help"], capture_output=True, text=True, timeout=10, check=False
    )
    return "--disable-polkit" in said.stdout + said.stderr


def _link_of_this_process() -> Path:
    present = os.environ.get(_SOCKET_VARIABLE, "")
    if Path(present).name == f"tap-pcsc-{os.getpid()}":
        return Path(present)
    folder = Path(tempfile.mkdtemp(prefix="tap-link-", dir="/tmp"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    link = folder / f"tap-pcsc-{os.getpid()}"
    os.environ[_SOCKET_VARIABLE] = str(link)
    return link
