"""`tapover-gateway downtime`: the site's own word that a ward may run without it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contract.emergency import DowntimeStatement
from contract.signing import Envelope
from tests.gateway.identities import SITE, SiteIdentity


@pytest.fixture
def identity(tmp_path: Path) -> SiteIdentity:
    return SiteIdentity(tmp_path / "identity", datetime.now(UTC))


@pytest.fixture
def settings(identity: SiteIdentity, tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    values = {
        "site": SITE,
        "root_fingerprint": identity.fingerprint,
        "state_dir": str(tmp_path / "state"),
        "identity_dir": str(identity.folder),
        "broker_host": "127.0.0.1",
    }
    ports = {"broker_port": 8883, "https_port": 8443, "admin_port": 8444}
    lines = [f'{name} = "{value}"' for name, value in values.items()]
    lines += [f"{name} = {port}" for name, port in ports.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


def run(*arguments: str | Path) -> int:
    """In a process of its own: a program of ours makes its process's files private."""
    argv = [sys.executable, "-m", "gateway", *(str(one) for one in arguments)]
    return subprocess.run(argv, check=False, timeout=60).returncode


def test_it_is_signed_by_the_statement_key_for_one_ward_and_some_hours(
    identity: SiteIdentity, settings: Path, tmp_path: Path
) -> None:
    file = tmp_path / "downtime.statement"
    asked = ("downtime", "--settings", settings, "--ward", "ed", "--minutes", "90", file)
    assert run(*asked) == 0
    stated = DowntimeStatement.open(
        Envelope.from_bytes(file.read_bytes()), identity.statement.public
    )
    assert (stated.site, stated.ward) == (SITE, "ed")
    assert stated.until_ms - stated.begins_ms == 90 * 60_000


@pytest.mark.parametrize(("ward", "minutes"), [("ed", "721"), ("ed", "0"), ("E D", "60")])
def test_for_longer_or_for_no_ward_nothing_is_written(
    settings: Path, tmp_path: Path, ward: str, minutes: str
) -> None:
    file = tmp_path / "downtime.statement"
    asked = ("downtime", "--settings", settings, "--ward", ward, "--minutes", minutes, file)
    assert run(*asked) == 2
    assert not file.exists()
