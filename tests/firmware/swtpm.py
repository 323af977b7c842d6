"""A TPM 2.0 in software, of a test's own; switched off and on again it is the same one."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.parts import program

_FIRST, _LAST = 32_000, 32_700  # below the ports of outgoing connections


class Swtpm:
    """A context manager. `tcti` is how it is reached."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._port = _free_pair()
        self.tcti = f"swtpm:host=127.0.0.1,port={self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.switch_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.switch_off()

    def switch_on(self) -> None:
        self._process = subprocess.Popen(
            [
                *(program("swtpm"), "socket", "--tpm2", "--tpmstate", f"dir={self._folder}"),
                *("--server", f"type=tcp,port={self._port},bindaddr=127.0.0.1"),
                *("--ctrl", f"type=tcp,port={self._port + 1},bindaddr=127.0.0.1"),
                *("--flags", "not-need-init,startup-clear"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port + 1), 1).close()
            except OSError:
                assert time.monotonic() < deadline, "swtpm does not answer"
                time.sleep(0.01)
            else:
                return

    def switch_off(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


def _free_pair() -> int:
    for port in range(_FIRST, _LAST, 2):
        try:
            for one in (port, port + 1):
                socket.create_server(("127.0.0.1", one)).close()
        except OSError:
            continue
        return port
    raise AssertionError("no two ports are free")
