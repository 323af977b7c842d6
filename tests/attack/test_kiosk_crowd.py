"""Other processes of the terminal's machine, other pages, and its own, crowd at the kiosk."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from firmware_py.emergency.commands import BreakGlass
from firmware_py.glass.commands import Activity, Cancelled, LockPressed, PinEntered
from firmware_py.glass.view import Screen, View
from firmware_py.kiosk.board import Board
from firmware_py.kiosk.commands import Command
from firmware_py.kiosk.server import Kiosk, bind
from firmware_py.loopback.http import MAX_CONNECTIONS
from runtime.clock import ManualClock
from runtime.logs import JsonFormatter

SECRET = secrets.token_urlsafe(32)
DEADLINE_S = 10


class Served:
    def __init__(self) -> None:
        self.heard: asyncio.Queue[Command] = asyncio.Queue()
        self.clock = ManualClock()
        board = Board(View(Screen.LOCKED, "Tap your card."))
        heard, now_ns = self.heard.put_nowait, self.clock.monotonic_ns
        self.kiosk = Kiosk(bind(0), SECRET, board, heard, now_ns)
        self.origin = f"http://127.0.0.1:{self.kiosk.port}"

    def page(self) -> httpx.AsyncClient:
        headers = {"Origin": self.origin, "X-Tapover-Boot": SECRET}
        return httpx.AsyncClient(base_url=self.origin, headers=headers, trust_env=False)


@pytest_asyncio.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    running = asyncio.create_task(served.kiosk.serve())
    await served.kiosk.listening()
    yield served
    running.cancel()
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.wait([running])


HALF = {
    "silent": b"",
    "half a header": b"GET /state HTTP/1.1\r\nHo",
    "half a body": b"POST /pin HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    "a page's worth, again and again": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 3,
}


@contextlib.contextmanager
def crowd(served: Served, beginning: bytes) -> Iterator[None]:
    """Four times as many connections as the kiosk holds; each says this and stays."""
    with contextlib.ExitStack() as held:
        for _ in range(4 * MAX_CONNECTIONS):
            address = ("127.0.0.1", served.kiosk.port)
            one = held.enter_context(socket.create_connection(address, DEADLINE_S))
            with contextlib.suppress(ConnectionError):  # hung up on already
                one.sendall(beginning)
        yield


@pytest.mark.parametrize("beginning", HALF.values(), ids=HALF)
async def test_strangers_who_hold_on_do_not_keep_the_page_out(
    served: Served, beginning: bytes
) -> None:
    async with asyncio.timeout(DEADLINE_S), served.page() as page:
        with crowd(served, beginning):
            assert (await page.get("/")).status_code == 200
            assert (await page.post("/activity", json={})).status_code == 204
    assert served.heard.get_nowait() == Activity()


async def test_the_pages_stream_outlives_a_crowd(served: Served) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        served.page() as page,
        page.stream("GET", "/state", params={"boot": SECRET}) as state,
    ):
        lines = state.aiter_lines()
        while not (await anext(lines)).startswith("data: {"):
            pass
        with crowd(served, b"GET /state?boot=wrong HTTP/1.1\r\n\r\n"):
            while await anext(lines) != "event: ping":
                pass


async def test_a_flood_of_refused_requests_leaves_a_few_lines_in_the_log(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with asyncio.timeout(DEADLINE_S), served.page() as page:
        for _ in range(300):
            answer = await page.get("/state", params={"boot": "guessed"})
            assert answer.status_code == 403
    told = [
        record for record in caplog.records if record.name.startswith(("tapover", "firmware_py"))
    ]
    assert 1 <= len(told) < 20
    line = JsonFormatter().format
    assert not [one for one in told if SECRET in line(one) or "guessed" in line(one)]


async def test_a_page_that_floods_is_told_to_wait_and_a_lock_comes_through(served: Served) -> None:
    """Broken or hostile: what it says is bounded, and none of it keeps out what must be heard."""
    async with asyncio.timeout(DEADLINE_S), served.page() as page:
        told = [await page.post("/change_position", json={"id": "nurse"}) for _ in range(60)]
        refused = [answer for answer in told if answer.status_code == 429]
        assert len(refused) >= 20
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        moves = [await page.post("/activity", json={}) for _ in range(60)]
        assert {answer.status_code for answer in moves} == {204}
        for path, body in (
            ("/lock", {}),
            ("/pin", {"pin": "123456"}),
            ("/cancel", {}),
            ("/breakglass", {"reason": "ARREST"}),
        ):
            assert (await page.post(path, json=body)).status_code == 204
        heard = [served.heard.get_nowait() for _ in range(served.heard.qsize())]
        assert sum(isinstance(one, Activity) for one in heard) <= 20, "a few say as much as many"
        assert [type(one) for one in heard[-4:]] == [LockPressed, PinEntered, Cancelled, BreakGlass]
        served.clock.advance(1)
        again = await page.post("/change_position", json={"id": "nurse"})
        assert again.status_code == 204, "as soon as it was told"
