"""One visit of a card: what is asked of it, in which order, and what each failure is called."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from contract.directory import Entitlement
from contract.events import Reason
from contract.ids import Guid
from contract.signing import Algorithm as KeyAlgorithm
from contract.signing import VerifyKey
from contract.tap import card_digest, verify_card
from firmware_py.card.tap import (
    AnotherCard,
    CardAnswer,
    Challenge,
    CopiedCard,
    FewTries,
    Question,
    pin_work,
    reason_of,
    tap_work,
)
from hardware.apdu import CardHung, HardwareError
from hardware.piv import Pin, PinBlocked, PivClient, WrongPin
from hardware.readers import ReaderName
from hardware.virtual.applet import Quirks
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card
from hardware.virtual.faults import CutAnswer, Fault, Torn, WrongStatus
from hardware.virtual.names import CERTIFICATE_OF, Access, Algorithm, Slot
from hardware.virtual.powered import PoweredCard
from hardware.virtual.sample import certificate_object, personalised
from hardware.workers import Lease
from tests.firmware.bench import staff
from tests.firmware.cards import Connection

EVENT = b'{"type":"tapover/event/v1","and":"so on"}'
PIN = Pin("123456")
VERIFY = 0x20
READER = ReaderName("Test reader")


def no_time() -> int:
    return 0


def visit(
    card: Card,
    behaviour: Behaviour | None = None,
    *,
    algorithm: KeyAlgorithm | None = KeyAlgorithm.P256,
    pin: Pin | None = None,
    owner: Entitlement | None = None,
    warned: bool = False,
) -> CardAnswer:
    """One visit whose question is answered at once; raises what the visit raises."""

    def answer(_: Guid, question: Question) -> None:
        question.answer(Challenge(algorithm, card_digest(EVENT)) if algorithm else None)

    question = Question(answer, 1.0)
    work = (
        tap_work(question, no_time)
        if pin is None
        else pin_work(question, pin, owner or owner_of(card), no_time, warned=warned)
    )
    with (
        PoweredCard(card, behaviour or Behaviour()) as powered,
        Connection(READER, powered, Lease()) as connection,
    ):
        return work(connection)


def guid_of(card: Card) -> Guid:
    assert card.guid is not None
    return Guid(card.guid.hex())


def owner_of(card: Card) -> Entitlement:
    """As the site vouches for this card; of one that has no GUID, for another."""
    return staff("amal", "AM", card if card.guid else personalised())


def key_of(card: Card, slot: Slot) -> VerifyKey:
    spki = card.keys[slot].public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return VerifyKey.from_spki(spki)


@pytest.mark.parametrize(
    ("kind", "algorithm", "exchanges"),
    [
        (Algorithm.ECC_P256, KeyAlgorithm.P256, 3),
        (Algorithm.RSA_2048, KeyAlgorithm.RSA2048, 5),
    ],
)
def test_a_tap_signs_the_record_with_9e(
    kind: Algorithm, algorithm: KeyAlgorithm, exchanges: int
) -> None:
    card = personalised(algorithm=kind)
    answer = visit(card, algorithm=algorithm)
    assert answer.guid == guid_of(card)
    assert answer.exchanges == exchanges == len(card.record.exchanges)
    assert answer.signature is not None
    verify_card(key_of(card, Slot.CARD_AUTHENTICATION), EVENT, answer.signature)


def test_a_pin_proof_signs_the_record_with_9a_after_verify() -> None:
    card = personalised()
    answer = visit(card, pin=PIN)
    assert answer.signature is not None
    verify_card(key_of(card, Slot.AUTHENTICATION), EVENT, answer.signature)
    # SELECT, CHUID, 9E, how many tries are left, VERIFY, 9A.
    commands = [exchange.ins for exchange in card.record.exchanges]
    assert commands == [0xA4, 0xCB, 0x87, 0x20, 0x20, 0x87]
    assert answer.exchanges == len(commands)
    assert [signed.slot for signed in card.record.signatures] == [
        Slot.CARD_AUTHENTICATION,
        Slot.AUTHENTICATION,
    ]


def test_who_was_told_of_the_tries_left_is_not_asked_for_them_again() -> None:
    card = personalised()
    visit(card, pin=PIN, warned=True)
    assert [exchange.ins for exchange in card.record.exchanges] == [0xA4, 0xCB, 0x87, 0x20, 0x87]


def test_no_verified_pin_outlives_the_visit() -> None:
    card = personalised()
    question = Question(lambda _guid, asked: asked.answer(None), 1.0)
    with PoweredCard(card, Behaviour()) as powered:
        with Connection(READER, powered, Lease()) as connection:
            pin_work(question, PIN, owner_of(card), no_time)(connection)
            assert PivClient(connection, no_time).pin_attempts() is None  # verified, up to here
        with Connection(READER, powered, Lease()) as connection:
            client = PivClient(connection, no_time)
            client.select()
            assert client.pin_attempts() == 3


def test_a_card_that_nobody_knows_is_not_made_to_sign() -> None:
    card = personalised()
    assert visit(card, algorithm=None).signature is None
    assert card.record.signatures == ()


def test_a_pin_is_never_given_to_another_card() -> None:
    card = personalised()
    with pytest.raises(AnotherCard):
        visit(card, pin=PIN, owner=owner_of(personalised()))
    assert VERIFY not in [exchange.ins for exchange in card.record.exchanges]


@pytest.mark.parametrize("algorithm", [Algorithm.ECC_P256, Algorithm.RSA_2048])
def test_a_pin_is_never_given_to_a_copied_guid(algorithm: Algorithm) -> None:
    card = personalised(algorithm=algorithm)
    forged = card.clone_with_other_keys()
    with pytest.raises(CopiedCard) as caught:
        visit(forged, pin=PIN, owner=owner_of(card))
    assert reason_of(caught.value) is Reason.CARD_KEY_WRONG
    assert VERIFY not in [exchange.ins for exchange in forged.record.exchanges]


@pytest.mark.parametrize(
    "fault",
    [WrongStatus(0x6F00, ins=0x87), CutAnswer(9, ins=0x87), WrongStatus(0x9000, ins=0x87)],
    ids=["refuses", "half a signature", "an empty one"],
)
def test_a_card_that_does_not_sign_is_given_no_pin(fault: Fault) -> None:
    card = personalised()
    with pytest.raises(HardwareError):
        visit(card, faulty(fault), pin=PIN)
    assert VERIFY not in [exchange.ins for exchange in card.record.exchanges]


def test_a_card_without_9e_shows_its_certificate_before_its_pin_and_a_tap_asks_it_nothing() -> None:
    card = personalised(slots=[Slot.AUTHENTICATION], certificates=True)
    assert visit(card, algorithm=None).exchanges == 2
    before = len(card.record.exchanges)
    answer = visit(card, pin=PIN)
    assert answer.signature is not None
    verify_card(key_of(card, Slot.AUTHENTICATION), EVENT, answer.signature)
    commands = [exchange.ins for exchange in card.record.exchanges[before:]]
    # SELECT, CHUID, 9A's certificate and the rest of it, tries left, VERIFY, 9A.
    assert (commands[:3], commands[-3:]) == ([0xA4, 0xCB, 0xCB], [VERIFY, VERIFY, 0x87])
    assert set(commands[3:-3]) <= {0xC0}


@pytest.mark.parametrize("garbage", [b"", b"\x30\x80", b"no certificate", bytes(3000)])
def test_a_card_without_9e_that_shows_no_such_certificate_is_given_no_pin(garbage: bytes) -> None:
    card = personalised(slots=[Slot.AUTHENTICATION], certificates=True)
    owner = owner_of(card)
    for shown in (certificate_object(garbage), garbage, None):
        if shown is None:
            del card.objects[CERTIFICATE_OF[Slot.AUTHENTICATION]]
        else:
            card.objects[CERTIFICATE_OF[Slot.AUTHENTICATION]] = shown
        with pytest.raises(CopiedCard):
            visit(card, pin=PIN, owner=owner)
    assert VERIFY not in [exchange.ins for exchange in card.record.exchanges]


def test_what_the_card_signs_to_be_given_its_pin_is_no_record_of_a_journal() -> None:
    card = personalised()
    visit(card, pin=PIN)
    visit(card, pin=PIN)
    first, second = (s for s in card.record.signatures if s.slot is Slot.CARD_AUTHENTICATION)
    assert first.prepared != second.prepared  # fresh each time
    assert first.prepared != card_digest(EVENT)


def test_the_last_try_is_not_spent_before_its_holder_was_told() -> None:
    card = personalised()
    card.pin.left = 1
    with pytest.raises(FewTries):
        visit(card, pin=Pin("999999"))
    assert card.pin.left == 1
    with pytest.raises((PinBlocked, WrongPin)):
        visit(card, pin=Pin("999999"), warned=True)
    assert card.pin.left == 0


@given(
    left=st.integers(0, 3),
    entered=st.lists(st.tuples(st.sampled_from(["123456", "999999"]), st.booleans()), max_size=6),
)
def test_no_try_is_spent_unless_more_are_left_or_its_holder_was_told(
    left: int, entered: list[tuple[str, bool]]
) -> None:
    card = personalised()
    card.pin.left = left
    for digits, warned in entered:
        before = card.pin.left
        with contextlib.suppress(HardwareError):
            visit(card, pin=Pin(digits), warned=warned)
        if digits == "123456" and (before > 1 or (before == 1 and warned)):
            assert card.pin.left == 3
        else:
            assert card.pin.left >= before - 1
            assert card.pin.left > 0 or before == 0 or warned


def test_a_visit_that_the_terminal_has_left_behind_ends_by_itself() -> None:
    question = Question(lambda _guid, _question: None, 0.05)
    with pytest.raises(CardHung):
        question.ask(Guid("ab" * 16))


def test_an_answer_reaches_the_worker_across_threads_and_only_once() -> None:
    asked = threading.Event()
    question = Question(lambda _guid, _question: asked.set(), 5.0)
    got: list[Challenge | None] = []
    worker = threading.Thread(target=lambda: got.append(question.ask(Guid("ab" * 16))))
    worker.start()
    assert asked.wait(5.0)
    first = Challenge(KeyAlgorithm.P256, bytes(32))
    question.answer(first)
    question.answer(None)
    worker.join(5.0)
    assert got == [first]


STRICT = Behaviour(access=Access.CONTACTLESS_STRICT)


def faulty(*faults: Fault) -> Behaviour:
    return Behaviour(faults=faults)


FAILURES: dict[str, tuple[Callable[[], object], Reason]] = {
    "no PIV": (
        lambda: visit(personalised(), faulty(WrongStatus(0x6A82, ins=0xA4))),
        Reason.CARD_FOREIGN,
    ),
    "blank": (lambda: visit(Card()), Reason.CARD_FOREIGN),
    "zero GUID": (lambda: visit(personalised(guid=bytes(16))), Reason.CARD_FOREIGN),
    "cut CHUID": (
        lambda: visit(personalised(), faulty(CutAnswer(10, ins=0xCB))),
        Reason.CARD_FOREIGN,
    ),
    "cut signature": (
        lambda: visit(personalised(), faulty(CutAnswer(9, ins=0x87))),
        Reason.CARD_ERROR,
    ),
    "will not sign": (
        lambda: visit(personalised(), faulty(WrongStatus(0x6A80, ins=0x87))),
        Reason.CARD_ERROR,
    ),
    "torn": (lambda: visit(personalised(), faulty(Torn(2))), Reason.CARD_TORN),
    "wrong PIN": (lambda: visit(personalised(), pin=Pin("999999")), Reason.PIN_WRONG),
    "PIN without contact": (lambda: visit(personalised(), STRICT, pin=PIN), Reason.PIN_NOT_HERE),
    "lies about the PIN": (
        lambda: visit(
            personalised(), Behaviour(quirks=Quirks(any_pin_in_words_only=True)), pin=Pin("999999")
        ),
        Reason.CARD_ERROR,
    ),
}


@pytest.mark.parametrize(("attempt", "reason"), FAILURES.values(), ids=FAILURES)
def test_each_failure_has_its_own_name_in_the_log(
    attempt: Callable[[], object], reason: Reason
) -> None:
    with pytest.raises(HardwareError) as caught:
        attempt()
    assert reason_of(caught.value) is reason


def test_a_blocked_pin_is_called_so() -> None:
    card = personalised()
    for _ in range(2):
        with pytest.raises(HardwareError):
            visit(card, pin=Pin("999999"))
    for digits in ("999999", "123456"):
        with pytest.raises(PinBlocked) as caught:
            visit(card, pin=Pin(digits), warned=True)
        assert reason_of(caught.value) is Reason.PIN_BLOCKED
