"""Somebody with the gateway's certificate: a terminal's questions end all the same."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest

from firmware_py.fetch import FetchFailed
from tests.firmware.fake_site import FakeSite
from tests.firmware.test_fetch import Site, site

__all__ = ["site"]

PATH = "/v1/log/checkpoint?since=0"
DRIP_S = 0.005
Told = Callable[[BaseHTTPRequestHandler], None]


def drip(*pieces: bytes) -> Told:
    """The first of these, then the last again and again, as long as somebody listens."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        pace = threading.Event()  # never set
        with contextlib.suppress(OSError):
            handler.wfile.write(pieces[0])
            while True:
                handler.wfile.write(pieces[-1])
                pace.wait(DRIP_S)
        handler.close_connection = True

    return answer


NEVER_BEGINS = {
    "continue, for ever": drip(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a status line that grows": drip(b"HTTP/1.1 200 O", b"K"),
    "headers, for ever": drip(b"HTTP/1.1 200 OK\r\n", b"X"),
}


@pytest.mark.parametrize("told", NEVER_BEGINS.values(), ids=NEVER_BEGINS)
@pytest.mark.parametrize("kept", [False, True], ids=["at first", "on a kept connection"])
async def test_an_answer_that_never_begins_is_given_up(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    told: Told,
    *,
    kept: bool,
) -> None:
    monkeypatch.setattr("firmware_py.fetch.WHOLE_S", 0.4)
    gateway, message = site.client(), FakeSite().checkpoint_message(0)
    honest = 200, message.to_bytes()
    async with asyncio.timeout(10):
        if kept:
            site.answers[PATH] = honest
            await gateway.checkpoint(0)
        site.answers[PATH] = told
        with pytest.raises(FetchFailed):
            await gateway.checkpoint(0)
        site.answers[PATH] = honest
        assert await gateway.checkpoint(0) == message
    gateway.close()
