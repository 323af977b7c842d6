"""A national directory on one terminal: a look-up in a tenth of a millisecond, not from memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.directory import EntryKind
from contract.ids import Digest, Guid, Version
from firmware_py.trust.statements import Held, Row
from firmware_py.trust.store import Directory
from tests.firmware.rights import entitlement

LIMIT_US = 100
LOOK_UPS = 2000
PER_CHUNK = 1200
STEP = 0x3 << 96
"""Between two cards' GUIDs, so that a million spread over all there are."""


def card(n: int) -> Guid:
    return Guid(f"{n * STEP + 1:032x}")


def rows(first: int, count: int) -> Iterator[Row]:
    line = entitlement(guid=Guid("f" * 32)).to_bytes()
    for n in range(first, first + count):
        yield Row(EntryKind.ENTITLEMENT, card(n), line.replace(b"f" * 32, card(n).encode()))


def resident_kb() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0])


def look_up_us(folder: Path, cards: int) -> tuple[float, int]:
    """The median of many look-ups of cards far apart, and by how many KB memory grew."""
    directory, _ = Directory.open_or_replace(folder / "directory.sqlite", Held())
    writer = directory.begin_snapshot()
    for first in range(0, cards, PER_CHUNK):
        writer.add(rows(first, min(PER_CHUNK, cards - first)))
    writer.swap(Held(Version(1, 1), Digest("ab" * 32), 0))
    before_kb = resident_kb()
    times = []
    for k in range(LOOK_UPS):
        guid = card(k * 7919 % cards)
        begin = time.perf_counter_ns()
        found = directory.entitlement(guid)
        times.append(time.perf_counter_ns() - begin)
        assert found is not None
        assert found.guid == guid
    assert directory.entitlement(card(cards)) is None
    grown_kb = resident_kb() - before_kb
    directory.close()
    return sorted(times)[LOOK_UPS // 2] / 1000, grown_kb


def test_twenty_thousand_cards_are_looked_up_in_time(tmp_path: Path) -> None:
    median_us, _ = look_up_us(tmp_path, 20_000)
    assert median_us <= LIMIT_US


@pytest.mark.full
@pytest.mark.timeout(300)
def test_more_than_a_million_cards_are_looked_up_in_time_and_not_held_in_memory(
    tmp_path: Path,
) -> None:
    median_us, grown_kb = look_up_us(tmp_path, 1_100_000)
    (tmp_path / "directory.sqlite").unlink()
    print(f"look-up among 1,100,000: {median_us:.0f} us; memory +{grown_kb} KB")
    assert median_us <= LIMIT_US
    assert grown_kb <= 8 * 1024
