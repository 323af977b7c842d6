"""A software token of a test's own (SoftHSM), set up as a hardware token's owner would."""

from __future__ import annotations

import secrets
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.parts import program

LABEL: Final = "tapover test"


@dataclass
class SoftHsm:
    """A token in `folder`; `environment` is what a process needs that is to find it."""

    folder: Path
    pin: str = field(default_factory=lambda: f"{secrets.randbelow(10**8):08d}", repr=False)

    def __post_init__(self) -> None:
        (self.folder / "tokens").mkdir(parents=True)
        (self.folder / "softhsm2.conf").write_text(
            f"directories.tokendir = {self.folder / 'tokens'}\nlog.level = ERROR\n"
        )
        argv = [program("softhsm2-util"), "--init-token", "--free", "--label", LABEL]
        secret = ["--so-pin", "12345678", "--pin", self.pin]
        subprocess.run([*argv, *secret], check=True, capture_output=True, env=self.environment)

    @property
    def environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf"), "PATH": "/usr/bin:/bin"}

    @property
    def module(self) -> Path:
        """Debian puts it below its multi-arch folder, and links it here."""
        return Path("/usr/lib/softhsm/libsofthsm2.so")

    def objects(self) -> list[str]:
        """The kinds of the objects in it, as OpenSC's own tool lists them."""
        argv = [program("pkcs11-tool"), "--module", str(self.module), "--token-label", LABEL]
        done = subprocess.run(
            [*argv, "--login", "--pin", self.pin, "--list-objects"],
            check=True,
            capture_output=True,
            text=True,
            env=self.environment,
        )
        return [line for line in done.stdout.splitlines() if "Key Object" in line]
