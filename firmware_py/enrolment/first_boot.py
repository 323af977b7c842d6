"""A first boot put together: the kiosk on the glass, and the journey to a certificate beside it.

It ends with the identity folder whole, or by a signal. Afterwards the program begins anew in the
same process (`__main__`), so that a terminal at work carries none of this in its memory.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from firmware_py.enrolment.journey import Journey
from firmware_py.enrolment.progress import Progress
from firmware_py.kiosk.board import Board
from firmware_py.kiosk.secret import secret_of_boot, write_url
from firmware_py.kiosk.server import Kiosk, bind
from firmware_py.settings import KeyKind, Settings
from firmware_py.site.keystore import FileKeys, KeyStore
from firmware_py.site.place import is_enrolled
from runtime.clock import SystemClock
from runtime.durable import FolderLock, StorageError, make_folder, remove_leftovers
from runtime.settings import SettingsError
from runtime.supervisor import first_of, run_all
from runtime.systemd import ServiceManager

LOG: Final = logging.getLogger("tapover.enrolment")
# Enrolment asks one question at a time.
THREADS: Final = 2


def first_boot(settings: Settings, file: Path) -> bool:
    """Whether this terminal is enrolled now; False: a signal came first. Raises StartError."""
    try:
        make_folder(settings.state_dir)
        make_folder(settings.identity_dir)
        with FolderLock(settings.state_dir):
            remove_leftovers(settings.state_dir)
            remove_leftovers(settings.identity_dir)
            asyncio.run(_serve(settings, file, bind(settings.kiosk_port)))
    except StorageError as error:
        raise SettingsError(f"state_dir or identity_dir: {error}") from error
    return is_enrolled(settings.identity_dir)


async def _serve(settings: Settings, file: Path, listener: socket.socket) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "worker"))
    clock, manager = SystemClock(), ServiceManager(os.environ)
    board = Board(Progress().view())
    secret = secret_of_boot(settings.state_dir, clock.boot_id)
    kiosk = Kiosk(listener, secret, board, lambda _: None, clock.monotonic_ns)

    def show(progress: Progress) -> None:
        board.publish(progress.view())
        manager.status(f"enrolment waits for: {progress.at}")

    async def ready() -> None:
        await kiosk.listening()
        await asyncio.to_thread(write_url, settings.state_dir, kiosk.url)
        manager.ready("waits to be enrolled")
        LOG.info("not enrolled yet", extra={"kiosk_port": kiosk.port})

    journey = Journey(
        file, settings.identity_dir, key_store(settings), clock, random.Random(), show
    )
    parts = {
        "kiosk": kiosk.serve(),
        "ready": ready(),
        "watchdog": manager.keep_alive(clock, lambda: True),
    }
    try:
        await first_of(run_all(parts), journey.run())
    finally:
        manager.close()


def key_store(settings: Settings) -> KeyStore:
    """Where the settings want this terminal's keys. Raises StartError."""
    if settings.keys is KeyKind.TPM:
        from firmware_py.site.tpm import TpmKeys  # noqa: PLC0415 - where there is one

        return TpmKeys(settings.tpm)
    return FileKeys()
