"""A whole ward for the end-to-end tests: real pcscd, mosquitto, gateway and terminals."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ward.site import Ward
from tests.e2e.asking import Log


@pytest.fixture
def ward(short_tmp: Path) -> Iterator[Ward]:
    """Two terminals, five people, nobody signed on. A module may bring its own."""
    with Ward(short_tmp / "ward") as ward:
        yield ward


@pytest.fixture(scope="module")
def module_tmp() -> Iterator[Path]:
    """Like `short_tmp`, for a ward that serves a whole module."""
    path = Path(tempfile.mkdtemp(prefix="tap-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def log(ward: Ward, tmp_path: Path) -> Log:
    """What the ward has in its site's log."""
    return Log(ward, tmp_path / "log")
