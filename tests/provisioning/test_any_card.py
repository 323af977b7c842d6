"""Whatever a card answers, a command ends in one of our own errors, or rightly."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.ids import SiteId
from hardware.apdu import HardwareError
from hardware.piv import Pin
from hardware.readers import Interface
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card
from hardware.virtual.names import CERTIFICATE_OF, ObjectTag, Slot
from hardware.virtual.powered import PoweredCard
from hardware.virtual.sample import personalised
from provisioning.cards.desk import Desk
from provisioning.cards.enrol import enrol_card
from provisioning.cards.making import issue_at, undo_card
from provisioning.cards.report import inspect_card
from provisioning.errors import ProvisioningError
from provisioning.site.folder import SiteFolder, init_site
from runtime.clock import SystemClock

PIN = "471902"
FOREIGN = personalised(pin=PIN.encode(), certificates=True)
READ = (
    ObjectTag.CHUID,
    CERTIFICATE_OF[Slot.AUTHENTICATION],
    CERTIFICATE_OF[Slot.CARD_AUTHENTICATION],
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder, clock = SiteFolder(tmp_path_factory.mktemp("any") / "site"), SystemClock()
    init_site(folder, SiteId("st-elsewhere"), ("127.0.0.1",), None, clock.wall_ms())
    return Desk.open(folder, clock)


class Babbling:
    """Answers what it was told to, then success and nothing."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = iter(answers)

    def transmit(self, apdu: bytes) -> bytes:
        return next(self._answers, b"\x90\x00")


answers = st.lists(
    st.one_of(
        st.binary(max_size=80),
        st.binary(max_size=80).map(lambda data: data + b"\x90\x00"),
        st.sampled_from([b"\x90\x00", b"\x6a\x82", b"\x69\x82", b"\x63\xc2", b"\x61\x10"]),
    ),
    max_size=12,
)


@given(answers)
def test_a_babbling_card(desk: Desk, answers: list[bytes]) -> None:
    for work in (
        lambda channel: issue_at(desk, channel, "h-amal", Pin(PIN)),
        lambda channel: undo_card(desk, channel),
        lambda channel: enrol_card(channel, lambda: Pin(PIN), lambda *_: None, time.monotonic_ns),
    ):
        with pytest.raises((HardwareError, ProvisioningError)):
            work(Babbling(answers))
    with contextlib.suppress(HardwareError):
        inspect_card(Babbling(answers), Interface.CONTACT, time.monotonic_ns)


@given(st.sampled_from(READ), st.data())
def test_a_foreign_card_with_any_byte_changed(tag: ObjectTag, data: st.DataObject) -> None:
    card = Card(pin=FOREIGN.pin, keys=FOREIGN.keys, objects=dict(FOREIGN.objects))
    changed = bytearray(card.objects[tag])
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] = data.draw(st.integers(0, 255))
    card.objects[tag] = bytes(changed)
    visit = PoweredCard(card, Behaviour())
    inspect_card(visit, Interface.CONTACT, time.monotonic_ns)
    with contextlib.suppress(HardwareError, ProvisioningError):
        enrol_card(visit, lambda: Pin(PIN), lambda *_: None, time.monotonic_ns)
