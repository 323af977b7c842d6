"""`tapover site broker`: what mosquitto is told, made of the contract's topics."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import sys
from pathlib import Path

import pytest

from contract.topics import AMONG_TERMINALS, FromTerminal, Site, ToTerminal, site_topic
from provisioning.site import broker
from tests import parts

USER = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "site.json").write_text(json.dumps({"site": "hospital", "root_fingerprint": "00"}))
    return folder


def run(site: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "provisioning", "site", "broker", "--folder", str(site)]
    words += ["--listen", "192.0.2.7:8883", *argv, "--json"]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_every_channel_of_the_contract_has_its_rule() -> None:
    rules = broker.access_rules()
    terminals, gateway = rules.split("user gateway\n")
    for channel in FromTerminal:
        assert f"pattern write tapover/v1/%u/{channel}\n" in terminals
        assert f"topic read tapover/v1/+/{channel}\n" in gateway
        heard = f"pattern read tapover/v1/+/{channel}\n" in terminals
        assert heard is (channel in AMONG_TERMINALS)
    for own in ToTerminal:
        assert f"pattern read tapover/v1/%u/{own}\n" in terminals
        assert f"topic write tapover/v1/+/{own}\n" in gateway
        assert f"tapover/v1/+/{own}" not in terminals
    assert "pattern write tapover/v1/+" not in terminals
    assert all(site_topic(each).startswith("tapover/v1/site/") for each in Site)
    assert not re.search(r"[#]|read \+|write \+", rules)


def test_it_writes_its_files_and_again_the_same(site: Path, tmp_path: Path) -> None:
    out = tmp_path / "etc"
    done = run(site, "--out", str(out), "--user", USER)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["access", "mosquitto.conf"]
    text = (out / "mosquitto.conf").read_text()
    assert f"crlfile {site}/broker/terminal.crl.pem" in text
    assert "listener 192.0.2.7 8883" not in text
    assert "listener 8883 192.0.2.7" in text
    assert (out / "access").stat().st_mode & 0o777 == 0o640
    assert run(site, "--out", str(out), "--user", USER).returncode == 0
    assert (out / "mosquitto.conf").read_text() == text


def test_a_dry_run_shows_it_and_writes_nothing(site: Path, tmp_path: Path) -> None:
    done = run(site, "--out", str(tmp_path / "etc"), "--dry-run")
    told = json.loads(done.stdout)
    assert "require_certificate true" in told["configuration"]
    assert told["access"] == broker.access_rules()
    assert not (tmp_path / "etc").exists()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--out", "etc", "--certificates", "/etc/my broker"), 103),
        (("--out", "etc", "--user", "a\nlistener 1883"), 103),
    ],
)
def test_what_mosquitto_would_read_wrongly_is_refused(
    site: Path, tmp_path: Path, options: tuple[str, ...], code: int
) -> None:
    done = run(site, *(str(tmp_path / each) if each == "etc" else each for each in options))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"[{code}]" in done.stderr
    assert not (tmp_path / "etc").exists()


def test_its_units_are_sound_and_follow_the_list(site: Path, tmp_path: Path) -> None:
    out = tmp_path / "units"
    service = "mosquitto.service"
    done = run(site, "--out", str(out), "--service", service, "--crl", "/var/lib/tapover/crl.pem")
    assert done.returncode == 0, done.stderr
    path = (out / broker.RELOAD_PATH).read_text()
    assert "PathChanged=/var/lib/tapover/crl.pem" in path
    # The unit that it reloads is the distribution's.
    (out / service).write_text("[Service]\nExecStart=/bin/true\nExecReload=/bin/true\n")
    analyze = parts.program("systemd-analyze")
    for name in (broker.RELOAD_PATH, broker.RELOAD_SERVICE):
        checked = subprocess.run(
            [analyze, "verify", f"./{name}"],
            cwd=out,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (checked.returncode, checked.stderr) == (0, ""), checked.stderr
