"""Cards and readers for the tests of the client side."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

import pytest

from benchmarks.ward.pcscd import Pcscd
from benchmarks.ward.ports import PortBlock
from hardware.personalise import FACTORY_MANAGEMENT_KEY, CardMaker
from hardware.pivdata import Guid, KeySlot
from hardware.virtual.applet import Applet
from hardware.virtual.card import Card

ISSUED = (KeySlot.CARD_AUTHENTICATION, KeySlot.AUTHENTICATION)


@pytest.fixture
def card() -> Card:
    """An issued card: a GUID, P-256 keys in 9E and 9A, PIN 123456."""
    card = Card()
    maker = CardMaker(Applet(card), time.monotonic_ns)
    maker.authenticate(FACTORY_MANAGEMENT_KEY)
    maker.put_chuid(Guid(secrets.token_bytes(16)), "20301231")
    for slot in ISSUED:
        maker.generate_key(slot)
    return card


@pytest.fixture
def pcscd() -> Iterator[Pcscd]:
    """A private pcscd with four virtual readers, for this process's own PC/SC calls."""
    with PortBlock() as ports, Pcscd(ports) as service:
        service.use_here()
        yield service
