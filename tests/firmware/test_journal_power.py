"""Power cuts and kills: what the journal said to be durable is there, and its chain holds."""

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.events import TerminalStopped
from contract.journal import chain_over, chain_start
from contract.signing import sha256
from firmware_py.evidence.journal_store import verify_events
from tests.firmware.journals import close_all, new_journal, open_journal, read_events
from tests.parts import program

STOPPED = TerminalStopped()
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    yield
    close_all()


class Recording:
    """A journal's files after a night of work, and how long the log was after each commit."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "j.sqlite"
        self.durable_at: list[tuple[int, int]] = []  # length of the log, events on disk by then
        asyncio.run(self._work())
        close_all()
        self.database = (folder / "copy.sqlite").read_bytes()
        self.log = (folder / "copy.sqlite-wal").read_bytes()

    async def _work(self) -> None:
        journal = new_journal(self.path)
        log = self.path.with_name("j.sqlite-wal")
        chance = random.Random(7)
        for _ in range(25):
            await journal.append(*[STOPPED] * chance.randint(1, 5)).durable
            self.durable_at.append((log.stat().st_size, journal.next_sequence))
        for suffix in ("", "-wal"):
            shutil.copy(f"{self.path}{suffix}", self.path.with_name(f"copy.sqlite{suffix}"))
        self.events = read_events(self.path)

    def durable_by(self, length: int) -> int:
        """How many events a log of that length must give back."""
        return max((events for size, events in self.durable_at if size <= length), default=1)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return Recording(tmp_path_factory.mktemp("recording"))


@given(data=st.data())
def test_after_a_write_torn_at_any_byte_the_chain_holds_and_nothing_durable_is_gone(
    recording: Recording, data: st.DataObject
) -> None:
    torn_at = data.draw(st.integers(0, len(recording.log)), label="torn at")
    rubbish = data.draw(st.binary(max_size=64), label="rubbish behind it")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j.sqlite"
        path.write_bytes(recording.database)
        path.with_name("j.sqlite-wal").write_bytes(recording.log[:torn_at] + rubbish)
        journal = open_journal(path)
        events = read_events(path)
        close_all()
        assert events == recording.events[: len(events)]
        assert len(events) == journal.next_sequence >= recording.durable_by(torn_at)
        assert journal.chain == chain_over(chain_start(journal.id), map(sha256, events))


_COUNTED = """
import asyncio, sys
from pathlib import Path
from contract.events import TerminalStopped
from tests.firmware.journals import new_journal

async def main() -> None:
    journal = new_journal(Path(sys.argv[1]))
    for _ in range(int(sys.argv[2])):
        await journal.append(TerminalStopped(), TerminalStopped()).durable
    await journal.close()

asyncio.run(main())
"""


def flushes_of(path: Path, commits: int) -> int:
    """As the kernel counts them, of a process that makes and closes a journal in between."""
    trace = path.with_suffix(".trace")
    calls = "trace=fsync,fdatasync,sync_file_range,sync,syncfs"
    subprocess.run(
        [
            *(program("strace"), "-f", "-qq", "-e", calls, "-o", str(trace)),
            *(sys.executable, "-c", _COUNTED, str(path), str(commits)),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    return trace.read_text().count("sync(")


def test_a_commit_is_one_flush_no_more_and_no_less(tmp_path: Path) -> None:
    few, many = flushes_of(tmp_path / "few", 5), flushes_of(tmp_path / "many", 45)
    assert many - few == 40


_WRITER = """
import asyncio, sys
from pathlib import Path
from contract.events import TerminalStopped
from tests.firmware.journals import new_journal, open_journal

async def main() -> None:
    path = Path(sys.argv[1])
    journal = open_journal(path) if path.exists() else new_journal(path)
    while True:
        written = journal.append(TerminalStopped(), TerminalStopped())
        await written.durable
        print(written.sequence, written.events[-1].hex(), flush=True)

asyncio.run(main())
"""


def kill_a_writer(path: Path, after_lines: int) -> dict[int, bytes]:
    """Kills a writer after it has said so many times what is durable; returns all that it said."""
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(after_lines)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
    said = [line.split() for line in lines if line.endswith(b"\n")]
    return {int(sequence): bytes.fromhex(data.decode()) for sequence, data in said}


def require_all(path: Path, said: dict[int, bytes]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        (journal,) = connection.execute("SELECT id FROM journal").fetchone()
        next_, _chain = verify_events(connection, 0, journal)
    events = read_events(path)
    assert len(events) == next_
    for sequence, data in said.items():
        assert events[sequence] == data


def test_a_killed_writer_has_kept_its_word(tmp_path: Path) -> None:
    path, chance = tmp_path / "j.sqlite", random.Random(20260101)
    said: dict[int, bytes] = {}
    for _ in range(3):
        said |= kill_a_writer(path, chance.randint(1, 60))
        require_all(path, said)


@pytest.mark.full
@pytest.mark.timeout(600)
def test_a_writer_killed_again_and_again_has_kept_its_word(tmp_path: Path) -> None:
    path, chance = tmp_path / "j.sqlite", random.Random(20260102)
    said: dict[int, bytes] = {}
    for _ in range(60):
        said |= kill_a_writer(path, chance.randint(1, 200))
        require_all(path, said)
