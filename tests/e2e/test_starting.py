"""A daemon that cannot start says so in one clear line, and with an exit status that tells why.

2 settings, 3 certificate or key, 4 port.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from benchmarks.ward.identities import add_terminal
from contract.ids import SiteId
from provisioning.site.folder import SiteFolder, init_site
from runtime.clock import SystemClock

SETTINGS, CERTIFICATE, PORT = 2, 3, 4
NOW_MS = SystemClock().wall_ms()
DAY_MS = 24 * 3_600_000


def rarer(*values: str) -> ParameterSet:
    """One of many of a kind: each start of a daemon takes half a second."""
    return pytest.param(*values, marks=pytest.mark.full)


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon's settings and identity, in a folder of its own, to be spoiled."""

    program: str
    command: tuple[str, ...]
    settings: Path
    identity: Path
    other: SiteFolder
    """Another hospital's."""

    def set(self, key: str, value: str) -> None:
        """Another value, as TOML has it; empty takes the key away."""
        lines = self.settings.read_text().splitlines()
        kept = [line for line in lines if not line.startswith(f"{key} = ")]
        added = [f"{key} = {value}"] if value else []
        self.settings.write_text("\n".join([*added, *kept]) + "\n")

    def start(self) -> tuple[int, str]:
        """Exit status, and everything on stderr."""
        done = subprocess.run(
            [sys.executable, "-m", *self.command, "--settings", str(self.settings)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.stdout == ""
        return done.returncode, done.stderr

    def cannot_start(self, status: int, *named: str) -> None:
        """It ends with ``status`` and one line, in which each of ``named`` stands."""
        ended, said = self.start()
        assert ended == status, said
        assert said.count("\n") == 1, said
        assert said.startswith(f"{self.program}: ")
        assert "Traceback" not in said
        assert "PRIVATE" not in said
        for name in named:
            assert name in said


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> tuple[SiteFolder, SiteFolder]:
    """Two hospitals with a terminal of the same name; the second one's was made long ago."""
    made = []
    for name, at_ms in (("st-elsewhere", NOW_MS), ("county-general", NOW_MS - 500 * DAY_MS)):
        site = SiteFolder(tmp_path_factory.mktemp("site") / name)
        init_site(site, SiteId(name), ("127.0.0.1",), None, at_ms)
        add_terminal(site, "bay-1", "ed", at_ms)
        made.append(site)
    return made[0], made[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def terminal(tmp_path: Path, sites: tuple[SiteFolder, SiteFolder]) -> Daemon:
    site, other = sites
    shutil.copytree(site.path / "terminals" / "bay-1", tmp_path / "identity")
    (tmp_path / "terminal.toml").write_text(
        'terminal = "bay-1"\nsite = "st-elsewhere"\nstate_dir = "state"\n'
        f'root_fingerprint = "{site.root_fingerprint}"\nidentity_dir = "identity"\n'
        f'broker_host = "127.0.0.1"\nbroker_port = {free_port()}\n'
        f'gateway_url = "https://127.0.0.1:{free_port()}"\nkiosk_port = {free_port()}\n'
    )
    return Daemon(
        "tapover-terminal",
        ("firmware_py",),
        tmp_path / "terminal.toml",
        tmp_path / "identity",
        other,
    )


def gateway_in(folder: Path, sites: tuple[SiteFolder, SiteFolder]) -> Daemon:
    site, other = sites
    shutil.copytree(site.gateway, folder / "identity")
    (folder / "gateway.toml").write_text(
        'site = "st-elsewhere"\nstate_dir = "state"\nidentity_dir = "identity"\n'
        f'root_fingerprint = "{site.root_fingerprint}"\n'
        f'broker_host = "127.0.0.1"\nbroker_port = {free_port()}\n'
        f"https_port = {free_port()}\nadmin_port = {free_port()}\n"
    )
    return Daemon(
        "tapover-gateway",
        ("gateway", "serve"),
        folder / "gateway.toml",
        folder / "identity",
        other,
    )


@pytest.fixture
def gateway(tmp_path: Path, sites: tuple[SiteFolder, SiteFolder]) -> Daemon:
    return gateway_in(tmp_path, sites)


@pytest.fixture(scope="module")
def log_begun(
    tmp_path_factory: pytest.TempPathFactory, sites: tuple[SiteFolder, SiteFolder]
) -> Path:
    """The state of a gateway whose log was begun."""
    folder = tmp_path_factory.mktemp("begun")
    settings = gateway_in(folder, sites).settings
    argv = [sys.executable, "-m", "gateway", "init", "--settings", str(settings)]
    subprocess.run(argv, check=True, capture_output=True, timeout=30)
    return folder / "state"


@pytest.fixture
def begun(gateway: Daemon, log_begun: Path) -> Daemon:
    """A gateway whose log was begun."""
    shutil.copytree(log_begun, gateway.settings.parent / "state")
    return gateway


@pytest.fixture
def taken() -> Iterator[int]:
    """A port where somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("kiosk_prot", "8650", "kiosk_prot"),
        ("root_fingerprint", '"beef"', "root_fingerprint"),
        rarer("kiosk_port", '"many"', "kiosk_port"),
        rarer("terminal", "", "terminal"),
        rarer("terminal", '"Bay 1"', "terminal"),
        rarer("gateway_url", '"http://127.0.0.1:1"', "gateway_url"),
        rarer("card_deadline_s", "900", "card_deadline_s"),
    ],
)
def test_a_terminal_with_a_wrong_setting_names_it(
    terminal: Daemon, key: str, value: str, named: str
) -> None:
    terminal.set(key, value)
    terminal.cannot_start(SETTINGS, named)


def test_a_terminal_without_settings_names_the_file(terminal: Daemon) -> None:
    terminal.settings.unlink()
    terminal.cannot_start(SETTINGS, "terminal.toml")


@pytest.mark.parametrize(
    "name", ["terminal.crt.pem", "batch.key.pem", rarer("terminal.key.pem"), rarer("keys.dsse")]
)
def test_a_terminal_without_a_part_of_its_identity_names_it(terminal: Daemon, name: str) -> None:
    (terminal.identity / name).unlink()
    terminal.cannot_start(CERTIFICATE, name)


@pytest.mark.parametrize(
    "name", ["keys.dsse", rarer("terminal.crt.pem"), rarer("terminal.key.pem")]
)
def test_a_terminal_with_another_sites_identity_names_it(terminal: Daemon, name: str) -> None:
    shutil.copy(terminal.other.path / "terminals" / "bay-1" / name, terminal.identity / name)
    terminal.cannot_start(CERTIFICATE)


def test_a_terminal_whose_port_is_taken_names_it(terminal: Daemon, taken: int) -> None:
    terminal.set("kiosk_port", str(taken))
    terminal.cannot_start(PORT, "kiosk_port", str(taken))


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("http_port", "8650", "http_port"),
        rarer("https_port", '"many"', "https_port"),
        rarer("site", '"St Elsewhere"', "site"),
        rarer("broker_host", "", "broker_host"),
    ],
)
def test_a_gateway_with_a_wrong_setting_names_it(
    gateway: Daemon, key: str, value: str, named: str
) -> None:
    gateway.set(key, value)
    gateway.cannot_start(SETTINGS, named)


def test_a_gateway_without_its_log_does_not_begin_another(gateway: Daemon) -> None:
    gateway.cannot_start(SETTINGS, "back-up", "init")


@pytest.mark.parametrize(
    "name",
    [
        "statement.key.pem",
        "server.crt.pem",
        rarer("log.key.pem"),
        rarer("gateway.key.pem"),
        rarer("keys.dsse"),
    ],
)
def test_a_gateway_without_a_part_of_its_identity_names_it(begun: Daemon, name: str) -> None:
    (begun.identity / name).unlink()
    begun.cannot_start(CERTIFICATE, name)


@pytest.mark.parametrize(
    "name", ["log.key.pem", rarer("statement.key.pem"), rarer("server.key.pem")]
)
def test_a_gateway_with_another_sites_key_says_so(begun: Daemon, name: str) -> None:
    shutil.copy(begun.other.gateway / name, begun.identity / name)
    begun.cannot_start(CERTIFICATE)


def test_a_gateway_whose_certificate_has_expired_says_so(begun: Daemon) -> None:
    for name in ("gateway.crt.pem", "gateway.key.pem"):
        shutil.copy(begun.other.gateway / name, begun.identity / name)
    begun.cannot_start(CERTIFICATE, "gateway.crt.pem")


@pytest.mark.parametrize("key", ["https_port", rarer("admin_port")])
def test_a_gateway_whose_port_is_taken_names_it(begun: Daemon, taken: int, key: str) -> None:
    begun.set(key, str(taken))
    begun.cannot_start(PORT, key, str(taken))
