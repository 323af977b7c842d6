"""What the kill tests see from outside must be what is there, or they show nothing."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.ward.outside import Commit, DiskBroken, WalWatch, commit_of, events_left, image

JOURNAL = "00" * 16


def rows_in(database: Path, *, flushed: bool) -> int:
    with image(database, flushed=flushed) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM t").fetchall()
    return int(count)


@pytest.fixture
def caught(tmp_path: Path) -> Path:
    """A database as its files stand when a commit is written and its readers not yet told."""
    live, dead = tmp_path / "live", tmp_path / "dead"
    dead.mkdir()
    with closing(sqlite3.connect(live, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (n)")
        connection.execute("INSERT INTO t VALUES (1)")
        assert commit_of(live) is Commit.NONE
        shutil.copyfile(f"{live}-shm", dead / "live-shm")
        watch = WalWatch(live)
        connection.execute("INSERT INTO t VALUES (2)")
        assert watch.wait(0)
        assert not watch.wait(0)
        for name in ("live", "live-wal"):
            shutil.copyfile(tmp_path / name, dead / name)
    return dead / "live"


def test_a_commit_that_was_written_and_not_flushed_is_seen_and_a_power_cut_takes_it(
    caught: Path,
) -> None:
    assert commit_of(caught) is Commit.FLUSHING
    assert rows_in(caught, flushed=False) == 2
    assert rows_in(caught, flushed=True) == 1


def test_a_commit_half_written_is_seen_and_never_counts(caught: Path) -> None:
    wal = caught.with_name("live-wal")
    wal.write_bytes(wal.read_bytes()[:-1])
    assert commit_of(caught) is Commit.WRITING
    assert rows_in(caught, flushed=False) == rows_in(caught, flushed=True) == 1


def chained(path: Path, events: list[bytes]) -> Path:
    chain = hashlib.sha256(b"tapover:journal:v1\n" + bytes.fromhex(JOURNAL)).digest()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE journal (ordinal, id)")
        connection.execute("INSERT INTO journal VALUES (0, ?)", (JOURNAL,))
        connection.execute("CREATE TABLE event (position INTEGER PRIMARY KEY, data, chain)")
        for place, data in enumerate(events):
            chain = hashlib.sha256(chain + hashlib.sha256(data).digest()).digest()
            connection.execute("INSERT INTO event VALUES (?, ?, ?)", (place, data, chain.hex()))
    return path


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM event WHERE position = 0",
        "DELETE FROM event WHERE position = 1",
        "UPDATE event SET data = CAST('four' AS BLOB) WHERE position = 1",
        "UPDATE event SET chain = (SELECT chain FROM event WHERE position = 0) WHERE position = 2",
    ],
)
def test_a_journal_that_was_harmed_is_told_from_a_whole_one(tmp_path: Path, harm: str) -> None:
    path = chained(tmp_path / "journal", events := [b"one", b"two", b"three"])
    assert events_left(path, flushed=True) == events
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(harm)
    with pytest.raises(DiskBroken):
        events_left(path, flushed=True)
