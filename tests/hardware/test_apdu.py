"""APDUs and whole exchanges: encodings, chains, 61xx, 6Cxx, counts, caps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.apdu import (
    ApduError,
    CardError,
    CardGone,
    CardMisbehaved,
    CommandApdu,
    ResponseApdu,
    Sw,
    attempts_left,
    describe,
)
from hardware.exchange import MAX_RESPONSE, Exchanger, exchanger

BYTES = st.integers(0, 255)
COMMANDS = st.builds(
    CommandApdu,
    *(BYTES, BYTES, BYTES, BYTES),
    st.binary(max_size=700),
    st.none() | st.integers(1, 65_536),
)


class Script:
    """A card that answers as told, and keeps what it was sent."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer
        self.sent: list[bytes] = []

    def transmit(self, apdu: bytes) -> bytes:
        self.sent.append(apdu)
        return self.answer(apdu)


def answers(*hex_answers: str) -> Script:
    left = [bytes.fromhex(answer) for answer in hex_answers]
    return Script(lambda _: left.pop(0))


def over(card: Script) -> Exchanger:
    ticks = iter(range(0, 10**9, 7))
    return exchanger(card, lambda: next(ticks))


@given(COMMANDS)
def test_a_command_read_back_is_the_command_sent(command: CommandApdu) -> None:
    assert CommandApdu.decode(command.encode()) == command


@given(st.binary(max_size=600))
def test_any_bytes_are_a_command_or_our_own_error(raw: bytes) -> None:
    with contextlib.suppress(ApduError):
        command = CommandApdu.decode(raw)
        assert CommandApdu.decode(command.encode()) == command


@given(st.binary(max_size=600))
def test_any_bytes_are_an_answer_or_our_own_error(raw: bytes) -> None:
    with contextlib.suppress(CardMisbehaved):
        assert ResponseApdu.decode(raw).encode() == raw


@given(st.lists(st.binary(min_size=0, max_size=260), min_size=1, max_size=6), COMMANDS)
def test_whatever_a_card_answers_an_exchange_ends_in_our_own_errors(
    replies: list[bytes], command: CommandApdu
) -> None:
    card = Script(lambda _: replies[len(card.sent) % len(replies)])
    with contextlib.suppress(CardMisbehaved):
        answer = over(card).send(command)
        assert len(answer.data) <= MAX_RESPONSE + 256


def test_a_short_command_of_each_case_is_encoded_as_the_standard_has_it() -> None:
    assert CommandApdu(0, 0x20, 0, 0x80).encode().hex() == "00200080"
    assert CommandApdu(0, 0xC0, le=256).encode().hex() == "00c0000000"
    assert CommandApdu(0, 0xA4, 4, 0, b"\xa0").encode().hex() == "00a4040001a0"
    assert CommandApdu(0, 0xA4, 4, 0, b"\xa0", 256).encode().hex() == "00a4040001a000"


def test_what_no_encoding_can_carry_is_refused() -> None:
    with pytest.raises(ApduError):
        CommandApdu(256, 0)
    with pytest.raises(ApduError):
        CommandApdu(0, 0, le=0)
    with pytest.raises(ApduError):
        CommandApdu(0, 0, data=bytes(65_536))


def test_a_long_command_goes_as_a_chain_of_short_ones() -> None:
    card = Script(lambda _: b"\x90\x00")
    over(card).send(CommandApdu(0x00, 0x87, 0x07, 0x9A, bytes(600), 256))
    assert [(apdu[0], apdu[4], len(apdu)) for apdu in card.sent] == [
        (0x10, 255, 260),
        (0x10, 255, 260),
        (0x00, 90, 96),
    ]


def test_a_chain_ends_at_the_first_link_the_card_refuses() -> None:
    card = answers("9000", "6a84")
    assert over(card).send(CommandApdu(0, 0xDB, 0x3F, 0xFF, bytes(800))).sw == Sw.NO_SPACE
    assert len(card.sent) == 2


def test_the_rest_of_an_answer_is_fetched() -> None:
    card = answers("41426103", "4344456101", "469000")
    answer = over(card).send(CommandApdu(0, 0xCB, 0x3F, 0xFF, b"\x5c", 256))
    assert (answer.data, answer.sw) == (b"ABCDEF", Sw.OK)
    assert [apdu.hex() for apdu in card.sent[1:]] == ["00c0000003", "00c0000001"]


def test_what_is_not_wanted_is_not_fetched() -> None:
    card = answers("41426103", "4344456101")
    answer = over(card).send_until(CommandApdu(0, 0xCB, 0x3F, 0xFF, b"\x5c", 256), enough=5)
    assert (answer.data, answer.ok_so_far, answer.ok) == (b"ABCDE", True, False)
    assert len(card.sent) == 2


def test_a_wrong_expected_length_is_asked_again_with_the_cards_own() -> None:
    card = answers("6c02", "41429000")
    answer = over(card).send(CommandApdu(0, 0xCB, 0x3F, 0xFF, b"\x5c", 256))
    assert answer.data == b"AB"
    assert card.sent[1][-1] == 2


def test_a_card_that_answers_without_end_is_given_up() -> None:
    endless = Script(lambda _: bytes(256) + b"\x61\x00")
    with pytest.raises(CardMisbehaved):
        over(endless).send(CommandApdu(0, 0xCB, le=256))
    trickling = Script(lambda _: b"\x61\x01")
    with pytest.raises(CardMisbehaved):
        over(trickling).send(CommandApdu(0, 0xCB, le=256))


def test_each_exchange_is_counted_and_timed_also_the_one_that_fails() -> None:
    def answer(apdu: bytes) -> bytes:
        if len(card.sent) == 2:
            raise CardGone("taken away")
        return b"\x61\x05"

    card = Script(answer)
    exchange = over(card)
    with pytest.raises(CardGone):
        exchange.send(CommandApdu(0, 0xCB, le=256))
    assert (exchange.wire.exchanges, exchange.wire.card_ns) == (2, 14)


@pytest.mark.parametrize("raw", ["", "90", "1234", "000000"])
def test_an_answer_without_a_status_word_is_the_cards_fault(raw: str) -> None:
    with pytest.raises(CardMisbehaved):
        ResponseApdu.decode(bytes.fromhex(raw))


def test_a_refusal_carries_its_status_word_and_its_name() -> None:
    with pytest.raises(CardError) as refused:
        ResponseApdu(b"", 0x6983).expect_ok("VERIFY")
    assert refused.value.sw == Sw.PIN_BLOCKED
    assert "PIN_BLOCKED" in str(refused.value)
    assert describe(0x6A99) == "6A99"


@given(st.integers(0, 0xFFFF))
def test_attempts_are_read_from_63cx_alone(sw: int) -> None:
    assert attempts_left(sw) == (sw & 15 if 0x63C0 <= sw <= 0x63CF else None)


def test_a_command_never_shows_its_data() -> None:
    command = CommandApdu(0, 0x20, 0, 0x80, b"654321\xff\xff")
    assert "654321" not in repr(command)
    assert "654321" not in repr(ResponseApdu(b"654321", 0x9000))
