"""A blank card becomes somebody's; a card that lies or is not gated by its PIN is found out."""

from __future__ import annotations

import pytest
from cryptography import x509

from contract.directory import Slot
from contract.ids import HolderId, SiteId, WardId
from contract.policy import GraceScope, Policy
from hardware.piv import Pin
from hardware.pivdata import Algorithm
from hardware.tlv import Tlv
from hardware.virtual.applet import Quirks
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card
from hardware.virtual.faults import WrongStatus
from hardware.virtual.names import CERTIFICATE_OF, Ins
from hardware.virtual.powered import PoweredCard
from provisioning.cards.journal import CardBook
from provisioning.cards.making import issue_card
from provisioning.directory.entries import entitle, read_holder, read_policy
from provisioning.errors import BadInput, CardOfAnother, CardUnfit
from provisioning.site import keys
from provisioning.site.card_keys import CardKeys
from provisioning.site.folder import SiteFolder, init_site
from runtime.clock import SystemClock

CLOCK = SystemClock()
HOLDER = (
    b'{"holder":"h-amal","name":{"full":"Amal Haddad","short":"Amal H.","initials":"AH"},'
    b'"positions":[{"id":"ed-nurse","role":"R8001","name":"Nurse","areas":[]}]}'
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> SiteFolder:
    folder = SiteFolder(tmp_path_factory.mktemp("cards") / "site")
    init_site(folder, SiteId("st-elsewhere"), ("127.0.0.1",), None, CLOCK.wall_ms())
    return folder


def test_an_issued_card_carries_what_its_entitlement_says(site: SiteFolder) -> None:
    card = Card()
    issued = issue_card(PoweredCard(card, Behaviour()), site, "h-amal", Pin("274913"), CLOCK)
    guid = card.guid
    assert guid is not None
    assert issued.guid == guid.hex()
    assert {c.slot: c.pin_gated for c in issued.credentials} == {
        Slot.CARD_AUTHENTICATION: False,
        Slot.PIV_AUTHENTICATION: True,
    }
    entitlement = entitle(issued, read_holder(HOLDER), CLOCK.wall_ms())
    assert entitlement.holder == "h-amal"
    assert entitlement.guid == issued.guid


def test_a_card_that_is_somebodys_is_left_alone(site: SiteFolder) -> None:
    card = Card()
    issue_card(PoweredCard(card, Behaviour()), site, "h-amal", Pin("274913"), CLOCK)
    before = (card.guid, card.keys, card.objects, card.pin.value)
    with pytest.raises(CardOfAnother, match="not blank"):
        issue_card(PoweredCard(card, Behaviour()), site, "h-bo", Pin("551900"), CLOCK)
    assert (card.guid, card.keys, card.objects, card.pin.value) == before


def test_an_ungated_9a_is_recorded_as_such(site: SiteFolder) -> None:
    behaviour = Behaviour(quirks=Quirks(ungated_9a=True))
    issued = issue_card(PoweredCard(Card(), behaviour), site, "h-amal", Pin("274913"), CLOCK)
    gates = {c.slot: c.pin_gated for c in issued.credentials}
    assert gates[Slot.PIV_AUTHENTICATION] is False


def test_a_card_that_takes_any_pin_is_not_issued(site: SiteFolder) -> None:
    behaviour = Behaviour(quirks=Quirks(any_pin=True))
    with pytest.raises(CardUnfit, match="wrong PIN"):
        issue_card(PoweredCard(Card(), behaviour), site, "h-amal", Pin("274913"), CLOCK)


def test_the_card_has_secrets_of_its_own_and_none_lies_about(site: SiteFolder) -> None:
    cards = [Card(), Card()]
    for card in cards:
        issue_card(PoweredCard(card, Behaviour()), site, "h-amal", Pin("274913"), CLOCK)
    first, second = cards
    assert len({first.management_key, second.management_key, Card().management_key}) == 3
    assert len({first.puk.value, second.puk.value, Card().puk.value}) == 3
    for path in site.path.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            for card in cards:
                assert card.puk.value not in data, path
                assert card.management_key not in data, path
                assert card.management_key.hex().encode() not in data, path
                assert b"274913" not in data, path


def test_the_puk_is_kept_for_the_desk_and_for_the_gateway(site: SiteFolder) -> None:
    card = Card()
    issued = issue_card(PoweredCard(card, Behaviour()), site, "h-amal", Pin("274913"), CLOCK)
    record = CardBook(site.authority / "cards").recall(issued.guid)
    assert record is not None
    assert record.puk is not None
    for key in (site.authority / "puk.key.pem", site.gateway / "puk.key.pem"):
        assert record.puk.open(keys.read_p256(key)) == card.puk.value


def test_certificates_name_the_card_and_hold_under_the_card_ca(site: SiteFolder) -> None:
    card = Card()
    issued = issue_card(PoweredCard(card, Behaviour()), site, "h-amal", Pin("274913"), CLOCK)
    ca = keys.read_certificate(site.authority / "card_ca.crt.pem")
    for slot, tag in CERTIFICATE_OF.items():
        if slot in card.keys:
            stored = Tlv(0x53, card.objects[tag]).child(0x70)
            certificate = x509.load_der_x509_certificate(stored)
            certificate.verify_directly_issued_by(ca)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            (urn,) = names.value.get_values_for_type(x509.UniformResourceIdentifier)
            assert urn.replace("-", "") == f"urn:uuid:{issued.guid}"
            assert certificate.public_key() == card.keys[slot].public


def test_grace_on_the_whole_ward_asks_who_approved_it() -> None:
    policy = Policy(
        ward=WardId("ed"),
        salt="5a" * 16,
        grace_scope=GraceScope.WARD,
        grace_approved_by=HolderId("h-elena"),
    )
    assert read_policy(policy.to_bytes()) == policy
    unapproved = policy.to_bytes().replace(b',"grace_approved_by":"h-elena"', b"")
    with pytest.raises(BadInput, match="grace_approved_by"):
        read_policy(unapproved)


def test_a_holders_file_is_taken_whole_or_not_at_all() -> None:
    with pytest.raises(BadInput, match="positions"):
        read_holder(HOLDER.replace(b'"areas"', b'"wards"'))


def test_a_card_that_knows_no_aes_gets_a_3des_key_of_its_own(site: SiteFolder) -> None:
    class Older:
        """A YubiKey before 5.4."""

        def __init__(self, card: Card) -> None:
            self.card = PoweredCard(card, Behaviour())

        def transmit(self, apdu: bytes) -> bytes:
            if apdu[1] == Ins.SET_MANAGEMENT_KEY and apdu[5] != Algorithm.TDES:
                return bytes.fromhex("6a80")
            return self.card.transmit(apdu)

    card = Card()
    issued = issue_card(Older(card), site, "h-amal", Pin("274913"), CLOCK)
    own = CardKeys.load(site.authority).master.management_key(issued.guid, Algorithm.TDES)
    assert card.management_key == own.value
    # Its own key is found again: the card can be made once more for the same holder.
    assert issue_card(Older(card), site, "h-amal", Pin("551900"), CLOCK).guid == issued.guid


def test_what_is_no_piv_card_is_told(site: SiteFolder) -> None:
    behaviour = Behaviour(faults=(WrongStatus(sw=0x6A82, ins=Ins.SELECT),))
    with pytest.raises(CardUnfit, match="no PIV card"):
        issue_card(PoweredCard(Card(), behaviour), site, "h-amal", Pin("274913"), CLOCK)
