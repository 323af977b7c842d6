"""The machine under a run, in words that a reader elsewhere needs to compare."""

from __future__ import annotations

import hashlib
import os
import platform
import sqlite3
import ssl
import subprocess
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Final

from benchmarks.harness.record import percentile
from benchmarks.ward.processes import WardError, unprivileged_user
from firmware_py.evidence.committer import connect
from gateway.store.engine import open_engine, sqlite_url

PYTHON_PARTS: Final = ("cryptography", "pydantic", "pyscard", "aiomqtt", "sqlalchemy", "uvicorn")
DEBIAN_PARTS: Final = (
    "mosquitto",
    "pcscd",
    "vsmartcard-vpcd",
    "opensc",
    "libpam-p11",
    "libpam-pkcs11",
    "yubico-piv-tool",
    "postgresql",
)
_FLUSHES: Final = 200
_NO_DISK: Final = frozenset({"tmpfs", "ramfs"})
_MODES: Final = ("OFF", "NORMAL", "FULL", "EXTRA")
_PAGE: Final = bytes(4096)


class NoDisk(WardError):
    """The state folder lies in memory: a flush would cost nothing, and every figure would lie."""


def describe(state: Path) -> dict[str, str]:
    """Of this machine and of the folder where daemons keep their state. Raises NoDisk."""
    kind, device, options = file_system(state)
    if kind in _NO_DISK:
        raise NoDisk(f"{state} lies on {kind}: take a folder on a disk")
    flushes = flush_ms(state)
    return {
        "processor": _field(Path("/proc/cpuinfo"), "model name") or platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "system": f"{_release()}, Linux {platform.release()}, {platform.machine()}",
        "hypervisor": _hypervisor(),
        "state folder": f"{kind} on {device} ({options})",
        "a flush of 4 kB there": (
            f"p50 {percentile(flushes, 50):.2f} ms, p95 {percentile(flushes, 95):.2f} ms "
            f"({_FLUSHES} appends with fdatasync)"
        ),
        "synchronous mode": synchronous_modes(),
        "foreign servers run as": unprivileged_user() or "the same user",
        "Python": f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "OpenSSL": ssl.OPENSSL_VERSION,
        **{name: _python_version(name) for name in PYTHON_PARTS},
        **{name: version for name in DEBIAN_PARTS if (version := _debian_version(name))},
    }


def commit(repository: Path) -> str:
    """The commit, with a mark of the work tree's changes; "unknown" outside a checkout."""
    git = ["git", "-C", str(repository), "-c", "safe.directory=*"]
    head = _said([*git, "rev-parse", "--short=12", "HEAD"])
    changes = _said([*git, "diff", "HEAD"])
    mark = f"+changes-{hashlib.sha256(changes.encode()).hexdigest()[:8]}" if changes else ""
    return (head or "unknown") + mark


def file_system(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> tuple[str, str, str]:
    """Kind, device and options of the mount that holds ``folder``."""
    place, best = folder.resolve(), ("unknown", "unknown", "", "")
    for line in mounts.read_text(encoding="utf-8").splitlines():
        device, at, kind, options = line.split(" ")[:4]
        at = at.encode("ascii").decode("unicode_escape")
        # The latest mount over a folder is the one that is seen.
        if place.is_relative_to(at) and len(at) >= len(best[3]):
            best = (kind, device, options, at)
    return best[:3]


def flush_ms(folder: Path, count: int = _FLUSHES) -> list[float]:
    """What appending a page and waiting for the disk takes here."""
    took: list[float] = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(count):
            began = time.perf_counter()
            file.write(_PAGE)
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return took


def synchronous_modes() -> str:
    """As the databases that terminal and gateway open answer when they are asked."""
    with tempfile.TemporaryDirectory() as folder:
        journal = connect(Path(folder) / "journal.sqlite", create=True)
        ((terminal,),) = journal.execute("PRAGMA synchronous").fetchall()
        journal.close()
        engine = open_engine(sqlite_url(Path(folder) / "log.sqlite"))
        with engine.connect() as connection:
            gateway = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
        engine.dispose()
    return f"terminal {_MODES[terminal]}, gateway {_MODES[gateway]}"


def _field(path: Path, name: str) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return ""


def _memory() -> str:
    kib = int(_field(Path("/proc/meminfo"), "MemTotal").split()[0])
    return f"{kib / 1024 / 1024:.1f} GiB"


def _release() -> str:
    return str(platform.freedesktop_os_release().get("PRETTY_NAME", "Linux"))


def _hypervisor() -> str:
    return "yes" if " hypervisor" in _field(Path("/proc/cpuinfo"), "flags") else "none seen"


def _python_version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _debian_version(package: str) -> str:
    return _said(["dpkg-query", "-W", "-f", "${Version}", package])


def _said(argv: list[str]) -> str:
    """What a program answers; nothing where it is missing or fails."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
