"""Settings: read whole, refused in one clear line, and the statuses a daemon exits with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.settings import ExitStatus, PortError, Range, SettingsError, load


class Mode(StrEnum):
    QUIET = "quiet"
    LOUD = "loud"


@dataclass(frozen=True, slots=True)
class Broker:
    host: str
    port: Annotated[int, Range(1, 65535)] = 8883


@dataclass(frozen=True, slots=True)
class Settings:
    terminal: str
    state_dir: Path
    broker: Broker = field(default_factory=lambda: Broker("localhost"))
    idle_lock_s: Annotated[float, Range(1, 3600)] = 60.0
    sounds: bool = False
    mode: Mode = Mode.QUIET
    wards: tuple[str, ...] = ()
    interfaces: Mapping[str, Mode] = field(default_factory=dict)
    proxy: str | None = None

    def __post_init__(self) -> None:
        if self.terminal == "site":
            raise ValueError("`terminal` must not be 'site'")


LEAST = 'terminal = "t7"\nstate_dir = "state"\n'


def read(tmp_path: Path, text: str, environment: Mapping[str, str] | None = None) -> Settings:
    path = tmp_path / "terminal.toml"
    path.write_text(text)
    return load(Settings, path, environment)


def test_defaults_stand_where_the_file_is_silent(tmp_path: Path) -> None:
    assert read(tmp_path, LEAST) == Settings("t7", tmp_path / "state")


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    text = LEAST + (
        'idle_lock_s = 90\nsounds = true\nmode = "loud"\nwards = ["a", "b"]\nproxy = "p"\n'
        '[broker]\nhost = "gw"\nport = 1\n[interfaces]\n"*PICC*" = "quiet"\n'
    )
    assert read(tmp_path, text) == Settings(
        terminal="t7",
        state_dir=tmp_path / "state",
        broker=Broker("gw", 1),
        idle_lock_s=90.0,
        sounds=True,
        mode=Mode.LOUD,
        wards=("a", "b"),
        interfaces={"*PICC*": Mode.QUIET},
        proxy="p",
    )


def test_paths_are_relative_to_the_file_and_may_be_absolute(tmp_path: Path) -> None:
    assert read(tmp_path, LEAST.replace('"state"', '"../s"')).state_dir == tmp_path / "../s"
    assert read(tmp_path, LEAST.replace('"state"', '"/var/s"')).state_dir == Path("/var/s")


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    environment = {
        "TAPOVER_TERMINAL": "t8",
        "TAPOVER_BROKER__PORT": "1883",
        "TAPOVER_SOUNDS": "true",
        "TAPOVER_IDLE_LOCK_S": "7.5",
        "TAPOVER_MODE": "loud",
        "TAPOVER_STATE_DIR": "/var/s",
        "HOME": "/root",
    }
    settings = read(tmp_path, LEAST + '[broker]\nhost = "gw"\n', environment)
    assert settings == Settings(
        "t8", Path("/var/s"), Broker("gw", 1883), 7.5, sounds=True, mode=Mode.LOUD
    )
    assert type(settings.terminal) is str


def test_without_a_file_the_environment_may_say_all() -> None:
    environment = {"X_TERMINAL": "t8", "X_STATE_DIR": "state"}
    settings = load(Settings, None, environment, prefix="X_")
    assert settings == Settings("t8", Path.cwd() / "state")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('terminal = "t7"\n', "`state_dir` is missing; set it"),
        (LEAST + "idle_lock = 3\n", "`idle_lock` is no setting; known are terminal, state_dir"),
        (LEAST + '[broker]\nhost = "a"\nprt = 1\n', "`broker.prt` is no setting"),
        (LEAST + "[broker]\n", "`broker.host` is missing"),
        (LEAST + "broker = 3\n", "`broker` is a table of settings"),
        (LEAST + 'idle_lock_s = "60"\n', "`idle_lock_s` must be a number and is '60'"),
        (LEAST + "idle_lock_s = true\n", "`idle_lock_s` must be a number"),
        (LEAST + "idle_lock_s = 0\n", "`idle_lock_s` is 0.0; choose a number from 1 to 3600"),
        (LEAST + "idle_lock_s = nan\n", "`idle_lock_s` is nan"),
        (LEAST + '[broker]\nhost = "a"\nport = 65536\n', "choose a number from 1 to 65535"),
        (LEAST + '[broker]\nhost = "a"\nport = 1.0\n', "`broker.port` must be a whole number"),
        (LEAST + "sounds = 1\n", "`sounds` must be true or false"),
        (LEAST + 'mode = "shrill"\n', "`mode` must be one of quiet, loud and is 'shrill'"),
        (LEAST + 'wards = "a"\n', "`wards` must be a list"),
        (LEAST + "wards = [1]\n", "`wards` must be text"),
        (LEAST + "interfaces = 1\n", "`interfaces` must be a table"),
        (LEAST + '[interfaces]\na = "b"\n', "`interfaces.a` must be one of"),
        ('terminal = "t7"\nstate_dir = ""\n', "`state_dir` must be a path"),
        ('terminal = "site"\nstate_dir = "s"\n', "`terminal` must not be 'site'; correct it"),
        ("terminal = \n", "is not TOML"),
        (LEAST + LEAST, "is not TOML"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert said in message
    assert str(tmp_path / "terminal.toml") in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"TAPOVER_TERMINL": "x"}, "`terminl` is no setting"),
        ({"TAPOVER_SOUNDS": "yes"}, "`sounds` must be true or false"),
        (
            {"TAPOVER_BROKER__HOST": "h", "TAPOVER_BROKER__PORT": "1e3"},
            "`broker.port` must be a whole number",
        ),
        ({"TAPOVER_IDLE_LOCK_S": "soon"}, "`idle_lock_s` must be a number"),
        ({"TAPOVER_WARDS": "a,b"}, "`wards` must be a list"),
        ({"TAPOVER_BROKER": "x", "TAPOVER_BROKER__PORT": "1"}, "also set as a value"),
    ],
)
def test_a_wrong_override_is_refused(
    tmp_path: Path, environment: Mapping[str, str], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        read(tmp_path, LEAST, environment)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such settings file"):
        load(Settings, tmp_path / "absent.toml")
    with pytest.raises(SettingsError, match="let this user read it"):
        load(Settings, tmp_path)
    (tmp_path / "large").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(SettingsError, match="no settings file"):
        load(Settings, tmp_path / "large")
    (tmp_path / "latin").write_bytes(b'terminal = "\xe9"\n')
    with pytest.raises(SettingsError, match="is not TOML"):
        load(Settings, tmp_path / "latin")


@given(
    st.dictionaries(
        st.sampled_from(["terminal", "state_dir", "broker", "mode", "wards", "interfaces", "a\nb"]),
        st.recursive(
            st.integers() | st.text() | st.booleans() | st.floats(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    )
)
def test_no_table_ends_in_an_error_of_another_kind(
    tmp_path_factory: pytest.TempPathFactory, table: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_text("\n".join(f"{_toml(key)} = {_toml(value)}" for key, value in table.items()))
    said = ""
    try:
        load(Settings, path)
    except SettingsError as error:
        said = str(error)
    assert "\n" not in said


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return '"' + "".join(f"\\U{ord(c):08X}" for c in value) + '"'
        case list():
            return f"[{', '.join(_toml(each) for each in value)}]"
        case dict():
            pairs = (f"{_toml(key)} = {_toml(each)}" for key, each in value.items())
            return f"{{{', '.join(pairs)}}}"
        case _:
            return str(value)


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        ("SettingsError('`x` is wrong;\\n mend it')", 2, "demo: `x` is wrong; mend it\n"),
        ("CertificateError('expired')", 3, "demo: expired\n"),
        (
            "PortError('kiosk_port', '127.0.0.1', 80, OSError(98, 'Address already in use'))",
            4,
            (
                "demo: cannot listen on 127.0.0.1:80 (Address already in use); "
                "stop the program that uses it, or set another `kiosk_port`\n"
            ),
        ),
    ],
)
def test_a_daemon_that_cannot_start_says_so_in_one_line(
    raised: str, status: int, said: str
) -> None:
    done = _run(f"raise {raised}")
    assert (done.returncode, done.stderr, done.stdout) == (status, said, "")


def test_a_bug_of_ours_keeps_its_traceback() -> None:
    done = _run("raise RuntimeError('bug')")
    assert done.returncode == ExitStatus.FAILED
    assert "Traceback" in done.stderr
    assert _run("pass").returncode == ExitStatus.OK


def test_a_port_error_is_the_kind_that_exits_with_its_status() -> None:
    assert PortError("p", "h", 1, OSError()).exit_status is ExitStatus.PORT


def _run(body: str) -> subprocess.CompletedProcess[str]:
    code = (
        "from runtime.settings import *\n"
        "from runtime.settings import run_main\n"
        f"def main():\n    {body}\n"
        "run_main(main, 'demo')"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
