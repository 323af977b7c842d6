"""A blocked PIN is opened and the PUK replaced; a card is renewed before its certificates end."""

from __future__ import annotations

import time

import pytest
from cryptography import x509

from contract.directory import Entitlement
from contract.ids import Guid, SiteId
from hardware.apdu import CardTorn
from hardware.piv import Pin
from hardware.tlv import Tlv
from hardware.virtual.card import Card, padded
from hardware.virtual.names import CERTIFICATE_OF, Algorithm, Slot
from hardware.virtual.sample import personalised
from provisioning.cards import care as card_care
from provisioning.cards import puks, standing
from provisioning.cards.desk import Desk
from provisioning.cards.enrol import enrol_card
from provisioning.cards.making import issue_at
from provisioning.directory import entries
from provisioning.errors import BadInput, CardBlocked, CardUnfit, NotOurCard, PinRefused, PukUnknown
from provisioning.site import keys
from provisioning.site.folder import SiteFolder, init_site
from runtime.clock import ManualClock, SystemClock
from tests.provisioning.torn import HOLDER, PIN, Tearing, expect_whole, held

NEW_PIN = "806152"
NAMED = (
    b'{"holder":"h-amal","name":{"full":"Amal Haddad","short":"Amal H.","initials":"AH"},'
    b'"positions":[]}'
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = SiteFolder(tmp_path_factory.mktemp("care") / "site")
    clock = SystemClock()
    init_site(folder, SiteId("st-elsewhere"), ("127.0.0.1",), None, clock.wall_ms())
    return Desk.open(folder, clock)


@pytest.fixture
def card(desk: Desk) -> Card:
    card = Card()
    issue_at(desk, held(card), HOLDER, Pin(PIN))
    return card


def entitlement(desk: Desk, card: Card) -> Entitlement:
    made = issue_at(desk, held(card), HOLDER, Pin(PIN))
    return entries.entitle(made, entries.read_holder(NAMED), desk.clock.wall_ms())


def block(card: Card) -> None:
    card.pin.left = 0


def test_a_blocked_pin_is_opened_and_the_puk_is_another(desk: Desk, card: Card) -> None:
    block(card)
    puk = card.puk.value
    unlocked = card_care.unlock_card(desk, held(card), Pin(NEW_PIN))
    assert unlocked.pin_gated
    assert card.puk.value != puk
    expect_whole(desk, card, NEW_PIN)
    record = desk.book.recall(unlocked.guid)
    assert record is not None
    assert record.puk is not None
    assert record.puk.generation == 2


def test_unlocking_torn_at_any_exchange_is_finished_by_running_it_again(
    desk: Desk, card: Card
) -> None:
    at, finished = 0, False
    while not finished:
        at += 1
        for executed in (False, True):
            block(card)
            try:
                channel = Tearing(held(card), at, executed)
                card_care.unlock_card(desk, channel, Pin(NEW_PIN))
                finished = True
            except CardTorn:
                assert card.puk.left > 0
                card_care.unlock_card(desk, held(card), Pin(NEW_PIN))
            expect_whole(desk, card, NEW_PIN)
    assert at > 15


def test_a_puk_that_others_have_changed_or_blocked_is_told(desk: Desk, card: Card) -> None:
    block(card)
    kept = card.puk.value
    card.puk.value = b"11223344"
    with pytest.raises(PukUnknown):
        card_care.unlock_card(desk, held(card), Pin(NEW_PIN))
    assert card.puk.left == 2
    card.puk.left = 0
    with pytest.raises(CardBlocked):
        card_care.unlock_card(desk, held(card), Pin(NEW_PIN))
    card.puk.value, card.puk.left = kept, 3
    card_care.unlock_card(desk, held(card), Pin(NEW_PIN))
    expect_whole(desk, card, NEW_PIN)


def test_a_card_that_others_issued_cannot_be_unlocked(desk: Desk) -> None:
    for other in (Card(), personalised(certificates=True)):
        with pytest.raises(NotOurCard):
            card_care.unlock_card(desk, held(other), Pin(NEW_PIN))


def ends(card: Card, slot: Slot) -> int:
    der = Tlv(0x53, card.objects[CERTIFICATE_OF[slot]]).child(0x70)
    return int(x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp())


def test_a_renewed_card_has_the_same_keys_and_ends_later(desk: Desk, card: Card) -> None:
    before = entitlement(desk, card)
    held_keys, first = dict(card.keys), ends(card, Slot.AUTHENTICATION)
    clock = ManualClock(wall_ms=desk.clock.wall_ms())
    clock.advance(2 * 365 * 24 * 3600)
    later = Desk(desk.folder, desk.keys, desk.book, clock)
    proved = card_care.renew(later, held(card), before, Pin(PIN))
    assert card.keys == held_keys
    assert ends(card, Slot.AUTHENTICATION) - first == 2 * 365 * 24 * 3600
    assert ends(card, Slot.CARD_AUTHENTICATION) == ends(card, Slot.AUTHENTICATION)
    ca = keys.read_certificate(desk.folder.authority / "card_ca.crt.pem")
    der = Tlv(0x53, card.objects[CERTIFICATE_OF[Slot.AUTHENTICATION]]).child(0x70)
    x509.load_der_x509_certificate(der).verify_directly_issued_by(ca)
    longer = standing.extend(before, proved, clock.wall_ms())
    assert longer.credentials == before.credentials
    assert longer.not_after_ms > before.not_after_ms
    expect_whole(desk, card)


def test_renewal_torn_at_any_exchange_is_finished_by_running_it_again(
    desk: Desk, card: Card
) -> None:
    before = entitlement(desk, card)
    at, finished = 0, False
    while not finished:
        at += 1
        for executed in (False, True):
            try:
                card_care.renew(desk, Tearing(held(card), at, executed), before, Pin(PIN))
                finished = True
            except CardTorn:
                card_care.renew(desk, held(card), before, Pin(PIN))
            expect_whole(desk, card)


def test_a_card_with_other_keys_than_its_entitlement_says_is_not_renewed(
    desk: Desk, card: Card
) -> None:
    before = entitlement(desk, card)
    other = card.clone_with_other_keys()
    other.pin.value = padded(PIN.encode())
    stored = dict(other.objects)
    with pytest.raises(CardUnfit, match="does not sign"):
        card_care.renew(desk, held(other), before, Pin(PIN))
    assert other.objects == stored
    with pytest.raises(PinRefused):
        card_care.renew(desk, held(card), before, Pin(NEW_PIN))


def test_a_foreign_card_is_renewed_without_writing_to_it(desk: Desk) -> None:
    foreign = personalised(pin=PIN.encode(), algorithm=Algorithm.RSA_2048, certificates=True)
    enrolled = enrol_card(held(foreign), lambda: Pin(PIN), lambda *_: None, time.monotonic_ns)
    before = entries.entitle(enrolled, entries.read_holder(NAMED), desk.clock.wall_ms())
    stored = dict(foreign.objects)
    assert card_care.renew(desk, held(foreign), before, Pin(PIN)) == before.credentials
    assert foreign.objects == stored


def test_a_puk_that_the_gateway_put_in_place_is_taken_over(desk: Desk, card: Card) -> None:
    record = desk.book.recall(Guid((card.guid or b"").hex()))
    assert record is not None
    assert record.puk is not None
    assert record.puk in set(puks.escrows(desk.book))
    card.puk.value = b"55190042"
    sealed = desk.keys.seal(record.guid, record.puk.generation + 1, Pin("55190042"))
    assert puks.adopt(desk.book, desk.keys, sealed).puk == sealed
    assert puks.adopt(desk.book, desk.keys, record.puk).puk == sealed
    card_care.unlock_card(desk, held(card), Pin(NEW_PIN))
    expect_whole(desk, card, NEW_PIN)
    strangers = sealed.model_copy(update={"generation": 9})
    with pytest.raises(BadInput):
        puks.adopt(desk.book, desk.keys, strangers)
    with pytest.raises(NotOurCard):
        puks.adopt(desk.book, desk.keys, sealed.model_copy(update={"guid": "ab" * 16}))


@pytest.mark.parametrize("taken", [False, True])
def test_a_puk_of_which_nobody_heard_whether_the_card_took_it_is_found_out(
    desk: Desk, card: Card, *, taken: bool
) -> None:
    record = desk.book.recall(Guid((card.guid or b"").hex()))
    assert record is not None
    assert record.puk is not None
    sealed = desk.keys.seal(record.guid, record.puk.generation + 1, Pin("55190042"))
    if taken:
        card.puk.value = b"55190042"
    assert puks.adopt(desk.book, desk.keys, sealed, certain=False).puk == record.puk
    card_care.unlock_card(desk, held(card), Pin(NEW_PIN))
    expect_whole(desk, card, NEW_PIN)
