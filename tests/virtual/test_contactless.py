"""What a card gives away through the air: little when strict, everything when lenient."""

from __future__ import annotations

import pytest

from hardware.apdu import Sw
from hardware.readers import Interface
from hardware.virtual.applet import Applet
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card
from hardware.virtual.names import Access
from tests.virtual.talk import Talk

DIGEST = bytes(range(32))


@pytest.fixture
def strict(card: Card) -> Talk:
    speaker = Talk(Applet(card, Access.CONTACTLESS_STRICT))
    speaker.select()
    return speaker


@pytest.mark.parametrize("tag", ["5FC102", "5FC101", "7E"])
def test_a_strict_card_shows_chuid_discovery_and_the_9e_certificate(strict: Talk, tag: str) -> None:
    assert strict.get(tag)[1] == Sw.OK


@pytest.mark.parametrize("tag", ["5FC105", "5FC10A", "5FC10B", "5FC107", "5FC109", "5FC103"])
def test_a_strict_card_shows_nothing_else(strict: Talk, tag: str) -> None:
    assert strict.get(tag) == (b"", Sw.SECURITY_STATUS_NOT_SATISFIED)


def test_a_strict_card_signs_with_9e(strict: Talk) -> None:
    assert strict.sign(0x9E, DIGEST)[1] == Sw.OK


def test_a_strict_card_takes_no_pin_and_counts_none(strict: Talk, card: Card) -> None:
    assert strict.verify("000000") == Sw.SECURITY_STATUS_NOT_SATISFIED
    assert strict.verify("123456") == Sw.SECURITY_STATUS_NOT_SATISFIED
    assert strict.tries() == Sw.SECURITY_STATUS_NOT_SATISFIED
    assert card.pin.left == 3


@pytest.mark.parametrize("slot", [0x9A, 0x9C, 0x9D])
def test_a_strict_card_uses_no_other_key(strict: Talk, slot: int) -> None:
    assert strict.sign(slot, DIGEST)[1] == Sw.SECURITY_STATUS_NOT_SATISFIED


def test_a_strict_card_cannot_be_written(strict: Talk) -> None:
    refused = Sw.SECURITY_STATUS_NOT_SATISFIED
    assert strict.manage() == refused
    assert strict.put("5FC107", b"x") == refused
    assert strict.generate(0x9E)[1] == refused
    assert strict.change("80", "123456", "654321") == refused
    assert strict.unblock("12345678", "654321") == refused
    assert strict.sw("00FB0000") == refused


def test_a_lenient_card_works_as_in_the_slot(card: Card) -> None:
    talk = Talk(Applet(card, Access.CONTACTLESS_LENIENT))
    talk.select()
    assert talk.verify("123456") == Sw.OK
    assert talk.sign(0x9A, DIGEST)[1] == Sw.OK
    assert talk.get("5FC105")[1] == Sw.OK


@pytest.mark.parametrize(
    ("access", "interface"),
    [
        (Access.CONTACT, Interface.CONTACT),
        (Access.CONTACTLESS_STRICT, Interface.CONTACTLESS),
        (Access.CONTACTLESS_LENIENT, Interface.CONTACTLESS),
    ],
)
def test_the_access_names_the_interface(access: Access, interface: Interface) -> None:
    assert Behaviour(access).interface is interface
