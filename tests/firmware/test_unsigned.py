"""A tap that no key signs, whatever the sessions are: it opens, wakes, unlocks and ends nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contract.directory import Slot
from contract.ids import Guid, HolderId, PositionId, SessionId
from firmware_py.sessions.machine import (
    SHOWN,
    UNIDENTIFIED,
    Activity,
    Granted,
    Happening,
    HoldPressed,
    IllegalEvent,
    Kind,
    LockPressed,
    Mode,
    Owing,
    Passed,
    Session,
    Sessions,
    step,
)
from firmware_py.signon.unsigned import Does, judge_unsigned
from tests.firmware.rights import ALICE, GUID, OTHER_GUID, credential, entitlement, policy

BOB, NURSE = HolderId("bob"), PositionId("nurse")
HERS = entitlement(credentials=(credential(Slot.PIV_AUTHENTICATION, pin_gated=True),))
WARD = policy(parked_max=1, hold_s=1800)
BEFORE = st.lists(
    st.tuples(
        st.sampled_from(["alice", "bob", "nobody", "lock", "hold", "input", "asks", "time"]),
        st.integers(0, 400_000),
    ),
    max_size=9,
)


def session(number: int, holder: HolderId, kind: Kind = Kind.ORDINARY) -> Session:
    guid: Guid | None = GUID if holder == ALICE else OTHER_GUID
    return Session(SessionId(f"{number:032x}"), holder, NURSE, guid, kind)


def happening(what: str, number: int) -> Happening:
    match what:
        case "alice":
            return Granted(session(number, ALICE))
        case "bob":
            return Granted(session(number, BOB))
        case "nobody":
            return Granted(session(number, UNIDENTIFIED, Kind.BREAK_GLASS))
        case "lock":
            return LockPressed()
        case "hold":
            return HoldPressed()
        case "input":
            return Activity()
        case "asks":
            return Owing(BOB, OTHER_GUID)
        case _:
            return Passed()


def reached(before: list[tuple[str, int]]) -> tuple[Sessions, int]:
    """The sessions after all of it that can be, and when that is."""
    state, now_ms = Sessions(), 1_000_000
    for number, (what, after_ms) in enumerate(before):
        now_ms += after_ms
        try:
            state = step(state, happening(what, number), WARD, now_ms).state
        except IllegalEvent:
            continue
    return state, now_ms


@given(BEFORE, st.integers(0, 10_000))
def test_a_copied_guid_opens_wakes_unlocks_and_ends_nothing(
    before: list[tuple[str, int]], after_ms: int
) -> None:
    state, now_ms = reached(before)
    now_ms += after_ms
    state = step(state, Passed(), WARD, now_ms).state  # what time alone has done
    match judge_unsigned(state, HERS, WARD, now_ms):
        case Does.ASK:
            left = step(state, Owing(ALICE, GUID), WARD, now_ms).state
            assert left.mode is Mode.ASKING
        case Does.LOCK:
            left = step(state, LockPressed(), WARD, now_ms).state
            assert state.shown is not None
            assert state.shown.holder == ALICE
            assert left.mode is Mode.LOCKED
        case _:
            return
    assert left.mode not in SHOWN
    assert {one.id for one in left.standing} == {one.id for one in state.standing}


@given(BEFORE)
def test_a_held_screen_and_anothers_pad_stay_as_they_are(before: list[tuple[str, int]]) -> None:
    state, now_ms = reached(before)
    if state.hold is not None or (state.asked is not None and state.asked.holder == BOB):
        assert judge_unsigned(state, HERS, WARD, now_ms) is Does.NOTHING
