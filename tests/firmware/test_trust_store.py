"""What outlives a damaged directory is kept whole, and damage to it is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.events import ClockTrust
from contract.ids import BootId, Digest, Version
from firmware_py.trust.sitetime import Anchor, Memory
from firmware_py.trust.statements import Held
from firmware_py.trust.trust_store import Remembered, TrustDamaged, TrustStore
from runtime.durable import StorageError
from tests.firmware.rights import NOW_MS, key_envelope

MEMORY = Memory(
    epoch=1,
    floor_ms=NOW_MS,
    confirmed_ms=NOW_MS - 5,
    unconfirmed_powered_ms=7,
    rtc_checked=True,
    boot=BootId("b0" * 16),
    saved_monotonic_ms=1234,
    anchor=Anchor(ClockTrust.SITE, NOW_MS, 1000),
)
HELD = Held(Version(1, 9), Digest("ab" * 32), NOW_MS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trust"


def test_a_new_terminal_remembers_nothing(path: Path) -> None:
    assert TrustStore.open(path).remembered == Remembered()
    assert not path.exists()


@pytest.mark.parametrize(
    "memory", [MEMORY, replace(MEMORY, anchor=None, confirmed_ms=None)], ids=["full", "bare"]
)
def test_what_is_kept_is_there_after_a_restart(path: Path, memory: Memory) -> None:
    keys = key_envelope().to_bytes()
    store = TrustStore.open(path)
    store.keep_keys(keys)
    store.keep_time(memory)
    store.keep_highest(HELD)
    assert TrustStore.open(path).remembered == Remembered(keys, memory, HELD)


def test_the_highest_version_never_falls(path: Path) -> None:
    store = TrustStore.open(path)
    store.keep_highest(HELD)
    store.keep_highest(Held(Version(1, 8), Digest("cd" * 32), NOW_MS))
    assert TrustStore.open(path).remembered.highest == HELD
    later = Held(Version(2, 1), Digest("cd" * 32), NOW_MS)
    store.keep_highest(later)
    assert TrustStore.open(path).remembered.highest == later


def test_what_could_not_be_written_is_not_remembered(tmp_path: Path) -> None:
    store = TrustStore.open(tmp_path / "nowhere" / "trust")
    with pytest.raises(StorageError):
        store.keep_highest(HELD)
    assert store.remembered == Remembered()


@given(st.integers(0, 10_000), st.binary(max_size=3), st.integers(0, 3))
def test_any_damage_is_said(
    tmp_path_factory: pytest.TempPathFactory, at: int, instead: bytes, width: int
) -> None:
    path = tmp_path_factory.mktemp("trust") / "trust"
    store = TrustStore.open(path)
    store.keep_keys(key_envelope().to_bytes())
    store.keep_time(MEMORY)
    whole = path.read_bytes()
    at %= len(whole)
    spoilt = whole[:at] + instead + whole[at + width :]
    path.write_bytes(spoilt)
    if spoilt == whole:
        assert TrustStore.open(path).remembered.time == MEMORY
    else:
        with pytest.raises(TrustDamaged):
            TrustStore.open(path)


def test_a_file_without_end_is_damage(path: Path) -> None:
    path.write_bytes(b"0" * 1_000_000)
    with pytest.raises(TrustDamaged):
        TrustStore.open(path)
