"""What keeps break-glass while the journal does not: nothing that fails there is waited for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import pytest_asyncio

from contract.emergency import Kept
from contract.policy import Policy
from firmware_py.emergency import keeping, wards_own
from firmware_py.glass.commands import LockPressed
from firmware_py.glass.view import Screen
from firmware_py.site.link import LinkChanged
from runtime.durable import write_file
from runtime.supervisor import State
from tests.firmware import rights
from tests.firmware.bench import DEADLINE_S, Bench
from tests.firmware.emergency_ward import (
    AMAL,
    active,
    amal,
    emptied,
    glass,
    in_reserve,
    kept_policy,
    opened,
    take,
    until_on_disk,
    without_journal,
)


@pytest_asyncio.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Bench]:
    """Amal stands before a screen whose disk takes nothing, and her card has been turned away."""
    async with Bench(tmp_path / "state") as bench:
        await bench.open_day(amal(), break_glass=glass())
        await without_journal(bench)
        await bench.tap(AMAL, Screen.OFFER)
        yield bench


def without_reserve(ward: Bench) -> None:
    (ward.journal_path.parent / "journal.reserve").unlink()


class Sulking:
    """A key store that does not sign: a TPM that somebody else keeps busy."""

    public = rights.signer("batch").public

    def sign(self, message: bytes) -> bytes:
        raise RuntimeError(f"no signature over {len(message)} bytes")


async def test_a_key_that_does_not_sign_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "batch_key_of", lambda _: Sulking())
    async with Bench(tmp_path / "state") as bench:
        await bench.open_day(amal(), break_glass=glass())
        await without_journal(bench)
        without_reserve(bench)
        await bench.tap(AMAL, Screen.OFFER)
        view = await take(bench)
        assert view.panels["breakglass"]["unrecorded"] is True
        await bench.until(lambda view: bool(view.panels.get("breakglass", {}).get("unheard")))


async def test_what_is_not_foreseen_keeps_nobody_waiting_either(
    ward: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def breaks(*_: object) -> Kept:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(keeping.Keeping, "keep", breaks)
    view = await take(ward)
    assert view.panels["breakglass"]["unrecorded"] is True
    assert any(one.levelname == "ERROR" and one.exc_info for one in caplog.records)
    await ward.mend_disk()
    await ward.rest()
    assert [one.kept for one in await opened(ward)] == [Kept.LATER]


async def test_a_gateway_that_hangs_is_waited_for_a_moment_only(
    ward: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    never, asked = asyncio.Event(), asyncio.Event()

    async def ask(*_: object) -> bytes:
        asked.set()
        try:
            await never.wait()
        except asyncio.CancelledError:
            await never.wait()  # as a connection that is being made: it cannot be hurried
        return b""

    monkeypatch.setattr(ward, "ask_gateway", ask)
    monkeypatch.setattr(keeping, "GATEWAY_S", 0.05)
    without_reserve(ward)
    view = await take(ward)
    assert asked.is_set()
    assert view.panels["breakglass"]["unrecorded"] is True
    never.set()


async def test_the_reserve_stands_behind_nobody_else_who_waits(ward: Bench) -> None:
    """The shared threads all wait for a gateway that does not answer."""
    free = threading.Event()
    shared = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(shared)
    waits = asyncio.get_running_loop().run_in_executor(None, free.wait)
    view = await take(ward)
    assert in_reserve(ward) == ["amal"]
    assert view.panels["breakglass"]["unrecorded"] is False
    free.set()
    await waits


async def test_gone_back_to_after_a_crash_both_are_journalled(tmp_path: Path) -> None:
    """Her emergency session, locked and opened anew by another gesture, is the same session."""
    folder = tmp_path / "state"
    async with Bench(folder) as first:
        await first.open_day(amal(), break_glass=glass(), still_you_s=1)
        await without_journal(first)
        for _ in range(2):
            await first.tap(AMAL, Screen.OFFER)
            await take(first)
            mark = len(first.board.views)
            first.do(LockPressed())
            await first.until(lambda view: not active(view), mark)
            first.clock.advance(5)
        assert in_reserve(first) == ["amal", "amal"]
        clock = first.clock
    async with Bench(folder, clock=clock) as second:
        await emptied(second)
        events = await opened(second)
        assert len({one.session for one in events}) == 1
        assert len({one.begins_ms for one in events}) == len(events) == 2


async def test_the_gateway_is_asked_also_where_only_the_broker_is_away(ward: Bench) -> None:
    without_reserve(ward)
    ward.post(LinkChanged(State.WAITING, ""))
    ward.told = []
    view = await take(ward)
    assert view.panels["breakglass"]["unrecorded"] is False
    assert len(ward.told) == 1
    await ward.mend_disk()
    await ward.rest()
    assert [one.kept for one in await opened(ward)] == [Kept.GATEWAY]


# --- the ward's own break-glass, beside the directory ----------------------------------------


def limit_of(folder: Path) -> int:
    kept = Policy.from_bytes((folder / "break-glass.json").read_bytes()).break_glass
    return kept.limit_s if kept else 0


async def test_of_two_policies_the_newer_one_is_kept_however_slow_the_disk_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, first, free = tmp_path / "state", threading.Event(), threading.Event()

    def slowly(path: Path, data: bytes) -> None:
        if not first.is_set():
            first.set()
            assert free.wait(DEADLINE_S)
        write_file(path, data)

    monkeypatch.setattr(wards_own, "write_file", slowly)
    async with Bench(folder) as bench:
        await bench.open_day(amal(), break_glass=glass(limit_s=600))
        await bench.publish(rights.policy(break_glass=glass(limit_s=900)))
        await bench.rest()
        free.set()
        await kept_policy(folder)
        await until_on_disk(lambda: limit_of(folder) == 900)


async def test_one_that_cannot_be_read_is_told_to_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    (folder / "break-glass.json").write_bytes(b"half a pol")
    async with Bench(folder):
        assert "the ward's break-glass is not known" in [one.message for one in caplog.records]
