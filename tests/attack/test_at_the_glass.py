"""Somebody at the glass who posts whatever he likes, and a program that others could change."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from contract.ids import PositionId
from contract.policy import PositionGrace
from firmware_py.emergency import opening, owed
from firmware_py.emergency.commands import BreakGlassAlone
from firmware_py.emergency.telling import AGAIN_NS
from firmware_py.glass.commands import LockPressed, PinEntered, PositionChosen
from firmware_py.glass.view import Screen
from firmware_py.help.commands import SpareWanted
from firmware_py.kiosk.commands import CommandRefused, read_command
from firmware_py.sessions.commands import HoldWanted, JoinWanted, PositionWanted, TakeOverWanted
from firmware_py.sessions.port import WorkspaceFailed
from firmware_py.settings import Backend, WorkspaceSettings
from firmware_py.site.link import LinkChanged
from firmware_py.workspace.commands import Typed
from firmware_py.workspace.hooks import Hooks
from firmware_py.workspace.made import require_program
from hardware.piv import Pin
from runtime.clock import SystemClock
from runtime.settings import SettingsError
from runtime.supervisor import State
from tests.firmware import rights
from tests.firmware.bench import DEADLINE_S, PIN, Bench
from tests.firmware.cards import PLATE, SLOT
from tests.firmware.emergency_ward import (
    AMAL,
    RESUS,
    active,
    amal,
    emptied,
    glass,
    offered,
    opened,
    take,
    until_on_disk,
    waits,
    without_journal,
)
from tests.firmware.hooks import a_session, about


@pytest_asyncio.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Bench(tmp_path / "state") as bench:
        await bench.open_day(amal(), break_glass=glass(without_card=(rights.TERMINAL,)))
        yield bench


async def first_tap(bench: Bench, choice: str) -> None:
    """The PIN in the slot, then one touch."""
    mark = len(bench.board.views)
    bench.readers.put(SLOT, AMAL)
    await bench.until(lambda view: view.screen is Screen.PIN, mark)
    bench.do(PinEntered(Pin(PIN)))
    await bench.until(lambda view: view.screen is Screen.CHOOSE, mark)
    bench.readers.take(SLOT)
    bench.do(PositionChosen(PositionId(choice)))
    await bench.until(lambda view: view.screen is Screen.OPEN, mark)


async def alone(ward: Bench) -> None:
    """Break-glass without any card, and nobody to confirm it."""
    mark = len(ward.board.views)
    ward.do(RESUS)
    await ward.until(waits, mark)
    await take(ward, BreakGlassAlone())


async def test_what_is_to_be_read_only_takes_no_text(ward: Bench) -> None:
    await alone(ward)
    assert "screen" not in ward.board.view.panels
    ward.do(Typed(ward.workspace.ticket, "given 10 mg"))
    await ward.rest()
    assert (ward.workspace.notes, ward.workspace.discarded) == ("", 1)


async def test_no_command_takes_a_position_that_was_not_offered(ward: Bench) -> None:
    await ward.sign_on(AMAL)
    changes, mark = await ward.changes(), len(ward.board.views)
    for position in ("emergency", "p-consultant", "x"):
        ward.do(PositionWanted(PositionId(position)))
        ward.do(PositionChosen(PositionId(position)))
    for command in (HoldWanted(), JoinWanted(), TakeOverWanted()):
        ward.do(command)
    await ward.rest()
    assert await ward.changes() == changes
    assert all(view.screen is Screen.OPEN for view in ward.since(mark))


async def test_a_dead_disk_hides_no_break_glass_behind_a_crowd_of_others(
    ward: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owed, "MOST_OWED", 2)
    ward.post(LinkChanged(State.WAITING, ""))
    await without_journal(ward)
    for _ in range(5):
        await alone(ward)
        mark = len(ward.board.views)
        ward.do(LockPressed())
        await ward.until(lambda view: not active(view), mark)
        await ward.rest()
    await ward.mend_disk()
    await emptied(ward)
    await ward.rest()
    assert len({one.session for one in await opened(ward)}) == 5


async def test_whoever_breaks_the_glass_all_night_is_told_of_sixteen_times_at_once(
    ward: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the terminal says so much each minute that others hear it no more."""
    monkeypatch.setattr(opening, "MOST_TELLINGS", 3)
    said: list[bytes] = []
    news = asyncio.Event()

    async def take_it(message: bytes) -> bool:
        said.append(message)
        news.set()
        return True

    ward.emergency_air = take_it
    for _ in range(6):
        await alone(ward)
        mark = len(ward.board.views)
        ward.do(LockPressed())
        await ward.until(lambda view: not active(view), mark)
        await ward.rest()
    async with asyncio.timeout(DEADLINE_S):
        while len(set(said)) < 6:
            news.clear()
            await news.wait()
    said.clear()
    async with asyncio.timeout(DEADLINE_S):
        while len(said) < 3:
            ward.clock.advance(AGAIN_NS / 1e9)
            await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(set(said)) == 3


@pytest.mark.parametrize("mode", [0o702, 0o720])
def test_a_program_that_others_can_change_shows_nobodys_work(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "hooks"
    folder.mkdir(mode=0o700)
    program = folder / "show"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    settings = WorkspaceSettings(Backend.COMMAND, program)
    require_program(settings)
    program.chmod(mode)
    with pytest.raises(SettingsError, match="go-w"):
        require_program(settings)
    program.chmod(0o700)
    folder.chmod(mode)
    with pytest.raises(SettingsError, match="go-w"):
        require_program(settings)


async def test_no_emergency_is_opened_on_the_tap_of_somebody_who_went_away(
    tmp_path: Path,
) -> None:
    """Her open screen offers her other positions, one of which asks for the PIN again."""
    nurse, lead = rights.position("nurse", "R8001"), rights.position("ward-lead", "R8002")
    async with Bench(tmp_path / "state") as bench:
        short = PositionGrace(position=lead.id, grace_s=60)
        entry = amal(positions=(nurse, lead))
        await bench.open_day(entry, break_glass=glass(), grace_by_position=(short,))
        await first_tap(bench, "nurse")
        bench.clock.advance(90)
        mark = len(bench.board.views)
        bench.do(PositionWanted(lead.id))
        pad = await bench.until(lambda view: view.screen is Screen.PIN, mark)
        assert not offered(pad)
        bench.do(RESUS)
        await bench.rest()
        assert not any(active(view) for view in bench.since(mark))
        assert await opened(bench) == []


async def test_a_pad_that_is_kept_up_by_touches_offers_no_emergency_for_ever(ward: Bench) -> None:
    mark = len(ward.board.views)
    ward.readers.put(PLATE, AMAL)
    await ward.until(offered, mark)
    ward.readers.take(PLATE)
    for _ in range(11):
        ward.clock.advance(29)
        mark = ward.touch()
        await ward.rest()
    assert ward.board.view.screen is Screen.NOTICE, "she is still asked for her PIN"
    ward.do(RESUS)
    await ward.rest()
    assert not offered(ward.board.view)
    assert await opened(ward) == []


async def test_a_hook_that_fails_leaves_nothing_of_its_own_on_the_glass(tmp_path: Path) -> None:
    program = tmp_path / "show"
    program.write_text('#!/bin/sh\nsleep 600 &\necho $! > "$HOME/left"\nexit 7\n')
    program.chmod(0o700)
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    hooks = Hooks(program, 5.0, SystemClock(), environment)
    with pytest.raises(WorkspaceFailed, match="7"):
        await hooks.run("create", about(a_session()))
    left = Path("/proc") / (tmp_path / "left").read_text().strip() / "stat"
    await until_on_disk(lambda: not left.exists() or ") Z" in left.read_text())


@pytest.mark.parametrize(
    "name",
    ["Eve\u202e setunim 5 ,", "Eve\u200b", " ", "\u05d0\u05d1", "E\u0430rl", "E" + "\u0336" * 3],
)
def test_a_guests_name_reads_as_the_lead_signs_it(name: str) -> None:
    body = {"name": name, "number": "NMC-1234"}
    with pytest.raises(CommandRefused) as refused:
        read_command("spare", json.dumps(body).encode())
    assert "Eve" not in str(refused.value), "it is not quoted"
    fair = {**body, "name": "Si\u00e2n O'Dw\u0177r-Li"}
    assert isinstance(read_command("spare", json.dumps(fair).encode()), SpareWanted)
