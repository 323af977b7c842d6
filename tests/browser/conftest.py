"""A real Chromium before a ward of real parts. Each module brings its own ward."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ward.chromium import Chromium


@pytest.fixture(scope="module")
def module_tmp() -> Iterator[Path]:
    """A directory with a short path for everything of a module."""
    path = Path(tempfile.mkdtemp(prefix="tap-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def chromium(module_tmp: Path) -> Iterator[Chromium]:
    """Headless, with nothing in it."""
    with Chromium(module_tmp / "chromium") as chromium:
        yield chromium
