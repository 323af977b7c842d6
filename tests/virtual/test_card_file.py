"""The file of a card: it outlives the process, survives power loss whole, and is in one place."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from hardware.apdu import Sw
from hardware.virtual.applet import Applet
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card, CardFileError
from hardware.virtual.names import Algorithm, Slot
from hardware.virtual.powered import PoweredCard
from hardware.virtual.sample import personalised
from tests.virtual.talk import Talk


def speak(card: Card) -> Talk:
    talk = Talk(Applet(card))
    talk.select()
    return talk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ada.card"


def test_a_blank_card_is_personalised_and_tapped_later(path: Path) -> None:
    talk = speak(Card.create(path))
    assert talk.manage() == Sw.OK
    made, _ = talk.generate(0x9E)
    assert talk.put("5FC102", b"\x34\x10" + bytes(range(16))) == Sw.OK
    assert talk.change("80", "123456", "271828") == Sw.OK
    assert talk.verify("000000") == 0x63C2

    later = Card.load(path)
    assert later.guid == bytes(range(16))
    talk = speak(later)
    assert talk.tries() == 0x63C2
    assert talk.verify("271828") == Sw.OK
    assert talk.sign(0x9E, bytes(32))[1] == Sw.OK
    point = later.keys[0x9E].public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    assert made[5:] == point


@pytest.mark.parametrize("algorithm", [Algorithm.ECC_P256, Algorithm.RSA_2048])
def test_everything_comes_back_as_it_was(path: Path, algorithm: Algorithm) -> None:
    card = personalised(path=path, algorithm=algorithm, slots=Slot, certificates=True)
    again = Card.load(path)
    assert again.objects == card.objects
    assert again.serial == card.serial
    for slot in Slot:
        assert again.keys[slot].public == card.keys[slot].public
        assert again.keys[slot].pin_policy is card.keys[slot].pin_policy


def test_the_file_says_what_it_is_and_is_its_owners_alone(path: Path) -> None:
    Card.create(path)
    assert json.loads(path.read_text())["note"].startswith("Generated test material")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_card_is_never_overwritten(path: Path) -> None:
    card = Card.create(path)
    with pytest.raises(CardFileError, match="never overwritten"):
        Card.create(path)
    with pytest.raises(CardFileError, match="never overwritten"):
        personalised(path=path)
    assert Card.load(path).serial == card.serial


def test_a_missing_card_is_not_made(path: Path) -> None:
    with pytest.raises(CardFileError, match="No such file"):
        Card.load(path)
    assert not path.exists()


def test_a_card_is_in_one_reader_at_a_time(path: Path) -> None:
    personalised(path=path)
    one, other = (PoweredCard(Card.load(path), Behaviour()) for _ in range(2))
    with one, pytest.raises(CardFileError, match="in another reader"):
        other.begin()
    with other:
        Talk(other).select()


def test_a_visit_begins_with_what_another_process_left(path: Path) -> None:
    personalised(path=path)
    mine, theirs = Card.load(path), Card.load(path)
    assert speak(theirs).verify("000000") == 0x63C2
    with PoweredCard(mine, Behaviour()) as powered:
        talk = Talk(powered)
        talk.select()
        assert talk.tries() == 0x63C2


class Power(Exception):
    pass


def _cut_write(monkeypatch: pytest.MonkeyPatch) -> None:
    def half(descriptor: int) -> None:
        os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        raise Power

    monkeypatch.setattr(os, "fsync", half)


def _cut_before_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise Power

    monkeypatch.setattr(Path, "replace", never)


def _cut_after_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.fsync, []

    def second(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise Power
        real(descriptor)

    monkeypatch.setattr(os, "fsync", second)


@pytest.mark.parametrize(
    ("cut", "tries"),
    [(_cut_write, 0x63C3), (_cut_before_rename, 0x63C3), (_cut_after_rename, 0x63C2)],
)
def test_power_lost_in_a_write_leaves_the_card_before_or_after_it(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cut: Callable[[pytest.MonkeyPatch], None],
    tries: int,
) -> None:
    talk = speak(personalised(path=path))
    with monkeypatch.context() as patch:
        cut(patch)
        with pytest.raises(Power):
            talk.verify("000000")
    assert speak(Card.load(path)).tries() == tries
    # The next change is not hindered by what the cut one left behind.
    assert speak(Card.load(path)).verify("123456") == Sw.OK


def test_a_wrong_pin_is_counted_on_disk_before_the_answer(path: Path) -> None:
    talk = speak(personalised(path=path))
    for left in (2, 1, 0):
        assert talk.verify("000000") == 0x63C0 | left
        assert json.loads(path.read_text())["pin"]["left"] == left


@given(st.binary(max_size=300))
def test_a_file_of_anything_is_no_card(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "anything.card"
    path.write_bytes(raw)
    with pytest.raises(CardFileError):
        Card.load(path)


@given(st.data())
def test_a_damaged_card_file_is_refused_or_read_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    whole = folder / "whole.card"
    if not whole.exists():
        personalised(path=whole)
    raw = bytearray(whole.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    path = folder / "damaged.card"
    path.write_bytes(raw)
    try:
        card = Card.load(path)
    except CardFileError:
        return
    assert set(card.keys) <= set(Slot)
    Talk(Applet(card)).select()
