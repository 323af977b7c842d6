"""The directory on disk: whole or not at all, never mistaken for an empty one."""

from __future__ import annotations

import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.directory import EntryKind, Removed, Status
from contract.ids import Digest, Guid, TerminalId, Version, WardId
from firmware_py.trust.snapshot import Reading, Taken, judge_manifest, take
from firmware_py.trust.statements import NOTHING, Apply, Change, Held, judge_change
from firmware_py.trust.store import (
    Directory,
    DirectoryDamaged,
    DirectoryFailed,
    OutOfOrder,
    set_aside,
)
from tests.firmware.rights import (
    GUID,
    KEYS,
    OTHER_GUID,
    TERMINAL,
    WARD,
    Gateway,
    entitlement,
    policy,
    terminal,
)

_OPEN: list[Directory] = []


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "directory.sqlite"
    while _OPEN:
        _OPEN.pop().close()


def opened(path: Path) -> Directory:
    """A terminal's first start."""
    directory, trouble = Directory.open_or_replace(path, Held())
    assert trouble is None
    _OPEN.append(directory)
    return directory


def reopened(path: Path, highest: Held | None = None) -> Directory:
    """Another start."""
    directory = Directory.open(path, highest or Held())
    _OPEN.append(directory)
    return directory


def change(message: bytes, held: Held) -> Change:
    verdict = judge_change(message, KEYS, held)
    assert isinstance(verdict, Apply)
    return verdict.change


def filled(path: Path, gateway: Gateway) -> Directory:
    """A site with Alice's card, this terminal and its ward's policy."""
    directory = opened(path)
    message = gateway.change(entitlement(), terminal(), policy(grace_s=60))
    directory.apply(change(message, directory.held))
    return directory


def load(directory: Directory, gateway: Gateway, highest: Held | None = None) -> None:
    """A snapshot, as a terminal takes it."""
    manifest, listed, chunks = gateway.snapshot()
    reading = judge_manifest(manifest, KEYS, highest or directory.held, directory.held)
    assert isinstance(reading, Reading)
    writer = directory.begin_snapshot()
    for body in [listed, *chunks]:
        verdict = take(reading, body)
        assert isinstance(verdict, Taken)
        writer.add(verdict.rows)
        reading = verdict.reading
    assert reading.complete
    writer.swap(reading.held)


# ---- changes -----------------------------------------------------------------------------------


def test_a_new_terminal_says_that_it_has_no_directory(path: Path) -> None:
    directory = opened(path)
    assert directory.held.version == NOTHING
    assert directory.place(TERMINAL).directory is None
    assert directory.entitlement(GUID) is None


def test_an_applied_change_is_there_also_after_a_restart(path: Path) -> None:
    gateway = Gateway()
    filled(path, gateway).close()
    directory = reopened(path)
    assert directory.held == Held(Version(1, 1), gateway.head, gateway.issued_ms)
    found = directory.entitlement(GUID)
    assert found is not None
    assert found.holder == "alice"
    place = directory.place(TERMINAL)
    assert place.directory == Version(1, 1)
    assert place.terminal is not None
    assert place.policy.grace_s == 60


def test_a_later_entry_replaces_and_a_removal_takes_away(path: Path) -> None:
    gateway = Gateway()
    directory = filled(path, gateway)
    assert directory.place(TERMINAL).policy.grace_s == 60
    gone = Removed(kind=EntryKind.ENTITLEMENT, id=GUID, salt=secrets.token_hex(16))
    other = entitlement(guid=OTHER_GUID, status=Status.SUSPENDED)
    message = gateway.change(gone, other, policy(grace_s=30))
    directory.apply(change(message, directory.held))
    assert directory.entitlement(GUID) is None
    found = directory.entitlement(OTHER_GUID)
    assert found is not None
    assert found.status is Status.SUSPENDED
    assert directory.place(TERMINAL).policy.grace_s == 30


def test_a_change_applies_once_and_in_order(path: Path) -> None:
    gateway = Gateway()
    directory = opened(path)
    first = change(gateway.change(entitlement()), directory.held)
    directory.apply(first)
    with pytest.raises(OutOfOrder):
        directory.apply(first)
    far = Change(Held(Version(1, 3), Digest("ab" * 32), 0), (), (), first.envelope)
    with pytest.raises(OutOfOrder):
        directory.apply(far)
    assert directory.held == first.held


def test_a_ward_without_a_policy_has_the_contracts_defaults(path: Path) -> None:
    gateway = Gateway()
    directory = opened(path)
    directory.apply(change(gateway.change(terminal()), directory.held))
    place = directory.place(TERMINAL)
    assert place.policy.ward == WARD
    assert place.policy.break_glass is None
    assert directory.place(TerminalId("stranger")).terminal is None
    assert directory.policy(WardId("theatre")) is None


# ---- snapshots -------------------------------------------------------------------------------


def test_a_snapshot_takes_the_place_of_what_was_held(path: Path) -> None:
    gateway = Gateway()
    directory = filled(path, gateway)
    gone = Removed(kind=EntryKind.ENTITLEMENT, id=GUID, salt=secrets.token_hex(16))
    gateway.change(gone, entitlement(guid=OTHER_GUID))
    load(directory, gateway)
    assert directory.held.version == Version(1, 2)
    assert directory.entitlement(GUID) is None
    assert directory.entitlement(OTHER_GUID) is not None
    gateway_next = change(gateway.change(entitlement()), directory.held)
    directory.apply(gateway_next)
    assert directory.entitlement(GUID) is not None


def test_nothing_of_a_snapshot_is_seen_before_it_is_swapped_in(path: Path) -> None:
    gateway = Gateway()
    directory = filled(path, gateway)
    writer = directory.begin_snapshot()
    rows = change(Gateway().change(entitlement(guid=OTHER_GUID)), Held()).rows
    writer.add(rows)
    assert directory.entitlement(OTHER_GUID) is None
    assert directory.entitlement(GUID) is not None
    writer.abandon()
    assert directory.held.version == Version(1, 1)
    assert directory.entitlement(GUID) is not None


def test_a_snapshot_overtaken_by_changes_is_not_swapped_in(path: Path) -> None:
    gateway = Gateway()
    directory = filled(path, gateway)
    writer = directory.begin_snapshot()
    directory.apply(change(gateway.change(entitlement(guid=OTHER_GUID)), directory.held))
    with pytest.raises(OutOfOrder):
        writer.swap(directory.held)
    writer.abandon()
    assert directory.entitlement(OTHER_GUID) is not None


def test_taps_go_on_while_another_thread_loads(path: Path) -> None:
    gateway = Gateway()
    directory = filled(path, gateway)
    gateway.change(*(entitlement(guid=Guid(f"{n + 1:032x}")) for n in range(50)))
    loading = threading.Thread(target=load, args=(directory, gateway))
    loading.start()
    looked_up = 0
    while loading.is_alive() or not looked_up:
        assert directory.entitlement(GUID) is not None
        looked_up += 1
    loading.join()
    assert directory.held.version == Version(1, 2)


# ---- damage -----------------------------------------------------------------------------------


def damaged(path: Path, highest: Held | None = None) -> str:
    """What is said of it; a fresh one stands in its place, and the damaged one is kept aside."""
    directory, trouble = Directory.open_or_replace(path, highest or Held())
    assert isinstance(trouble, DirectoryDamaged)
    assert directory.held.version == NOTHING
    assert directory.place(TERMINAL).directory is None
    directory.close()
    return str(trouble)


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 500])
def test_a_file_that_is_no_database_is_reported(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    damaged(path)
    assert path.with_name("directory.sqlite.damaged").read_bytes() == content


def test_another_programs_database_is_reported(path: Path) -> None:
    with sqlite3.connect(path) as theirs:
        theirs.execute("CREATE TABLE entry (x)")
    theirs.close()
    assert "not a directory" in damaged(path)


def test_a_directory_that_vanished_is_reported_and_a_first_start_is_not(path: Path) -> None:
    opened(path).close()
    path.unlink()
    assert "there is no directory" in damaged(path, Held(Version(1, 9)))


def test_an_old_directory_put_back_is_reported(path: Path) -> None:
    gateway = Gateway()
    filled(path, gateway).close()
    assert "older" in damaged(path, Held(Version(1, 2)))


def test_a_torn_page_is_reported_when_it_is_read(path: Path) -> None:
    gateway = Gateway()
    directory = opened(path)
    cards = [entitlement(guid=Guid(f"{n + 1:032x}")) for n in range(200)]
    directory.apply(change(gateway.change(*cards), directory.held))
    directory.close()
    data = bytearray(path.read_bytes())
    for page in range(4, len(data) // 4096, 3):
        data[page * 4096 : page * 4096 + 64] = bytes(64)
    path.write_bytes(data)
    with pytest.raises(DirectoryDamaged):
        _read_all(path, [card.guid for card in cards])


def test_a_directory_cut_short_is_reported_at_the_latest_when_it_is_read(path: Path) -> None:
    gateway = Gateway()
    directory = opened(path)
    cards = [entitlement(guid=Guid(f"{n + 1:032x}")) for n in range(200)]
    directory.apply(change(gateway.change(*cards), directory.held))
    directory.close()
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(DirectoryDamaged):
        _read_all(path, [card.guid for card in cards])


def _read_all(path: Path, guids: list[Guid]) -> None:
    directory = reopened(path)
    assert all(directory.entitlement(guid) for guid in guids)


def test_a_decayed_entry_is_reported_and_never_read_as_another(path: Path) -> None:
    gateway = Gateway()
    directory = opened(path)
    message = gateway.change(entitlement(status=Status.REVOKED))
    directory.apply(change(message, directory.held))
    directory.close()
    data = path.read_bytes()
    assert data.count(b'"revoked"') == 1
    path.write_bytes(data.replace(b'"revoked"', b'"active" '))
    directory = reopened(path)
    with pytest.raises(DirectoryDamaged):
        directory.entitlement(GUID)


def test_a_damaged_directory_that_cannot_be_moved_away_is_said_in_our_own_words(path: Path) -> None:
    filled(path, Gateway()).close()
    path.with_name("directory.sqlite.damaged").mkdir()
    with pytest.raises(DirectoryFailed):
        set_aside(path)
    assert path.exists()


def test_a_damaged_directory_is_filled_again_at_the_highest_version(path: Path) -> None:
    gateway = Gateway()
    directory = filled(path, gateway)
    highest = directory.held
    directory.close()
    path.write_bytes(b"rubbish" * 1000)
    directory, trouble = Directory.open_or_replace(path, highest)
    _OPEN.append(directory)
    assert trouble is not None
    load(directory, gateway, highest)
    assert directory.held == highest
    assert directory.entitlement(GUID) is not None


def test_a_folder_that_is_not_there_is_the_disks_fault(tmp_path: Path) -> None:
    with pytest.raises(DirectoryFailed):
        Directory.open_or_replace(tmp_path / "nowhere" / "directory.sqlite", Held())


# ---- kills ---------------------------------------------------------------------------------------


def test_killed_at_any_moment_it_holds_the_last_version_said_or_the_one_after(path: Path) -> None:
    opened(path).close()
    child = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(path)], stdout=subprocess.PIPE, text=True
    )
    said = 0
    assert child.stdout is not None
    for line in child.stdout:
        said = int(line)
        if said >= 30:
            child.send_signal(signal.SIGKILL)
            break
    rest = child.stdout.read().split()
    child.wait(10)
    child.stdout.close()
    said = int(rest[-1]) if rest else said
    directory = reopened(path, Held(Version(1, said)))
    held = directory.held.version.n
    assert held in {said, said + 1}
    for n in range(1, held + 1):
        assert directory.entitlement(Guid(f"{n:032x}")) is not None
    assert directory.entitlement(Guid(f"{held + 1:032x}")) is None
    directory.close()


_KILLED = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from contract.ids import Version
    from firmware_py.trust.store import Directory
    from firmware_py.trust.statements import Change, Held, Row
    from tests.firmware.rights import Gateway, entitlement, key_envelope

    directory = Directory.open(Path(sys.argv[1]), Held())
    for n in range(1, 10_000):
        row, entry = Row.of(entitlement(guid=f"{n:032x}").to_bytes())
        held = Held(Version(1, n), "ab" * 32, n)
        directory.apply(Change(held, (row,), (entry,), key_envelope()))
        print(n, flush=True)
    """
)


def test_what_a_kill_left_of_a_snapshot_is_dropped_at_the_next_one(path: Path) -> None:
    gateway = Gateway()
    directory = filled(path, gateway)
    left = directory.begin_snapshot()
    left.add(change(Gateway().change(entitlement(guid=OTHER_GUID)), Held()).rows)
    left.connection.close()  # as a kill would
    gateway.change(policy(grace_s=30))
    load(directory, gateway)
    assert directory.entitlement(OTHER_GUID) is None
    assert directory.place(TERMINAL).policy.grace_s == 30
