"""The virtual card in a real pcscd: put in, swapped, torn, hung, and there after a restart."""

from __future__ import annotations

import statistics
import threading
from itertools import pairwise

import pytest

from benchmarks.ward.pcscd import Pcscd
from hardware.apdu import ReaderError, Sw
from hardware.virtual.applet import Quirks
from hardware.virtual.behaviour import ATR, TYPICAL, Behaviour
from hardware.virtual.card import Card
from hardware.virtual.faults import Hung, Torn
from hardware.virtual.names import Access
from hardware.virtual.vpcd import Rotation, VirtualReader
from tests.virtual.pcsc_talk import EMPTY, PRESENT, PcscError, await_state, connect
from tests.virtual.talk import Talk

DIGEST = bytes(range(32))


def test_a_card_is_seen_and_answers_in_a_tenth_of_a_millisecond(
    reader: VirtualReader, name: str, card: Card
) -> None:
    reader.insert(card)
    assert await_state(name, PRESENT)[1] == ATR
    with connect(name) as connection:
        talk = Talk(connection)
        for _ in range(50):
            talk.select()
    begun = [one.started_ns for one in card.record.exchanges]
    between_ms = statistics.median(b - a for a, b in pairwise(begun)) / 1e6
    assert between_ms < 5  # 44 where an acknowledgement is delayed


def test_both_sides_agree_on_exchanges_and_card_time(
    reader: VirtualReader, name: str, card: Card
) -> None:
    visit = reader.insert(card, Behaviour(Access.CONTACTLESS_STRICT, TYPICAL))
    await_state(name, PRESENT)
    with connect(name) as connection:
        talk = Talk(connection)
        talk.select()
        talk.get("5FC102")
        assert talk.sign(0x9E, DIGEST)[1] == Sw.OK
    assert visit.exchanges == 3
    assert visit.signatures == 1
    assert 0.120 < card.record.card_ns / 1e9 < 0.250


def test_a_swap_is_a_removal_and_an_arrival(reader: VirtualReader, name: str, card: Card) -> None:
    reader.insert(card)
    before, _ = await_state(name, PRESENT)
    other = card.clone_with_other_keys()
    visit = reader.swap(other)
    assert visit.wait_for(5, powered=True)
    after, atr = await_state(name, PRESENT)
    assert (after, atr) == (before + 2, ATR)


def test_a_card_taken_out_in_the_middle_ends_the_command(
    reader: VirtualReader, name: str, card: Card
) -> None:
    reader.insert(card, Behaviour(faults=(Hung(at=2),)))
    await_state(name, PRESENT)
    with connect(name) as connection:
        talk = Talk(connection)
        talk.select()
        timer = threading.Timer(0.2, reader.remove)
        timer.start()
        with pytest.raises(PcscError):
            talk.get("5FC102")
        timer.join()
    await_state(name, EMPTY)
    assert not reader.occupied


def test_a_torn_card_has_left_the_reader(reader: VirtualReader, name: str, card: Card) -> None:
    reader.insert(card, Behaviour(faults=(Torn(after=1),)))
    await_state(name, PRESENT)
    with connect(name) as connection:
        talk = Talk(connection)
        talk.select()
        with pytest.raises(PcscError):
            talk.get("5FC102")
    await_state(name, EMPTY)
    assert not reader.occupied
    reader.insert(card)
    await_state(name, PRESENT)


@pytest.mark.parametrize("sticky", [False, True])
def test_a_reset_through_pcscd_ends_a_verified_pin_except_on_a_sticky_card(
    reader: VirtualReader, name: str, card: Card, *, sticky: bool
) -> None:
    reader.insert(card, Behaviour(quirks=Quirks(pin_survives_reset=sticky)))
    await_state(name, PRESENT)
    with connect(name) as connection:
        talk = Talk(connection)
        talk.select()
        assert talk.verify("123456") == Sw.OK
        connection.reset()
        talk.select()
        assert (talk.tries() == Sw.OK) is sticky


def test_a_card_stays_in_its_reader_while_pcscd_restarts(
    pcscd: Pcscd, reader: VirtualReader, name: str, card: Card
) -> None:
    reader.insert(card)
    await_state(name, PRESENT)
    pcscd.restart()
    assert await_state(name, PRESENT)[1] == ATR
    with connect(name) as connection:
        Talk(connection).select()
    assert reader.occupied


def test_a_reader_holds_one_card(reader: VirtualReader, card: Card) -> None:
    reader.insert(card)
    with pytest.raises(ReaderError, match="already"):
        reader.insert(card.clone_with_other_keys())


def test_a_port_without_a_reader_is_named(card: Card) -> None:
    with pytest.raises(ReaderError, match="no virtual reader on port 9"):
        VirtualReader(9).insert(card)


def test_a_tap_lasts_as_long_as_the_hand_holds_it(
    reader: VirtualReader, name: str, card: Card
) -> None:
    visit = reader.tap(card, 0.8)
    assert visit.powered_ns is not None
    assert visit.powered_ns - visit.inserted_ns < 0.8e9
    await_state(name, EMPTY)


def test_a_rotation_uses_the_reader_that_was_empty_longest(pcscd: Pcscd, card: Card) -> None:
    readers = [VirtualReader(one.port) for one in pcscd.readers[:3]]
    rotation = Rotation(readers)
    used = []
    for _ in range(4):
        reader = rotation.free()
        used.append(reader.port)
        reader.tap(card, 0.01)
    assert used == [readers[0].port, readers[1].port, readers[2].port, readers[0].port]
    for reader in readers:
        reader.insert(card.clone_with_other_keys())
    with pytest.raises(ReaderError, match="every reader"):
        rotation.free()
    for reader in readers:
        reader.remove()
