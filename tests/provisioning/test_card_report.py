"""What any card could do, told without a PIN and without writing."""

from __future__ import annotations

import time
from functools import cache

import pytest

from hardware.readers import Interface
from hardware.virtual.applet import Quirks
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card
from hardware.virtual.faults import WrongStatus
from hardware.virtual.keys import CardKey
from hardware.virtual.names import Access, Algorithm, Ins, Slot
from hardware.virtual.powered import PoweredCard
from hardware.virtual.sample import personalised
from provisioning.cards.report import CardReport, inspect_card

STRICT = Behaviour(access=Access.CONTACTLESS_STRICT)
LENIENT = Behaviour(access=Access.CONTACTLESS_LENIENT)
CONTACT = Behaviour()


@cache
def a_card(algorithm: Algorithm) -> Card:
    """Made once: three RSA pairs take seconds where every core is busy."""
    return personalised(algorithm=algorithm, certificates=True)


def report(card: Card, behaviour: Behaviour = CONTACT) -> CardReport:
    visit = PoweredCard(card, behaviour)
    told = inspect_card(visit, behaviour.interface, time.monotonic_ns)
    assert card.pin.left == 3
    return told


@pytest.mark.parametrize("algorithm", [Algorithm.ECC_P256, Algorithm.RSA_2048])
@pytest.mark.parametrize(
    ("behaviour", "tap", "pin", "pin_by_tap"),
    [
        (CONTACT, True, True, None),
        (STRICT, True, False, False),
        (LENIENT, True, True, True),
    ],
)
def test_tap_and_pin_are_told_for_the_interface(
    algorithm: Algorithm, behaviour: Behaviour, *, tap: bool, pin: bool, pin_by_tap: bool | None
) -> None:
    told = report(a_card(algorithm), behaviour)
    assert (told.tap.works, told.pin.works, told.pin_by_tap.works) == (tap, pin, pin_by_tap)
    assert told.interface is behaviour.interface


def test_a_person_reads_a_table_and_a_program_the_same() -> None:
    card = personalised(certificates=True)
    told = report(card)
    lines = dict(line.split("  ", 1) for line in told.text.splitlines())
    assert lines["GUID"].strip() == (card.guid or b"").hex()
    assert lines["tap"].strip().startswith("yes: 9E signs")
    assert lines["PIN by tap"].strip().startswith("not known")
    assert told.to_json()["tap"] == {"works": True, "why": "9E signs (ecdsa-p256-sha256)"}
    assert told.to_json()["interface"] == "contact"


def test_each_fault_is_told_in_words() -> None:
    ungated = Behaviour(quirks=Quirks(ungated_9a=True))
    assert "without a PIN" in report(personalised(certificates=True), ungated).pin.words
    liar = personalised(certificates=True)
    liar.keys[Slot.CARD_AUTHENTICATION] = CardKey.generate(
        Algorithm.ECC_P256, liar.keys[Slot.CARD_AUTHENTICATION].pin_policy
    )
    assert report(liar).tap.works is False
    only_9a = personalised(slots=[Slot.AUTHENTICATION], certificates=True)
    assert "9E" in report(only_9a).tap.why
    assert report(only_9a).pin.works is True
    sticky = Behaviour(quirks=Quirks(pin_survives_reset=True))
    assert report(personalised(certificates=True), sticky).pin.works is True


def test_a_blank_card_and_no_piv_card_are_told() -> None:
    blank = report(Card())
    assert (blank.tap.works, blank.guid, blank.pin_tries) == (False, None, 3)
    assert "blank" in blank.tap.why
    no_piv = Behaviour(faults=(WrongStatus(sw=0x6A82, ins=Ins.SELECT),))
    assert "no PIV card" in report(personalised(), no_piv).tap.why


def test_a_blocked_pin_is_told() -> None:
    card = personalised(certificates=True)
    card.pin.left = 0
    told = inspect_card(PoweredCard(card, CONTACT), Interface.CONTACT, time.monotonic_ns)
    assert (told.pin.works, told.pin_tries) == (False, 0)
    assert "blocked" in told.pin.words
