"""Written means fsynced; an identity is never replaced; one process a folder."""

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import durable
from tests import parts

CHILD = """
import sys
from pathlib import Path
from runtime.durable import FolderLock
FolderLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_written_file_holds_its_data_and_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        durable.write_file(tmp_path / "secret", b"one")
        durable.write_file(tmp_path / "public", b"two", mode=0o644)
    finally:
        os.umask(before)
    assert (tmp_path / "secret").read_bytes() == b"one"
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "public").stat().st_mode) == 0o644
    assert names(tmp_path) == ["public", "secret"]


def test_a_write_replaces_and_an_identity_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    durable.create_new(path, b"first")
    with pytest.raises(durable.AlreadyThere):
        durable.create_new(path, b"second")
    assert path.read_bytes() == b"first"
    durable.write_file(path, b"third")
    assert path.read_bytes() == b"third"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("write", ["write_file", "create_new"])
def test_data_is_flushed_before_its_name_and_the_folder_after(tmp_path: Path, write: str) -> None:
    program = (
        "import sys; from pathlib import Path; from runtime import durable; "
        f"durable.{write}(Path(sys.argv[1]), b'data')"
    )
    calls = "openat,fsync,rename,link,unlink"
    log, path = tmp_path / "calls", tmp_path / "state" / "file"
    path.parent.mkdir()
    command = [parts.program("strace"), "-qq", "-o", str(log), "-e", calls]
    subprocess.run([*command, sys.executable, "-c", program, str(path)], check=True)
    lines = log.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if ".file." in line)
    steps = [line.partition("(")[0] for line in lines[first:]]
    named = ["rename"] if write == "write_file" else ["link", "unlink"]
    assert steps == ["openat", "fsync", *named, "openat", "fsync"]


@pytest.mark.parametrize("write", [durable.write_file, durable.create_new])
@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, durable.DiskFull),
        (errno.EDQUOT, durable.DiskFull),
        (errno.EIO, durable.StorageError),
    ],
)
def test_a_failed_flush_leaves_the_folder_as_it_was(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: object,
    number: int,
    error: type[Exception],
) -> None:
    assert callable(write)

    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    (tmp_path / "old").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(error):
        write(tmp_path / ("old" if write is durable.write_file else "new"), b"data")
    assert names(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_a_real_end_of_space_is_our_own_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    durable.write_file(path, b"old")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
    try:
        with pytest.raises(durable.StorageError):
            durable.write_file(path, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_reading_has_a_cap(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert durable.read_capped(path, 5) == b"12345"
    with pytest.raises(durable.TooLarge):
        durable.read_capped(path, 4)
    with pytest.raises(durable.NotThere):
        durable.read_capped(tmp_path / "other", 4)
    with pytest.raises(durable.StorageError):
        durable.read_capped(tmp_path, 4)


def test_removing_and_making_folders(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    durable.make_folder(deep)
    durable.make_folder(deep)
    assert stat.S_IMODE(deep.stat().st_mode) == 0o700
    durable.write_file(deep / "file", b"")
    durable.remove(deep / "file")
    with pytest.raises(durable.NotThere):
        durable.remove(deep / "file")
    durable.write_file(deep / "file", b"")
    with pytest.raises(durable.StorageError):
        durable.make_folder(deep / "file" / "below")


def test_what_a_power_cut_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".key.0123456789abcdef.tmp").write_bytes(b"half a k")
    durable.write_file(tmp_path / "key", b"key")
    assert durable.remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == ["key"]


def test_one_process_a_folder_and_a_kill_frees_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(durable.FolderInUse, match=f"process {child.pid} uses") as caught:
            durable.FolderLock(tmp_path)
        assert caught.value.pid == child.pid
        child.kill()
    with durable.FolderLock(tmp_path), pytest.raises(durable.FolderInUse):
        durable.FolderLock(tmp_path)
    durable.FolderLock(tmp_path).release()


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(durable.NotThere):
        durable.FolderLock(tmp_path / "absent")
