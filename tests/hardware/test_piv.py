"""The PIV client against the virtual card in process: what a terminal asks, what it may hear."""

from __future__ import annotations

import copy
import gzip
import pickle
import secrets
import time
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from hypothesis import given
from hypothesis import strategies as st

from hardware.apdu import CardError, CardMisbehaved, HardwareError, Sw
from hardware.piv import (
    NotAllowed,
    NotPivCard,
    Pin,
    PinBlocked,
    PinNotTaken,
    PivClient,
    WrongPin,
    strict_ecdsa,
)
from hardware.pivdata import Algorithm, Discovery, KeySlot, UnusableCard, guid_in
from hardware.tlv import Tlv
from hardware.virtual.applet import AS_THE_STANDARD_SAYS, Applet, Quirks
from hardware.virtual.card import Card
from hardware.virtual.keys import CardKey
from hardware.virtual.names import Access, ObjectTag, PinPolicy
from hardware.virtual.names import Algorithm as CardAlgorithm

GOOD, BAD = Pin("123456"), Pin("654321")
P256, RSA = Algorithm.ECC_P256, Algorithm.RSA_2048
TAP_KEY, PIN_KEY = KeySlot.CARD_AUTHENTICATION, KeySlot.AUTHENTICATION
SHA256 = Prehashed(hashes.SHA256())


@dataclass
class Told:
    """A channel that answers ``answers`` in turn, to whatever it is sent."""

    answers: list[bytes]
    sent: list[bytes] = field(default_factory=list)

    def transmit(self, apdu: bytes) -> bytes:
        self.sent.append(apdu)
        return self.answers.pop(0)


def told(*answers: str) -> PivClient:
    return PivClient(Told([bytes.fromhex(answer) for answer in answers]), time.monotonic_ns)


def held(
    card: Card, access: Access = Access.CONTACT, quirks: Quirks = AS_THE_STANDARD_SAYS
) -> PivClient:
    client = PivClient(Applet(card, access, quirks), time.monotonic_ns)
    client.select()
    return client


def public_key(card: Card, slot: KeySlot) -> ec.EllipticCurvePublicKey:
    public = card.keys[slot].public
    assert isinstance(public, ec.EllipticCurvePublicKey)
    return public


# The warm tap.


@pytest.mark.parametrize("access", list(Access))
def test_a_warm_tap_is_three_exchanges_and_a_signature_by_the_cards_own_key(
    card: Card, access: Access
) -> None:
    client = PivClient(Applet(card, access), time.monotonic_ns)
    digest = secrets.token_bytes(32)
    client.select()
    assert client.read_guid() == card.guid
    signature = client.sign(TAP_KEY, P256, digest)
    public_key(card, TAP_KEY).verify(signature, digest, ec.ECDSA(SHA256))
    assert client.exchanges == 3
    assert client.card_ns > 0


def test_the_remainder_of_a_signed_chuid_is_not_fetched(card: Card) -> None:
    chuid = Tlv.parse(bytes(Tlv(0x53, card.objects[ObjectTag.CHUID])))
    parts = [tlv for tlv in chuid.children() if tlv.tag not in (0x3E, 0xFE)]
    signed = b"".join([*parts, Tlv(0x3E, secrets.token_bytes(1_900)), Tlv(0xFE)])
    card.objects[ObjectTag.CHUID] = signed
    client = held(card)
    assert client.read_guid() == card.guid
    digest = secrets.token_bytes(32)
    public_key(card, TAP_KEY).verify(client.sign(TAP_KEY, P256, digest), digest, ec.ECDSA(SHA256))
    assert client.exchanges == 3


def test_a_card_that_hands_out_lengths_first_costs_exchanges_and_no_more(card: Card) -> None:
    client = held(card, quirks=Quirks(exact_le=True))
    assert client.read_guid() == card.guid
    client.sign(TAP_KEY, P256, bytes(32))


def test_a_t0_card_that_sends_nothing_at_first_is_asked_on_for_its_guid() -> None:
    chuid = bytes(Tlv(0x53, Tlv(0x30, bytes(25)), Tlv(0x34, b"G" * 16), Tlv(0x35, b"2" * 8)))
    rest = f"61{len(chuid):02x}"
    assert told(rest, chuid.hex() + "9000").read_guid() == b"G" * 16


def test_a_foreign_rsa_card_signs_with_short_apdus(card: Card) -> None:
    card.keys[TAP_KEY] = CardKey.generate(CardAlgorithm.RSA_2048, PinPolicy.NEVER)
    client = held(card)
    digest = secrets.token_bytes(32)
    before = client.exchanges
    signature = client.sign(TAP_KEY, RSA, digest)
    public = card.keys[TAP_KEY].public
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(signature, digest, padding.PKCS1v15(), SHA256)
    assert client.exchanges - before == 3  # two links, and one GET RESPONSE


# The PIN.


def test_the_pin_key_signs_after_the_pin_and_not_before(card: Card) -> None:
    client = held(card)
    assert client.is_pin_gated(PIN_KEY, P256, secrets.token_bytes(32))
    client.verify_pin(GOOD)
    digest = secrets.token_bytes(32)
    public_key(card, PIN_KEY).verify(client.sign(PIN_KEY, P256, digest), digest, ec.ECDSA(SHA256))


def test_a_pin_that_stuck_from_earlier_does_not_pass_for_an_ungated_key(card: Card) -> None:
    client = held(card)
    client.verify_pin(GOOD)
    assert client.is_pin_gated(PIN_KEY, P256, bytes(32))
    with pytest.raises(NotAllowed):
        client.sign(PIN_KEY, P256, bytes(32))


def test_a_card_that_signs_without_a_pin_is_found_out(card: Card) -> None:
    assert not held(card, quirks=Quirks(ungated_9a=True)).is_pin_gated(PIN_KEY, P256, bytes(32))


def test_a_card_without_the_key_proves_nothing_about_its_pin(card: Card) -> None:
    del card.keys[PIN_KEY]
    with pytest.raises(CardError) as refused:
        held(card).is_pin_gated(PIN_KEY, P256, bytes(32))
    assert not isinstance(refused.value, NotAllowed)


def test_a_card_that_lies_about_the_pin_is_caught_by_its_key(card: Card) -> None:
    client = held(card, quirks=Quirks(any_pin_in_words_only=True))
    client.verify_pin(BAD)
    with pytest.raises(NotAllowed):
        client.sign(PIN_KEY, P256, bytes(32))


def test_a_wrong_pin_says_how_many_tries_are_left_until_it_is_blocked(card: Card) -> None:
    client = held(card)
    assert client.pin_attempts() == 3
    for left in (2, 1):
        with pytest.raises(WrongPin) as wrong:
            client.verify_pin(BAD)
        assert (wrong.value.attempts, client.pin_attempts()) == (left, left)
    with pytest.raises(PinBlocked):
        client.verify_pin(BAD)
    with pytest.raises(PinBlocked):
        client.verify_pin(GOOD)
    assert client.pin_attempts() == 0


def test_asking_for_the_tries_left_spends_none(card: Card) -> None:
    client = held(card)
    for _ in range(5):
        assert client.pin_attempts() == 3
    client.verify_pin(GOOD)
    assert client.pin_attempts() is None


def test_a_strict_contactless_card_takes_no_pin_and_spends_no_try(card: Card) -> None:
    client = held(card, Access.CONTACTLESS_STRICT)
    with pytest.raises(PinNotTaken):
        client.verify_pin(GOOD)
    with pytest.raises(NotAllowed):
        client.sign(PIN_KEY, P256, bytes(32))
    assert held(card).pin_attempts() == 3


@pytest.mark.parametrize(
    ("sw", "error"),
    [
        ("6300", WrongPin),
        ("63c4", WrongPin),
        ("63c0", PinBlocked),
        ("6983", PinBlocked),
        ("6984", PinBlocked),
        ("6700", PinNotTaken),
        ("6a80", PinNotTaken),
        ("6982", PinNotTaken),
        ("6d00", PinNotTaken),
        ("6e00", PinNotTaken),
    ],
)
def test_foreign_cards_words_about_a_pin_are_understood(sw: str, error: type[CardError]) -> None:
    with pytest.raises(error) as refused:
        told(sw).verify_pin(GOOD)
    assert refused.value.sw == int(sw, 16)


@pytest.mark.parametrize("digits", ["", "12345", "123456789", "12345a", "١٢٣٤٥٦", "12345 "])
def test_what_is_no_pin_never_reaches_a_card_nor_a_message(digits: str) -> None:
    with pytest.raises(ValueError) as refused:
        Pin(digits)
    assert not digits or digits not in str(refused.value)


def test_no_error_about_a_pin_quotes_it(card: Card, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with pytest.raises(WrongPin) as wrong:
        held(card).verify_pin(Pin("654321"))
    shown = f"{wrong.value!r} {wrong.value} {caplog.text}"
    assert "654321" not in shown
    assert b"654321".hex() not in shown


def test_a_pin_shows_itself_to_nobody() -> None:
    pin = Pin("271828")
    assert "271828" not in f"{pin} {pin!r} {[pin]}"
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leave(pin)
    assert pin.padded() == b"271828\xff\xff"


# Objects.


def test_a_compressed_certificate_is_unpacked_and_a_bomb_is_not() -> None:
    def answer(content: bytes, info: bytes) -> str:
        return (bytes(Tlv(0x53, Tlv(0x70, content), Tlv(0x71, info), Tlv(0xFE)))).hex() + "9000"

    for_9a = KeySlot.AUTHENTICATION
    assert told(answer(b"plain", b"\0")).read_certificate(for_9a) == b"plain"
    assert told(answer(gzip.compress(b"packed"), b"\1")).read_certificate(for_9a) == b"packed"
    for content in (gzip.compress(bytes(100_000)), gzip.compress(b"cut")[:-4], b"no gzip"):
        with pytest.raises(UnusableCard):
            told(answer(content, b"\1")).read_certificate(for_9a)


def test_the_discovery_object_says_which_pin_counts(card: Card) -> None:
    found = held(card).read_discovery()
    assert (found.application_pin, found.global_pin) == (True, False)
    assert Discovery.parse(bytes(found.encode())) == found


def test_a_card_of_another_trade_is_no_piv_card() -> None:
    with pytest.raises(NotPivCard):
        told("6a82").select()


def test_a_card_without_a_chuid_says_so(card: Card) -> None:
    del card.objects[ObjectTag.CHUID]
    with pytest.raises(CardError) as refused:
        held(card).read_guid()
    assert refused.value.sw == Sw.NOT_FOUND


@pytest.mark.parametrize(
    "head",
    [
        "",
        "5319" + "3010" + "00" * 16,  # no GUID before the end
        "5312" + "3410" + "00" * 16,  # zero GUID
        "5312" + "3410" + "11" * 15,  # cut in the GUID
        "5311" + "340F" + "11" * 15,  # a short one
        "7012" + "3410" + "11" * 16,  # not a data object
        "53820200" + "3080",  # indefinite
    ],
)
def test_a_card_without_a_usable_guid_is_unusable(head: str) -> None:
    with pytest.raises(UnusableCard):
        guid_in(bytes.fromhex(head))


def test_a_guid_is_found_behind_the_fields_that_may_stand_before_it() -> None:
    inner = Tlv(0xEE, b"\1\2") + Tlv(0x30, bytes(25)) + Tlv(0x34, b"G" * 16) + Tlv(0x35, b"2" * 8)
    assert guid_in(bytes(Tlv(0x53, inner))[:60]) == b"G" * 16


# Signatures as cards write them.


def test_sloppy_der_is_made_strict_and_nonsense_is_refused() -> None:
    strict = bytes.fromhex("3007020200ff020101")
    for sloppy in ("30060201ff020101", "300902030000ff02020001", "308107020200ff020101"):
        assert strict_ecdsa(bytes.fromhex(sloppy)) == strict
    order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
    for nonsense in ("", "3003020101", "3006020100020101", "3106020101020101",
                     "3026022100" + order + "020101", "300602010102010100"):  # fmt: skip
        with pytest.raises(CardMisbehaved):
            strict_ecdsa(bytes.fromhex(nonsense))


@given(st.integers(1, 2**255), st.integers(1, 2**255), st.integers(0, 3))
def test_every_signature_keeps_its_numbers(r: int, s: int, pad: int) -> None:
    def integer(number: int) -> Tlv:
        return Tlv(0x02, bytes(pad), number.to_bytes(33, "big"))

    strict = strict_ecdsa(bytes(Tlv(0x30, integer(r), integer(s))))
    pair = Tlv.parse(strict).children()
    assert [int.from_bytes(part.value, "big") for part in pair] == [r, s]
    assert strict_ecdsa(strict) == strict


@given(st.lists(st.binary(max_size=80) | st.just(b"\x90\x00"), min_size=40, max_size=40))
def test_a_card_may_answer_anything_and_only_our_own_errors_come_of_it(
    answers: list[bytes],
) -> None:
    client = PivClient(Told(answers * 40), time.monotonic_ns)
    for ask in (
        client.select,
        client.read_guid,
        client.pin_attempts,
        client.read_discovery,
        lambda: client.verify_pin(GOOD),
        lambda: client.read_certificate(PIN_KEY),
        lambda: client.sign(TAP_KEY, P256, bytes(32)),
        lambda: client.sign(TAP_KEY, RSA, bytes(32)),
    ):
        try:
            ask()
        except HardwareError:
            continue


def test_sign_takes_a_digest_and_nothing_else(card: Card) -> None:
    client = held(card)
    with pytest.raises(ValueError):
        client.sign(TAP_KEY, P256, b"a message")
    with pytest.raises(ValueError):
        client.sign(TAP_KEY, Algorithm.AES_128, bytes(32))
