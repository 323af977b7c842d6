"""Tell the service manager how we are: sd_notify(3), and its watchdog (sd_watchdog_enabled(3)).

Without NOTIFY_SOCKET, that is outside systemd, everything here does nothing.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import Final

from runtime.clock import Clock
from runtime.logs import Trouble

_log: Final = logging.getLogger(__name__)
_STATUS_CAP: Final = 500  # characters: one line for `systemctl status`
_NS_PER_US: Final = 1_000


class ServiceManager:
    """systemd, or nobody."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""
        address = environment.get("NOTIFY_SOCKET", "")
        # "@" stands for the zero byte of an abstract socket.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watchdog_ns = _watchdog_ns(environment)
        self._trouble = Trouble(_log, "telling the service manager")
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            # A manager that does not read must not stop a terminal.
            self._socket.settimeout(0)

    @property
    def watchdog_s(self) -> float | None:
        """How often it wants to hear from us at the latest; None: it does not watch us."""
        return None if self._watchdog_ns is None else self._watchdog_ns / 1e9

    def ready(self, status: str) -> None:
        """Start-up is finished."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, text: str) -> None:
        """One line about how things are."""
        self._send(f"STATUS={_line(text)}")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    async def keep_alive(self, clock: Clock, healthy: Callable[[], bool]) -> None:
        """Feed the watchdog for ever, twice an interval, as long as ``healthy`` says so.

        Returns at once if nobody watches. While unhealthy nothing is sent, so the manager restarts
        the process.
        """
        if self._socket is None or self._watchdog_ns is None:
            return
        while True:
            if healthy():
                self.alive()
            await clock.sleep_until(clock.monotonic_ns() + self._watchdog_ns // 2)

    def close(self) -> None:
        """Close the socket; nothing is sent from now on."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, state: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(state.encode(), self._address)
        except OSError as error:
            # Whoever set the variable may be gone; that is no reason to stop.
            self._trouble.failed(str(error))
        else:
            self._trouble.over()


def _watchdog_ns(environment: Mapping[str, str]) -> int | None:
    interval, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not (interval.isascii() and interval.isdigit() and int(interval) > 0):
        return None
    # Meant for another process when WATCHDOG_PID names one: we inherited the variable.
    if pid and pid != str(os.getpid()):
        return None
    return int(interval) * _NS_PER_US


def _line(text: str) -> str:
    return " ".join(text.split())[:_STATUS_CAP]
