"""A terminal's settings file: what it must say, and what is refused in words that help."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_py.settings import Backend, Settings, WorkspaceSettings
from firmware_py.workspace.made import require_program
from hardware.readers import Interface, ReaderName, ReaderRules
from runtime.settings import SettingsError, load

FILE = f"""
terminal = "bay-1"
site = "st-elsewhere"
root_fingerprint = "{"ab" * 32}"
state_dir = "state"
identity_dir = "/etc/tapover/identity"
broker_host = "broker.st-elsewhere.example"
gateway_url = "https://gateway.st-elsewhere.example:8443"
"""


def settings(folder: Path, *, more: str = "", **replaced: str) -> Settings:
    lines = [line for line in FILE.splitlines() if line.split(" ")[0] not in replaced]
    lines += [f"{key} = {value}" for key, value in replaced.items()]
    path = folder / "terminal.toml"
    path.write_text("\n".join(lines) + "\n" + more)
    return load(Settings, path, {})


def test_the_rest_has_defaults_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert found.state_dir == tmp_path / "state"
    assert found.identity_dir == Path("/etc/tapover/identity")
    assert found.gateway_address == ("gateway.st-elsewhere.example", 8443)
    assert (found.broker_port, found.card_deadline_s) == (8883, 5.0)


def test_a_sites_own_readers_are_told_apart_by_patterns(tmp_path: Path) -> None:
    more = '[interfaces]\n"*Ward Plate*" = "contactless"\n'
    found = settings(tmp_path, more=more, ignored_readers='["*printer*"]')
    rules = ReaderRules(found.interfaces, found.ignored_readers)
    assert rules.classify(ReaderName("Acme Ward Plate 00 00")) is Interface.CONTACTLESS
    assert rules.classify(ReaderName("Acme Label Printer 00 00")) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("terminal", '"gateway"'),
        ("terminal", '"site"'),
        ("terminal", '"Bay 1"'),
        ("site", '""'),
        ("root_fingerprint", '"AB"'),
        ("root_fingerprint", f'"{"AB" * 32}"'),
        ("gateway_url", '"http://gateway:1"'),
        ("gateway_url", '"https://gateway"'),
        ("gateway_url", '"https://user:sesame@gateway:1"'),
        ("gateway_url", '"https://gateway:1/path"'),
        ("gateway_url", '"https://gateway:99999"'),
        ("broker_port", "0"),
        ("card_deadline_s", "90"),
        ("kiosk_port", "-1"),
        ("log_level", '"chatty"'),
    ],
)
def test_what_no_site_could_mean_is_refused_by_its_key(
    tmp_path: Path, key: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=key) as refused:
        settings(tmp_path, **{key: value})
    assert "\n" not in str(refused.value)


def test_a_password_in_an_address_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(tmp_path, gateway_url='"https://user:sesame@gateway:1"')
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize("line", FILE.strip().splitlines(), ids=lambda line: line.split()[0])
def test_each_of_these_must_be_there(tmp_path: Path, line: str) -> None:
    path = tmp_path / "terminal.toml"
    path.write_text(FILE.replace(line, ""))
    with pytest.raises(SettingsError, match=line.split(maxsplit=1)[0]):
        load(Settings, path, {})


def test_a_workspace_of_hooks_and_a_door_on_loopback_are_asked_for(tmp_path: Path) -> None:
    plain = settings(tmp_path)
    assert (plain.workspace.backend, plain.local_api.port) == (Backend.SCREEN, None)
    assert plain.local_api.socket
    more = (
        '[workspace]\nbackend = "command"\ncommand = "show"\nlimit_s = 2\n[local_api]\nport = 0\n'
    )
    found = settings(tmp_path, more=more)
    assert found.workspace == WorkspaceSettings(Backend.COMMAND, tmp_path / "show", 2.0)
    assert found.local_api.port == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[workspace]\nbackend = "command"\n', "command"),
        ("[workspace]\nlimit_s = 600\n", "limit_s"),
        ('[workspace]\nbackend = "browser"\n', "backend"),
        ("[local_api]\nport = 70000\n", "port"),
    ],
)
def test_what_no_workspace_or_door_could_be_is_refused(
    tmp_path: Path, more: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        settings(tmp_path, more=more)


def test_a_program_that_cannot_be_run_is_said_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "show").write_text("no program")
    with pytest.raises(SettingsError, match="make it executable"):
        require_program(WorkspaceSettings(Backend.COMMAND, tmp_path / "show"))
    (tmp_path / "show").chmod(0o700)
    require_program(WorkspaceSettings(Backend.COMMAND, tmp_path / "show"))
