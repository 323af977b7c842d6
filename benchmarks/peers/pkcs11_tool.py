"""``pkcs11-tool --login --sign``: OpenSC as Debian installs it, and with its file cache."""

from __future__ import annotations

import os
import shlex
from typing import ClassVar, Self

from benchmarks.peers import opensc
from benchmarks.peers.peer import Bench, Peer
from benchmarks.peers.spawn import Spawner
from benchmarks.ward.processes import program

_DIGEST_BYTES = 32


class Pkcs11Tool(Peer):
    """As installed."""

    name: ClassVar = "pkcs11-tool --login --sign"
    package: ClassVar = "opensc"
    about: ClassVar = "OpenSC as Debian installs it"

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        data = self.home / "digest"
        data.write_bytes(os.urandom(_DIGEST_BYTES))
        mechanism = "SHA256-RSA-PKCS" if bench.is_rsa else "ECDSA"
        self._argv = [
            *(program("pkcs11-tool", "opensc"), "--module", opensc.module()),
            *("--login", "--pin", "env:PIN", "--sign", "--id", "01", "-m", mechanism),
            *("-i", str(data), "-o", str(self.home / "signature")),
        ]

    @property
    def command(self) -> str:
        return shlex.join(self._argv)

    def settings(self) -> dict[str, str]:
        """OpenSC's environment."""
        return {"HOME": str(self.home)}

    def __enter__(self) -> Self:
        # A PIN on a command line is everybody's.
        environment = {**self.bench.environment, **self.settings(), "PIN": self.bench.member.pin}
        self._spawner = Spawner(environment).__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._spawner.__exit__()

    def once(self) -> float:
        return self._spawner.run(self._argv)[0]


class CachedPkcs11Tool(Pkcs11Tool):
    """At its quickest."""

    name: ClassVar = "OpenSC with its file cache"
    about: ClassVar = f"the same program; {opensc.QUICKEST}"

    @property
    def command(self) -> str:
        return f"OPENSC_CONF={self.home / 'opensc.conf'} {super().command}"

    def settings(self) -> dict[str, str]:
        return opensc.quickest(self.home)
