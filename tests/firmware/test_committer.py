"""The committer folds its log when nothing happens, so that nobody's tap pays for it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.events import TerminalStopped
from firmware_py.evidence import committer
from tests.firmware.journals import close_all, new_journal, open_journal, read_events

DEADLINE_S = 10.0
STOPPED = TerminalStopped()


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    yield
    close_all()


async def until_folded(log: Path, below: int) -> None:
    """A file tells nobody when it shrinks, so it is looked at again and again."""
    async with asyncio.timeout(DEADLINE_S):
        while (await asyncio.to_thread(log.stat)).st_size >= below:
            pass


@pytest.mark.parametrize(
    ("bound", "quiet_s"), [("FOLD_BYTES", 0.01), ("FOLD_AT_ONCE_BYTES", 3600.0)]
)
async def test_the_log_is_folded_in_quiet_or_when_it_has_become_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, quiet_s: float
) -> None:
    monkeypatch.setattr(committer, bound, 64 * 1024)
    monkeypatch.setattr(committer, "QUIET_S", quiet_s)
    path = tmp_path / "j.sqlite"
    journal = new_journal(path)
    for _ in range(20):
        await journal.append(*[STOPPED] * 8).durable
    await until_folded(tmp_path / "j.sqlite-wal", 64 * 1024)
    place = (journal.next_sequence, journal.chain)
    again = open_journal(path)
    assert (again.next_sequence, again.chain) == place
    assert len(read_events(path)) == 161
