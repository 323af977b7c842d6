"""A real broker for the tests of the link."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ward.ports import PortBlock
from tests.ward.site import BrokerSite


@pytest.fixture
def site(tmp_path: Path) -> Iterator[BrokerSite]:
    """A real broker, running, with the authorities of both its sides."""
    with PortBlock() as ports:
        site = BrokerSite(ports, tmp_path)
        with site.mosquitto:
            yield site
