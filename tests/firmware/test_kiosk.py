"""The kiosk: its own page on this machine may talk to it, nobody else; states come in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from firmware_py.glass.commands import (
    Activity,
    Cancelled,
    LockPressed,
    PinEntered,
    PositionChosen,
    Received,
)
from firmware_py.glass.view import NAMELESS, Person, Screen, View
from firmware_py.kiosk.board import MAX_BEHIND, MAX_WATCHERS, Board
from firmware_py.kiosk.commands import MAX_BODY_BYTES, NAMES, Command, CommandRefused, read_command
from firmware_py.kiosk.server import Kiosk, bind
from firmware_py.loopback.http import MAX_HEADER_BYTES
from runtime.clock import ManualClock
from runtime.settings import PortError

LOCKED = View(Screen.LOCKED, "Tap your card.")
ADA = Person("A. Lovelace", "Nurse", "AL")
SECRET = secrets.token_urlsafe(32)


class Served:
    def __init__(self) -> None:
        self.board = Board(LOCKED)
        self.heard: asyncio.Queue[Command] = asyncio.Queue()
        self.clock = ManualClock()
        heard = self.heard.put_nowait
        self.kiosk = Kiosk(bind(0), SECRET, self.board, heard, self.clock.monotonic_ns)
        self.origin = f"http://127.0.0.1:{self.kiosk.port}"
        self.client = httpx.AsyncClient(base_url=self.origin, trust_env=False)

    def headers(self, **changes: str | None) -> dict[str, str]:
        own = {"Origin": self.origin, "X-Tapover-Boot": SECRET}
        return {name: value for name, value in {**own, **changes}.items() if value is not None}

    async def post(self, path: str, body: object, **changes: str | None) -> httpx.Response:
        return await self.client.post(path, json=body, headers=self.headers(**changes))


@pytest_asyncio.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    running = asyncio.create_task(served.kiosk.serve())
    yield served
    await served.client.aclose()
    running.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait([running])


async def states(served: Served) -> AsyncIterator[dict[str, object]]:
    async with (
        asyncio.timeout(10),
        served.client.stream("GET", "/state", params={"boot": SECRET}) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data: {") and '"seq"' in line:
                yield json.loads(line.removeprefix("data: "))


async def test_the_newest_state_comes_first_and_the_rest_in_order(served: Served) -> None:
    stream = states(served)
    first = await anext(stream)
    assert first["screen"] == "locked"
    assert first["name"] is None
    served.board.publish(View(Screen.CHECKING, "Checking your card."))
    served.board.publish(View(Screen.OPEN, "Open.", person=ADA, covered=False))
    checking, opened = await anext(stream), await anext(stream)
    assert (checking["screen"], opened["screen"]) == ("checking", "open")
    assert (checking["covered"], opened["covered"]) == (True, False)
    assert (opened["name"], opened["role"], opened["initials"]) == ("A. Lovelace", "Nurse", "AL")
    assert opened["reason"] is None
    await stream.aclose()  # type: ignore[attr-defined]

    again = await anext(states(served))
    assert again == opened, "a page that comes back hears where things stand"


async def test_each_command_reaches_the_terminal(served: Served) -> None:
    for path, body in {
        "/pin": {"pin": "123456"},
        "/position": {"id": "nurse-ae"},
        "/activity": {},
        "/lock": {},
        "/cancel": {},
        "/received": {"seq": 3},
    }.items():
        assert (await served.post(path, body)).status_code == 204
    commands = [served.heard.get_nowait() for _ in range(6)]
    assert isinstance(commands[0], PinEntered)
    assert "123456" not in repr(commands[0])
    assert commands[1:] == [
        PositionChosen("nurse-ae"),  # type: ignore[arg-type]
        Activity(),
        LockPressed(),
        Cancelled(),
        Received(3),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"Host": "evil.example"},
        {"Host": "localhost:80"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": None},
        {"X-Tapover-Boot": None},
        {"X-Tapover-Boot": "guess"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
async def test_nobody_else_may_command(served: Served, changes: dict[str, str | None]) -> None:
    answer = await served.post("/pin", {"pin": "123456"}, **changes)
    assert answer.status_code == 403
    assert served.heard.empty()


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/state", {}),
        ("/state?boot=guess", {}),
        (f"/state?boot={SECRET}&boot={SECRET}", {}),
        (f"/state?boot={SECRET}", {"Host": "evil.example"}),
        (f"/state?boot={SECRET}", {"Origin": "http://evil.example"}),
        (f"/state?boot={SECRET}", {"Sec-Fetch-Site": "same-site"}),
        ("/", {"Host": "evil.example"}),
        ("/nothing", {}),
    ],
    ids=lambda value: str(value).replace(SECRET, "SECRET"),
)
async def test_nobody_else_may_look(served: Served, path: str, headers: dict[str, str]) -> None:
    answer = await served.client.get(path, headers=headers)
    assert answer.status_code == 403


async def test_the_page_comes_with_a_strict_policy_and_nothing_from_elsewhere(
    served: Served,
) -> None:
    for path in ("/", "/kiosk.css", "/kiosk.js", "/cy.json"):
        answer = await served.client.get(path)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        text = answer.text.replace("http://www.w3.org/2000/svg", "")  # a name, not an address
        assert "http://" not in text
        assert "https://" not in text
        assert SECRET not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"pin":null}',
        b'{"pin":123456}',
        b'{"pin":"12345"}',
        b'{"pin":"12345a"}',
        b'{"pin":"123456789"}',
        b'{"pin":"123456","pin":"123456"}',
        b'{"pin":"123456","more":1}',
    ],
)
async def test_a_wrong_pin_body_is_refused_and_not_quoted(served: Served, body: bytes) -> None:
    headers = served.headers() | {"Content-Type": "application/json"}
    answer = await served.client.post("/pin", content=body, headers=headers)
    assert answer.status_code == 400
    assert "12345" not in answer.text
    assert served.heard.empty()


async def test_a_body_is_capped_however_it_is_sent(served: Served) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * MAX_BODY_BYTES

    headers = served.headers() | {"Content-Type": "application/json"}
    answer = await served.client.post("/activity", content=endless(), headers=headers)
    assert answer.status_code == 413
    assert served.heard.empty()


async def test_headers_are_capped(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.kiosk.port)
    writer.write(b"GET / HTTP/1.1\r\nX: " + b"a" * 4 * MAX_HEADER_BYTES)
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    writer.close()


async def test_only_so_many_streams(served: Served) -> None:
    watchers = [served.board.watch() for _ in range(MAX_WATCHERS)]
    answer = await served.client.get("/state", params={"boot": SECRET})
    assert answer.status_code == 503
    served.board.leave(watchers[0])
    assert (await anext(states(served)))["screen"] == "locked"


async def test_a_page_that_falls_behind_still_ends_at_the_truth() -> None:
    board = Board(LOCKED)
    watcher = board.watch()
    for number in range(3 * MAX_BEHIND):
        board.publish(View(Screen.NOTICE, f"Note {number}."))
    watcher.close()
    heard = [message async for message in watcher.messages(1)]
    assert len(heard) == MAX_BEHIND
    assert heard[-1] is not None
    assert heard[-1][0] == board.seq


async def test_only_loopback_listens(served: Served) -> None:
    with pytest.raises(PortError):
        bind(served.kiosk.port)
    assert served.kiosk.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("screen", sorted(NAMELESS))
def test_a_screen_on_which_nobody_is_signed_on_names_nobody(screen: Screen) -> None:
    with pytest.raises(ValueError):
        View(screen, "Words.", person=ADA)


@given(name=st.sampled_from(NAMES), body=st.binary(max_size=2 * MAX_BODY_BYTES))
def test_any_body_ends_in_a_command_or_our_own_refusal(name: str, body: bytes) -> None:
    with contextlib.suppress(CommandRefused):
        read_command(name, body)
