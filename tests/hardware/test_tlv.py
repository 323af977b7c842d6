"""BER-TLV: what is written is read back; what a card sends ends in a value or in TlvError."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.tlv import MAX_OBJECTS, MAX_VALUE, Header, Tlv, TlvError

TAGS = st.sampled_from([0x53, 0x5C, 0x70, 0x7C, 0x7E, 0x81, 0x5F2F, 0x7F49, 0x5FC102, 0x9F8101])


@given(TAGS, st.binary(max_size=700))
def test_an_object_read_back_is_the_object_written(tag: int, value: bytes) -> None:
    written = Tlv(tag, value)
    read = Tlv.parse(bytes(written))
    assert (read, read.tag, read.value) == (written, tag, value)


@given(st.lists(st.tuples(TAGS, st.binary(max_size=40)), max_size=10))
def test_objects_side_by_side_are_read_in_order(pairs: list[tuple[int, bytes]]) -> None:
    data = b"".join(Tlv(tag, value) for tag, value in pairs)
    assert [(tlv.tag, tlv.value) for tlv in Tlv.parse_all(data)] == pairs


@given(data=st.binary(max_size=300), minimal=st.booleans())
def test_any_bytes_end_in_objects_or_in_our_own_error(data: bytes, *, minimal: bool) -> None:
    with contextlib.suppress(TlvError):
        for tlv in Tlv.parse_all(data, minimal=minimal):
            with contextlib.suppress(TlvError):
                tlv.children(minimal=minimal)


@given(st.binary(max_size=300))
def test_strict_reading_accepts_one_form_only(data: bytes) -> None:
    with contextlib.suppress(TlvError):
        assert bytes(Tlv.parse(data)) == data


@given(TAGS, st.binary(max_size=300), st.data())
def test_an_object_cut_anywhere_is_refused(tag: int, value: bytes, draw: st.DataObject) -> None:
    whole = bytes(Tlv(tag, value))
    cut = draw.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(TlvError):
        Tlv.parse(whole[:cut])


@pytest.mark.parametrize(
    "data",
    [
        "5380",  # indefinite length
        "538000" + "0000",  # and its end marker
        "53810153",  # length in two bytes where one would do
        "5382000153",
        "53850000000001" + "00",  # a length field of five bytes
        "5F",  # tag cut
        "5F81",
        "1F8080808001" + "00",  # tag of five bytes
        "1F800100",  # tag with a leading zero
        "0000",  # no tag at all
        "53",  # no length
        "53010000",  # a byte too many
        "",
    ],
)
def test_forms_outside_the_profile_are_refused(data: str) -> None:
    with pytest.raises(TlvError):
        Tlv.parse(bytes.fromhex(data))


def test_a_foreign_cards_padded_length_is_read_when_allowed() -> None:
    assert Tlv.parse(bytes.fromhex("538200024142"), minimal=False) == Tlv(0x53, b"AB")


def test_a_claimed_length_over_the_cap_is_refused_before_any_value_is_there() -> None:
    with pytest.raises(TlvError):
        Header.read(b"\x53\x83\x01\x00\x00")
    with pytest.raises(TlvError):
        Tlv(0x53, bytes(MAX_VALUE + 1))


def test_more_objects_than_the_cap_are_refused() -> None:
    assert len(Tlv.parse_all(bytes(Tlv(0x53)) * MAX_OBJECTS)) == MAX_OBJECTS
    with pytest.raises(TlvError):
        Tlv.parse_all(bytes(Tlv(0x53)) * (MAX_OBJECTS + 1))


def test_a_tag_that_appears_twice_is_nobodys() -> None:
    doubled = Tlv(0x7C, Tlv(0x82, b"a"), Tlv(0x82, b"b"))
    with pytest.raises(TlvError):
        doubled.child(0x82)
    with pytest.raises(TlvError):
        doubled.child(0x81)
    assert Tlv(0x7C, Tlv(0x82, b"a")).child(0x82) == b"a"


def test_a_value_is_not_shown() -> None:
    assert "secret" not in repr(Tlv(0x53, b"secret"))
