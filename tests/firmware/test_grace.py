"""Grace is derived from proven PINs, also after the daemon was restarted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.directory import Slot
from contract.events import (
    CardOutcome,
    CardRecorded,
    ClockTrust,
    Event,
    OutcomeResult,
    Reason,
)
from contract.ids import BootId, Digest, Guid, JournalId, TerminalId
from contract.policy import GRACE_CEILING_S, RoleGrace
from contract.tap import DirectoryVersion, PinRecord, TapRecord
from firmware_py.signon.grace import MAX_PROVEN, ProvenPin, ProvenPins, rebuild, remaining_ms
from firmware_py.trust.sitetime import Moment
from tests.firmware.rights import ALICE, GUID, OTHER_GUID, TERMINAL, card_key, policy

BOOT, EARLIER_BOOT = BootId("b0" * 16), BootId("b1" * 16)
KEY = card_key(Slot.PIV_AUTHENTICATION)
FACT = ProvenPin(GUID, KEY, TERMINAL, Moment(BOOT, 1_000_000), 40)


def event(sequence: int, detail: CardRecorded | CardOutcome, boot: BootId = BOOT) -> Event:
    return Event(
        terminal=TERMINAL,
        journal=JournalId("aa" * 16),
        sequence=sequence,
        boot=boot,
        monotonic_ms=sequence * 1000,
        wall_ms=0,
        clock=ClockTrust.SITE,
        salt="cd" * 16,
        detail=detail,
    )


def asked(sequence: int, guid: Guid = GUID, *, pin: bool = True, boot: BootId = BOOT) -> Event:
    kind = PinRecord if pin else TapRecord
    record = kind(
        guid=guid,
        previous=Digest("ab" * 32),
        directory=DirectoryVersion(epoch=1, n=1),
        heartbeat=None,
        nonce="ef" * 32,
    )
    return event(sequence, CardRecorded(record=record), boot)


def came(
    sequence: int,
    record: int,
    result: OutcomeResult = OutcomeResult.PROVED,
    boot: BootId = BOOT,
    guid: Guid = GUID,
) -> Event:
    reason = Reason.GRANTED if result is OutcomeResult.PROVED else Reason.PIN_WRONG
    outcome = CardOutcome(
        record=record, guid=guid, result=result, reason=reason, key=KEY, holder=ALICE
    )
    return event(sequence, outcome, boot)


NOW = Moment(BOOT, 10_000_000)


def test_grace_counts_from_the_pin_record_and_ends_by_the_policy_of_now() -> None:
    now = Moment(BOOT, 1_000_000 + 60_000)
    assert remaining_ms(FACT, policy(grace_s=600), "R8001", TERMINAL, now) == 540_000
    assert remaining_ms(FACT, policy(grace_s=60), "R8001", TERMINAL, now) == 0
    assert remaining_ms(None, policy(), "R8001", TERMINAL, now) == 0


def test_each_role_has_its_own_end() -> None:
    now = Moment(BOOT, 1_000_000 + 60_000)
    ward = policy(grace_s=600, grace_by_role=(RoleGrace(role="R0260", grace_s=120),))
    assert remaining_ms(FACT, ward, "R0260", TERMINAL, now) == 60_000


def test_grace_stays_at_its_terminal_and_in_its_boot() -> None:
    assert remaining_ms(FACT, policy(), "R8001", TerminalId("resus-2"), NOW) == 0
    assert remaining_ms(FACT, policy(), "R8001", TERMINAL, Moment(EARLIER_BOOT, 1_000_001)) == 0


@given(passed_ms=st.integers(-(10**9), 10**9), grace_s=st.integers(0, GRACE_CEILING_S))
def test_grace_never_lasts_longer_than_the_policy_says(passed_ms: int, grace_s: int) -> None:
    now = Moment(BOOT, FACT.at.monotonic_ms + passed_ms)
    left = remaining_ms(FACT, policy(grace_s=grace_s), "R8001", TERMINAL, now)
    assert 0 <= left <= grace_s * 1000
    assert left == 0 or 0 <= passed_ms < grace_s * 1000


def test_after_a_restart_of_the_daemon_the_journal_gives_the_same_grace() -> None:
    events = [asked(40), came(41, 40), asked(50, OTHER_GUID), came(51, 50, guid=OTHER_GUID)]
    pins = rebuild(events, TERMINAL, NOW)
    assert pins.of(GUID) == replace(FACT, at=Moment(BOOT, 40_000), sequence=40, holder=ALICE)
    assert pins.of(OTHER_GUID) is not None


def test_the_newest_proof_counts() -> None:
    pins = rebuild([asked(40), came(41, 40), asked(60), came(61, 60)], TERMINAL, NOW)
    fact = pins.of(GUID)
    assert fact is not None
    assert fact.sequence == 60


@pytest.mark.parametrize(
    "events",
    [
        [asked(40), came(41, 40, OutcomeResult.REFUSED)],
        [asked(40, pin=False), came(41, 40)],
        [came(41, 40)],
        [asked(40)],
        [asked(40, boot=EARLIER_BOOT), came(41, 40, boot=EARLIER_BOOT)],
        [asked(40, boot=EARLIER_BOOT), came(41, 40)],
    ],
    ids=["wrong PIN", "a tap", "no record", "no outcome", "another boot", "record of another boot"],
)
def test_nothing_else_in_the_journal_gives_grace(events: list[Event]) -> None:
    assert rebuild(events, TERMINAL, NOW) == ProvenPins.none()


def test_another_terminals_events_give_no_grace_here() -> None:
    assert rebuild([asked(40), came(41, 40)], TerminalId("resus-2"), NOW) == ProvenPins.none()


def test_facts_are_bounded_and_the_oldest_go_first() -> None:
    pins = ProvenPins.none()
    for n in range(MAX_PROVEN + 10):
        fact = replace(FACT, guid=Guid(f"{n + 1:032x}"), at=Moment(BOOT, 1_000_000 + n))
        pins = pins.with_proof(fact)
    assert len(pins.by_guid) == MAX_PROVEN
    assert pins.of(Guid(f"{1:032x}")) is None
    assert pins.of(Guid(f"{MAX_PROVEN + 10:032x}")) is not None


def test_what_no_policy_can_make_count_is_dropped() -> None:
    late = Moment(BOOT, FACT.at.monotonic_ms + GRACE_CEILING_S * 1000 + 1)
    pins = ProvenPins.none().with_proof(FACT)
    pins = pins.with_proof(replace(FACT, guid=OTHER_GUID, at=late))
    assert pins.of(GUID) is None
