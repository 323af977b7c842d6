"""sd_notify and the watchdog, heard at the manager's end."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.clock import ManualClock
from runtime.systemd import ServiceManager

S = 1_000_000_000


class Manager:
    """systemd's end: a datagram socket, by path or abstract."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1))
        self.socket.settimeout(2)

    def heard(self) -> str:
        return self.socket.recv(4096).decode()

    def heard_nothing(self) -> bool:
        self.socket.settimeout(0)
        try:
            self.socket.recv(4096)
        except BlockingIOError:
            return True
        return False


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, short_tmp: Path) -> Iterator[Manager]:
    abstract = f"@tapover-test-{os.getpid()}"
    manager = Manager(abstract if request.param == "abstract" else str(short_tmp / "notify"))
    yield manager
    manager.socket.close()


def test_it_hears_what_happens(manager: Manager) -> None:
    told = ServiceManager({"NOTIFY_SOCKET": manager.address})
    told.ready("12 readers")
    assert manager.heard() == "READY=1\nSTATUS=12 readers"
    told.status("broker away\nWATCHDOG=1")
    assert manager.heard() == "STATUS=broker away WATCHDOG=1"
    told.alive()
    assert manager.heard() == "WATCHDOG=1"
    told.stopping()
    assert manager.heard() == "STOPPING=1"
    told.close()
    told.alive()
    assert manager.heard_nothing()


async def test_the_watchdog_is_fed_twice_an_interval_while_healthy(manager: Manager) -> None:
    environment = {
        "NOTIFY_SOCKET": manager.address,
        "WATCHDOG_USEC": "15000000",
        "WATCHDOG_PID": str(os.getpid()),
    }
    clock, healthy = ManualClock(), True
    told = ServiceManager(environment)
    assert told.watchdog_s == 15.0
    feeding = asyncio.create_task(told.keep_alive(clock, lambda: healthy))
    assert await clock.next_deadline() == clock.monotonic_ns() + 7.5 * S
    assert manager.heard() == "WATCHDOG=1"
    healthy = False
    clock.advance(7.5)
    await clock.next_deadline()
    assert manager.heard_nothing()
    feeding.cancel()
    await asyncio.wait({feeding})
    told.close()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "15000000", "WATCHDOG_PID": "1"},
    ],
)
async def test_a_watchdog_that_is_not_ours_is_not_fed(environment: dict[str, str]) -> None:
    told = ServiceManager(environment)
    assert told.watchdog_s is None
    await told.keep_alive(ManualClock(), lambda: True)


def test_outside_systemd_nothing_happens() -> None:
    told = ServiceManager({})
    told.ready("x")
    told.alive()
    told.close()


def test_a_manager_that_is_gone_or_does_not_read_stops_nobody(
    short_tmp: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = ServiceManager({"NOTIFY_SOCKET": str(short_tmp / "absent")})
    gone.ready("x")
    gone.alive()
    gone.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    deaf = Manager(str(short_tmp / "deaf"))
    told = ServiceManager({"NOTIFY_SOCKET": deaf.address})
    for _ in range(10_000):  # more than any queue of datagrams holds
        told.alive()
    told.close()
    deaf.socket.close()
