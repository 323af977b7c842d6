"""A kiosk's screen as a program sees it: every view with the moment of its receipt.

It behaves as the page does: one stream of states, a POST for each thing a person does, and word of
each view's receipt. The moment is taken before the view is parsed.
"""

from __future__ import annotations

import http.client
import json
import queue
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

from benchmarks.ward.processes import NotReady, WardError
from runtime.clock import SystemClock

_RETRY_S: Final = 0.02  # between two looks for a daemon that is not there yet
_STREAM_TIMEOUT_S: Final = 10.0  # the daemon pings every two seconds


@dataclass(frozen=True, slots=True)
class Seen:
    """One view: its JSON, and the monotonic nanoseconds of its receipt."""

    view: dict[str, Any]
    at_ns: int

    @property
    def screen(self) -> str:
        """Which face of the page."""
        return str(self.view["screen"])


class Glass:
    """Watches one terminal's kiosk by the file in which the daemon leaves its address.

    Reconnects when the daemon restarts (with its new secret). A context manager.
    """

    def __init__(self, url_file: Path) -> None:
        self._url_file = url_file
        self._clock = SystemClock()
        self._seen: list[Seen] = []
        self._news = threading.Condition()
        self._stop = threading.Event()
        self._stream: socket.socket | None = None
        self._posts: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._watching, self._confirming = (
            threading.Thread(target=work, name=f"glass-{work.__name__}", daemon=True)
            for work in (self._watch, self._confirm)
        )

    def __enter__(self) -> Self:
        self._watching.start()
        self._confirming.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._posts.put(None)
        if self._stream is not None:
            with suppress(OSError):  # the daemon may have ended it first
                self._stream.shutdown(socket.SHUT_RDWR)
        for thread in (self._watching, self._confirming):
            if thread.is_alive():
                thread.join(_STREAM_TIMEOUT_S)

    def mark(self) -> int:
        """A place in the row of views, for `wait` and `since`."""
        with self._news:
            return len(self._seen)

    def since(self, mark: int) -> list[Seen]:
        """Every view after ``mark``."""
        with self._news:
            return self._seen[mark:]

    @property
    def latest(self) -> Seen | None:
        """The newest view."""
        with self._news:
            return self._seen[-1] if self._seen else None

    def wait(
        self, wanted: Callable[[dict[str, Any]], bool], mark: int = 0, timeout_s: float = 10.0
    ) -> Seen:
        """The first view after ``mark`` that is ``wanted``. Raises NotReady."""
        deadline = time.monotonic() + timeout_s
        looked = mark
        with self._news:
            while True:
                for seen in self._seen[looked:]:
                    if wanted(seen.view):
                        return seen
                looked = len(self._seen)
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._news.wait(left)
            shown = [f"{s.screen}: {s.view['words']}" for s in self._seen[mark:][-6:]]
        raise NotReady(
            f"the kiosk of {self._url_file.parent} did not come to it; it showed {shown}"
        )

    def wait_screen(self, *screens: str, mark: int = 0, timeout_s: float = 10.0) -> Seen:
        """The first view after ``mark`` with one of these faces. Raises NotReady."""
        return self.wait(lambda view: view["screen"] in screens, mark, timeout_s)

    def post(self, command: str, **fields: object) -> None:
        """What a person does: pin, position, activity, lock, cancel. Raises WardError."""
        host, secret = self._address()
        connection = http.client.HTTPConnection(host, timeout=5.0)
        try:
            status, words = _post(connection, host, secret, command, fields)
        finally:
            connection.close()
        if status != http.HTTPStatus.NO_CONTENT:
            raise WardError(f"the kiosk refused {command}: {status} {words}")

    def _address(self) -> tuple[str, str]:
        try:
            url = urlsplit(self._url_file.read_text().strip())
        except OSError as error:
            raise WardError(f"no kiosk yet: {error}") from error
        return url.netloc, parse_qs(url.query)["boot"][0]

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                self._read_stream()
            except (OSError, http.client.HTTPException, WardError, KeyError):
                self._stop.wait(_RETRY_S)  # the daemon is starting, or was killed

    def _read_stream(self) -> None:
        host, secret = self._address()
        connection = http.client.HTTPConnection(host, timeout=_STREAM_TIMEOUT_S)
        with closing(connection):
            connection.request("GET", f"/state?boot={secret}", headers={"Host": host})
            self._stream = connection.sock
            with connection.getresponse() as response:
                self._follow(response)

    def _follow(self, response: http.client.HTTPResponse) -> None:
        if response.status != http.HTTPStatus.OK:
            raise WardError(f"the kiosk refused its stream: {response.status}")
        event = ""
        while (line := response.readline()) and not self._stop.is_set():
            at_ns = self._clock.monotonic_ns()
            if line.startswith(b"event: "):
                event = line[7:].strip().decode()
            elif line.startswith(b"data: ") and event != "ping":
                self._note(json.loads(line[6:]), at_ns)
            elif line == b"\n":
                event = ""

    def _note(self, view: dict[str, Any], at_ns: int) -> None:
        with self._news:
            self._seen.append(Seen(view, at_ns))
            self._news.notify_all()
        self._posts.put(int(view["seq"]))

    def _confirm(self) -> None:
        connection: http.client.HTTPConnection | None = None
        known = ""
        while (seq := self._posts.get()) is not None:
            try:
                host, secret = self._address()
                if connection is None or known != host:
                    connection, known = http.client.HTTPConnection(host, timeout=5.0), host
                _post(connection, host, secret, "received", {"seq": seq})
            except (OSError, http.client.HTTPException, WardError, KeyError):
                # A daemon that was killed misses a word of receipt, as it would a page's.
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()


def _post(
    connection: http.client.HTTPConnection,
    host: str,
    secret: str,
    command: str,
    fields: dict[str, object],
) -> tuple[int, str]:
    headers = {
        "Content-Type": "application/json",
        "Host": host,
        "Origin": f"http://{host}",
        "X-Tapover-Boot": secret,
    }
    connection.request("POST", f"/{command}", json.dumps(fields), headers)
    response = connection.getresponse()
    return response.status, response.read(1024).decode("utf-8", "replace").strip()
