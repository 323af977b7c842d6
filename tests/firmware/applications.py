"""Applications on a terminal: a bench with both doors open, and programs that knock at them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from firmware_py.local_api.door import FOLDER, SOCKET_FILE, TOKEN_FILE, Doors
from firmware_py.settings import LocalApiSettings
from tests.firmware.bench import DEADLINE_S, Bench


class Application:
    """A program on the terminal, by the Unix socket or (with a token) by loopback."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def who(self) -> dict[str, Any] | None:
        answer = await self.client.get("/v1/session")
        assert answer.status_code == 200, answer.text
        signed_on: dict[str, Any] | None = answer.json()["signed_on"]
        return signed_on

    async def session(self) -> str:
        now = await self.who()
        assert now is not None
        return str(now["session"])

    async def ask(self, what: str, **body: Any) -> httpx.Response:  # noqa: ANN401
        return await self.client.post(f"/v1/{what}", json=body)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[dict[str, Any] | None]]:
        """Who is signed on, as the stream tells it."""
        async with self.client.stream("GET", "/v1/events") as stream:
            assert stream.status_code == 200
            yield _sessions(stream)


async def _sessions(stream: httpx.Response) -> AsyncIterator[dict[str, Any] | None]:
    kind = ""
    async for line in stream.aiter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: ") and kind == "session":
            yield json.loads(line.removeprefix("data: "))["signed_on"]


async def following(stream: AsyncIterator[dict[str, Any] | None]) -> dict[str, Any] | None:
    """The next thing that the stream says."""
    async with asyncio.timeout(DEADLINE_S):
        return await anext(stream)


class OpenDoors:
    """Both doors of a bench."""

    def __init__(self, bench: Bench, folder: Path, *, loopback: bool = True) -> None:
        self.bench = bench
        self.folder = folder / FOLDER
        self._doors = Doors.open(LocalApiSettings(port=0 if loopback else None), folder)
        self._serving = asyncio.create_task(self._doors.serve(bench.apps, bench.clock.monotonic_ns))
        self._clients: list[httpx.AsyncClient] = []

    @property
    def socket(self) -> Path:
        return self.folder / SOCKET_FILE

    @property
    def told(self) -> dict[str, str]:
        """Where loopback is, and this run's token."""
        told: dict[str, str] = json.loads((self.folder / TOKEN_FILE).read_text())
        return told

    def application(self) -> Application:
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket))
        return self._made(httpx.AsyncClient(transport=transport, base_url="http://localhost"))

    def over_loopback(self, token: str | None = None) -> Application:
        headers = {"authorization": f"Bearer {token or self.told['token']}"}
        return self._made(httpx.AsyncClient(base_url=self.told["url"], headers=headers))

    def _made(self, client: httpx.AsyncClient) -> Application:
        client.timeout = httpx.Timeout(DEADLINE_S)
        self._clients.append(client)
        return Application(client)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for client in self._clients:
            await client.aclose()
        self._serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._serving
