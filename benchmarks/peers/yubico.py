"""yubico-piv-tool: no PKCS#11, a PIN and a signature."""

from __future__ import annotations

import shlex
from typing import ClassVar, Self

from benchmarks.peers.peer import Bench, Peer
from benchmarks.peers.spawn import Spawner
from benchmarks.ward.processes import program


class YubicoPivTool(Peer):
    """It reads no certificate: it is told which one the card has."""

    name: ClassVar = "yubico-piv-tool"
    package: ClassVar = "yubico-piv-tool"
    about: ClassVar = (
        "PIN and a test signature by 9A, checked with a certificate that lies on disk; it does not "
        "ask whose card it is"
    )

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        certificate = bench.certificate_file(self.home / "9a.pem")
        self._argv = [
            *(program("yubico-piv-tool", "yubico-piv-tool"), "-r", bench.readers[0].name),
            *("--stdin-input", "-a", "verify-pin", "-a", "test-signature"),
            *("-s", "9a", "-i", str(certificate)),
        ]

    @property
    def command(self) -> str:
        return f"{shlex.join(self._argv)} <PIN"

    def __enter__(self) -> Self:
        self._spawner = Spawner(self.bench.environment).__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._spawner.__exit__()

    def once(self) -> float:
        return self._spawner.run(self._argv, f"{self.bench.member.pin}\n")[0]
