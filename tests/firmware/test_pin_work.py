"""A card that gets another PIN by its present one: what is asked of it, and in which order."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.signing import Algorithm as KeyAlgorithm
from contract.tap import card_digest
from firmware_py.card.tap import Challenge, CopiedCard, FewTries, Question
from firmware_py.pin.work import NotWritten, PinChange
from hardware.apdu import HardwareError
from hardware.piv import Pin, PinBlocked, WrongPin
from hardware.readers import ReaderName
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card, padded
from hardware.virtual.faults import Torn, WrongStatus
from hardware.virtual.powered import PoweredCard
from hardware.virtual.sample import personalised
from hardware.workers import Lease
from tests.firmware.bench import PIN, staff
from tests.firmware.cards import Connection

NEW, WRONG = "471902", "975310"
CHANGE_REFERENCE_DATA, VERIFY = 0x24, 0x20


def change(
    card: Card,
    old: str,
    new: str,
    behaviour: Behaviour | None = None,
    **how: Any,  # noqa: ANN401
) -> PinChange:
    """One visit; raises what it raises. The change, to be looked at."""
    work = prepare(card, old, new, **how)
    with (
        PoweredCard(card, behaviour or Behaviour()) as powered,
        Connection(ReaderName("Test"), powered, Lease()) as connection,
    ):
        work(connection)
    return work


def prepare(
    card: Card,
    old: str,
    new: str,
    *,
    owner: Card | None = None,
    written: bool = True,
) -> PinChange:
    challenge = Challenge(KeyAlgorithm.P256, card_digest(b"{}")) if written else None
    question = Question(lambda _guid, asked: asked.answer(challenge), 1.0)
    entitlement = staff("amal", "AM", owner or card)
    return PinChange(question, Pin(old), Pin(new), entitlement, lambda: 0)


def test_a_change_is_seven_exchanges() -> None:
    card = personalised()
    change(card, PIN, NEW)
    commands_sent = [exchange.ins for exchange in card.record.exchanges]
    assert commands_sent == [0xA4, 0xCB, 0x87, VERIFY, CHANGE_REFERENCE_DATA, VERIFY, 0x87]


def test_neither_pin_is_given_to_a_copied_card() -> None:
    card = personalised()
    forged = card.clone_with_other_keys()
    with pytest.raises(CopiedCard):
        change(forged, PIN, NEW, owner=card)
    assert {exchange.ins for exchange in forged.record.exchanges} == {0xA4, 0xCB, 0x87}


def test_what_cannot_be_written_down_is_not_done() -> None:
    card = personalised()
    with pytest.raises(NotWritten):
        change(card, PIN, NEW, written=False)
    assert card.pin.value == padded(PIN.encode())


def test_a_card_that_only_says_it_took_the_pin_is_found_out() -> None:
    card = personalised()
    work = prepare(card, PIN, NEW)
    lying = Behaviour(faults=(WrongStatus(0x9000, ins=CHANGE_REFERENCE_DATA),))
    with (
        PoweredCard(card, lying) as powered,
        Connection(ReaderName("Test"), powered, Lease()) as connection,
        pytest.raises(WrongPin),
    ):
        work(connection)
    assert work.told


@given(
    left=st.integers(0, 3),
    old=st.sampled_from([PIN, WRONG]),
    fault=st.none() | st.integers(1, 8).map(lambda n: Torn(after=n)),
)
def test_the_card_has_one_of_the_two_pins_and_it_is_known_which_unless_told_otherwise(
    *,
    left: int,
    old: str,
    fault: Torn | None,
) -> None:
    card = personalised()
    card.pin.left = left
    work = prepare(card, old, NEW)
    done = False
    behaviour = Behaviour(faults=(fault,) if fault else ())
    with (
        PoweredCard(card, behaviour) as powered,
        Connection(ReaderName("Test"), powered, Lease()) as connection,
        contextlib.suppress(HardwareError),
    ):
        work(connection)
        done = True
    has = {padded(PIN.encode()): PIN, padded(NEW.encode()): NEW}[card.pin.value]
    if done:
        assert has == NEW
        assert old == PIN
    elif not work.told:
        assert has == PIN
    if left <= 2:
        assert (has, card.pin.left) == (PIN, left)


@pytest.mark.parametrize(("left", "error"), [(0, PinBlocked), (1, FewTries), (2, FewTries)])
def test_two_tries_are_kept_whoever_stands_there(left: int, error: type[HardwareError]) -> None:
    card = personalised()
    card.pin.left = left
    with pytest.raises(error):
        change(card, WRONG, NEW)
    assert card.pin.left == left
