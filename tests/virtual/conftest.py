"""Cards and readers for the tests of the virtual card."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.ward.pcscd import Pcscd
from benchmarks.ward.ports import PortBlock
from hardware.virtual.applet import Applet
from hardware.virtual.card import Card
from hardware.virtual.names import Slot
from hardware.virtual.sample import personalised
from hardware.virtual.vpcd import Rotation, VirtualReader
from tests.virtual.pcsc_talk import EMPTY, await_state
from tests.virtual.talk import Talk


@pytest.fixture
def blank() -> Card:
    return Card()


@pytest.fixture
def card() -> Card:
    """A personalised card with P-256 keys and certificates in all four slots."""
    return personalised(slots=Slot, certificates=True)


@pytest.fixture
def talk(card: Card) -> Talk:
    """A personalised card on a contact reader, its application selected."""
    speaker = Talk(Applet(card))
    speaker.select()
    return speaker


@pytest.fixture(scope="module")
def pcscd() -> Iterator[Pcscd]:
    with PortBlock() as ports, Pcscd(ports) as service:
        service.use_here()
        yield service


@pytest.fixture(scope="module")
def rotation(pcscd: Pcscd) -> Rotation:
    """A reader just emptied is busy being seen empty; the next test takes another."""
    return Rotation([VirtualReader(one.port) for one in pcscd.readers])


@pytest.fixture
def reader(pcscd: Pcscd, rotation: Rotation) -> Iterator[VirtualReader]:
    """A reader that pcscd sees empty."""
    with rotation.free() as one:
        await_state(name_of(pcscd, one), EMPTY)
        yield one


@pytest.fixture
def name(pcscd: Pcscd, reader: VirtualReader) -> str:
    """What PC/SC calls the reader."""
    return name_of(pcscd, reader)


def name_of(pcscd: Pcscd, reader: VirtualReader) -> str:
    return next(one.name for one in pcscd.readers if one.port == reader.port)
