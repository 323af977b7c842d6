"""SELECT, data objects and key pairs: the card keeps to SP 800-73-4 part 2."""

from __future__ import annotations

import hashlib
import secrets

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from hardware.apdu import Sw
from hardware.virtual.applet import Applet
from hardware.virtual.card import Card
from hardware.virtual.names import Algorithm, Slot
from hardware.virtual.sample import personalised
from tests.virtual.talk import AID, Talk

DIGEST = hashlib.sha256(b"generated").digest()
SIGNED_WITH_SHA256 = ec.ECDSA(Prehashed(hashes.SHA256()))


def public(card: Card, slot: int) -> ec.EllipticCurvePublicKey:
    key = card.keys[slot].public
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


@pytest.mark.parametrize("length", [5, 9, 11])
def test_the_application_is_selected_by_its_name_or_a_right_truncation(
    blank: Card, length: int
) -> None:
    name = bytes.fromhex(AID)[:length]
    data, sw = Talk(Applet(blank)).send(b"\x00\xa4\x04\x00" + bytes((length,)) + name + b"\0")
    assert sw == Sw.OK
    assert data[0] == 0x61
    assert bytes.fromhex("4F06 000010000100") in data


@pytest.mark.parametrize("name", ["A0000003", "A000000308000010000101", "A0000005272001", ""])
def test_another_application_is_not_found_and_leaves_the_selected_one(
    talk: Talk, name: str
) -> None:
    body = bytes.fromhex(name)
    answer = talk.sw(b"\x00\xa4\x04\x00" + bytes((len(body),)) + body)
    assert answer == Sw.NOT_FOUND
    assert talk.get("5FC102")[1] == Sw.OK


def test_nothing_works_before_the_application_is_selected(card: Card) -> None:
    talk = Talk(Applet(card))
    assert talk.get("5FC102")[1] == Sw.INS_NOT_SUPPORTED
    assert talk.verify("123456") == Sw.INS_NOT_SUPPORTED


def test_the_guid_lies_in_the_first_60_bytes_of_the_chuid(talk: Talk, card: Card) -> None:
    data, sw = talk.get("5FC102")
    assert sw == Sw.OK
    assert card.guid is not None
    assert card.guid in data[:60]


def test_the_discovery_object_names_the_application_and_its_own_pin_only(talk: Talk) -> None:
    assert talk.get("7E") == (bytes.fromhex(f"7E124F0B{AID}5F2F024000"), Sw.OK)


@pytest.mark.parametrize("tag", ["5FC101", "5FC105", "5FC10A", "5FC10B"])
def test_each_key_has_its_certificate(talk: Talk, tag: str) -> None:
    data, sw = talk.get(tag)
    assert sw == Sw.OK
    assert data[0] == 0x53


@pytest.mark.parametrize("tag", ["5FC107", "5FC106", "5FC10C", "7F61", "5FFF00", "5FC1FF"])
def test_an_object_that_is_not_there_is_not_found(talk: Talk, tag: str) -> None:
    assert talk.get(tag) == (b"", Sw.NOT_FOUND)


@pytest.mark.parametrize("tag", ["5FC103", "5FC108", "5FC109", "5FC121"])
def test_personal_objects_are_read_with_the_pin_only(talk: Talk, tag: str) -> None:
    assert talk.manage() == Sw.OK
    assert talk.put(tag, b"generated") == Sw.OK
    assert talk.get(tag)[1] == Sw.SECURITY_STATUS_NOT_SATISFIED
    assert talk.verify("123456") == Sw.OK
    assert talk.get(tag) == (b"\x53\x09generated", Sw.OK)


def test_an_object_is_read_in_parts_of_the_asked_size(talk: Talk, card: Card) -> None:
    whole, _ = talk.get("5FC101")
    first, sw = talk.send("00CB3FFF 05 5C035FC101 08")
    assert first == whole[:8]
    assert sw == 0x6100 | min(len(whole) - 8, 0xFF)
    second, sw = talk.send("00C00000 10")
    assert second == whole[8:24]
    rest, sw = talk.whole("00C00000 00")
    assert (whole[24:], Sw.OK) == (rest, sw)


def test_a_new_command_ends_the_pending_answer(talk: Talk) -> None:
    assert talk.sw("00CB3FFF 05 5C035FC101 08") >> 8 == 0x61
    assert talk.tries() == 0x63C3
    assert talk.sw("00C00000 00") == Sw.CONDITIONS_NOT_SATISFIED


def test_objects_are_written_with_the_management_key_only(talk: Talk) -> None:
    assert talk.put("5FC107", b"x") == Sw.SECURITY_STATUS_NOT_SATISFIED
    assert talk.verify("123456") == Sw.OK
    assert talk.put("5FC107", b"x") == Sw.SECURITY_STATUS_NOT_SATISFIED
    assert talk.manage() == Sw.OK
    assert talk.put("5FC107", b"x") == Sw.OK
    assert talk.get("5FC107") == (b"\x53\x01x", Sw.OK)


def test_a_large_object_comes_in_a_chain_and_an_empty_one_removes_it(talk: Talk) -> None:
    large = secrets.token_bytes(3000)
    assert talk.manage() == Sw.OK
    assert talk.put("5FC10C", large) == Sw.OK
    assert talk.get("5FC10C") == (b"\x53\x82\x0b\xb8" + large, Sw.OK)
    assert talk.put("5FC10C", b"") == Sw.OK
    assert talk.get("5FC10C")[1] == Sw.NOT_FOUND


def test_more_than_the_card_holds_is_refused(talk: Talk) -> None:
    assert talk.manage() == Sw.OK
    assert talk.put("5FC10C", bytes(3073)) == Sw.NO_SPACE
    answers = {talk.put(f"5FC1{number:02X}", bytes(3072)) for number in range(0x0C, 0x20)}
    assert answers == {Sw.OK, Sw.NO_SPACE}


def test_an_endless_chain_is_cut_off(talk: Talk) -> None:
    link = bytes.fromhex("10DB3FFF FF") + bytes(255)
    answers = [talk.sw(link) for _ in range(20)]
    assert Sw.WRONG_LENGTH in answers


def test_a_chain_that_is_interrupted_is_forgotten(talk: Talk) -> None:
    assert talk.manage() == Sw.OK
    body = b"\x5c\x03\x5f\xc1\x07\x53\x82\x01\x00" + bytes(246)
    assert talk.sw(b"\x10\xdb\x3f\xff\xff" + body) == Sw.OK
    assert talk.tries() == 0x63C3
    assert talk.sw(b"\x00\xdb\x3f\xff\x0a" + bytes(10)) == Sw.INCORRECT_DATA
    assert talk.get("5FC107")[1] == Sw.NOT_FOUND


def test_9e_signs_without_a_pin(talk: Talk, card: Card) -> None:
    signature, sw = talk.sign(0x9E, DIGEST)
    assert sw == Sw.OK
    public(card, 0x9E).verify(signature, DIGEST, SIGNED_WITH_SHA256)


def test_9a_signs_after_the_pin_and_again(talk: Talk, card: Card) -> None:
    assert talk.sign(0x9A, DIGEST)[1] == Sw.SECURITY_STATUS_NOT_SATISFIED
    assert talk.verify("123456") == Sw.OK
    for _ in range(2):
        signature, sw = talk.sign(0x9A, DIGEST)
        assert sw == Sw.OK
        public(card, 0x9A).verify(signature, DIGEST, SIGNED_WITH_SHA256)


def test_9c_wants_the_pin_before_each_signature(talk: Talk) -> None:
    assert talk.verify("123456") == Sw.OK
    assert talk.sign(0x9C, DIGEST)[1] == Sw.OK
    assert talk.sign(0x9C, DIGEST)[1] == Sw.SECURITY_STATUS_NOT_SATISFIED
    assert talk.verify("123456") == Sw.OK
    assert talk.sign(0x9E, DIGEST)[1] == Sw.OK
    assert talk.sign(0x9C, DIGEST)[1] == Sw.SECURITY_STATUS_NOT_SATISFIED


def test_a_shorter_digest_is_the_same_number(talk: Talk, card: Card) -> None:
    digest = hashlib.sha1(b"generated").digest()
    signature, sw = talk.sign(0x9E, digest)
    assert sw == Sw.OK
    public(card, 0x9E).verify(signature, digest, ec.ECDSA(Prehashed(hashes.SHA1())))


def test_rsa_signs_the_padded_block_as_it_is() -> None:
    card = personalised(algorithm=Algorithm.RSA_2048, slots=[Slot.CARD_AUTHENTICATION])
    key = card.keys[Slot.CARD_AUTHENTICATION].public
    assert isinstance(key, rsa.RSAPublicKey)
    talk = Talk(Applet(card))
    talk.select()
    info = bytes.fromhex("3031300d060960864801650304020105000420") + DIGEST
    block = b"\x00\x01" + b"\xff" * (256 - 3 - len(info)) + b"\x00" + info
    signature, sw = talk.sign(0x9E, block, algorithm=0x07)
    assert (len(signature), sw) == (256, Sw.OK)
    key.verify(signature, DIGEST, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
    assert talk.sign(0x9E, b"\xff" * 256, algorithm=0x07)[1] == Sw.INCORRECT_DATA
    assert talk.sign(0x9E, DIGEST, algorithm=0x07)[1] == Sw.INCORRECT_DATA


def test_9d_agrees_on_a_key(talk: Talk, card: Card) -> None:
    peer = ec.generate_private_key(ec.SECP256R1())
    numbers = peer.public_key().public_numbers()
    point = b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    command = bytes.fromhex("0087119D 47 7C45 8200 8541") + point + b"\0"
    assert talk.sw(command) == Sw.SECURITY_STATUS_NOT_SATISFIED
    assert talk.verify("123456") == Sw.OK
    data, sw = talk.send(command)
    assert (data[4:], sw) == (peer.exchange(ec.ECDH(), public(card, 0x9D)), Sw.OK)
    assert talk.sw(command[:-2] + b"\x00\x00") == Sw.INCORRECT_DATA


@pytest.mark.parametrize(
    ("algorithm", "slot", "answer"),
    [
        (0x07, 0x9E, Sw.INCORRECT_P1P2),
        (0x14, 0x9E, Sw.INCORRECT_P1P2),
        (0x11, 0x82, Sw.REFERENCE_NOT_FOUND),
        (0x11, 0x00, Sw.REFERENCE_NOT_FOUND),
    ],
)
def test_a_key_or_algorithm_that_is_not_there(
    talk: Talk, algorithm: int, slot: int, answer: int
) -> None:
    assert talk.sign(slot, DIGEST, algorithm)[1] == answer


@pytest.mark.parametrize(
    "data",
    ["", "7C00", "7C028100", "7C0482008100", "5301AA", "7C228120" + "11" * 32, "7C24820081FF00"],
)
def test_a_malformed_template_makes_no_signature(talk: Talk, data: str) -> None:
    body = bytes.fromhex(data)
    length = bytes((len(body),)) if body else b""
    assert talk.sw(b"\x00\x87\x11\x9e" + length + body) == Sw.INCORRECT_DATA


@pytest.mark.parametrize(
    ("apdu", "answer"),
    [
        ("", Sw.WRONG_LENGTH),
        ("00", Sw.WRONG_LENGTH),
        ("00A404", Sw.WRONG_LENGTH),
        ("00CB3FFF 05 5C03", Sw.WRONG_LENGTH),
        ("00CB3FFF 000005 5C035FC102 0000", Sw.WRONG_LENGTH),  # extended: short APDUs only
        ("80CB3FFF 05 5C035FC102 00", Sw.CLA_NOT_SUPPORTED),
        ("0CCB3FFF 05 5C035FC102 00", Sw.CLA_NOT_SUPPORTED),
        ("00CB0000 05 5C035FC102 00", Sw.INCORRECT_P1P2),
        ("00CB3FFF 00", Sw.INCORRECT_DATA),
        ("00B00000 00", Sw.INS_NOT_SUPPORTED),
    ],
)
def test_what_is_no_command_of_the_standard_is_refused(talk: Talk, apdu: str, answer: int) -> None:
    assert talk.send(apdu) == (b"", answer)


def test_a_generated_key_is_the_one_that_signs(talk: Talk) -> None:
    assert talk.generate(0x9E)[1] == Sw.SECURITY_STATUS_NOT_SATISFIED
    assert talk.manage() == Sw.OK
    data, sw = talk.generate(0x9E)
    assert (data[:5], sw) == (bytes.fromhex("7F49438641"), Sw.OK)
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data[5:])
    key.verify(talk.sign(0x9E, DIGEST)[0], DIGEST, SIGNED_WITH_SHA256)


def test_a_generated_9a_follows_the_pin_policy_it_was_given(talk: Talk) -> None:
    assert talk.manage() == Sw.OK
    assert talk.generate(0x9A)[1] == Sw.OK
    assert talk.sign(0x9A, DIGEST)[1] == Sw.SECURITY_STATUS_NOT_SATISFIED
    assert talk.generate(0x9A, extra="AA0101")[1] == Sw.OK
    assert talk.sign(0x9A, DIGEST)[1] == Sw.OK


def test_an_rsa_key_is_generated(talk: Talk) -> None:
    assert talk.manage() == Sw.OK
    data, sw = talk.generate(0x9A, algorithm=0x07)
    assert (data[:9], sw) == (bytes.fromhex("7F4982010981820100"), Sw.OK)
    assert data[-5:] == bytes.fromhex("8203010001")


@pytest.mark.parametrize(
    "control", ["AC03800103", "AC038001FF", "AC00", "5C00", "AC06800111AA0109"]
)
def test_what_is_no_key_pair_is_not_generated(talk: Talk, control: str) -> None:
    body = bytes.fromhex(control)
    assert talk.manage() == Sw.OK
    assert talk.sw(b"\x00\x47\x00\x9e" + bytes((len(body),)) + body) == Sw.INCORRECT_DATA


def test_an_imported_key_signs(talk: Talk) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    scalar = private.private_numbers().private_value.to_bytes(32, "big")
    command = bytes.fromhex("00FE119E 22 0620") + scalar
    assert talk.sw(command) == Sw.SECURITY_STATUS_NOT_SATISFIED
    assert talk.manage() == Sw.OK
    assert talk.sw(command) == Sw.OK
    private.public_key().verify(talk.sign(0x9E, DIGEST)[0], DIGEST, SIGNED_WITH_SHA256)


def test_an_imported_rsa_key_signs(talk: Talk) -> None:
    numbers = rsa.generate_private_key(65_537, 2048).private_numbers()
    primes = b"".join(
        bytes((tag, 0x81, 0x80)) + prime.to_bytes(128, "big")
        for tag, prime in ((1, numbers.p), (2, numbers.q))
    )
    assert talk.manage() == Sw.OK
    assert talk.chain("00FE079E", primes)[1] == Sw.OK
    signature, sw = talk.sign(0x9E, b"\x00" + b"\x55" * 255, algorithm=0x07)
    assert sw == Sw.OK
    opened = pow(int.from_bytes(signature, "big"), 65_537, numbers.public_numbers.n)
    assert opened.to_bytes(256, "big") == b"\x00" + b"\x55" * 255
