"""The journal: made once, chained, durable when it says so, and failed when the disk refuses."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from contract.events import Alarm, AlarmCode, CardRecorded, Event, TerminalStopped
from contract.ids import Guid, TerminalId
from contract.journal import chain_next, chain_over, chain_start
from contract.signing import sha256
from contract.tap import DirectoryVersion, TapRecord
from firmware_py.evidence.journal import (
    Journal,
    JournalDamaged,
    JournalExists,
    JournalFailed,
    JournalMissing,
    Place,
    last_known,
    set_aside,
)
from tests.firmware.journals import close_all, names_in, new_journal, open_journal, read_events

STOPPED = TerminalStopped()


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    yield
    close_all()


def tap_record(place: Place) -> CardRecorded:
    return CardRecorded(
        record=TapRecord(
            guid=Guid("ab" * 16),
            previous=place.chain,
            directory=DirectoryVersion(epoch=1, n=7),
            heartbeat=None,
            nonce="cd" * 32,
        )
    )


# --- identity -----------------------------------------------------------------------------------


async def test_a_journal_is_made_once_and_never_by_opening_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with pytest.raises(JournalMissing):
        open_journal(path)
    journal = new_journal(path)
    with pytest.raises(JournalExists):
        new_journal(path)
    again = open_journal(path)
    assert (again.id, again.next_sequence, again.chain) == (journal.id, 1, journal.chain)


async def test_what_a_killed_creation_left_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    (tmp_path / "journal.sqlite.unfinished").write_bytes(b"half")
    assert new_journal(path).next_sequence == 1
    assert names_in(tmp_path) == [
        "journal.sqlite",
        "journal.sqlite-shm",
        "journal.sqlite-wal",
    ]


async def test_the_first_event_opens_the_journal(tmp_path: Path) -> None:
    journal = new_journal(tmp_path / "j.sqlite")
    (first,) = read_events(journal.path)
    event = Event.from_bytes(first)
    assert (event.sequence, event.journal, event.detail.kind) == (0, journal.id, "journal.opened")
    assert journal.chain == chain_next(chain_start(journal.id), sha256(first))


async def test_another_terminals_journal_is_not_continued(tmp_path: Path) -> None:
    new_journal(tmp_path / "j.sqlite")
    with pytest.raises(JournalDamaged):
        open_journal(tmp_path / "j.sqlite", TerminalId("ward-b-t1"))


# --- appending ----------------------------------------------------------------------------------


async def test_an_event_has_its_place_at_once_and_is_on_disk_when_it_says_so(
    tmp_path: Path,
) -> None:
    journal = new_journal(tmp_path / "j.sqlite")
    before = journal.chain
    written = journal.append(STOPPED)
    assert not written.durable.done()
    assert journal.chain == chain_next(before, sha256(written.data))
    await written.durable
    assert read_events(journal.path)[written.sequence] == written.data


async def test_a_card_record_names_the_chain_before_it_also_behind_another_event(
    tmp_path: Path,
) -> None:
    journal = new_journal(tmp_path / "j.sqlite")
    before = journal.chain
    written = journal.append(Alarm(code=AlarmCode.CARD_HUNG), tap_record)
    await written.durable
    alarm, record = written.events
    detail = Event.from_bytes(record).detail
    assert isinstance(detail, CardRecorded)
    assert detail.record.previous == chain_next(before, sha256(alarm))
    assert written.data == record


async def test_a_tap_costs_two_flushes_one_of_them_while_the_card_computes(
    tmp_path: Path,
) -> None:
    journal = new_journal(tmp_path / "j.sqlite")
    record = journal.append(Alarm(code=AlarmCode.CARD_HUNG), tap_record, more=True)
    computing = asyncio.get_running_loop().create_future()
    record.durable.add_done_callback(lambda _: computing.set_result("signature"))
    await computing  # nobody waited for the disk until the card was done
    outcome = journal.append(STOPPED, STOPPED)
    await outcome.durable
    assert journal.flushes == 2


async def test_what_waits_for_the_disk_together_is_flushed_together(tmp_path: Path) -> None:
    journal = new_journal(tmp_path / "j.sqlite")
    disk_is_back = threading.Event()
    busy = journal.run(lambda _c: disk_is_back.wait())
    written = [journal.append(STOPPED) for _ in range(200)]
    disk_is_back.set()
    await asyncio.gather(busy, *(each.durable for each in written))
    assert journal.flushes <= 2  # what came before the disk was busy, and all that came then
    assert [Event.from_bytes(data).sequence for data in read_events(journal.path)] == [*range(201)]


async def test_a_receipt_waits_for_a_commit_that_is_made_anyway(tmp_path: Path) -> None:
    journal = new_journal(tmp_path / "j.sqlite")
    lazy = journal.run(lambda c: c.execute("UPDATE journal SET closed = 0"), lazy=True)
    await journal.append(STOPPED).durable
    assert lazy.done()
    assert journal.flushes == 1


async def test_an_event_beyond_its_cap_is_refused_and_leaves_no_gap(tmp_path: Path) -> None:
    from contract.events import HeartbeatHeld

    journal = new_journal(tmp_path / "j.sqlite")
    chain = journal.chain
    with pytest.raises(ValueError, match="4096"):
        journal.append(HeartbeatHeld(envelope="A" * 4096))
    assert (journal.chain, journal.next_sequence) == (chain, 1)


# --- failing ------------------------------------------------------------------------------------


async def fill_the_disk(journal: Journal) -> None:
    """From now on the database may not grow by a page: SQLite's own error of a full disk."""
    await journal.run(lambda c: c.execute("PRAGMA max_page_count = 1").fetchone())


async def test_a_full_disk_fails_the_journal_until_it_was_read_anew(tmp_path: Path) -> None:
    journal = new_journal(tmp_path / "j.sqlite")
    await journal.append(STOPPED).durable
    told: list[JournalFailed] = []
    journal.on_failed = told.append
    await fill_the_disk(journal)
    lost = journal.append(*[STOPPED] * 40)
    with pytest.raises(JournalFailed):
        await lost.durable
    assert journal.failed
    assert len(told) == 1
    with pytest.raises(JournalFailed):
        journal.append(STOPPED)

    await journal.reopen()
    on_disk = read_events(journal.path)
    assert journal.next_sequence == len(on_disk) == 2
    assert journal.chain == chain_over(chain_start(journal.id), map(sha256, on_disk))
    written = journal.append(STOPPED)
    await written.durable
    assert written.sequence == 2


async def test_a_bug_in_somebodys_job_does_not_take_the_journal_with_it(tmp_path: Path) -> None:
    journal = new_journal(tmp_path / "j.sqlite")

    def bad(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM event")
        raise KeyError("a bug")

    failing = journal.run(bad)
    written = journal.append(STOPPED)
    await written.durable
    with pytest.raises(KeyError):
        await failing
    assert len(read_events(journal.path)) == 2


@pytest.mark.parametrize(
    ("damage", "sound"),
    [
        ("UPDATE event SET data = X'7B7D' WHERE position = 2", 2),
        ("UPDATE event SET chain = (SELECT chain FROM event LIMIT 1) WHERE position = 2", 2),
        ("DELETE FROM event WHERE position = 2", 2),
        ("DELETE FROM event", 0),
        ("DELETE FROM journal", 0),
        ("PRAGMA application_id = 1", 4),
        ("PRAGMA user_version = 99", 4),
    ],
)
async def test_a_damaged_journal_is_set_aside_and_the_next_names_what_still_holds(
    tmp_path: Path, damage: str, sound: int
) -> None:
    path = tmp_path / "j.sqlite"
    journal = new_journal(path)
    for _ in range(3):
        await journal.append(STOPPED).durable
    before = read_events(path)
    await journal.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(damage)
        connection.commit()
    with pytest.raises(JournalDamaged):
        open_journal(path)
    aside = set_aside(path)
    known = last_known(aside)
    assert new_journal(path, known).id != journal.id
    detail = Event.from_bytes(read_events(path)[0]).detail
    assert detail.kind == "journal.opened"
    if known is None:
        assert detail.previous_journal is None
    else:  # what it names must be true: an auditor compares it with what the site holds
        true = chain_over(chain_start(journal.id), map(sha256, before[: known.next]))
        assert (detail.previous_journal, detail.previous_next) == (journal.id, known.next)
        assert detail.previous_head == true
    assert (known.next if known else 0) == sound


async def test_a_file_that_is_no_database_is_damage_too(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    path.write_bytes(b"not a database, but as long as one's header would be" * 100)
    with pytest.raises(JournalDamaged):
        open_journal(path)


# --- a fork -------------------------------------------------------------------------------------


async def test_a_new_journal_names_the_old_ones_head(tmp_path: Path) -> None:
    journal = new_journal(tmp_path / "j.sqlite")
    await journal.append(STOPPED).durable
    old = (journal.id, journal.next_sequence, journal.chain)
    await journal.begin_anew("0.2.0").durable
    event = Event.from_bytes(read_events(journal.path)[-1])
    assert event.detail.kind == "journal.opened"
    detail = event.detail
    assert (detail.previous_journal, detail.previous_next, detail.previous_head) == old
    assert (event.journal, event.sequence) == (journal.id, 0)
    assert journal.id != old[0]
    await journal.close()
    again = open_journal(journal.path)
    assert (again.id, again.next_sequence) == (journal.id, 1)
