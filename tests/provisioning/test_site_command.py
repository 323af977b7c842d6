"""`tapover site` as people and scripts run it: what is said where, what must be asked for."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contract.ids import SiteId
from provisioning.site import making, roots, rotate
from provisioning.site.folder import SiteFolder, init_site
from provisioning.site.making import Replacement
from provisioning.site.rotate import Key
from runtime.clock import SystemClock

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = "of a test, not of a site"
NOW_MS = SystemClock().wall_ms()


def tapover(
    *argv: str, passphrase: str | None = None, answer: int | None = None
) -> subprocess.CompletedProcess[str]:
    """The command; the passphrase goes in by descriptor 9, `answer` is what stdin is."""
    more: list[str] = []
    passed: tuple[int, ...] = ()
    if passphrase is not None:
        reading, writing = os.pipe()
        os.write(writing, f"{passphrase}\nand nothing of a second line\n".encode())
        os.close(writing)
        more, passed = ["--passphrase-fd", str(reading)], (reading,)
    done = subprocess.run(
        [sys.executable, "-m", "provisioning", *argv, *more],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=ROOT,
        pass_fds=passed,
        stdin=subprocess.DEVNULL if answer is None else answer,
    )
    for descriptor in passed:
        os.close(descriptor)
    assert PASSPHRASE not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SiteFolder:
    folder = SiteFolder(tmp_path_factory.mktemp("command") / "site")
    init_site(folder, SiteId("st-elsewhere"), ("127.0.0.1",), PASSPHRASE.encode(), NOW_MS)
    return folder


@pytest.fixture
def site(made: SiteFolder, tmp_path: Path) -> SiteFolder:
    shutil.copytree(made.path, tmp_path / "site")
    return SiteFolder(tmp_path / "site")


def files_of(folder: Path) -> dict[Path, bytes]:
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def init(folder: Path, *more: str, passphrase: str = PASSPHRASE) -> Any:  # noqa: ANN401 - JSON
    argv = ("site", "init", "--folder", str(folder), "--site", "st-elsewhere", "--host", "::1")
    done = tapover(*argv, "--json", *more, passphrase=passphrase)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_site_is_made_by_command_and_its_root_is_encrypted(tmp_path: Path) -> None:
    answer = init(tmp_path / "site")
    site = SiteFolder(tmp_path / "site")
    assert answer == {"site": "st-elsewhere", "root_fingerprint": site.root_fingerprint}
    assert roots.needs(site.authority) == "Passphrase of the root key"
    shown = tapover("site", "show", "--folder", str(site.path), "--json")
    assert json.loads(shown.stdout)["key_epoch"] == 1


def test_a_dry_run_says_what_would_be_and_writes_nothing(site: SiteFolder, tmp_path: Path) -> None:
    assert init(tmp_path / "other", "--dry-run")["written"] is False
    assert not (tmp_path / "other").exists()
    before = files_of(site.path)
    argv = ("site", "rotate", "terminal-ca", "--folder", str(site.path), "--dry-run", "--json")
    done = tapover(*argv, passphrase=PASSPHRASE)
    answer = json.loads(done.stdout)
    assert (answer["epoch"], answer["overlaps"], answer["written"]) == (2, True, False)
    assert "broker/terminal.crl.pem" in answer["files"]
    assert files_of(site.path) == before


def test_a_rotation_is_not_made_unless_somebody_says_yes(site: SiteFolder) -> None:
    before = files_of(site.path)
    argv = ("site", "rotate", "log", "--folder", str(site.path))
    done = tapover(*argv, "--json", passphrase=PASSPHRASE)
    assert (done.returncode, done.stdout) == (3, "")
    assert "[108]" in done.stderr
    assert "gateway/log.key.pem" in done.stderr  # what would change is said before it is asked
    ours, theirs = pty.openpty()
    os.write(ours, b"n\n")
    assert tapover(*argv, passphrase=PASSPHRASE, answer=theirs).returncode == 3
    assert files_of(site.path) == before
    os.write(ours, b"y\n")
    done = tapover(*argv, passphrase=PASSPHRASE, answer=theirs)
    assert done.returncode == 0, done.stderr
    assert "epoch: 2" in done.stdout
    assert files_of(site.path) != before


@pytest.mark.parametrize("passphrase", ["", "another one", "x" * 2000])
def test_without_the_passphrase_nothing_is_rotated(site: SiteFolder, passphrase: str) -> None:
    before = files_of(site.path)
    argv = ("site", "rotate", "statement", "--folder", str(site.path), "--yes", "--json")
    done = tapover(*argv, passphrase=passphrase)
    assert (done.returncode, done.stdout) == (2, "")
    assert "[103]" in done.stderr
    assert tapover(*argv).returncode == 2  # and nobody is there to be asked
    assert files_of(site.path) == before


def test_a_rotation_that_was_cut_off_is_made_whole_by_the_same_command(site: SiteFolder) -> None:
    """As a power cut leaves it: all is written, one file of two is in its place."""
    (site.path / "change").mkdir()
    for number, text in enumerate(("one", "two")):
        (site.path / "change" / str(number)).write_text(text)
    plan = {"what": "log", "files": [["authority/one", False], ["gateway/two", False]]}
    (site.path / "change" / "plan.json").write_text(json.dumps(plan))
    refused = tapover("site", "show", "--folder", str(site.path))
    assert (refused.returncode, "[113]" in refused.stderr) == (1, True)
    argv = ("site", "rotate", "log", "--folder", str(site.path), "--json")
    done = tapover(*argv)
    assert json.loads(done.stdout) == {"key": "log", "resumed": True}
    assert (site.authority / "one").read_text() == "one"
    assert (site.gateway / "two").read_text() == "two"
    assert tapover("site", "show", "--folder", str(site.path)).returncode == 0


def test_a_site_is_never_made_over_anything(site: SiteFolder) -> None:
    before = files_of(site.path)
    argv = ("site", "init", "--folder", str(site.path), "--site", "other", "--host", "::1")
    done = tapover(*argv, passphrase=PASSPHRASE)
    assert (done.returncode, done.stdout) == (1, "")
    assert "[101]" in done.stderr
    assert files_of(site.path) == before


def test_the_command_that_comes_second_is_told_of_the_first(site: SiteFolder) -> None:
    with making.working_on(site.path):
        argv = ("site", "rotate", "log", "--folder", str(site.path), "--yes")
        done = tapover(*argv, passphrase=PASSPHRASE)
    assert (done.returncode, "[111]" in done.stderr) == (1, True)


def test_what_a_rotation_holds_is_not_shown_by_a_log_or_a_debugger(site: SiteFolder) -> None:
    planned = rotate.plan(
        site, Key.LOG, lambda: roots.open_root(site.authority, lambda _: PASSPHRASE), NOW_MS
    )
    assert "PRIVATE KEY" not in repr(planned)
    assert repr(Replacement("a", b"secret")) == "Replacement('a', …)"


def typed(*lines: str, folder: Path) -> tuple[int, str]:
    """`site init` at a terminal of its own: exit status, and all that the terminal showed."""
    ours, theirs = pty.openpty()
    argv = ("site", "init", "--folder", str(folder), "--site", "st-elsewhere", "--host", "::1")
    running = subprocess.Popen(
        [sys.executable, "-m", "provisioning", *argv],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    for line in lines:
        # The blank comes when the echo is off, and what was typed before it is thrown away.
        while not shown.endswith(b": "):
            shown += os.read(ours, 1024)
        os.write(ours, f"{line}\n".encode())
        shown += b"\n"
    try:
        while piece := os.read(ours, 1024):
            shown += piece
    except OSError:  # the terminal's other end is closed
        pass
    os.close(ours)
    return running.wait(timeout=20), shown.decode()


def test_a_passphrase_that_is_typed_is_asked_for_twice_and_never_shown(tmp_path: Path) -> None:
    status, shown = typed(PASSPHRASE, PASSPHRASE, folder=tmp_path / "site")
    assert status == 0, shown
    assert PASSPHRASE not in shown
    site = SiteFolder(tmp_path / "site")
    roots.open_root(site.authority, lambda _: PASSPHRASE)


def test_the_root_is_replaced_by_command_and_the_old_one_is_remembered(
    site: SiteFolder, tmp_path: Path
) -> None:
    first, before = site.root_fingerprint, files_of(site.path)
    (tmp_path / "new").write_text("another one\n")
    argv = ("site", "rotate", "root", "--folder", str(site.path), "--json")
    new = ("--new-file", str(tmp_path / "new"))
    for more in (("--dry-run",), ()):  # and nobody said yes
        assert tapover(*argv, *new, *more, passphrase=PASSPHRASE).returncode in (0, 3)
        assert files_of(site.path) == before
    done = tapover(*argv, *new, "--yes", passphrase=PASSPHRASE)
    assert done.returncode == 0, done.stderr
    shown = json.loads(tapover("site", "show", "--folder", str(site.path), "--json").stdout)
    assert shown["roots_before"] == [first]
    assert shown["root_fingerprint"] != first
    roots.open_root(site.authority, lambda _: "another one")
