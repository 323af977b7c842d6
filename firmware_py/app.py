"""The daemon put together: the one composition root of `main` and of the tests.

`build` checks settings, identity, port and stores, and starts nothing; `App.run` starts every part,
says READY when the kiosk is served, and stops them in reverse order. Broker, gateway, pcscd and
readers may all be missing: nobody here waits for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

from contract.events import TerminalStarted, TerminalStopped
from contract.tap import DirectoryVersion
from firmware_py import stores
from firmware_py.evidence.alarms import Alarms
from firmware_py.evidence.journal import Journal, JournalFailed
from firmware_py.glass.view import Screen, View
from firmware_py.glass.words import STARTING
from firmware_py.kiosk.board import Board
from firmware_py.kiosk.secret import secret_of_boot, write_url
from firmware_py.kiosk.server import Kiosk, bind
from firmware_py.local_api.apps import Apps
from firmware_py.local_api.door import Doors
from firmware_py.outside import Outside
from firmware_py.parts import Mailbox, Parts
from firmware_py.settings import Settings
from firmware_py.signon.recall import Recalled, recall
from firmware_py.site.identity import Identity, load_identity, open_keys, roots_of
from firmware_py.terminal import Terminal
from firmware_py.trust.custody import Custody, Kept, boot_of
from firmware_py.trust.sitetime import Moment, SiteTime
from firmware_py.workspace.made import made, require_program
from hardware.readers import ReaderRules, Readers
from runtime.clock import Clock, SystemClock
from runtime.durable import StorageError
from runtime.settings import SettingsError
from runtime.supervisor import run_all
from runtime.systemd import ServiceManager

LOG: Final = logging.getLogger("tapover.app")

SOFTWARE: Final = version("tapover")
BUILD_MS: Final = 1_767_225_600_000
"""1 January 2026: no terminal with this software lives earlier. Set at each release."""
# One for the gateway's answer, one for the directory, one for a name to be resolved; threads cost
# memory, and the journal, the readers and each card have their own.
THREADS: Final = 3
STALL_S: Final = 10
"""A consumer that has not turned round for so long hangs: the watchdog is fed no more."""

_RTC: Final = Path("/sys/class/rtc/rtc0/since_epoch")
_RTC_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class App:
    """Everything opened; made by `build`, run once."""

    settings: Settings
    clock: Clock
    readers: Readers
    identity: Identity
    folder: stores.Folder
    custody: Custody
    journal: Journal
    alarms: Alarms
    listener: socket.socket
    doors: Doors
    manager: ServiceManager
    software: str = SOFTWARE

    @property
    def kiosk_port(self) -> int:
        """On loopback."""
        return int(self.listener.getsockname()[1])

    async def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Until a signal or cancelled. Raises StartError, or a part's own bug."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(THREADS, "worker"))
        mailbox = Mailbox()
        board = Board(View(Screen.STARTING, STARTING))
        kiosk = Kiosk(self.listener, self._secret(), board, mailbox.post, self.clock.monotonic_ns)
        recalled = await recall(self.journal, self.custody.moment())
        self._journal_start(recalled)
        outside = await Outside.make(self, mailbox)
        kiosk.inform = partial(self._inform, outside)
        apps = Apps(mailbox.post)
        workspace = made(self.settings.workspace, self.clock, os.environ, mailbox.post)
        parts = Parts(
            clock=self.clock,
            readers=self.readers,
            journal=self.journal,
            custody=self.custody,
            workspace=workspace,
            apps=apps,
            board=board,
            sound=self.alarms.sound,
            publish_pin=outside.publish_pin,
            pins=recalled.pins,
            shifts=recalled.shifts,
            card_deadline_s=self.settings.card_deadline_s,
            timezone=self.settings.timezone,
            help=outside.help_tools(),
            emergency=outside.emergency_tools(),
            downtime=recalled.downtime,
            say_downtime=outside.say_downtime,
            roaming=outside.roaming_tools(),
        )
        terminal = Terminal(parts, mailbox)
        outside.attach(terminal)
        terminal.on_missing = self._tell_missing
        try:
            await run_all(
                {
                    **outside.parts(),
                    "kiosk": kiosk.serve(),
                    "local_api": self.doors.serve(apps, self.clock.monotonic_ns),
                    "terminal": terminal.run(),
                    "ready": self._ready(kiosk, on_ready),
                    "watchdog": self.manager.keep_alive(
                        self.clock, lambda: terminal.turns(STALL_S)
                    ),
                }
            )
        finally:
            await workspace.close()
            await self._close()

    def _journal_start(self, recalled: Recalled) -> None:
        started = TerminalStarted(
            software=self.software, directory=DirectoryVersion.of(self.custody.version)
        )
        try:
            self.journal.append(started, *(changed.detail for changed in recalled.ended))
        except JournalFailed as error:
            LOG.error("the start could not be journalled", extra={"why": str(error)})  # noqa: TRY400

    def _inform(self, outside: Outside) -> Mapping[str, object]:
        from firmware_py.kiosk.info import info  # noqa: PLC0415 - read by few, and memory counts

        return info(
            self.custody.place(),
            self.settings.terminal_id,
            software=self.software,
            note=outside.newest_note,
            support=self.settings.support,
        )

    def _secret(self) -> str:
        try:
            return secret_of_boot(self.settings.state_dir, self.clock.boot_id)
        except StorageError as error:
            raise SettingsError(f"state_dir: {error}") from error

    def _tell_missing(self, missing: tuple[str, ...]) -> None:
        words = f"waits for {', '.join(missing)}" if missing else "everything is there"
        self.manager.status(words)
        LOG.info(words)

    async def _ready(self, kiosk: Kiosk, on_ready: Callable[[], None]) -> None:
        await kiosk.listening()
        await asyncio.to_thread(write_url, self.settings.state_dir, kiosk.url)
        self.manager.ready(f"kiosk on port {kiosk.port}")
        LOG.info("ready", extra={"terminal": self.settings.terminal, "kiosk_port": kiosk.port})
        on_ready()

    async def _close(self) -> None:
        self.manager.stopping()
        with contextlib.suppress(JournalFailed):
            self.journal.append(TerminalStopped())
        await self.journal.close()
        self.custody.kept.directory.close()
        self.folder.lock.release()
        self.manager.close()


def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    readers: Readers | None = None,
    rtc_ms: Callable[[], int | None] | None = None,
) -> App:
    """Open everything. Raises StartError, whose `exit_status` says which kind."""
    require_program(settings.workspace)
    clock = clock or SystemClock()
    rtc = rtc_ms or read_rtc_ms
    folder = stores.open_folder(settings.state_dir)
    remembered = folder.trust.remembered
    floor_ms = max(BUILD_MS, remembered.time.floor_ms if remembered.time else 0)
    roots = roots_of(settings, remembered.roots)
    identity = load_identity(settings, remembered.keys, roots, clock.wall_ms, floor_ms)
    listener = bind(settings.kiosk_port)
    doors = Doors.open(settings.local_api, settings.state_dir)
    folder.trust.keep_keys(identity.keys.envelope.to_bytes())
    now = Moment(boot_of(clock), clock.monotonic_ns() // 1_000_000)
    time = SiteTime.at_start(remembered.time, BUILD_MS, now, rtc()).new_epoch(
        identity.keys.epoch, identity.keys.statement.issued_ms, now.monotonic_ms
    )
    kept = Kept(
        settings.terminal_id,
        roots[-1],
        stores.open_directory(folder),
        folder.trust,
        identity.keys,
        open_keys(settings, roots, folder.trust.remembered.before),
    )
    custody = Custody(kept, time, clock, rtc)
    journal = stores.open_journal(folder, settings.terminal_id, SOFTWARE, custody.stamp)
    alarms = Alarms(journal, clock)
    custody.sound = alarms.sound
    return App(
        settings=settings,
        clock=clock,
        readers=readers or _pcsc(settings, clock),
        identity=identity,
        folder=folder,
        custody=custody,
        journal=journal,
        alarms=alarms,
        listener=listener,
        doors=doors,
        manager=ServiceManager(os.environ),
    )


def _pcsc(settings: Settings, clock: Clock) -> Readers:
    from hardware.pcsc import PcscReaders  # noqa: PLC0415 - tests of the rest need no libpcsclite

    rules = ReaderRules(settings.interfaces, settings.ignored_readers)
    return PcscReaders(rules, clock.monotonic_ns)


def read_rtc_ms() -> int | None:
    """What the machine's clock chip says; null where there is none."""
    try:
        digits = _RTC.read_text(encoding="ascii")[:_RTC_DIGITS].strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(digits) * 1000 if digits.isdigit() else None
