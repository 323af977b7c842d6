"""The local API's doors: a Unix socket, and loopback where the settings say so.

* In ``run`` of the state folder they are the daemon's user's alone, as everything there is.
* In a folder that the settings name they are for that folder's group, too: the site made it, and
  nobody but us (or root) may write there, or somebody else could sit at our door.

Who connects to ``local.sock`` is logged. Loopback is for those who cannot use it: ``local.json``
has its address and the token of this run. What answers is loaded when somebody asks for the first
time: a terminal's memory is counted.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from firmware_py.local_api.apps import Apps
from firmware_py.local_api.guard import ASK_BURST, ASK_RATE, BURST, RATE, Door, Peer
from firmware_py.loopback.http import BACKLOG, SOCKET, Application, Listener, Message, Receive, Send
from firmware_py.loopback.pace import Pace
from firmware_py.settings import LocalApiSettings
from runtime.durable import StorageError, write_file
from runtime.settings import PortError, SettingsError

if TYPE_CHECKING:
    from firmware_py.local_api.server import Server

LOG: Final = logging.getLogger("tapover.local_api")

FOLDER: Final = "run"
SOCKET_FILE: Final = "local.sock"
TOKEN_FILE: Final = "local.json"  # noqa: S105 - a file's name
LOOPBACK: Final = "127.0.0.1"
# Of whom it is remembered that they were logged.
MAX_KNOWN: Final = 256
_TOKEN_BYTES: Final = 32
_OWN_MODE, _SOCKET_MODE, _TOKEN_MODE = 0o700, 0o660, 0o640
_WRITABLE: Final = stat.S_IWGRP | stat.S_IWOTH


class Doors:
    """Opened by `open`; `serve` is their part's task."""

    def __init__(self, doors: list[tuple[socket.socket, Door]], folder: Path) -> None:
        self._doors = doors
        self._folder = folder

    @classmethod
    def open(cls, settings: LocalApiSettings, state_dir: Path) -> Doors:
        """Listens where the settings say; nobody is answered yet. Raises StartError."""
        folder = settings.folder or state_dir / FOLDER
        doors: list[tuple[socket.socket, Door]] = []
        try:
            if settings.folder is None:
                folder.mkdir(mode=_OWN_MODE, exist_ok=True)
                folder.chmod(_OWN_MODE)
            group = _group_of(folder) if settings.folder else None
            if settings.socket:
                doors.append((_unix(folder, group), Door()))
            if settings.port is not None:
                doors.append(_loopback(settings.port, folder, group))
        except (OSError, StorageError) as error:
            raise SettingsError(f"local_api: {folder}: {error}") from error
        return cls(doors, folder)

    async def serve(self, apps: Apps, now_ns: Callable[[], int]) -> None:
        """Until cancelled; then every stream is ended and the socket is taken away."""
        paces = Pace(RATE, BURST), Pace(ASK_RATE, ASK_BURST)
        listeners = [
            Listener(bound, _application(door, apps, paces, now_ns)) for bound, door in self._doors
        ]
        for listener in listeners:
            await listener.open()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            apps.close()
            for listener in listeners:
                await listener.close()
            self.close()

    def close(self) -> None:
        """Listen no more."""
        for bound, _ in self._doors:
            bound.close()
        for name in (SOCKET_FILE, TOKEN_FILE):
            (self._folder / name).unlink(missing_ok=True)


def _application(
    door: Door, apps: Apps, paces: tuple[Pace, Pace], now_ns: Callable[[], int]
) -> Application:
    server: Server | None = None
    known: set[Peer] = set()

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal server
        if door.host is None and (peer := Peer.of(scope[SOCKET])) not in known:
            if len(known) >= MAX_KNOWN:
                known.clear()
            known.add(peer)
            LOG.info("an application", extra={"pid": peer.pid, "uid": peer.uid, "gid": peer.gid})
        if server is None:
            from firmware_py.local_api.server import Server  # noqa: PLC0415 - at the first knock

            server = Server(door, apps, paces, now_ns)
        await server(scope, receive, send)

    return answer


def _group_of(folder: Path) -> int:
    """The group that a folder of the site's is for. Raises OSError, SettingsError."""
    found = folder.stat()
    if found.st_mode & _WRITABLE or found.st_uid not in (0, os.geteuid()):
        raise SettingsError(f"local_api.folder: {folder}: others may write there; chmod go-w")
    return found.st_gid


def _let_in(path: Path, group: int | None, mode: int) -> None:
    """Its user, and the group, if any, as far as `mode` says."""
    if group is None:
        mode &= ~stat.S_IRWXG
    else:
        os.chown(path, -1, group)
    path.chmod(mode)


def _unix(folder: Path, group: int | None) -> socket.socket:
    """Bound by way of the folder's descriptor: a socket's whole path may have 107 bytes alone."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    at = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        path = Path(f"/proc/self/fd/{at}") / SOCKET_FILE
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        _let_in(path, group, _SOCKET_MODE)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        os.close(at)
    return listener


def _loopback(port: int, folder: Path, group: int | None) -> tuple[socket.socket, Door]:
    try:
        listener = socket.create_server((LOOPBACK, port), backlog=BACKLOG)
    except OSError as error:
        raise PortError("local_api.port", LOOPBACK, port, error) from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    host = f"{LOOPBACK}:{listener.getsockname()[1]}"
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    told = {"url": f"http://{host}", "token": token}
    write_file(folder / TOKEN_FILE, json.dumps(told).encode() + b"\n")
    _let_in(folder / TOKEN_FILE, group, _TOKEN_MODE)
    return listener, Door(host, token)
