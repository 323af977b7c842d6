"""Real parts that tests run against. A missing one fails with the command that installs it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

# Program -> Debian package. `scripts/lib.sh` installs the same packages (a house test compares).
PACKAGE_OF: Final = {
    "chromium": "chromium",
    "faketime": "faketime",
    "gcc": "gcc",
    "mosquitto": "mosquitto",
    "mosquitto_pub": "mosquitto-clients",
    "mosquitto_sub": "mosquitto-clients",
    "opensc-tool": "opensc",
    "openssl": "openssl",
    "pamtester": "pamtester",
    "pcsc_scan": "pcsc-tools",
    "pcscd": "pcscd",
    "pkcs11-tool": "opensc",
    "softhsm2-util": "softhsm2",
    "swtpm": "swtpm",
    "systemd-analyze": "systemd",
    "strace": "strace",
    "yubico-piv-tool": "yubico-piv-tool",
}

# Daemons lie where an ordinary user's PATH may not look.
_SEARCH: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


def program(name: str) -> str:
    """The full path of a foreign program; fails the test with its installing command if absent."""
    found = shutil.which(name) or shutil.which(name, path=_SEARCH)
    if found is None:
        pytest.fail(_missing(name, PACKAGE_OF[name]), pytrace=False)
    return found


def file(path: Path, package: str) -> Path:
    """A foreign file such as a driver; fails the test with its installing command if absent."""
    if not path.exists():
        pytest.fail(_missing(str(path), package), pytrace=False)
    return path


def _missing(what: str, package: str) -> str:
    return (
        f"{what} is missing. Install it (as root):\n"
        f"    apt-get update && apt-get install -y --no-install-recommends {package}"
    )
