"""A whole ward for the end-to-end tests: real pcscd, mosquitto, gateway and terminals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ward.site import Ward


@pytest.fixture
def ward(short_tmp: Path) -> Iterator[Ward]:
    """Two terminals, five people, nobody signed on."""
    with Ward(short_tmp / "ward") as ward:
        yield ward
