"""A box of cards and readers in a process of its own, driven over a Unix socket.

Benchmarks and the demo tap through it, so that the cards' timing is not disturbed by whoever
measures. A card stays in the box once used, with its record; its file is read anew at each visit.
"""

from __future__ import annotations

import json
import os
import socketserver
from pathlib import Path
from threading import Lock
from typing import Any, Final, Self

from pydantic import ValidationError

from hardware.apdu import HardwareError
from hardware.virtual.card import Card
from hardware.virtual.control import (
    MAX_REQUEST,
    REQUEST,
    BoxError,
    Insert,
    Log,
    Readers,
    Remove,
    Request,
    Tap,
    Wait,
)
from hardware.virtual.powered import PoweredCard
from hardware.virtual.vpcd import VirtualReader

_TOO_LONG: Final = {"ok": False, "error": f"request of more than {MAX_REQUEST} bytes, or cut"}


class Box:
    """Readers by port and cards by file; what each request does. Safe to use from any thread."""

    def __init__(self) -> None:
        """An empty box."""
        self._readers: dict[int, VirtualReader] = {}
        self._cards: dict[Path, Card] = {}
        self._visits: dict[Path, PoweredCard] = {}
        self._lock = Lock()

    def answer(self, line: bytes) -> dict[str, Any]:
        """The answer to one request line, whatever it holds."""
        try:
            return {"ok": True} | self._do(REQUEST.validate_json(line, strict=False))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            return {"ok": False, "error": f"request: {where} {first['msg']}".strip()}
        except HardwareError as error:
            return {"ok": False, "error": str(error)}

    def empty(self) -> None:
        """Take every card out."""
        with self._lock:
            readers = tuple(self._readers.values())
        for reader in readers:
            reader.remove()

    def _do(self, request: Request) -> dict[str, Any]:
        match request:
            case Insert():
                visit = self._insert(request)
                return {"visit": visit.visit, "inserted_ns": visit.inserted_ns}
            case Tap():
                visit = self._insert(request)
                visit.gone.wait(request.hold_s)
                self._reader(request.port).remove()
                return _told(visit)
            case Remove():
                self._reader(request.port).remove()
                return {}
            case Wait():
                return {"reached": self._wait(request)}
            case Log():
                record = self._card(request.card).record
                told = record.to_json(request.visit)
                if request.clear:
                    record.clear()
                return told
            case Readers():
                with self._lock:
                    readers = dict(self._readers)
                return {"readers": {str(port): one.holds for port, one in readers.items()}}

    def _insert(self, request: Insert | Tap) -> PoweredCard:
        card = self._card(request.card)
        visit = self._reader(request.port).insert(card, request.behaviour())
        with self._lock:
            self._visits[_path(request.card)] = visit
        return visit

    def _wait(self, request: Wait) -> bool:
        with self._lock:
            visit = self._visits.get(_path(request.card))
        if visit is None:
            raise BoxError(f"{request.card} was in no reader of this box")
        return visit.wait_for(
            request.timeout_s,
            exchanges=request.exchanges,
            signatures=request.signatures,
            powered=request.powered,
        )

    def _card(self, name: str) -> Card:
        path = _path(name)
        with self._lock:
            if path not in self._cards:
                self._cards[path] = Card.load(path)
            return self._cards[path]

    def _reader(self, port: int) -> VirtualReader:
        with self._lock:
            return self._readers.setdefault(port, VirtualReader(port))


def _path(name: str) -> Path:
    return Path(name).absolute()


def _told(visit: PoweredCard) -> dict[str, Any]:
    return {
        "visit": visit.visit,
        "inserted_ns": visit.inserted_ns,
        "powered_ns": visit.powered_ns,
        "exchanges": visit.exchanges,
        "signatures": visit.signatures,
    }


class BoxServer(socketserver.ThreadingUnixStreamServer):
    """Serves a box at a socket that its owner alone may use."""

    daemon_threads = True
    block_on_close = False  # a tap under way ends with its card being taken out

    def __init__(self, path: Path, box: Box) -> None:
        """Listen at ``path``, replacing a dead box's socket. Raises BoxError."""
        self.box = box
        self._path = path
        before = os.umask(0o177)
        try:
            path.unlink(missing_ok=True)
            super().__init__(str(path), _Driver)
        except OSError as error:
            raise BoxError(f"cannot serve {path}: {error.strerror}") from error
        finally:
            os.umask(before)

    def __enter__(self) -> Self:
        """The server itself."""
        return self

    def server_close(self) -> None:
        """Stop listening, take the cards out, remove the socket."""
        super().server_close()
        self.box.empty()
        self._path.unlink(missing_ok=True)


class _Driver(socketserver.StreamRequestHandler):
    """One driver's connection: requests in order, one answer a line."""

    server: BoxServer

    def handle(self) -> None:
        while line := self.rfile.readline(MAX_REQUEST):
            whole = line.endswith(b"\n")
            answer = self.server.box.answer(line) if whole else _TOO_LONG
            try:
                self.wfile.write(json.dumps(answer).encode() + b"\n")
            except ConnectionError:
                return  # the driver has left; there is nobody to tell
            if not whole:
                return
