"""The real server of the kiosk with made-up views, in a thread of its own."""

from __future__ import annotations

import asyncio
import queue
import secrets
import threading
from itertools import count
from typing import Self

from firmware_py.glass.commands import Received
from firmware_py.glass.view import View
from firmware_py.kiosk.board import Board
from firmware_py.kiosk.commands import Command
from firmware_py.kiosk.server import Kiosk, bind
from tests.kiosk_fixture.views import INFORMATION, VIEWS

_DEADLINE_S = 10.0
_DAY_NS = 86_400 * 10**9


class Fixture:
    """A context manager. ``heard`` has every command of the page but the receipts of views."""

    def __init__(self, first: View = VIEWS["locked"]) -> None:
        self.heard: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._drawn: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._seen = 0
        self._loop = asyncio.new_event_loop()
        self._board = Board(first)
        secret, unhurried = secrets.token_urlsafe(32), count(1, _DAY_NS).__next__
        self._kiosk = Kiosk(bind(0), secret, self._board, self._hears, unhurried)
        self._kiosk.inform = lambda: INFORMATION
        self._thread = threading.Thread(target=self._run, name="kiosk-fixture")

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._kiosk.listening(), self._loop).result(_DEADLINE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._serving.cancel)
        self._thread.join(_DEADLINE_S)

    @property
    def url(self) -> str:
        """For a browser."""
        return self._kiosk.url

    def show(self, view: View | str) -> int:
        """Puts a view, or one by its name, on the glass; returns its number."""
        shown = VIEWS[view] if isinstance(view, str) else view
        said: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._loop.call_soon_threadsafe(lambda: said.put(self._board.publish(shown)))
        return said.get(timeout=_DEADLINE_S)

    def drawn(self, view: View | str) -> None:
        """As `show`; returns when the page has drawn it. Raises queue.Empty."""
        number = self.show(view)
        while self._seen < number:
            self._seen = self._drawn.get(timeout=_DEADLINE_S)

    def _hears(self, command: Command) -> None:
        if isinstance(command, Received):
            self._drawn.put(command.seq)
        else:
            self.heard.put(command)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._serving = self._loop.create_task(self._kiosk.serve())
        try:
            self._loop.run_until_complete(self._serving)
        except asyncio.CancelledError:
            pass
        finally:
            self._loop.close()
