"""A blank card becomes somebody's card, also in two attempts."""

from __future__ import annotations

import secrets
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from hardware.apdu import CardError, CardMisbehaved, Sw
from hardware.personalise import (
    FACTORY_MANAGEMENT_KEY,
    FACTORY_PIN,
    FACTORY_PUK,
    CardMaker,
    ManagementKey,
    WrongManagementKey,
)
from hardware.piv import Pin, PinBlocked, WrongPin
from hardware.pivdata import (
    NON_FEDERAL,
    PIV_PIN_ONLY,
    Algorithm,
    Guid,
    KeySlot,
    ccc,
    chuid,
    fasc_n,
)
from hardware.tlv import Tlv
from hardware.virtual.applet import Applet
from hardware.virtual.card import Card

GUID = Guid(bytes(range(1, 17)))
NEW_PIN, NEW_PUK = Pin("314159"), Pin("27182818")
DER = Tlv(0x30, secrets.token_bytes(900))  # stands for a certificate: the card reads none of it
KINDS = [Algorithm.TDES, Algorithm.AES_128, Algorithm.AES_192, Algorithm.AES_256]


def maker(card: Card) -> CardMaker:
    return CardMaker(Applet(card), time.monotonic_ns)


def test_a_blank_card_becomes_somebodys() -> None:
    card, management = Card(), ManagementKey.random()
    at_work = maker(card)
    assert at_work.read_state().blank
    at_work.authenticate(FACTORY_MANAGEMENT_KEY)
    keys = {}
    for slot in (KeySlot.CARD_AUTHENTICATION, KeySlot.AUTHENTICATION):
        keys[slot] = at_work.generate_key(slot)
        at_work.put_certificate(slot, DER)
    at_work.put_chuid(GUID, "20301231")
    at_work.put_ccc(bytes(14))
    assert at_work.ensure_discovery() == PIV_PIN_ONLY
    at_work.change_puk(FACTORY_PUK, NEW_PUK)
    at_work.change_pin(FACTORY_PIN, NEW_PIN)
    at_work.set_management_key(management)

    again = maker(card)
    state = again.read_state()
    assert (state.blank, state.guid, state.discovery) == (False, GUID, PIV_PIN_ONLY)
    assert state.certificates == dict.fromkeys(keys, bytes(DER))
    with pytest.raises(WrongManagementKey):
        again.authenticate(FACTORY_MANAGEMENT_KEY)
    again.authenticate(management)
    again.client.verify_pin(NEW_PIN)
    digest = secrets.token_bytes(32)
    for slot, public in keys.items():
        signature = again.client.sign(slot, Algorithm.ECC_P256, digest)
        public.verify(signature, digest, ec.ECDSA(Prehashed(hashes.SHA256())))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_management_key_serves(kind: Algorithm) -> None:
    card, key = Card(), ManagementKey.random(kind)
    first = maker(card)
    first.authenticate(FACTORY_MANAGEMENT_KEY)
    first.set_management_key(key)
    second = maker(card)
    second.authenticate(key)
    second.put_chuid(GUID, "20301231")
    assert second.read_state().guid == GUID


def test_nothing_is_written_without_the_management_key() -> None:
    at_work = maker(Card())
    for write in (
        lambda: at_work.put_chuid(GUID, "20301231"),
        lambda: at_work.generate_key(KeySlot.AUTHENTICATION),
        lambda: at_work.set_management_key(ManagementKey.random()),
    ):
        with pytest.raises(CardError) as refused:
            write()
        assert refused.value.sw == Sw.SECURITY_STATUS_NOT_SATISFIED
    assert at_work.read_state().blank


def test_a_card_that_does_not_know_its_own_key_is_found_out() -> None:
    class Impostor:
        def transmit(self, apdu: bytes) -> bytes:
            if apdu[1] == 0xA4:
                return b"\x90\x00"
            tag = 0x80 if len(apdu) < 12 else 0x82
            return Tlv(0x7C, Tlv(tag, secrets.token_bytes(8))) + b"\x90\x00"

    with pytest.raises(CardMisbehaved):
        CardMaker(Impostor(), time.monotonic_ns).authenticate(FACTORY_MANAGEMENT_KEY)


def test_a_blocked_pin_is_opened_by_the_puk_alone() -> None:
    at_work = maker(Card())
    for _ in range(2):
        with pytest.raises(WrongPin):
            at_work.change_pin(NEW_PIN, NEW_PIN)
    with pytest.raises(PinBlocked):
        at_work.change_pin(NEW_PIN, NEW_PIN)
    with pytest.raises(WrongPin) as wrong:
        at_work.unblock_pin(NEW_PUK, NEW_PIN)
    assert wrong.value.attempts == 2
    at_work.unblock_pin(FACTORY_PUK, NEW_PIN)
    at_work.client.verify_pin(NEW_PIN)


def test_a_management_key_shows_itself_to_nobody() -> None:
    key = ManagementKey.random()
    assert key.value.hex() not in repr(key)
    with pytest.raises(ValueError):
        ManagementKey(Algorithm.AES_256, bytes(24))
    with pytest.raises(ValueError):
        ManagementKey(Algorithm.ECC_P256, bytes(32))


def test_a_fasc_n_has_odd_parity_in_every_symbol_and_a_check_over_all() -> None:
    bits = f"{int.from_bytes(fasc_n(NON_FEDERAL), 'big'):0200b}"
    symbols = [bits[at : at + 5] for at in range(0, 200, 5)]
    assert all(symbol.count("1") % 2 for symbol in symbols)
    check = 0
    for symbol in symbols:
        check ^= int(symbol[3::-1], 2)
    assert check == 0
    assert symbols[0] == "11010"  # the start sentinel, least significant bit first


def test_what_no_card_should_carry_is_not_built() -> None:
    for guid, expires in ((bytes(16), "20301231"), (GUID, "2030-12-31"), (GUID[:15], "20301231")):
        with pytest.raises(ValueError):
            chuid(Guid(guid), expires, fasc_n(NON_FEDERAL))
    with pytest.raises(ValueError):
        ccc(bytes(13))
    with pytest.raises(ValueError):
        fasc_n("12345")
