"""A desk where cards are made by command, with a real pcscd and gateway, for the whole session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ward.pcscd import Pcscd
from benchmarks.ward.site import OPERATOR, Ward
from hardware.virtual.card import Card
from tests.provisioning.at_desk import CardDesk

# A reader just emptied is busy being seen empty: commands take them in turn.
PAIRS = ("Desk Contact", "Second Contact", "Desk Contactless")


@pytest.fixture(scope="session")
def desk_ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """Broker and gateway; no terminal, nobody with a card."""
    with Ward(tmp_path_factory.mktemp("w") / "ward", terminals=(), staff=()) as ward:
        yield ward


@pytest.fixture(scope="session")
def desk(desk_ward: Ward, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CardDesk]:
    folder = ("--folder", str(desk_ward.site.path))
    gateway = ("--as", OPERATOR, "--gateway", f"127.0.0.1:{desk_ward.admin_port}")
    with Pcscd(desk_ward.ports, PAIRS) as pcscd:
        papers = tmp_path_factory.mktemp("papers")
        yield CardDesk(pcscd, desk_ward.box, (*folder, *gateway), folder, papers)


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    """A card from the factory, by its file."""
    path = tmp_path / "card.json"
    Card.create(path)
    return path
