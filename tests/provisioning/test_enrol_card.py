"""A card that others issued is registered by what it proves, and nothing is written to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import pytest

from contract.directory import Credential, Slot
from contract.ids import Guid
from contract.signing import Algorithm as KeyAlgorithm
from hardware.piv import Pin
from hardware.virtual.applet import Quirks
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card
from hardware.virtual.keys import CardKey
from hardware.virtual.names import CERTIFICATE_OF, Access, Algorithm, Ins, ObjectTag, PinPolicy
from hardware.virtual.names import Slot as CardSlot
from hardware.virtual.powered import PoweredCard
from hardware.virtual.sample import certificate, certificate_object, chuid, personalised
from provisioning.cards.enrol import enrol_card
from provisioning.directory.entries import IssuedCard
from provisioning.errors import CardBlocked, CardUnfit, GuidTaken, PinRefused

PIN = "471902"
BOTH = (CardSlot.AUTHENTICATION, CardSlot.CARD_AUTHENTICATION)
WRITES = {
    Ins.PUT_DATA,
    Ins.GENERATE_ASYMMETRIC_KEY_PAIR,
    Ins.IMPORT_KEY,
    Ins.CHANGE_REFERENCE_DATA,
    Ins.RESET_RETRY_COUNTER,
    Ins.SET_MANAGEMENT_KEY,
}


def foreign(slots: Iterable[CardSlot] = BOTH, algorithm: Algorithm = Algorithm.ECC_P256) -> Card:
    return personalised(pin=PIN.encode(), slots=slots, algorithm=algorithm, certificates=True)


def enrol(
    card: Card,
    pin: str | None = PIN,
    behaviour: Behaviour | None = None,
    known: Callable[[Guid, tuple[Credential, ...]], str | None] = lambda _guid, _keys: None,
) -> IssuedCard:
    before = (dict(card.objects), dict(card.keys), card.pin.value, card.puk.value)
    visit = PoweredCard(card, behaviour or Behaviour())
    try:
        asked = None if pin is None else Pin(pin)
        return enrol_card(visit, lambda: asked, known, time.monotonic_ns)
    finally:
        assert (dict(card.objects), dict(card.keys), card.pin.value, card.puk.value) == before
        assert not {one.ins for one in card.record.exchanges} & WRITES


@pytest.mark.parametrize(
    ("algorithm", "named"),
    [(Algorithm.ECC_P256, KeyAlgorithm.P256), (Algorithm.RSA_2048, KeyAlgorithm.RSA2048)],
)
def test_both_keys_are_registered_as_they_proved_themselves(
    algorithm: Algorithm, named: KeyAlgorithm
) -> None:
    card = foreign(algorithm=algorithm)
    enrolled = enrol(card)
    assert enrolled.guid == (card.guid or b"").hex()
    assert {(c.slot, c.algorithm, c.pin_gated) for c in enrolled.credentials} == {
        (Slot.CARD_AUTHENTICATION, named, False),
        (Slot.PIV_AUTHENTICATION, named, True),
    }
    assert card.pin.left == 3


def test_without_its_pin_the_tap_alone_is_registered() -> None:
    (only,) = enrol(foreign(), pin=None).credentials
    assert only.slot is Slot.CARD_AUTHENTICATION


def test_a_card_without_9e_is_registered_by_9a_and_its_pin() -> None:
    card = foreign([CardSlot.AUTHENTICATION])
    (only,) = enrol(card).credentials
    assert (only.slot, only.pin_gated) == (Slot.PIV_AUTHENTICATION, True)
    with pytest.raises(CardUnfit, match="9A alone"):
        enrol(card, pin=None)


def test_a_strict_card_without_contact_shows_its_tap_alone() -> None:
    behaviour = Behaviour(access=Access.CONTACTLESS_STRICT)
    (only,) = enrol(foreign(), behaviour=behaviour).credentials
    assert only.slot is Slot.CARD_AUTHENTICATION


def test_a_key_that_cannot_sign_on_is_passed_over() -> None:
    card = foreign()
    card.objects[CERTIFICATE_OF[CardSlot.AUTHENTICATION]] = certificate_object(b"no certificate")
    (only,) = enrol(card).credentials
    assert only.slot is Slot.CARD_AUTHENTICATION


@pytest.mark.parametrize(
    "quirks", [Quirks(any_pin=True), Quirks(any_pin_in_words_only=True, ungated_9a=True)]
)
def test_a_card_that_takes_any_pin_is_refused(quirks: Quirks) -> None:
    with pytest.raises(CardUnfit):
        enrol(foreign(), behaviour=Behaviour(quirks=quirks))


def test_a_card_that_only_says_it_took_the_pin_is_refused() -> None:
    """Somebody in the middle answers VERIFY; 9A stays shut, so nothing is proved."""
    with pytest.raises(CardUnfit, match="9A stays shut"):
        enrol(foreign(), behaviour=Behaviour(quirks=Quirks(any_pin_in_words_only=True)))


def test_a_card_that_signs_with_another_key_than_it_shows_is_refused() -> None:
    for slot in BOTH:
        liar = foreign()
        liar.keys[slot] = CardKey.generate(Algorithm.ECC_P256, liar.keys[slot].pin_policy)
        with pytest.raises(CardUnfit, match="does not sign with the key it showed"):
            enrol(liar)


def test_an_ungated_card_is_refused() -> None:
    with pytest.raises(CardUnfit, match="signs without a PIN"):
        enrol(foreign(), behaviour=Behaviour(quirks=Quirks(ungated_9a=True)))


def test_one_key_in_both_slots_is_refused() -> None:
    card = foreign()
    key = card.keys[CardSlot.CARD_AUTHENTICATION]
    card.keys[CardSlot.AUTHENTICATION] = CardKey(key.private, PinPolicy.ONCE)
    same = certificate_object(certificate(key.public))
    card.objects[CERTIFICATE_OF[CardSlot.AUTHENTICATION]] = same
    with pytest.raises(CardUnfit, match="one key in 9A and 9E"):
        enrol(card)


def test_a_card_without_a_guid_of_its_own_is_refused() -> None:
    card = foreign()
    card.objects[ObjectTag.CHUID] = chuid(bytes(16))
    with pytest.raises(CardUnfit, match="zeros"):
        enrol(card)
    with pytest.raises(CardUnfit, match="blank"):
        enrol(Card())


def test_a_card_that_the_directory_knows_is_refused() -> None:
    with pytest.raises(GuidTaken, match="h-bo's"):
        enrol(foreign(), known=lambda _guid, _keys: "its GUID is h-bo's")


def test_keys_of_another_kind_are_refused_in_words() -> None:
    card = foreign(slots=[CardSlot.SIGNATURE])
    with pytest.raises(CardUnfit, match="no key in 9E or 9A"):
        enrol(card)


def test_a_mistyped_pin_costs_one_try_and_says_how_many_are_left() -> None:
    card = foreign()
    with pytest.raises(PinRefused, match="2 tries left"):
        enrol(card, pin="471903")
    card.pin.left = 0
    with pytest.raises(CardBlocked):
        enrol(card)
