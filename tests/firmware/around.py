"""What a terminal on a bench has around it: no gateway, and a board that forgets nothing."""

from __future__ import annotations

import asyncio

from contract.ids import Digest, Version
from contract.signing import Envelope
from firmware_py.fetch import FetchFailed
from firmware_py.glass.view import View
from firmware_py.kiosk.board import Board
from firmware_py.kiosk.presenting import Scene, compose
from firmware_py.sessions.machine import Mode


class NoGateway:
    """Nothing can be fetched."""

    async def keys(self) -> Envelope:
        raise FetchFailed("away")

    async def roots(self) -> bytes:
        raise FetchFailed("away")

    async def manifest(self) -> Envelope:
        raise FetchFailed("away")

    async def chunk(self, digest: Digest) -> bytes:
        raise FetchFailed("away")

    async def changes(self, after: Version) -> tuple[bytes, ...]:
        raise FetchFailed("away")


class Recorder(Board):
    """A board that remembers every view."""

    def __init__(self) -> None:
        super().__init__(compose(Scene(started=False, mode=Mode.WAITING)))
        self.views: list[View] = []
        self.news = asyncio.Event()

    def publish(self, view: View) -> int:
        before = self.seq
        seq = super().publish(view)
        if seq != before:
            self.views.append(view)
            self.news.set()
        return seq
