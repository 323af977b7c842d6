"""The journal's reserve: a full disk cannot take it, and a torn write loses nothing before it."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from firmware_py.emergency.reserve import SIZE, Reserve, ReserveFull


@pytest.fixture
def reserve(tmp_path: Path) -> Reserve:
    made = Reserve(tmp_path / "journal.reserve")
    made.prepare()
    return made


def test_what_is_put_is_there_in_its_order_and_after_a_restart(reserve: Reserve) -> None:
    reserve.put(b"one")
    reserve.put(b"two" * 100)
    assert Reserve(reserve.path).records() == [b"one", b"two" * 100]


def test_its_space_is_taken_before_it_is_needed_and_never_grows(reserve: Reserve) -> None:
    status = reserve.path.stat()
    assert status.st_size == SIZE
    assert status.st_blocks * 512 >= SIZE  # no hole: its blocks are its own
    reserve.put(b"x" * 1000)
    assert reserve.path.stat().st_size == SIZE


def test_emptied_it_takes_as_much_again(reserve: Reserve) -> None:
    for round_ in range(3):
        room = SIZE // 1036
        for _ in range(room):
            reserve.put(b"%d" % round_ * 1000)
        with pytest.raises(ReserveFull):
            reserve.put(b"%d" % round_ * 1000)
        assert len(reserve.records()) == room
        reserve.forget(reserve.records())
        assert reserve.records() == []


@pytest.mark.parametrize("kept", range(0, 45, 3))
def test_a_write_that_power_cut_short_loses_nothing_that_was_kept(
    reserve: Reserve, kept: int
) -> None:
    reserve.put(b"kept")
    before = reserve.path.read_bytes()
    reserve.put(b"torn")
    after = reserve.path.read_bytes()
    begins = next(at for at in range(SIZE) if before[at] != after[at])
    torn = after[: begins + kept] + before[begins + kept :]
    reserve.path.write_bytes(torn)
    assert reserve.records() in ([b"kept"], [b"kept", b"torn"])
    reserve.put(b"next")
    assert reserve.records()[0] == b"kept"
    assert reserve.records()[-1] == b"next"


def test_prepared_again_it_keeps_what_lies_in_it(reserve: Reserve) -> None:
    reserve.put(b"kept")
    Reserve(reserve.path).prepare()
    assert reserve.records() == [b"kept"]


@pytest.mark.parametrize("by", [-1000, 5000])
def test_one_of_another_size_is_made_anew_with_what_lies_in_it(reserve: Reserve, by: int) -> None:
    reserve.put(b"kept")
    data = reserve.path.read_bytes()
    reserve.path.write_bytes((data + bytes(5000))[: SIZE + by])
    Reserve(reserve.path).prepare()
    assert reserve.path.stat().st_size == SIZE
    assert reserve.records() == [b"kept"]


def test_one_that_was_cut_to_nothing_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal.reserve"
    path.write_bytes(b"cut")
    reserve = Reserve(path)
    reserve.prepare()
    assert path.stat().st_size == SIZE
    assert reserve.records() == []


def test_one_that_cannot_be_read_says_so_and_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path)  # a folder
    with pytest.raises(ReserveFull):
        reserve.records()
    with pytest.raises(ReserveFull):
        reserve.forget([b"what was read before"])


def test_what_came_while_the_rest_was_journalled_stays(reserve: Reserve) -> None:
    reserve.put(b"journalled")
    read = reserve.records()
    reserve.put(b"fresh")
    reserve.forget(read)
    assert reserve.records() == [b"journalled", b"fresh"]
    reserve.forget(reserve.records())
    assert reserve.records() == []


def test_a_record_that_was_cut_short_is_told_to_the_log(
    reserve: Reserve, caplog: pytest.LogCaptureFixture
) -> None:
    reserve.put(b"torn")
    data = bytearray(reserve.path.read_bytes())
    data[36] ^= 1
    reserve.path.write_bytes(data)
    assert reserve.records() == []
    assert [one.levelname for one in caplog.records] == ["WARNING"]


def test_without_the_file_nothing_is_kept_and_that_is_said(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "gone")
    assert reserve.records() == []
    with pytest.raises(ReserveFull):
        reserve.put(b"record")


def test_where_no_file_may_grow_it_still_takes_a_record(reserve: Reserve) -> None:
    """A quota, or a limit of this process: what was taken before is not asked for again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE, hard))
    try:
        with pytest.raises(OSError, match="File too large"), open(reserve.path, "ab") as file:  # noqa: PTH123
            file.write(b"more")
        reserve.put(b"kept")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert reserve.records() == [b"kept"]


def test_on_a_disk_without_a_free_block_it_still_takes_a_record(tmp_path: Path) -> None:
    argv = ("unshare", "--map-root-user", "--mount", sys.executable, "-m")
    module = "tests.firmware.full_reserve"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        (*argv, module, str(tmp_path)), cwd=root, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "kept"), done.stderr
