"""PAM modules through pamtester, under a cover that holds their service and their user alone."""

from __future__ import annotations

import shlex
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Final, Self

from benchmarks.peers.peer import Bench, Peer
from benchmarks.peers.spawn import Cover, Spawner
from benchmarks.ward.processes import WardError, program

SERVICE: Final = "tapover-benchmark"
USER: Final = "tapover-benchmark"
_YES: Final = "successfully authenticated"


class PamPeer(Peer):
    """A PAM module with a service of its own. The user's home holds the certificate to expect."""

    ends: ClassVar = "pamtester has ended: successfully authenticated"

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        bench.certificate_file(self.home / "user" / ".eid" / "authorized_certificates")
        pam_d, passwd = self.home / "pam.d", self.home / "passwd"
        pam_d.mkdir()
        (pam_d / SERVICE).write_text(f"auth required {self.rule()}\n")
        line = f"{USER}:x:0:0::{self.home / 'user'}:/bin/false\n"
        passwd.write_text(Path("/etc/passwd").read_text() + line)
        self._cover = Cover(pam_d, passwd)
        self._argv = [program("pamtester", "pamtester"), SERVICE, USER, "authenticate"]

    @abstractmethod
    def rule(self) -> str:
        """Module and arguments, as they stand in the service file."""

    def settings(self) -> dict[str, str]:
        """OpenSC's environment: as Debian installs it, unless said otherwise."""
        return {"HOME": str(self.home)}

    @property
    def command(self) -> str:
        conf = self.settings().get("OPENSC_CONF")
        before = f"OPENSC_CONF={conf} " if conf else ""
        return f"{before}{shlex.join(self._argv)} <PIN    # auth required {self.rule()}"

    def __enter__(self) -> Self:
        environment = {**self.bench.environment, **self.settings()}
        self._spawner = Spawner(environment, self._cover).__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._spawner.__exit__()

    def once(self) -> float:
        took_ms, said = self._spawner.run(self._argv, f"{self.bench.member.pin}\n")
        if _YES not in said:
            raise WardError(f"{self.name}: {said.strip()}")
        return took_ms
