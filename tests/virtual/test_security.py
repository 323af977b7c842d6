"""PIN, PUK and management key: what each opens, and how each gets blocked."""

from __future__ import annotations

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from hardware.apdu import Sw
from hardware.virtual.applet import Applet, Quirks
from hardware.virtual.card import Card
from tests.virtual.talk import DEFAULT_MANAGEMENT_KEY, Talk

DIGEST = bytes(range(32))


def test_the_status_query_counts_down_and_a_right_pin_restores(talk: Talk) -> None:
    assert talk.tries() == 0x63C3
    assert talk.verify("000000") == 0x63C2
    assert talk.tries() == 0x63C2
    assert talk.verify("123456") == Sw.OK
    assert talk.tries() == Sw.OK
    assert talk.verify("000000") == 0x63C2


def test_a_wrong_pin_ends_what_a_right_one_opened(talk: Talk) -> None:
    assert talk.verify("123456") == Sw.OK
    assert talk.verify("000000") == 0x63C2
    assert talk.sign(0x9A, DIGEST)[1] == Sw.SECURITY_STATUS_NOT_SATISFIED


def test_three_wrong_pins_block_the_card_even_for_the_right_one(talk: Talk) -> None:
    assert [talk.verify("000000") for _ in range(4)] == [0x63C2, 0x63C1, 0x63C0, Sw.PIN_BLOCKED]
    assert talk.verify("123456") == Sw.PIN_BLOCKED
    assert talk.tries() == Sw.PIN_BLOCKED


def test_the_puk_unblocks_and_sets_a_new_pin_without_verifying_it(talk: Talk) -> None:
    for _ in range(3):
        talk.verify("000000")
    assert talk.unblock("12345678", "654321") == Sw.OK
    assert talk.sign(0x9A, DIGEST)[1] == Sw.SECURITY_STATUS_NOT_SATISFIED
    assert talk.verify("654321") == Sw.OK


def test_three_wrong_puks_block_the_puk(talk: Talk) -> None:
    answers = [talk.unblock("00000000", "654321") for _ in range(4)]
    assert answers == [0x63C2, 0x63C1, 0x63C0, Sw.PIN_BLOCKED]
    assert talk.unblock("12345678", "654321") == Sw.PIN_BLOCKED


def test_pin_and_puk_are_changed_by_who_knows_them(talk: Talk) -> None:
    assert talk.change("80", "000000", "654321") == 0x63C2
    assert talk.change("80", "123456", "654321") == Sw.OK
    assert talk.verify("123456") == 0x63C2
    assert talk.verify("654321") == Sw.OK
    assert talk.change("81", "12345678", "87654321") == Sw.OK
    assert talk.unblock("12345678", "111111") == 0x63C2
    assert talk.unblock("87654321", "111111") == Sw.OK


@pytest.mark.parametrize(
    "command",
    [
        "00200080 06 313233343536",  # not padded
        "00200080 08 31323334FFFFFFFF",  # too short a PIN
        "00200080 08 313233343541FFFF",  # not digits
        "00200080 08 31323334FF353637",  # padding in the middle
        "00200080 01 31",
    ],
)
def test_a_pin_of_the_wrong_form_costs_no_try(talk: Talk, command: str) -> None:
    assert talk.sw(command) == Sw.INCORRECT_DATA
    assert talk.tries() == 0x63C3


@pytest.mark.parametrize("reference", ["00", "81", "96", "98"])
def test_only_the_pin_of_the_application_can_be_verified(talk: Talk, reference: str) -> None:
    assert talk.verify("123456", reference) == Sw.REFERENCE_NOT_FOUND


def test_a_terminal_can_drop_the_verified_status(talk: Talk) -> None:
    assert talk.verify("123456") == Sw.OK
    assert talk.sw("0020FF80") == Sw.OK
    assert talk.tries() == 0x63C3
    assert talk.sign(0x9A, DIGEST)[1] == Sw.SECURITY_STATUS_NOT_SATISFIED


def test_a_verified_pin_survives_select_but_neither_reset_nor_power(card: Card) -> None:
    applet = Applet(card)
    talk = Talk(applet)
    for end in (applet.reset, applet.power_off):
        talk.select()
        assert talk.verify("123456") == Sw.OK
        talk.select()
        assert talk.tries() == Sw.OK
        end()
        talk.select()
        assert talk.tries() == 0x63C3


def test_counters_outlive_power(card: Card) -> None:
    applet = Applet(card)
    talk = Talk(applet)
    talk.select()
    assert talk.verify("000000") == 0x63C2
    applet.power_off()
    talk.select()
    assert talk.tries() == 0x63C2


def test_a_pin_that_survives_reset_does_not_survive_power(card: Card) -> None:
    applet = Applet(card, quirks=Quirks(pin_survives_reset=True))
    talk = Talk(applet)
    talk.select()
    assert talk.verify("123456") == Sw.OK
    applet.reset()
    talk.select()
    assert talk.sign(0x9A, DIGEST)[1] == Sw.OK
    applet.power_off()
    talk.select()
    assert talk.sign(0x9A, DIGEST)[1] == Sw.SECURITY_STATUS_NOT_SATISFIED


def test_verify_that_lies_opens_the_card_to_any_pin(card: Card) -> None:
    talk = Talk(Applet(card, quirks=Quirks(any_pin=True)))
    talk.select()
    assert talk.verify("999999") == Sw.OK
    assert talk.sign(0x9A, DIGEST)[1] == Sw.OK


def test_verify_that_lies_in_words_leaves_9a_shut(card: Card) -> None:
    talk = Talk(Applet(card, quirks=Quirks(any_pin_in_words_only=True)))
    talk.select()
    assert talk.verify("999999") == Sw.OK
    assert talk.sign(0x9A, DIGEST)[1] == Sw.SECURITY_STATUS_NOT_SATISFIED


def test_an_ungated_9a_signs_without_a_pin_and_9c_does_not(card: Card) -> None:
    talk = Talk(Applet(card, quirks=Quirks(ungated_9a=True)))
    talk.select()
    assert talk.sign(0x9A, DIGEST)[1] == Sw.OK
    assert talk.sign(0x9C, DIGEST)[1] == Sw.SECURITY_STATUS_NOT_SATISFIED


def test_the_management_key_is_proven_both_ways(talk: Talk) -> None:
    cipher = Cipher(TripleDES(DEFAULT_MANAGEMENT_KEY), modes.ECB())
    data, sw = talk.send("0087039B 04 7C028000 00")
    assert sw == Sw.OK
    witness = cipher.decryptor().update(data[4:])
    challenge = bytes(range(8))
    data, sw = talk.send(f"0087039B 16 7C14 8008{witness.hex()} 8108{challenge.hex()} 00")
    assert (data[4:], sw) == (cipher.encryptor().update(challenge), Sw.OK)
    assert talk.put("5FC107", b"x") == Sw.OK


@pytest.mark.parametrize("algorithm", [0x00, 0x03])
def test_both_names_of_triple_des_are_taken(talk: Talk, algorithm: int) -> None:
    assert talk.manage(algorithm=algorithm) == Sw.OK


def test_a_wrong_management_key_opens_nothing_and_closes_what_was_open(talk: Talk) -> None:
    assert talk.manage() == Sw.OK
    assert talk.manage(bytes(24)) == Sw.SECURITY_STATUS_NOT_SATISFIED
    assert talk.put("5FC107", b"x") == Sw.SECURITY_STATUS_NOT_SATISFIED


def test_a_challenge_is_good_for_one_answer(talk: Talk) -> None:
    data, _ = talk.send("0087039B 04 7C028100 00")
    proof = Cipher(TripleDES(DEFAULT_MANAGEMENT_KEY), modes.ECB()).encryptor().update(data[4:])
    assert talk.sw(f"0087039B 0C 7C0A8208{proof.hex()}") == Sw.OK
    assert talk.sw(f"0087039B 0C 7C0A8208{proof.hex()}") == Sw.INCORRECT_DATA


def test_foreign_software_gets_random_numbers_from_a_challenge(talk: Talk) -> None:
    drawn = {talk.send("0087009B 04 7C028100 00")[0] for _ in range(8)}
    assert len(drawn) == 8
    assert all(len(one) == 12 for one in drawn)


@pytest.mark.parametrize(("algorithm", "length"), [(0x03, 24), (0x08, 16), (0x0A, 24), (0x0C, 32)])
def test_the_management_key_is_changed(talk: Talk, algorithm: int, length: int) -> None:
    key = bytes(range(50, 50 + length))
    command = bytes((0, 0xFF, 0xFF, 0xFF, length + 3, algorithm, 0x9B, length)) + key
    assert talk.sw(command) == Sw.SECURITY_STATUS_NOT_SATISFIED
    assert talk.manage() == Sw.OK
    assert talk.sw(command) == Sw.OK
    assert talk.manage() != Sw.OK
    assert talk.manage(key, algorithm) == Sw.OK


def test_tries_are_set_and_secrets_go_back_to_default(talk: Talk) -> None:
    assert talk.change("80", "123456", "654321") == Sw.OK
    assert talk.manage() == Sw.OK
    assert talk.sw("00FA0508") == Sw.OK
    assert talk.tries() == 0x63C5
    assert talk.verify("123456") == Sw.OK
    assert talk.unblock("00000000", "111111") == 0x63C7


def test_a_card_is_wiped_only_when_pin_and_puk_are_blocked(talk: Talk, card: Card) -> None:
    assert talk.sw("00FB0000") == Sw.CONDITIONS_NOT_SATISFIED
    for _ in range(3):
        talk.verify("000000")
    assert talk.sw("00FB0000") == Sw.CONDITIONS_NOT_SATISFIED
    for _ in range(3):
        talk.unblock("00000000", "111111")
    assert talk.sw("00FB0000") == Sw.OK
    assert card.guid is None
    assert talk.sign(0x9E, DIGEST)[1] == Sw.REFERENCE_NOT_FOUND
    assert talk.verify("123456") == Sw.OK
