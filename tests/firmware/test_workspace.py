"""What every backend of the workspace keeps, whichever it is (firmware_py/sessions/port.py)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from contract.ids import SessionId
from firmware_py.sessions.port import STATE_CAP, WorkspaceFailed
from tests.firmware.hooks import (
    DEADLINE_S,
    DesktopStand,
    HookStand,
    ScreenStand,
    Stand,
    a_session,
    about,
)


@pytest.fixture(
    params=["screen", "command", pytest.param("remote-desktop", marks=pytest.mark.full)]
)
async def stand(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stand]:
    makers: dict[str, Callable[[], Stand]] = {
        "screen": ScreenStand,
        "command": lambda: HookStand(tmp_path),
        "remote-desktop": lambda: DesktopStand(tmp_path),
    }
    made = makers[request.param]()
    yield made
    await made.close()


class Ready:
    """Counts what was said to be ready."""

    def __init__(self) -> None:
        self.times = 0
        self._event = asyncio.Event()

    def __call__(self) -> None:
        self.times += 1
        self._event.set()

    async def come(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self._event.wait()


async def shown(stand: Stand, session: SessionId) -> None:
    ready = Ready()
    stand.workspace.show(session, ready)
    await ready.come()


async def created(stand: Stand) -> SessionId:
    session = a_session()
    stand.workspace.create(session, about(session))
    await stand.settle()
    return session


async def test_what_is_ready_is_on_the_glass(stand: Stand) -> None:
    session = await created(stand)
    assert stand.glass() is None
    await shown(stand, session)
    assert stand.glass() == session


async def test_one_at_a_time(stand: Stand) -> None:
    one, other = await created(stand), await created(stand)
    await shown(stand, one)
    with pytest.raises(WorkspaceFailed):
        stand.workspace.show(other, Ready())
    assert stand.glass() == one


async def test_only_what_was_made_is_shown(stand: Stand) -> None:
    with pytest.raises(WorkspaceFailed):
        stand.workspace.show(a_session(), Ready())
    await stand.settle()
    assert stand.glass() is None


@pytest.mark.parametrize("verb", ["park", "lock"])
async def test_what_is_hidden_is_kept_and_comes_back(stand: Stand, verb: str) -> None:
    session = await created(stand)
    for _ in range(3):
        await shown(stand, session)
        if verb == "park":
            stand.workspace.park(session)
        else:
            stand.workspace.lock()
        await stand.settle()
        assert stand.glass() is None


async def test_after_the_lock_nothing_becomes_ready(stand: Stand) -> None:
    session = await created(stand)
    ready = Ready()
    stand.workspace.show(session, ready)
    stand.workspace.lock()
    at_the_lock = ready.times
    await stand.settle()
    assert (ready.times, stand.glass()) == (at_the_lock, None)


async def test_a_newcomer_is_shown_and_nobody_else(stand: Stand) -> None:
    amal, bronwen = await created(stand), a_session()
    await shown(stand, amal)
    stand.workspace.lock()
    stand.workspace.park(amal)
    stand.workspace.create(bronwen, about(bronwen, "BR"))
    await shown(stand, bronwen)
    assert stand.glass() == bronwen
    stand.workspace.park(amal)  # hidden already: the newcomer's stays
    await stand.settle()
    assert stand.glass() == bronwen


async def test_what_is_disposed_of_is_gone(stand: Stand) -> None:
    session = await created(stand)
    await shown(stand, session)
    stand.workspace.dispose(session)
    await stand.settle()
    assert stand.glass() is None
    with pytest.raises(WorkspaceFailed):
        stand.workspace.show(session, Ready())
    stand.workspace.dispose(a_session())  # of nobody: nothing is to be done
    assert stand.failures == []


async def test_small_state_goes_with_its_session(stand: Stand) -> None:
    here, there = await created(stand), await created(stand)
    assert stand.workspace.keep(here) is None
    stand.workspace.restore(here, b"half a sentence")
    state = stand.workspace.keep(here)
    assert state is not None
    stand.workspace.restore(there, state)
    assert stand.workspace.keep(there) == b"half a sentence"
    await shown(stand, there)
    assert stand.workspace.keep(there) == b"half a sentence"


async def test_state_of_nobody_or_without_bounds_is_refused(stand: Stand) -> None:
    with pytest.raises(WorkspaceFailed):
        stand.workspace.restore(a_session(), b"x")
    with pytest.raises(WorkspaceFailed):
        stand.workspace.restore(await created(stand), b"x" * (STATE_CAP + 1))


async def test_however_it_is_driven_it_shows_who_was_shown_last_or_nobody(stand: Stand) -> None:
    chance = random.Random(5)
    people = [a_session() for _ in range(3)]
    for session in people:
        stand.workspace.create(session, about(session))
    on_the_glass: SessionId | None = None
    for step in range(120):
        session = chance.choice(people)
        verb = chance.choice(["show", "park", "lock", "create"])
        if verb == "show" and on_the_glass in (None, session):
            stand.workspace.show(session, Ready())
            on_the_glass = session
        elif verb == "show":
            with pytest.raises(WorkspaceFailed):
                stand.workspace.show(session, Ready())
        elif verb == "create":
            stand.workspace.create(session, about(session, "XX"))
        else:
            stand.workspace.lock() if verb == "lock" else stand.workspace.park(session)
            on_the_glass = None if verb == "lock" or on_the_glass == session else on_the_glass
        if step % 10 == 0:
            await stand.settle()
            assert stand.glass() == on_the_glass
    assert stand.failures == []
