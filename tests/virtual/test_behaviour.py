"""A card held to a reader: how long it takes, what goes wrong, and what it records of it."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from threading import Event

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from hardware.apdu import CardTorn, Sw
from hardware.virtual.applet import Quirks
from hardware.virtual.behaviour import FAST, INSTANT, PROFILES, SLOW, TYPICAL, Behaviour, Profile
from hardware.virtual.card import Card
from hardware.virtual.faults import (
    WORDS,
    CutAnswer,
    Fault,
    FaultWordsError,
    Hung,
    Torn,
    WrongStatus,
    parse_faults,
)
from hardware.virtual.names import Algorithm, Slot, Work
from hardware.virtual.powered import PoweredCard
from hardware.virtual.sample import personalised
from tests.virtual.talk import Talk

DIGEST = hashlib.sha256(b"generated").digest()
SELECT = bytes.fromhex("00A404000BA00000030800001000010000")
CHUID = bytes.fromhex("00CB3FFF055C035FC10200")
SIGN_9E = bytes.fromhex("0087119E267C2482008120") + DIGEST + b"\0"


class HandPace:
    """A clock that moves only when somebody waits, and then exactly as far."""

    def __init__(self) -> None:
        self.now = 1_000

    def now_ns(self) -> int:
        return self.now

    def wait(self, deadline_ns: int | None, gone: Event) -> bool:
        if deadline_ns is None:
            return gone.wait(5)
        self.now = max(self.now, deadline_ns)
        return gone.is_set()


def visit(card: Card, *faults: Fault, profile: Profile = INSTANT) -> PoweredCard:
    return PoweredCard(card, Behaviour(profile=profile, faults=faults), HandPace())


# Time


@pytest.mark.parametrize(
    ("profile", "work", "milliseconds"),
    [
        (INSTANT, Work.EC, 0),
        (FAST, Work.NONE, 7),
        (FAST, Work.EC, 42),
        (TYPICAL, Work.NONE, 20 + 100 / 11.8),
        (TYPICAL, Work.EC, 80 + 100 / 11.8),
        (TYPICAL, Work.RSA, 205 + 100 / 11.8),
        (SLOW, Work.EC, 180 + 100 / 11.8),
        (SLOW, Work.RSA, 480 + 100 / 11.8),
    ],
)
def test_an_exchange_of_100_bytes_takes_what_its_profile_says(
    profile: Profile, work: Work, milliseconds: float
) -> None:
    assert profile.duration_s(100, work) * 1000 == pytest.approx(milliseconds)


def test_profiles_are_found_by_name() -> None:
    assert {name: one.name for name, one in PROFILES.items()} == {
        name: name for name in ("instant", "fast", "typical", "slow")
    }


def test_a_warm_tap_takes_the_sum_of_its_exchanges(card: Card) -> None:
    with visit(card, profile=TYPICAL) as powered:
        answers = [powered.transmit(one) for one in (SELECT, CHUID, SIGN_9E)]
    moved = sum(map(len, answers)) + len(SELECT + CHUID + SIGN_9E)
    expected_s = 3 * 0.020 + 0.060 + moved / 11_800
    assert card.record.card_ns / 1e9 == pytest.approx(expected_s, abs=1e-6)
    assert [one.ins for one in card.record.exchanges] == [0xA4, 0xCB, 0x87]


def test_real_time_is_kept_to_the_millisecond(card: Card) -> None:
    with PoweredCard(card, Behaviour(profile=FAST)) as powered:
        begin = time.monotonic()
        for _ in range(10):
            powered.transmit(SELECT)
        took_s = time.monotonic() - begin
    assert took_s >= 0.070
    # Computing counts towards the duration, so only lateness in waking adds up. The fastest
    # exchange shows the pace; the others show how busy this machine is.
    assert min(one.ended_ns - one.started_ns for one in card.record.exchanges) < 8e6


def test_a_forgotten_card_is_gone_at_once_even_in_a_slow_command(card: Card) -> None:
    with PoweredCard(card, Behaviour(profile=Profile("endless", ec_s=3600))) as powered:
        powered.transmit(SELECT)
        threading.Timer(0.05, powered.leave).start()
        with pytest.raises(CardTorn):
            powered.transmit(SIGN_9E)
    assert card.record.exchanges[-1].sw is None
    assert len(card.record.signatures) == 1  # it was computed, and nobody heard of it


# The card's own record


def test_the_record_holds_every_signature_as_a_verifier_wants_it(card: Card) -> None:
    with visit(card) as powered:
        powered.transmit(SELECT)
        powered.transmit(SIGN_9E)
    (signed,) = card.record.signatures
    assert (signed.slot, signed.algorithm, signed.visit, signed.exchange) == (0x9E, 0x11, 1, 2)
    assert signed.prepared == DIGEST
    key = card.keys[Slot.CARD_AUTHENTICATION].public
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signed.signature, DIGEST, ec.ECDSA(Prehashed(hashes.SHA256())))


def test_the_record_counts_visits_and_starts_each_at_exchange_one(card: Card) -> None:
    for _ in range(2):
        with visit(card) as powered:
            powered.transmit(SELECT)
            powered.transmit(CHUID)
    assert [(one.visit, one.number) for one in card.record.exchanges] == [
        (1, 1),
        (1, 2),
        (2, 1),
        (2, 2),
    ]


def test_the_record_never_holds_a_pin(card: Card) -> None:
    with visit(card) as powered:
        talk = Talk(powered)
        talk.select()
        assert talk.verify("246813") == 0x63C2
        assert talk.verify("123456") == Sw.OK
    told = json.dumps(card.record.to_json()) + repr(card.record.exchanges) + repr(card)
    for pin in ("246813", "123456"):
        assert pin not in told
        assert pin.encode().hex() not in told
    assert card.record.exchanges[-1].command_bytes == 13


def test_a_driver_can_wait_for_what_happens(card: Card) -> None:
    with visit(card) as powered:
        powered.transmit(SELECT)
        timer = threading.Timer(0.05, powered.transmit, [SIGN_9E])
        timer.start()
        assert powered.wait_for(5, exchanges=2, signatures=1)
        assert not powered.wait_for(0, exchanges=3)
        timer.join()


# Faults


def test_torn_after_two_answers(card: Card) -> None:
    with visit(card, Torn(after=2)) as powered:
        powered.transmit(SELECT)
        powered.transmit(CHUID)
        with pytest.raises(CardTorn):
            powered.transmit(SIGN_9E)
        assert powered.gone.is_set()
    assert [(one.sw, one.fault) for one in card.record.exchanges] == [
        (Sw.OK, None),
        (Sw.OK, None),
        (None, "torn"),
    ]


def test_hung_until_it_is_taken_away(card: Card) -> None:
    with visit(card, Hung(at=2)) as powered:
        powered.transmit(SELECT)
        threading.Timer(0.05, powered.leave).start()
        with pytest.raises(CardTorn):
            powered.transmit(SIGN_9E)
    assert card.record.exchanges[-1].fault == "hung"
    assert not card.record.signatures


def test_wrong_status_for_an_instruction_does_nothing_else(card: Card) -> None:
    with visit(card, WrongStatus(sw=0x6F00, ins=0x87)) as powered:
        powered.transmit(SELECT)
        assert powered.transmit(SIGN_9E) == b"\x6f\x00"
        assert powered.transmit(SIGN_9E) == b"\x6f\x00"
    assert not card.record.signatures


def test_wrong_status_once(card: Card) -> None:
    with visit(card, WrongStatus(sw=0x6A82, at=2)) as powered:
        powered.transmit(SELECT)
        assert powered.transmit(CHUID) == b"\x6a\x82"
        assert powered.transmit(CHUID)[-2:] == b"\x90\x00"


def test_a_cut_answer_keeps_its_status_word(card: Card) -> None:
    with visit(card, CutAnswer(keep=10, ins=0xCB)) as powered:
        powered.transmit(SELECT)
        answer = powered.transmit(CHUID)
    assert (len(answer), answer[-2:]) == (12, b"\x90\x00")


def test_a_bare_cut_is_never_empty(card: Card) -> None:
    with visit(card, CutAnswer(keep=0, at=1, bare=True)) as powered:
        assert len(powered.transmit(SELECT)) == 2


def test_a_clone_has_the_guid_and_other_keys(card: Card) -> None:
    clone = card.clone_with_other_keys()
    assert clone.guid == card.guid
    assert clone.objects == card.objects
    for slot in Slot:
        assert clone.keys[slot].public != card.keys[slot].public


def test_a_card_that_wants_the_exact_length(card: Card) -> None:
    with PoweredCard(card, Behaviour(quirks=Quirks(exact_le=True)), HandPace()) as powered:
        powered.transmit(SELECT)
        discovery = bytes.fromhex("00CB3FFF035C017E")
        assert powered.transmit(discovery + b"\x40") == b"\x6c\x14"
        assert len(powered.transmit(discovery + b"\x14")) == 22


def test_rsa_cards_are_made_too() -> None:
    card = personalised(algorithm=Algorithm.RSA_2048, slots=[Slot.CARD_AUTHENTICATION])
    with visit(card, profile=SLOW) as powered:
        talk = Talk(powered)
        talk.select()
        signature, sw = talk.sign(0x9E, b"\0" + bytes(range(255)), 0x07)
    assert (len(signature), sw) == (256, Sw.OK)
    # SELECT, two links of the chain, one GET RESPONSE; the signature is made once.
    slept_ms = [round(one.slept_ns / 1e6) for one in card.record.exchanges]
    assert len(slept_ms) == 4
    assert sum(one > 450 for one in slept_ms) == 1


# Words for faults


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("torn:after=2", Torn(2)),
        ("hung:at=3", Hung(3)),
        ("status:sw=6A82", WrongStatus(0x6A82)),
        ("status:sw=6f00,ins=87,at=4", WrongStatus(0x6F00, 0x87, 4)),
        ("cut:keep=10,ins=CB", CutAnswer(10, 0xCB)),
        ("cut:keep=1,at=1,bare=1", CutAnswer(1, None, 1, bare=True)),
    ],
)
def test_faults_are_said_in_words(words: str, fault: Fault) -> None:
    assert parse_faults([words]) == ((fault,), Quirks())


def test_quirks_are_said_in_words() -> None:
    assert parse_faults(["ungated-9a", "sticky-pin", "exact-le"]) == (
        (),
        Quirks(ungated_9a=True, pin_survives_reset=True, exact_le=True),
    )
    assert parse_faults(["any-pin"])[1].any_pin
    assert parse_faults(["any-pin-in-words"])[1].any_pin_in_words_only


@pytest.mark.parametrize(
    "words",
    ["", "torn", "torn:", "torn:after", "torn:after=x", "torn:at=1", "broken:at=1", "any-pin:x=1"],
)
def test_other_words_are_refused_by_name(words: str) -> None:
    with pytest.raises(FaultWordsError):
        parse_faults([words])


def test_every_word_that_is_offered_is_understood() -> None:
    examples = {"N": "1", "HEX": "6F00"}
    for offered in WORDS:
        words = offered.replace("[", "").replace("]", "")
        for name, value in examples.items():
            words = words.replace(f"={name}", f"={value}")
        words = words.replace("ins=6F00", "ins=87")
        assert parse_faults([words]) != ((), Quirks())
