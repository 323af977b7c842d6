"""The daemon as a process: what it says when it cannot start, and how it waits for the rest."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from benchmarks.ward.identities import add_terminal
from contract.ids import SiteId
from provisioning.site.folder import SiteFolder, init_site
from runtime.clock import SystemClock

READY_S = 10.0
"""For a loaded machine; the promise is two seconds, and it is the ward that measures it."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> SiteFolder:
    folder = SiteFolder(tmp_path_factory.mktemp("app") / "site")
    now_ms = SystemClock().wall_ms()
    init_site(folder, SiteId("st-elsewhere"), ("127.0.0.1",), None, now_ms)
    for name in ("bay-1", "bay-2"):
        add_terminal(folder, name, "ed", now_ms)
    return folder


@pytest.fixture
def settings(site: SiteFolder, tmp_path: Path) -> dict[str, object]:
    return {
        "terminal": "bay-1",
        "site": "st-elsewhere",
        "root_fingerprint": site.root_fingerprint,
        "state_dir": "state",
        "identity_dir": str(site.path / "terminals" / "bay-1"),
        "broker_host": "127.0.0.1",
        "broker_port": 9,  # discard: nobody listens there
        "gateway_url": "https://127.0.0.1:9",
        "kiosk_port": 0,
    }


def write(folder: Path, settings: dict[str, object]) -> Path:
    path = folder / "terminal.toml"
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    return path


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PCSCLITE_CSOCK_NAME": "/nowhere/pcscd.comm", **more}


def start(path: Path, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "firmware_py", "--settings", str(path)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**more),
    )


def refused(path: Path) -> tuple[int, str]:
    """Exit status, and what was said on stderr."""
    daemon = start(path)
    _, said = daemon.communicate(timeout=READY_S)
    return daemon.returncode, said


def one_line(said: str) -> str:
    (line,) = said.splitlines()
    assert line.startswith("tapover-terminal: ")
    return line


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"terminal": "gateway"}, "terminal"),
        ({"site": "St Elsewhere"}, "site"),
        ({"root_fingerprint": "abc"}, "root_fingerprint"),
        ({"gateway_url": "http://127.0.0.1:1"}, "gateway_url"),
        ({"broker_port": 70000}, "broker_port"),
        ({"kiosk_prot": 1}, "kiosk_prot"),
        ({"card_deadline_s": 0}, "card_deadline_s"),
    ],
    ids=str,
)
def test_wrong_settings_are_one_line_and_exit_2(
    settings: dict[str, object], tmp_path: Path, change: dict[str, object], word: str
) -> None:
    status, said = refused(write(tmp_path, settings | change))
    assert status == 2
    assert word in one_line(said)


def test_no_settings_file_is_one_line_and_exit_2(tmp_path: Path) -> None:
    status, said = refused(tmp_path / "none.toml")
    assert status == 2
    assert "none.toml" in one_line(said)


def test_another_terminals_certificate_is_one_line_and_exit_3(
    settings: dict[str, object], tmp_path: Path
) -> None:
    status, said = refused(write(tmp_path, settings | {"terminal": "bay-2"}))
    assert status == 3
    assert "is not of terminal bay-2" in one_line(said)


def test_another_sites_root_is_one_line_and_exit_3(
    settings: dict[str, object], tmp_path: Path
) -> None:
    status, said = refused(write(tmp_path, settings | {"root_fingerprint": "ab" * 32}))
    assert status == 3
    assert "key statement" in one_line(said)


@pytest.mark.parametrize(
    "name", ["terminal.key.pem", "terminal.crt.pem", "batch.key.pem", "keys.dsse"]
)
def test_a_missing_or_spoilt_identity_is_one_line_and_exit_3(
    site: SiteFolder, settings: dict[str, object], tmp_path: Path, name: str
) -> None:
    identity = tmp_path / "identity"
    identity.mkdir()
    for file in (site.path / "terminals" / "bay-1").iterdir():
        (identity / file.name).write_bytes(file.read_bytes())
    path = write(tmp_path, settings | {"identity_dir": str(identity)})
    (identity / name).write_bytes(b"nonsense")
    status, said = refused(path)
    assert (status, name in one_line(said)) == (3, True)
    (identity / name).unlink()
    status, said = refused(path)
    assert (status, name in one_line(said)) == (3, True)


def test_a_port_that_is_taken_is_one_line_and_exit_4(
    settings: dict[str, object], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, said = refused(write(tmp_path, settings | {"kiosk_port": port}))
    assert status == 4
    assert str(port) in one_line(said)


def test_help_needs_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "firmware_py", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=READY_S,
    )
    assert "--settings" in done.stdout


class Daemon:
    """A running daemon, and its kiosk."""

    def __init__(self, process: subprocess.Popen[str], state: Path) -> None:
        self.process = process
        self.url_file = state / "kiosk.url"

    @property
    def url(self) -> httpx.URL:
        return httpx.URL(self.url_file.read_text().strip())

    async def until(self, wanted: str) -> dict[str, object]:
        """The first state with this screen."""
        query = {"boot": self.url.params["boot"]}
        async with (
            asyncio.timeout(READY_S),
            httpx.AsyncClient(trust_env=False) as client,
            client.stream("GET", self.url.copy_with(path="/state"), params=query) as answer,
        ):
            async for line in answer.aiter_lines():
                if line.startswith("data: {") and f'"screen":"{wanted}"' in line:
                    state: dict[str, object] = json.loads(line.removeprefix("data: "))
                    return state
        raise AssertionError("the stream ended")


@asynccontextmanager
async def running(path: Path, state: Path, notify: Path) -> AsyncIterator[Daemon]:
    """A daemon that has said READY."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(notify))
    manager.settimeout(READY_S)
    process = start(path, NOTIFY_SOCKET=str(notify), WATCHDOG_USEC="2000000")
    try:
        said = await asyncio.to_thread(manager.recv, 4096)
        while b"READY=1" not in said:
            said = await asyncio.to_thread(manager.recv, 4096)
        yield Daemon(process, state)
    finally:
        manager.close()
        process.kill()
        process.communicate(timeout=READY_S)


async def test_with_nothing_there_it_starts_waits_and_says_for_what(
    settings: dict[str, object], tmp_path: Path, short_tmp: Path
) -> None:
    path, state = write(tmp_path, settings), tmp_path / "state"
    async with running(path, state, short_tmp / "notify") as daemon:
        shown = await daemon.until("waiting")
        assert set(shown["waits_for"]) == {"pcscd", "broker", "directory"}  # type: ignore[call-overload]
        assert (shown["link"], shown["name"], shown["covered"]) == ("offline", None, True)
        assert daemon.url_file.stat().st_mode & 0o777 == 0o600

        second = refused(write(tmp_path, settings))
        assert second[0] == 2
        assert str(daemon.process.pid) in one_line(second[1])

        before = daemon.url
        daemon.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(daemon.process.wait, READY_S) == 0

    async with running(path, state, short_tmp / "again") as daemon:
        assert daemon.url.params["boot"] == before.params["boot"]  # the page finds its way back
        await daemon.until("waiting")


async def test_the_watchdog_is_fed_and_the_status_says_what_is_missing(
    settings: dict[str, object], tmp_path: Path, short_tmp: Path
) -> None:
    path = write(tmp_path, settings)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(short_tmp / "notify"))
        manager.settimeout(READY_S)
        daemon = start(path, NOTIFY_SOCKET=str(short_tmp / "notify"), WATCHDOG_USEC="400000")
        try:
            heard = b""
            while heard.count(b"WATCHDOG=1") < 3 or b"STATUS=waits for pcscd, broker" not in heard:
                heard += await asyncio.to_thread(manager.recv, 4096)
        finally:
            daemon.kill()
            daemon.communicate(timeout=READY_S)


NOT_IN_THE_DAEMON = {
    "fastapi": "the gateway's",
    "starlette": "the gateway's; 1.7 MB",
    "anyio": "Starlette's",
    "uvicorn": "the gateway's; 2.8 MB with what it imports",
    "click": "uvicorn's command line; 1 MB",
    "multiprocessing": "uvicorn's reloader",
    "logging.config": "uvicorn's; our logs are set up by code",
    "sqlalchemy": "the gateway's store",
    "alembic": "the gateway's store",
    "typer": "provisioning's",
    "rich": "provisioning's",
}
"""And why: a terminal has 64 MB, and what is imported once stays."""


def test_it_imports_nothing_that_its_memory_is_too_small_for() -> None:
    names = tuple(NOT_IN_THE_DAEMON)
    look = f"""
import sys, firmware_py.__main__, firmware_py.app, hardware.pcsc
print([name for name in {names!r} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=READY_S
    )
    assert done.stdout.strip() == "[]"
