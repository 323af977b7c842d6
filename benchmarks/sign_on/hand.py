"""A hand at the kiosk: the first input that a person gives once her work is on the glass."""

from __future__ import annotations

import http.client
from contextlib import suppress
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlsplit

from benchmarks.ward.processes import WardError
from benchmarks.ward.terminals import WardTerminal
from runtime.clock import SystemClock

_PATIENCE_S: Final = 5.0


class Hand:
    """Keeps its connection, as the page does. For one thread."""

    def __init__(self, terminal: WardTerminal) -> None:
        url = urlsplit(terminal.url)
        self._clock = SystemClock()
        self._connection = http.client.HTTPConnection(url.netloc, timeout=_PATIENCE_S)
        self._headers = {
            "Content-Type": "application/json",
            "Host": url.netloc,
            "Origin": f"http://{url.netloc}",
            "X-Tapover-Boot": parse_qs(url.query)["boot"][0],
        }

    def close(self) -> None:
        """Takes it back."""
        self._connection.close()

    def touch(self) -> int:
        """One touch; the monotonic nanoseconds at which it was accepted. Raises WardError."""
        for last in (False, True):
            with suppress(http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # The server ends a connection that has rested for five seconds.
                return self._post()
            self._connection.close()
            if last:
                break
        raise WardError("the kiosk accepts no input")

    def _post(self) -> int:
        self._connection.request("POST", "/activity", "{}", self._headers)
        answer = self._connection.getresponse()
        at_ns = self._clock.monotonic_ns()
        answer.read()
        if answer.status != HTTPStatus.NO_CONTENT:
            raise WardError(f"the kiosk refused a touch: {answer.status}")
        return at_ns
