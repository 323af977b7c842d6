"""The root key in a PKCS#11 token: made there, used there, and never taken out of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contract.ids import KeyId
from contract.signing import Envelope
from contract.statements import KeyStatement
from provisioning.site.folder import SiteFolder
from tests.provisioning.softhsm import LABEL, SoftHsm

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def token(tmp_path: Path) -> SoftHsm:
    return SoftHsm(tmp_path / "hsm")


def tapover(token: SoftHsm, *argv: str, pin: str | None = None) -> tuple[int, Any, str]:
    """Exit status, the answer, the words; the PIN goes in by a file descriptor."""
    reading, writing = os.pipe()
    os.write(writing, f"{pin or token.pin}\n".encode())
    os.close(writing)
    done = subprocess.run(
        [sys.executable, "-m", "provisioning", *argv, "--pin-fd", str(reading), "--json"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=ROOT,
        env={**os.environ, **token.environment},
        pass_fds=(reading,),
        stdin=subprocess.DEVNULL,
    )
    os.close(reading)
    assert token.pin not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout or "null"), done.stderr


def init(token: SoftHsm, folder: Path, *more: str, pin: str | None = None) -> tuple[int, Any, str]:
    options = ("--folder", str(folder), "--site", "st-elsewhere", "--host", "127.0.0.1", *more)
    where = ("--token-module", str(token.module), "--token", LABEL)
    return tapover(token, "site", "init", *options, *where, pin=pin)


def statement_of(site: SiteFolder) -> KeyStatement:
    envelope = Envelope.from_bytes((site.gateway / "keys.dsse").read_bytes())
    return KeyStatement.open_pinned(envelope, KeyId(site.root_fingerprint))


def test_a_site_is_made_and_its_keys_replaced_by_a_root_that_stays_in_its_token(
    token: SoftHsm, tmp_path: Path
) -> None:
    site = SiteFolder(tmp_path / "site")
    status, answer, words = init(token, site.path)
    assert status == 0, words
    assert answer["root_fingerprint"] == site.root_fingerprint
    assert statement_of(site).epoch == 1
    assert not (site.authority / "root.key.pem").exists()
    assert sorted(kind.split(";")[0] for kind in token.objects()) == [
        "Private Key Object",
        "Public Key Object",
    ]

    status, answer, words = tapover(
        token, "site", "rotate", "statement", "--folder", str(site.path), "--yes"
    )
    assert status == 0, words
    assert (answer["epoch"], statement_of(site).epoch) == (2, 2)


def test_a_wrong_pin_makes_nothing(token: SoftHsm, tmp_path: Path) -> None:
    status, answer, words = init(token, tmp_path / "site", pin="00000000")
    assert (status, answer) == (1, None)
    assert "refuses the PIN" in words
    assert words.rstrip().endswith("[109]")
    assert [path.name for path in tmp_path.iterdir()] == ["hsm"]
    assert token.objects() == []


def test_a_module_or_token_that_is_not_there_is_one_line(token: SoftHsm, tmp_path: Path) -> None:
    folder = ("--folder", str(tmp_path / "s"), "--site", "x", "--host", "::1")
    for module, label in ((token.module, "another"), (tmp_path / "no.so", LABEL)):
        where = ("--token-module", str(module), "--token", label)
        status, _, words = tapover(token, "site", "init", *folder, *where)
        assert (status, len(words.splitlines())) == (1, 1), words
        assert "[109]" in words


def test_a_key_that_a_power_cut_left_in_the_token_is_taken_back(
    token: SoftHsm, tmp_path: Path
) -> None:
    """As after a cut between the key's making and the folder's: its place was said first."""
    first = tmp_path / "first"
    assert init(token, first)[0] == 0
    unfinished = tmp_path / ".site.unfinished" / "authority"
    unfinished.mkdir(parents=True)
    (first / "authority" / "root.token.json").rename(unfinished / "root.token.json")
    assert len(token.objects()) == 2
    assert init(token, tmp_path / "site")[0] == 0
    assert len(token.objects()) == 2  # the new one; the one of no site is gone
