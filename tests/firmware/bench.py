"""A terminal on a bench: real journal and directory on disk, real card workers, cards of our own.

What is missing: pcscd, the network, the page. Time is the test's, but for a card's deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self, cast

import pytest

from contract.directory import Credential, Entitlement, Name, Slot
from contract.events import AlarmCode, CardOutcome, Event, SessionChanged
from contract.ids import Digest, Guid, HolderId, TerminalId
from contract.signing import CardAlgorithm, VerifyKey
from contract.tap import PinProof
from firmware_py import stores
from firmware_py.evidence.committer import CommitFailed
from firmware_py.fetch import FetchFailed
from firmware_py.glass.commands import Activity, PinEntered
from firmware_py.glass.view import Screen, View
from firmware_py.items import Item, JournalBack, JournalDown
from firmware_py.kiosk.commands import Command
from firmware_py.local_api.apps import Apps
from firmware_py.parts import EmergencyTools, HelpTools, Mailbox, Parts, RoamingTools
from firmware_py.signon.recall import recall
from firmware_py.site.link import LinkChanged
from firmware_py.terminal import Terminal
from firmware_py.trust.custody import Custody, Kept, boot_of
from firmware_py.trust.heard import Asked, DirectoryHeard, HeartbeatHeard
from firmware_py.trust.sitetime import Moment, SiteTime
from firmware_py.trust.upkeep import Upkeep
from firmware_py.workspace.screen import ScreenWorkspace
from hardware.piv import Pin
from hardware.readers import ReaderName
from hardware.sensor import PresenceSensor
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card
from hardware.virtual.names import Algorithm
from hardware.virtual.names import Slot as KeySlot
from hardware.virtual.sample import personalised
from runtime.clock import ManualClock
from runtime.supervisor import State
from tests.firmware import rights
from tests.firmware.around import NoGateway, Recorder
from tests.firmware.cards import PLATE, SLOT, BenchReaders

PIN = "123456"
DEADLINE_S = 5.0
"""For a test to see what it waits for; far above what anything takes."""
NONCE = "ab" * 32


def staff(holder: str, initials: str, card: Card, **changes: Any) -> Entitlement:  # noqa: ANN401
    """The entitlement of a personalised card."""
    assert card.guid is not None
    credentials = tuple(
        Credential(
            slot=slot,
            algorithm=cast("CardAlgorithm", key.algorithm),
            key=key.to_base64(),
            pin_gated=slot is Slot.PIV_AUTHENTICATION,
        )
        for slot in (Slot.CARD_AUTHENTICATION, Slot.PIV_AUTHENTICATION)
        if (key := _public(card, KeySlot(int(slot, 16)))) is not None
    )
    fields: dict[str, Any] = {
        "guid": Guid(card.guid.hex()),
        "holder": HolderId(holder),
        "name": Name(full=f"{holder.title()} Full", short=holder.title(), initials=initials),
        "credentials": credentials,
    }
    return rights.entitlement(**{**fields, **changes})


def _public(card: Card, slot: KeySlot) -> VerifyKey | None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = card.keys.get(slot)
    if key is None:
        return None
    spki = key.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return VerifyKey.from_spki(spki)


class Bench:
    """One terminal. `async with` starts it; a second one on the same folder is a restart."""

    def __init__(
        self,
        folder: Path,
        site: rights.Gateway | None = None,
        clock: ManualClock | None = None,
        readers: BenchReaders | None = None,
        *,
        card_deadline_s: float = 3.0,
        helping: bool = False,
        sensor: PresenceSensor | None = None,
        terminal: TerminalId = rights.TERMINAL,
        roaming: RoamingTools | None = None,
    ) -> None:
        self.clock = clock or ManualClock(wall_ms=rights.NOW_MS)
        self.readers = readers or BenchReaders(self.clock.monotonic_ns)
        self.site = site or rights.Gateway()
        self.proofs: list[PinProof] = []
        self.told: list[bytes] | None = None
        """What the gateway was told of break-glass; null: it does not answer."""
        self.emergency_air: Callable[[bytes], Awaitable[bool]] | None = None
        """Who takes what is said on its `emergency` topic; null: no broker does."""
        self.downtime_said: list[bytes] = []
        """What was said on its own downtime topic."""
        self.downtime_air: Callable[[bytes], None] = lambda _: None
        """Where that goes."""
        self.alarms: list[AlarmCode] = []
        self.board = Recorder()
        self.workspace = ScreenWorkspace()
        self._held = asyncio.Event()
        self._handled = asyncio.Event()
        self.journal_path = folder / stores.JOURNAL
        self._deadline_s = card_deadline_s
        self._sensor = sensor
        self.name = terminal
        self._roaming = roaming
        self._help_path = folder / "help.json" if helping else None
        self._folder = stores.open_folder(folder)
        now = Moment(boot_of(self.clock), self.clock.monotonic_ns() // 1_000_000)
        remembered = self._folder.trust.remembered
        time = SiteTime.at_start(remembered.time, rights.NOW_MS - 1_000_000, now)
        directory = stores.open_directory(self._folder)
        kept = Kept(terminal, rights.ROOT_FINGERPRINT, directory, self._folder.trust, rights.KEYS)
        self.custody = Custody(kept, time, self.clock)
        self.custody.sound = self._sound

    async def __aenter__(self) -> Self:
        self.mailbox = Mailbox()
        self.journal = stores.open_journal(self._folder, self.name, "0.1.0", self.custody.stamp)
        self.journal.on_failed = lambda failure: self.mailbox.post(JournalDown(str(failure)))
        recalled = await recall(self.journal, self.custody.moment())
        if recalled.ended:
            self.journal.append(*(changed.detail for changed in recalled.ended))
        self.apps = Apps(self.mailbox.post)
        parts = Parts(
            clock=self.clock,
            readers=self.readers,
            journal=self.journal,
            custody=self.custody,
            workspace=self.workspace,
            board=self.board,
            apps=self.apps,
            sound=self._sound,
            publish_pin=self.proofs.append,
            pins=recalled.pins,
            shifts=recalled.shifts,
            sensor=self._sensor,
            card_deadline_s=self._deadline_s,
            help=self._help_tools(),
            roaming=self._roaming,
            emergency=self._emergency_tools(),
            downtime=recalled.downtime,
            say_downtime=self._say_downtime,
        )
        self.terminal = Terminal(parts, self.mailbox)
        self.terminal.on_news = self._held.set
        handle = self.terminal.handle

        def handled(item: Item) -> None:
            handle(item)
            self._handled.set()

        self.terminal.handle = handled  # type: ignore[method-assign]
        upkeep = Upkeep(
            self.custody,
            self._folder.directory_path,
            NoGateway(),
            self.clock,
            self.mailbox.post,
        )
        self._tasks = [
            asyncio.create_task(upkeep.run()),
            asyncio.create_task(self.terminal.run()),
        ]
        return self

    def _emergency_tools(self) -> EmergencyTools:
        async def ask(_: str, message: bytes, __: int) -> bytes:
            return await self.ask_gateway(message)

        batch = rights.batch_key_of(self.name)
        return EmergencyTools(self.journal_path.parent, batch, ask, self._say_emergency)

    async def ask_gateway(self, message: bytes) -> bytes:
        """What it answers to break-glass."""
        if self.told is None:
            raise FetchFailed("away")
        self.told.append(message)
        return b"{}"

    async def _say_emergency(self, message: bytes) -> bool:
        return self.emergency_air is not None and await self.emergency_air(message)

    def _say_downtime(self, message: bytes) -> None:
        self.downtime_said.append(message)
        self.downtime_air(message)

    def _help_tools(self) -> HelpTools | None:
        """As of a terminal whose gateway is away."""

        async def ask(_: str, __: bytes, ___: int) -> bytes:
            raise FetchFailed("away")

        async def publish(_: bytes) -> bool:
            return False

        if self._help_path is None:
            return None
        batch = rights.signer("batch")
        return HelpTools(self._help_path, batch, lambda: self.custody.kept.keys, ask, publish)

    async def __aexit__(self, *_: object) -> None:
        for task in reversed(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.journal.close()
        self.custody.kept.directory.close()
        self._folder.lock.release()

    def _sound(self, code: AlarmCode, subject: Digest | None = None, why: str = "") -> None:
        self.alarms.append(code)

    # What the site says.

    async def open_day(self, *entries: Entitlement, **policy: Any) -> None:  # noqa: ANN401
        """The link stands, site time is known, and these people may sign on here."""
        self.mailbox.post(LinkChanged(State.UP, ""))
        await self.publish(rights.terminal(), rights.policy(**policy), *entries)
        self.confirm()
        await self.until(lambda view: view.screen is Screen.LOCKED)

    async def publish(self, *entries: Any) -> None:  # noqa: ANN401
        """A change of the directory, and wait until it is held."""
        message = self.site.change(*entries)
        self.mailbox.post(DirectoryHeard(message))
        async with asyncio.timeout(DEADLINE_S):
            while self.custody.version < self.site.version:
                self._held.clear()
                await self._held.wait()

    def confirm(self) -> None:
        """An answered heartbeat: the clock is the site's, and the directory the newest."""
        now_ns = self.clock.monotonic_ns()
        self.mailbox.post(Asked(NONCE, now_ns))
        beat = self.site.beat(rights.NOW_MS + now_ns // 1_000_000, NONCE)
        self.mailbox.post(HeartbeatHeard(beat, now_ns, answer=True))

    # What people do, and see.

    def do(self, command: Command) -> None:
        """At the kiosk."""
        self.mailbox.post(command)

    def post(self, item: Item) -> None:
        """Anything else that happens."""
        self.mailbox.post(item)

    async def tap(
        self,
        card: Card,
        *screens: Screen,
        reader: ReaderName = PLATE,
        behaviour: Behaviour | None = None,
    ) -> View:
        """A card is held to a reader until the glass answers, then taken away."""
        wanted = screens or (Screen.OPEN,)
        mark = len(self.board.views)
        self.readers.put(reader, card, behaviour)
        try:
            return await self.until(lambda view: view.screen in wanted, mark)
        finally:
            self.readers.take(reader)

    async def sign_on(self, card: Card, pin: str = PIN) -> View:
        """With the PIN, in the slot."""
        mark = len(self.board.views)
        self.readers.put(SLOT, card)
        try:
            await self.until(lambda view: view.screen is Screen.PIN, mark)
            self.do(PinEntered(Pin(pin)))
            return await self.until(lambda view: view.screen is Screen.OPEN, mark)
        finally:
            self.readers.take(SLOT)

    def pass_time(self, seconds: float) -> int:
        """Time goes by; a mark from before what comes of it."""
        mark = len(self.board.views)
        self.clock.advance(seconds)
        return mark

    def touch(self) -> int:
        """Somebody touches the screen; a mark from before what comes of it."""
        mark = len(self.board.views)
        self.do(Activity())
        return mark

    async def until(self, wanted: Callable[[View], bool], mark: int = 0) -> View:
        """The first view from ``mark`` on that is wanted."""
        looked = mark
        try:
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    self.board.news.clear()
                    for view in self.board.views[looked:]:
                        if wanted(view):
                            return view
                    looked = len(self.board.views)
                    await self.board.news.wait()
        except TimeoutError:
            shown = [f"{view.screen}: {view.words}" for view in self.board.views[mark:]]
            raise AssertionError(f"the glass did not come to it; it showed {shown}") from None

    async def rest(self) -> None:
        """Until nothing is under way; raises what the terminal died of."""
        async with asyncio.timeout(DEADLINE_S):
            while not self.terminal.at_rest and not self._tasks[-1].done():
                self._handled.clear()
                await asyncio.wait(
                    [asyncio.create_task(self._handled.wait()), self._tasks[-1]],
                    return_when=asyncio.FIRST_COMPLETED,
                )
        if self._tasks[-1].done():
            self._tasks[-1].result()

    def since(self, mark: int) -> list[View]:
        """Views from a mark on."""
        return self.board.views[mark:]

    # What the disk holds.

    async def events(self) -> list[Event]:
        """Every event, once everything appended is on disk."""
        await self.journal.run(lambda _: None)
        with contextlib.closing(sqlite3.connect(self.journal_path)) as connection:
            rows = connection.execute("SELECT data FROM event ORDER BY position").fetchall()
        return [Event.from_bytes(data) for (data,) in rows]

    async def outcomes(self) -> list[tuple[str, str]]:
        """(result, reason) of each outcome."""
        return [
            (e.detail.result, e.detail.reason)
            for e in await self.events()
            if isinstance(e.detail, CardOutcome)
        ]

    async def changes(self) -> list[tuple[str, str, str]]:
        """(holder, change, cause) of each change of a session."""
        return [
            (e.detail.holder, e.detail.change, e.detail.cause)
            for e in await self.events()
            if isinstance(e.detail, SessionChanged)
        ]

    async def fail_disk(self) -> None:
        """The journal's disk refuses."""

        def refuse(_: sqlite3.Connection) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        with pytest.raises(CommitFailed):
            await self.journal.run(refuse)

    async def mend_disk(self) -> None:
        """... and takes data again."""
        await self.journal.reopen()
        self.post(JournalBack())


def rsa_card() -> Card:
    """As some hospitals' cards are."""
    return personalised(algorithm=Algorithm.RSA_2048)
