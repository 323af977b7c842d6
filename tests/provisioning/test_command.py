"""The `tapover` command as a person runs it: a process, real parts, words and exit statuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ward.pcscd import Pcscd
from benchmarks.ward.site import OPERATOR, Ward
from hardware.virtual.card import Card

HOLDER = {
    "holder": "h-fflur",
    "name": {"full": "Fflur Evans", "short": "Fflur E.", "initials": "FE"},
    "positions": [{"id": "ed-nurse", "role": "R8001", "name": "Nurse", "areas": []}],
}


def tapover(
    *argv: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command with `--json`, and nobody there to be asked."""
    return subprocess.run(
        [sys.executable, "-m", "provisioning", *argv, "--json"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """Broker and gateway; no terminal, nobody with a card."""
    with Ward(tmp_path_factory.mktemp("w") / "ward", terminals=(), staff=()) as ward:
        yield ward


def issue(ward: Ward, folder: Path, signed: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """`tapover card issue` with a blank card at a desk's reader."""
    (folder / "holder.json").write_text(json.dumps(HOLDER))
    (folder / "pin").write_text("471902\n")
    card = folder / "card.json"
    Card.create(card)
    with Pcscd(ward.ports, ("Desk",)) as desk:
        ward.box.insert(desk.readers[0].port, card)
        ward.box.wait(card, 5.0, powered=True)
        done = tapover(
            *("card", "issue", "--holder", str(folder / "holder.json")),
            *("--pin-file", str(folder / "pin"), "--reader", desk.readers[0].name),
            *signed,
            environment=desk.environment,
        )
        ward.box.remove(desk.readers[0].port)
    assert "471902" not in done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def issued(ward: Ward, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A card made by the command; what it answered."""
    done = issue(ward, tmp_path_factory.mktemp("desk"), _signed(ward))
    assert done.returncode == 0, done.stderr
    assert "Fflur Evans" in done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_card_is_issued_and_known_to_the_site(issued: dict[str, Any]) -> None:
    assert issued["holder"] == "h-fflur"
    assert issued["pin_gated"] is True
    assert issued["version"]["n"] > 1


def test_a_card_is_suspended_by_its_guid(ward: Ward, issued: dict[str, Any]) -> None:
    done = tapover("card", "status", issued["guid"], "suspended", *_signed(ward))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"]["n"] == issued["version"]["n"] + 1


def test_a_card_that_nobody_published_cannot_be_suspended(ward: Ward) -> None:
    done = tapover("card", "status", "ab" * 16, "suspended", *_signed(ward))
    assert (done.returncode, done.stdout) == (1, "")
    assert "ever published" in done.stderr
    assert "[102]" in done.stderr


def test_a_terminal_is_granted_and_has_its_boot_folder(ward: Ward) -> None:
    done = tapover("terminal", "add", "bay-9", "--ward", "ed", "--yes", *_signed(ward))
    assert done.returncode == 0, done.stderr
    folder = Path(json.loads(done.stdout)["folders"]["bay-9"])
    assert {p.name for p in folder.iterdir()} >= {"user-data", "network-config", "tapover"}


def test_a_policy_beyond_its_ceiling_is_refused_whole(ward: Ward, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(
        json.dumps({"ward": "ed", "offline_limit_s": 10**6, "salt": "5a" * 16})
    )
    done = tapover("ward", "policy", "set", "ed", str(tmp_path / "p.json"), *_signed(ward))
    assert done.returncode == 2
    assert "[406]" in done.stderr
    assert "offline_limit_s" in done.stderr


def test_an_operator_of_another_site_is_refused(ward: Ward, tmp_path: Path) -> None:
    other = tmp_path / "other"
    made = tapover(*_init(tmp_path, other))
    assert made.returncode == 0, made.stderr
    assert len(json.loads(made.stdout)["root_fingerprint"]) == 64
    assert tapover("site", "operator", "--folder", str(other), "ines").returncode == 0
    signed = ("--folder", str(other), *_signed(ward)[2:])
    done = tapover("terminal", "add", "bay-9", "--ward", "ed", "--yes", *signed)
    assert done.returncode == 1
    assert "[106]" in done.stderr


def test_a_card_made_without_a_gateway_is_published_later(ward: Ward, tmp_path: Path) -> None:
    (nobody,) = ward.ports.take()
    done = issue(ward, tmp_path, (*_signed(ward)[:-1], f"127.0.0.1:{nobody}"))
    assert (done.returncode, done.stdout) == (1, "")
    asked = done.stderr.splitlines()[0].partition("tapover ")[2].split()[:4]
    assert (asked[:2], asked[3]) == (["card", "status"], "active")
    later = tapover(*asked, *_signed(ward))
    assert later.returncode == 0, later.stderr
    assert json.loads(later.stdout)["guid"] == asked[2]


def test_an_empty_passphrase_is_refused_and_no_bare_root_key_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    done = tapover(*_init(tmp_path, folder, "\nonly the first line counts\n"))
    assert (done.returncode, done.stdout, folder.exists()) == (2, "", False)
    assert "would protect nothing" in done.stderr


def test_a_disk_that_does_not_take_it_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "site"
    done = tapover(*_init(tmp_path, folder))
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "[107]" in done.stderr


def test_what_failed_without_a_gateway_is_done_by_asking_again(ward: Ward) -> None:
    (nobody,) = ward.ports.take()
    signed = (*_signed(ward)[:-1], f"127.0.0.1:{nobody}")
    add = ("terminal", "add", "bay-8", "--ward", "ed", "--yes")
    done = tapover(*add, *signed)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no answer from the gateway" in done.stderr
    again = tapover(*add, *_signed(ward))
    assert again.returncode == 0, again.stderr
    twice = tapover(*add, *_signed(ward))
    assert json.loads(twice.stdout)["kept"] == ["bay-8"]


def _init(folder: Path, site: Path, passphrase: str = "of a test\n") -> tuple[str, ...]:
    (folder / "words").write_text(passphrase)
    return (
        *("site", "init", "--folder", str(site), "--site", "elsewhere", "--host", "::1"),
        *("--passphrase-file", str(folder / "words")),
    )


def _signed(ward: Ward) -> tuple[str, ...]:
    return (
        *("--folder", str(ward.site.path), "--as", OPERATOR),
        *("--gateway", f"127.0.0.1:{ward.admin_port}"),
    )
