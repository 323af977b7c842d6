"""Children of a ward: awaited by event, ended by pid, and never left behind."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ward.ports import BLOCK_SIZE, NoPorts, PortBlock
from benchmarks.ward.processes import (
    Command,
    NotReady,
    PartMissing,
    Process,
    WardError,
    program,
    unprivileged_user,
)

SHELL = "/bin/sh"


def shell(tmp_path: Path, script: str, user: str | None = None) -> Process:
    return Process(Command("child", [SHELL, "-c", script], tmp_path / "log", user=user))


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    with shell(tmp_path, "echo up; exec sleep 1000") as child:
        yield child


def test_a_line_is_awaited_and_the_log_has_all_of_it(tmp_path: Path) -> None:
    with shell(tmp_path, "echo one; echo two 2 >&2; exec sleep 1000") as child:
        assert child.wait_for_line(r"two (\d)").group(1) == "2"
        assert child.lines == ("one", "two 2")
    assert (tmp_path / "log").read_text() == "one\ntwo 2\n"


def test_a_child_that_ends_before_it_is_ready_says_what_it_said(tmp_path: Path) -> None:
    with (
        shell(tmp_path, "echo no port; exit 4") as child,
        pytest.raises(NotReady, match=r"(?s)ended with status 4.*no port"),
    ):
        child.wait_for_line("ready", timeout_s=30)


def test_a_child_that_never_is_ready_is_given_up(sleeper: Process) -> None:
    with pytest.raises(NotReady, match=r"within 0\.05 s"):
        sleeper.wait_for_line("ready", timeout_s=0.05)
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        with pytest.raises(NotReady, match="does not answer"):
            sleeper.wait_for_port(unheard.getsockname()[1], timeout_s=0.05)


def test_a_port_is_awaited(tmp_path: Path) -> None:
    with PortBlock() as ports:
        (port,) = ports.take()
        server = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
        with Process(Command("server", server, tmp_path / "log")) as child:
            child.wait_for_port(port)
            socket.create_connection(("127.0.0.1", port)).close()


def test_killed_stopped_and_started_again(sleeper: Process) -> None:
    sleeper.wait_for_line("up")
    first = sleeper.pid
    with pytest.raises(WardError, match="runs already"):
        sleeper.start()
    sleeper.kill()
    assert not sleeper.alive
    assert sleeper.wait_ended() == -signal.SIGKILL
    sleeper.start()
    sleeper.wait_for_line("up")
    assert sleeper.pid != first
    assert sleeper.stop() == -signal.SIGTERM
    with pytest.raises(WardError, match="does not run"):
        sleeper.signal(signal.SIGHUP)
    assert sleeper.command.log.read_text() == "up\nup\n"


def test_a_child_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    with shell(tmp_path, "trap '' TERM; echo up; while :; do sleep 0.01; done") as child:
        child.wait_for_line("up")
        assert child.stop(timeout_s=0.05) == -signal.SIGKILL


def test_what_was_never_started_can_be_stopped(tmp_path: Path) -> None:
    child = shell(tmp_path, "true")
    assert child.stop() is None
    with pytest.raises(WardError, match="was not started"):
        _ = child.pid


def test_children_die_with_us_even_when_we_are_killed(tmp_path: Path) -> None:
    user = unprivileged_user()
    code = (
        "import sys; from pathlib import Path; from benchmarks.ward.processes import *\n"
        f"child = Process(Command('c', ['sleep', '1000'], Path(sys.argv[1]), user={user!r}))\n"
        "child.start(); print(child.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        watched = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
        ended, _, _ = select.select([watched], [], [], 5)
        os.close(watched)
    assert ended


def test_a_child_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    child = shell(tmp_path, "echo up; exec sleep 1000")
    starting = threading.Thread(target=child.start)
    starting.start()
    starting.join()
    child.wait_for_line("up")
    with pytest.raises(NotReady):
        child.wait_ended(timeout_s=0.1)
    child.stop()


def test_a_foreign_server_is_not_root(tmp_path: Path) -> None:
    with shell(tmp_path, "id -u; id -G", unprivileged_user()) as child:
        child.wait_ended()
    assert "0" not in child.lines[0].split() + child.lines[1].split()


def test_a_missing_program_names_the_command_that_installs_it() -> None:
    with pytest.raises(PartMissing, match="apt-get install -y --no-install-recommends pcscd"):
        program("pcscd-that-is-not-there", "pcscd")


def test_a_ward_has_ports_of_its_own_below_the_ephemeral_ones() -> None:
    with PortBlock() as one, PortBlock() as other:
        mine, yours = one.take(4), other.take(4)
        assert set(mine).isdisjoint(yours)
        lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        assert max(*mine, *yours) < lowest
        with pytest.raises(NoPorts, match="too many"):
            one.take(BLOCK_SIZE)
        one.take(BLOCK_SIZE - 4)


def test_a_block_in_use_is_passed_over_and_a_released_one_is_free_again() -> None:
    with PortBlock() as block:
        first = block.first
        with PortBlock() as next_one:
            assert next_one.first > first
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", first + 7))
        squatter.listen()
        with PortBlock() as block:
            assert block.first != first
