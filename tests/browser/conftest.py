"""A real Chromium before a ward of real parts, which all of these tests share.

What a test needs of it otherwise than it began, it sets and sets back; people who must not have
proved a PIN yet are hired for the test (`ward_life.fresh`).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ward.chromium import Chromium
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal
from tests.browser.eyes import Watched
from tests.browser.ward_life import CREW, ORDINARY, watching

GIVE_UP = {"card_deadline_s": 3.0}


@pytest.fixture(scope="package")
def package_tmp() -> Iterator[Path]:
    """A directory with a short path."""
    path = Path(tempfile.mkdtemp(prefix="tap-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="package")
def ward(package_tmp: Path) -> Iterator[Ward]:
    """Two terminals at work, one in its box; five people."""
    folder = package_tmp / "ward"
    bays = ("bay-1", "bay-2")
    with Ward(folder, bays, CREW, ORDINARY, settings=GIVE_UP, blank=("bay-9",)) as ward:
        yield ward


@pytest.fixture(scope="package")
def bay(ward: Ward) -> WardTerminal:
    """Where most of it happens."""
    return ward["bay-1"]


@pytest.fixture(scope="package")
def browser(package_tmp: Path) -> Iterator[Chromium]:
    """Its processes."""
    with Chromium(package_tmp / "chromium") as chromium:
        yield chromium


@pytest.fixture(scope="package")
def chromium(browser: Chromium) -> Iterator[Chromium]:
    """Headless, with nothing in it. Its driver's event loop must not outlive these tests."""
    with browser.driven():
        yield browser


@pytest.fixture(scope="module")
def screen(ward: Ward, bay: WardTerminal, chromium: Chromium) -> Iterator[Watched]:
    """The page of the first terminal, with touch."""
    with watching(ward, chromium, bay) as screen:
        yield screen
