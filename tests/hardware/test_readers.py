"""PC/SC states turned to events, and readers told apart by name. Nothing here touches a reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.readers import (
    MUTE_SETTLE_S,
    CardArrived,
    CardMute,
    CardRemoved,
    EventState,
    Interface,
    ReaderAttached,
    ReaderDetached,
    ReaderEvent,
    ReaderName,
    ReaderRules,
    ReaderState,
    detach,
    first_look,
    observe,
    still_mute,
)

READER = ReaderName("Virtual PCD 00 00")
ATR = bytes.fromhex("3b80800101")
SETTLED_NS = round(MUTE_SETTLE_S * 1e9)
EMPTY, PRESENT, MUTE = EventState.EMPTY, EventState.PRESENT, EventState.PRESENT | EventState.MUTE


def look(count: int, flags: int) -> tuple[ReaderState, tuple[ReaderEvent, ...]]:
    return first_look(READER, Interface.CONTACT, count << 16 | flags, ATR, 1)


def then(state: ReaderState, count: int, flags: int) -> list[str]:
    _, events = observe(state, count << 16 | flags, ATR, 2)
    return [type(event).__name__ for event in events]


def test_an_empty_reader_at_first_look_is_attached_and_no_more() -> None:
    _, events = look(0, EMPTY)
    assert events == (ReaderAttached(READER, Interface.CONTACT, 1),)


def test_a_card_present_at_first_look_is_marked_as_no_tap() -> None:
    _, events = look(1, PRESENT)
    assert events == (
        ReaderAttached(READER, Interface.CONTACT, 1),
        CardArrived(READER, Interface.CONTACT, ATR, 1, at_start=True),
    )


def test_a_card_put_down_later_is_a_tap() -> None:
    state, _ = look(0, EMPTY)
    _, events = observe(state, 1 << 16 | PRESENT, ATR, 2)
    assert events == (CardArrived(READER, Interface.CONTACT, ATR, 2),)


def test_two_cards_of_one_atr_swapped_between_two_looks_are_a_removal_and_an_arrival() -> None:
    state, _ = look(1, PRESENT)
    assert then(state, 3, PRESENT) == ["CardRemoved", "CardArrived"]


def test_the_swap_is_seen_also_when_the_counter_begins_again() -> None:
    state, _ = look(0xFFFF, PRESENT)
    assert then(state, 1, PRESENT) == ["CardRemoved", "CardArrived"]


def test_a_card_in_use_is_no_event() -> None:
    state, _ = look(1, PRESENT)
    for flags in (EventState.INUSE, EventState.INUSE | EventState.EXCLUSIVE, EventState.CHANGED):
        assert then(state, 1, PRESENT | flags) == []


def test_a_card_that_came_and_went_between_two_looks_leaves_nothing_to_act_on() -> None:
    state, _ = look(0, EMPTY)
    assert then(state, 2, EMPTY) == []
    assert then(state, 3, PRESENT) == ["CardArrived"]


def put_in_mute() -> ReaderState:
    state, events = observe(look(0, EMPTY)[0], 1 << 16 | MUTE, b"", 2)
    assert events == ()
    return state


def test_a_card_the_wrong_way_round_is_mute_and_arrives_once_it_answers() -> None:
    assert still_mute(put_in_mute(), 2 + SETTLED_NS - 1)[1] == ()
    mute, events = still_mute(put_in_mute(), 2 + SETTLED_NS)
    assert events == (CardMute(READER, Interface.CONTACT, 2),)
    assert still_mute(mute, 2 + 2 * SETTLED_NS)[1] == ()
    assert then(mute, 3, PRESENT) == ["CardRemoved", "CardArrived"]
    assert then(mute, 2, EMPTY) == ["CardRemoved"]


def test_a_real_mute_thing_is_told_of_within_a_second() -> None:
    pcscds_poll_s = 0.4
    assert pcscds_poll_s < MUTE_SETTLE_S <= 1 - pcscds_poll_s


@pytest.mark.parametrize(
    ("count", "flags", "told"),
    [(2, EMPTY, []), (1, PRESENT, ["CardArrived"]), (3, PRESENT, ["CardArrived"])],
)
def test_a_moments_muteness_is_nothing(count: int, flags: int, told: list[str]) -> None:
    assert then(put_in_mute(), count, flags) == told
    later, _ = observe(put_in_mute(), count << 16 | flags, ATR, 3)
    assert still_mute(later, 3 + 2 * SETTLED_NS) == (later, ())


def test_another_mute_thing_begins_its_own_time() -> None:
    swapped, events = observe(put_in_mute(), 3 << 16 | MUTE, b"", 9)
    assert events == ()
    assert still_mute(swapped, 2 + SETTLED_NS)[1] == ()
    told = (CardMute(READER, Interface.CONTACT, 9),)
    assert still_mute(swapped, 9 + SETTLED_NS)[1] == told


def test_a_card_reset_while_it_leaves_is_not_taken_for_a_mute_thing() -> None:
    card, _ = observe(look(0, EMPTY)[0], 1 << 16 | PRESENT, ATR, 2)
    leaving, events = observe(card, 1 << 16 | MUTE, b"", 3)
    assert events == ()
    assert still_mute(leaving, 3 + 9 * SETTLED_NS) == (leaving, ())
    assert then(leaving, 1, PRESENT) == []  # it stayed after all, and answers again
    assert then(leaving, 2, EMPTY) == ["CardRemoved"]
    assert then(leaving, 3, PRESENT) == ["CardRemoved", "CardArrived"]


@pytest.mark.parametrize("flag", [EventState.UNKNOWN, EventState.UNAVAILABLE])
def test_a_reader_unplugged_takes_its_card_with_it(flag: EventState) -> None:
    state, _ = look(1, PRESENT)
    gone, events = observe(state, flag, b"", 2)
    assert events == (CardRemoved(READER, 2), ReaderDetached(READER, 2))
    assert gone.gone
    assert detach(gone, 3)[1] == ()


def test_a_reader_that_is_gone_at_first_look_says_nothing() -> None:
    state, events = look(0, EventState.UNKNOWN)
    assert (state.gone, events) == (True, ())


STATES = st.tuples(
    st.integers(0, 5),
    st.sampled_from([EMPTY, PRESENT, MUTE, EventState.UNKNOWN, PRESENT | EventState.INUSE]),
)


@given(STATES, st.lists(st.tuples(STATES, st.integers(0, 2 * SETTLED_NS)), max_size=20))
def test_whatever_is_seen_arrivals_and_removals_alternate(
    first: tuple[int, int], later: list[tuple[tuple[int, int], int]]
) -> None:
    state, events = look(*first)
    story = list(events)
    now_ns = 1
    for (count, flags), passed_ns in later:
        now_ns += passed_ns
        state, events = still_mute(state, now_ns)
        story += events
        state, events = observe(state, count << 16 | flags, ATR, now_ns)
        story += events
    story += detach(state, 3)[1]
    kinds = [type(event) for event in story]
    present = False
    for kind in kinds:
        if kind in (CardArrived, CardMute):
            assert not present
            present = True
        elif kind is CardRemoved:
            assert present
            present = False
    assert not present
    assert kinds.count(ReaderAttached) == kinds.count(ReaderDetached) <= 1
    starts = [event for event in story if isinstance(event, CardArrived) and event.at_start]
    assert starts == story[1 : 1 + len(starts)]


@pytest.mark.parametrize(
    ("name", "interface"),
    [
        ("ACS ACR1252 1S CL Reader [ACR1252 Dual Reader PICC] 00 00", Interface.CONTACTLESS),
        ("ACS ACR1252 Dual Reader [ACR1252 Dual Reader SAM] 01 00", None),
        ("ACS ACR1252U SAM Reader 00 01", None),
        ("HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422CL Smartcard Reader] 01 00",
         Interface.CONTACTLESS),
        ("HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422 Smartcard Reader] 00 00",
         Interface.CONTACT),
        ("HID Global OMNIKEY 5022 CL Reader [OMNIKEY 5022 Smartcard Reader] 00 00",
         Interface.CONTACTLESS),
        ("Identiv uTrust 3700 F Contactless Reader [uTrust 3700 F] 00 00", Interface.CONTACTLESS),
        ("Virtual PCD 00 00", Interface.CONTACT),
        ("Samsung Keyboard Smartcard 00 00", Interface.CONTACT),
    ],
)  # fmt: skip
def test_readers_are_told_apart_by_name(name: str, interface: Interface | None) -> None:
    assert ReaderRules().classify(ReaderName(name)) is interface


def test_settings_go_before_the_known_names() -> None:
    rules = ReaderRules(
        interfaces={"virtual pcd * 01": Interface.CONTACTLESS}, ignored=("*broken*",)
    )
    assert rules.classify(ReaderName("Virtual PCD 00 01")) is Interface.CONTACTLESS
    assert rules.classify(ReaderName("Virtual PCD 00 00")) is Interface.CONTACT
    assert rules.classify(ReaderName("A Broken Reader 00 00")) is None
