"""The backend of hooks: what its program is told, and what comes of one that fails or hangs."""

from __future__ import annotations

import asyncio
import os
import select
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware_py.sessions.port import WorkspaceFailed
from firmware_py.workspace.command import MAX_WAITING
from runtime.clock import ManualClock, SystemClock
from tests.firmware.hooks import DEADLINE_S, DesktopStand, HookStand, a_session, about
from tests.firmware.test_workspace import Ready


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[HookStand]:
    made = HookStand(tmp_path, limit_s=0.5)
    yield made
    made.behave()
    await made.close()


async def test_the_program_is_told_what_it_needs_and_no_more(stand: HookStand) -> None:
    session = a_session()
    stand.workspace.create(session, about(session))
    ready = Ready()
    stand.workspace.show(session, ready)
    await ready.come()
    stand.workspace.dispose(session)
    await stand.until(lambda: f"dispose {session}" in stand.done)
    verbs = [one["verb"] for one in stand.told]
    assert verbs == ["lock", "create", "show", "lock", "dispose"]
    nobody = dict.fromkeys(("session", "initials", "position", "role", "kind"))
    assert stand.told[0] == {"verb": "lock", **nobody}
    assert stand.told[2] == {
        "verb": "show",
        "session": session,
        "initials": "AH",
        "position": "p-nurse",
        "role": "RN",
        "kind": "ordinary",
    }


async def test_it_locks_before_anything_else_even_at_the_start(stand: HookStand) -> None:
    session = a_session()
    stand.workspace.create(session, about(session))
    await stand.settle()
    assert stand.done[0] == "lock null"


async def test_what_the_daemon_was_told_is_not_passed_on(tmp_path: Path) -> None:
    program = '#!/bin/sh\nenv > "$HOME/environment"\nprintf "lock null\\n" > "$HOME/done"\n'
    stand = HookStand(tmp_path, program=program)
    await stand.until(lambda: "lock null" in stand.done)
    await stand.close()
    assert "SECRET" not in (tmp_path / "environment").read_text()


@pytest.mark.parametrize("verb", ["create", "show", "park", "dispose"])
async def test_a_hook_that_fails_ends_locked(stand: HookStand, verb: str) -> None:
    session = a_session()
    stand.misbehave("fail", verb)
    stand.workspace.create(session, about(session))
    ready = Ready()
    stand.workspace.show(session, ready)
    if verb in ("park", "dispose"):
        await ready.come()
        stand.workspace.park(session)
        stand.workspace.dispose(session)
    await stand.until(lambda: bool(stand.failures))
    assert stand.failures == [f"{verb}: ended with status 7"]
    stand.behave()
    await stand.settle()
    assert stand.glass() is None


async def test_a_program_that_is_not_there_shows_nothing(tmp_path: Path) -> None:
    clock = ManualClock()
    stand = HookStand(tmp_path, program="#!/no/such/interpreter\n", limit_s=0.5, clock=clock)
    await stand.until(lambda: bool(stand.failures))
    session = a_session()
    stand.workspace.create(session, about(session))
    with pytest.raises(WorkspaceFailed):
        stand.workspace.show(session, Ready())
    closing = asyncio.ensure_future(stand.close())
    while not closing.done():
        await asyncio.wait([closing], timeout=0.05)
        clock.advance(60)
    await closing


async def test_one_that_hangs_is_killed_with_everything_it_began(stand: HookStand) -> None:
    session = a_session()
    stand.misbehave("hang", "show")
    stand.workspace.create(session, about(session))
    ready = Ready()
    stand.workspace.show(session, ready)
    await stand.until(lambda: bool(stand.failures))
    assert stand.failures == ["show: took more than 0.5 s"]
    await stand.settle()
    pids = [int(pid) for pid in (stand.folder / "hung").read_text().split()]
    assert len(pids) == 2
    await_end(*pids)
    assert (ready.times, stand.glass()) == (0, None)


async def test_the_lock_waits_for_nobody(tmp_path: Path) -> None:
    stand = HookStand(tmp_path, limit_s=30)
    session = a_session()
    stand.misbehave("hang", "show")
    stand.workspace.create(session, about(session))
    ready = Ready()
    stand.workspace.show(session, ready)
    await stand.until(lambda: "hangs show" in stand.done)
    stand.workspace.lock()
    await stand.until(lambda: stand.done.count("lock null") == 2)
    pids = [int(pid) for pid in (stand.folder / "hung").read_text().split()]
    await_end(*pids)
    assert ready.times == 0
    assert stand.failures == []
    stand.behave()
    again = Ready()
    stand.workspace.show(session, again)
    await again.come()
    assert stand.glass() == session
    await stand.close()


async def test_a_lock_passes_a_hook_that_is_slow_at_something_else(tmp_path: Path) -> None:
    stand = HookStand(tmp_path, limit_s=30)
    await stand.until(lambda: "lock null" in stand.done)
    one, other = a_session(), a_session()
    stand.workspace.create(one, about(one))
    ready = Ready()
    stand.workspace.show(one, ready)
    await ready.come()
    stand.misbehave("hang", "create")
    stand.workspace.create(other, about(other))
    await stand.until(lambda: "hangs create" in stand.done)
    stand.workspace.lock()
    await stand.until(lambda: stand.done.count("lock null") == 2)
    assert stand.glass() is None
    closing = asyncio.ensure_future(stand.close())
    pid = int((tmp_path / "hung").read_text().split()[0])
    os.killpg(pid, signal.SIGKILL)
    await closing


async def test_what_cannot_be_hidden_keeps_everybody_out_until_it_can(tmp_path: Path) -> None:
    clock = ManualClock()
    stand = HookStand(tmp_path, clock=clock)
    amal, bronwen = a_session(), a_session()
    for session in (amal, bronwen):
        stand.workspace.create(session, about(session))
    ready = Ready()
    stand.workspace.show(amal, ready)
    await ready.come()
    stand.misbehave("fail", "lock")
    stand.workspace.lock()
    await stand.until(lambda: bool(stand.failures))
    with pytest.raises(WorkspaceFailed):
        stand.workspace.show(bronwen, Ready())
    for _ in range(3):  # tried again, and said once
        clock.advance((await clock.next_deadline() - clock.monotonic_ns()) / 1e9)
        tries = stand.done.count("fails lock")
        await stand.until(lambda: stand.done.count("fails lock") > tries)  # noqa: B023
    assert stand.failures == ["lock: ended with status 7"]
    stand.behave()
    clock.advance((await clock.next_deadline() - clock.monotonic_ns()) / 1e9)
    await stand.settle()
    assert stand.glass() is None
    again = Ready()
    stand.workspace.show(bronwen, again)
    await again.come()
    assert stand.glass() == bronwen
    await stand.close()


async def test_nothing_asked_of_it_holds_up_the_loop(stand: HookStand) -> None:
    clock = SystemClock()
    for verb in ("create", "show", "park", "lock", "dispose"):
        stand.misbehave("hang", verb)
    session = a_session()
    longest_ns = 0
    for _ in range(8):
        began_ns = clock.monotonic_ns()
        stand.workspace.create(session, about(session))
        stand.workspace.park(session)
        stand.workspace.lock()
        stand.workspace.dispose(session)
        longest_ns = max(longest_ns, clock.monotonic_ns() - began_ns)
    assert longest_ns < 50_000_000


async def test_a_program_that_falls_behind_is_told_no_more(stand: HookStand) -> None:
    stand.misbehave("hang", "create")
    session = a_session()
    for _ in range(MAX_WAITING):
        stand.workspace.create(session, about(session))
    with pytest.raises(WorkspaceFailed):
        stand.workspace.create(session, about(session))


async def test_the_example_shows_one_desktop_at_a_time(tmp_path: Path) -> None:
    """docs/examples/remote-desktop; all of the contract is asked of it in the full run."""
    stand = DesktopStand(tmp_path)
    amal, bronwen = a_session(), a_session()
    for session in (amal, bronwen):
        stand.workspace.create(session, about(session))
        ready = Ready()
        stand.workspace.show(session, ready)
        await ready.come()
        assert stand.glass() == session
        stand.workspace.lock()
        stand.workspace.park(session)
    await stand.settle()
    assert stand.glass() is None
    stand.workspace.dispose(amal)
    await stand.settle()
    assert stand.failures == []
    await stand.close()
    assert list((tmp_path / "tapover").iterdir()) == []


async def test_the_time_that_a_workspace_took_has_a_row_of_its_own(
    stand: HookStand, caplog: pytest.LogCaptureFixture
) -> None:
    session = a_session()
    stand.workspace.create(session, about(session))
    ready = Ready()
    with caplog.at_level("INFO", "tapover.workspace"):
        stand.workspace.show(session, ready)
        await ready.come()
    rows = {r.getMessage(): r.__dict__ for r in caplog.records}
    assert rows["workspace ready"]["took_ms"] >= rows["hook"]["took_ms"] >= 0


async def test_at_the_end_everything_is_hidden_and_disposed_of(tmp_path: Path) -> None:
    stand = HookStand(tmp_path)
    amal, bronwen = a_session(), a_session()
    for session in (amal, bronwen):
        stand.workspace.create(session, about(session))
    ready = Ready()
    stand.workspace.show(bronwen, ready)
    await ready.come()
    await stand.workspace.close()
    assert stand.glass() is None
    assert {one["session"] for one in stand.told if one["verb"] == "dispose"} == {amal, bronwen}
    await stand.close()


def await_end(*pids: int) -> None:
    """Until they run no more, whoever has to wait for them. Raises AssertionError."""
    for pid in pids:
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ended, _, _ = select.select([process], [], [], DEADLINE_S)
        os.close(process)
        assert ended, f"{pid} runs on"
