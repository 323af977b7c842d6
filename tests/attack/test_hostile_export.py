"""Exports made to hurt the auditor: each ends with 1 or 2 and a sentence, soon and in bounds."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.verify.maker import Journal, Site
from tests.verify.signers import P256, envelope

VERIFIER = Path(__file__).parents[2] / "tapover_verify.py"
MOST_BYTES = 1 << 30
MOST_S = 20
TEBIBYTE = 1 << 40


def audited(folder: Path, site: Site, **environment: str) -> tuple[int, str]:
    """Exit status and words of the auditor's program, which gets little memory and time."""
    done = subprocess.run(
        [sys.executable, str(VERIFIER), str(folder), "--root", site.fingerprint],
        capture_output=True,
        timeout=MOST_S,
        check=False,
        env=os.environ | environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES)),
    )
    assert b"Traceback" not in done.stderr, done.stderr[-300:]
    return done.returncode, done.stdout.decode()


def linked(folder: Path) -> None:
    (folder / "tile" / "passwd").symlink_to("/etc/passwd")


def linked_round(folder: Path) -> None:
    (folder / "tile" / "round").symlink_to(folder)


def endless_checkpoint(folder: Path) -> None:
    (folder / "checkpoint").unlink()
    (folder / "checkpoint").symlink_to("/dev/zero")


def piped(folder: Path) -> None:
    (folder / "bodies").unlink()
    os.mkfifo(folder / "bodies")


def deep(folder: Path) -> None:
    at = os.open(folder / "tile", os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("a", dir_fd=at)
        below = os.open("a", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)


def holed(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        os.truncate(next(folder.rglob(name)), TEBIBYTE)

    return make


def steering(folder: Path) -> None:
    (folder / "tile" / os.fsdecode(b"\x1b]0;mine\x07\x1b[2J\n\xff\x9b2J")).mkdir()


def checkpoint(text: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "checkpoint").write_text(text)

    return make


def many(folder: Path) -> None:
    (folder / "bodies").write_bytes(b"".join(b"%d\n" % number for number in range(300_000)))


ROOT = "A" * 43 + "="
FOLDERS = {
    "a link to a file": linked,
    "a link that goes round": linked_round,
    "a checkpoint without end": endless_checkpoint,
    "a pipe": piped,
    "1,500 folders deep": deep,
    "a checkpoint of a tebibyte": holed("checkpoint"),
    "bodies of a tebibyte": holed("bodies"),
    "leaves of a tebibyte": holed("1"),
    "names that steer a terminal": steering,
    "a log of 10^15 leaves": checkpoint(f"x\n{10**15 - 1}\n{ROOT}\n\n— x AAAA\n"),
    "an origin that steers a terminal": checkpoint(f"\x1b[2J\u202e\n1\n{ROOT}\n\n— x AAAA\n"),
    "bodies that nobody names": many,
}


@pytest.mark.parametrize("spoil", FOLDERS.values(), ids=FOLDERS)
def test_a_hostile_folder_is_refused_in_words_that_any_screen_can_show(
    short_tmp: Path, spoil: Callable[[Path], None]
) -> None:
    site = Site()
    folder = site.write(short_tmp / "export")
    spoil(folder)
    status, words = audited(folder, site, PYTHONIOENCODING="ascii")
    try:
        assert status in {1, 2}
        assert words.startswith(("REFUSED: ", "CANNOT BE READ: "))
        assert words.removesuffix("\n").isprintable()
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)  # shutil does not go so deep


LEAVES = {
    "deep": b'{"type":"tapover/batch/v1","a":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "a name twice": b'{"type":"tapover/batch/v1","type":"tapover/batch/v1"}',
    "no number": b'{"type":NaN}',
    "a number of 9,000 digits": b'{"type":1' + b"0" * 9_000 + b"}",
    "half a surrogate": b'{"type":"\\ud800"}',
    "a NUL": b'{"type":"tapover/batch/v1","terminal":"\\u0000","journal":"' + b"0" * 32 + b'"}',
    "steering": b'{"type":"tapover/batch/v1","terminal":"\\u001b[2J\\u009b1m\\u202e","journal":"'
    + b"0" * 32
    + b'","first":0,"previous":"","events":[],"holds":null}',
    "a list": b"[]",
}


@pytest.mark.parametrize("payload", LEAVES.values(), ids=LEAVES)
def test_a_hostile_statement_well_signed_is_refused(tmp_path: Path, payload: bytes) -> None:
    site = Site()
    site.leaves.append(envelope("batch", payload, site.statement))
    status, words = audited(site.write(tmp_path / "export"), site)
    assert status == 1
    assert words.startswith("REFUSED: ")
    assert words.removesuffix("\n").isprintable()


@pytest.mark.parametrize("name", ["a\x9b2Jb", "a\u202eb", "\u0301x", "n" * 900])
def test_a_site_whose_name_no_screen_can_show_is_not_proven(tmp_path: Path, name: str) -> None:
    site = Site(name)
    status, words = audited(site.write(tmp_path / "export"), site)
    assert status == 1
    assert words.isascii()


def test_the_same_bodies_declared_deleted_again_and_again_cost_no_time(tmp_path: Path) -> None:
    site = Site()
    bay, own = Journal(site, "bay-1", P256()), Journal(site, "gateway", site.statement)
    site.change(bay.entry())
    for _ in range(20):
        for _ in range(500):
            bay.event("terminal.noted")
        bay.batch()
    own.delete(bay, 1, 9_999)
    for _ in range(20):
        for _ in range(100):
            own.event("bodies.deleted", rule="daily", journal=bay.id, first=1, count=9_999)
        own.batch()
    status, words = audited(site.write(tmp_path / "export"), site)
    assert status == 1
    assert "told twice" in words
