"""The terminal's side towards its site: link, shipper, checkpoints, catching up, forgetting.

All of it goes on in the background; what it has to say to the terminal it says as an item.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, Self

from contract.signing import VerifyKey
from contract.tap import PinProof
from firmware_py.evidence import checkpoints, retention
from firmware_py.evidence.checkpoints import Checkpoints, LogTrust
from firmware_py.evidence.committer import CommitFailed
from firmware_py.evidence.journal import JournalDamaged, JournalFailed
from firmware_py.evidence.shipper import Shipper
from firmware_py.items import Item, JournalBack, JournalDown, JournalForked
from firmware_py.site.fetch import FetchFailed, Gateway
from firmware_py.site.link import Link, LinkChanged, Report, SiteMessage
from firmware_py.trust.custody import boot_of
from firmware_py.trust.upkeep import Upkeep
from runtime.clock import Clock
from runtime.logs import Trouble
from runtime.settings import StartError

if TYPE_CHECKING:
    from firmware_py.app import App
    from firmware_py.parts import Mailbox
    from firmware_py.terminal import Terminal

LOG: Final = logging.getLogger("tapover.outside")

_S: Final = 1_000_000_000
REOPEN_NS: Final = 5 * _S
"""How often a journal that failed is tried again."""
FORGET_NS: Final = 3600 * _S
"""How often old events are looked at."""


class Outside:
    """Made by `make`, told of the terminal by `attach`."""

    def __init__(self, app: App, mailbox: Mailbox, held: checkpoints.Held | None) -> None:
        self._app = app
        self._clock: Clock = app.clock
        self._mailbox = mailbox
        self._terminal: Terminal | None = None
        self._failed = asyncio.Event()
        self._proofs: set[asyncio.Task[bool]] = set()
        identity = app.identity
        self._gateway = Gateway(app.settings.gateway_address, identity.tls, app.clock)
        self._upkeep = Upkeep(
            app.custody, app.folder.directory_path, self._gateway, app.clock, mailbox.post
        )
        trust = log_trust(app)
        self._checkpoints = Checkpoints(
            trust, app.alarms, app.clock.monotonic_ns, self._gateway.checkpoint, held
        )
        self._shipper = Shipper(
            app.journal,
            identity.batch,
            trust,
            self._checkpoints,
            app.alarms,
            app.clock,
            lambda: mailbox.post(JournalForked()),
        )
        self._link = Link(
            (app.settings.broker_host, app.settings.broker_port),
            identity.tls,
            software=app.software,
            boot=boot_of(app.clock),
            journal=app.journal,
            shipper=self._shipper,
            checkpoints=self._checkpoints,
            sink=self._hear,
            report=self._report,
            clock=app.clock,
            chance=random.Random(),
        )
        app.journal.on_failed = self._journal_failed
        self._ties_changed = asyncio.Event()
        app.custody.on_ties_changed = self._ties_changed.set

    @classmethod
    async def make(cls, app: App, mailbox: Mailbox) -> Self:
        """Raises JournalFailed, CommitFailed."""
        return cls(app, mailbox, await checkpoints.load(app.journal, log_trust(app)))

    def attach(self, terminal: Terminal) -> None:
        """Whose counts are reported, and who answers a fork."""
        self._terminal = terminal
        terminal.begin_journal_anew = lambda: self._shipper.begin_anew(self._app.software)
        terminal.on_news = self._link.status_changed

    def parts(self) -> dict[str, Coroutine[Any, Any, None]]:
        """In the order in which they are started; stopped in reverse."""
        return {
            "journal": self._mend_journal(),
            "upkeep": self._upkeep.run(),
            "ties": self._watch_ties(),
            "forgetting": self._forget(),
            "shipper": self._shipper.run(),
            "link": self._link.run(),
        }

    def publish_pin(self, proof: PinProof) -> None:
        """Tell the other terminals, if the link stands."""
        task = asyncio.ensure_future(self._link.publish_pin(proof))
        self._proofs.add(task)
        task.add_done_callback(self._proofs.discard)

    def _hear(self, message: SiteMessage) -> None:
        if isinstance(message, LinkChanged) and message.up:
            self._upkeep.hurry()
        self._mailbox.post(message)

    def _report(self) -> Report:
        counts = self._terminal.signon.outcomes.counts if self._terminal else None
        return Report(
            directory=self._app.custody.version,
            taps=counts.taps if counts else 0,
            refused=counts.refused if counts else 0,
            alarms=self._app.alarms.count,
        )

    def _journal_failed(self, failure: JournalFailed) -> None:
        self._post(JournalDown(str(failure)))
        self._failed.set()

    def _post(self, item: Item) -> None:
        self._mailbox.post(item)

    async def _mend_journal(self) -> None:
        trouble = Trouble(LOG, "opening the journal anew")
        while True:
            await self._failed.wait()
            self._failed.clear()
            while self._app.journal.failed:
                try:
                    await self._app.journal.reopen()
                except (JournalFailed, JournalDamaged) as error:
                    trouble.failed(str(error))
                    await self._clock.sleep_until(self._clock.monotonic_ns() + REOPEN_NS)
            trouble.over()
            self._post(JournalBack())

    async def _watch_ties(self) -> None:
        """The site has another log or other authorities: only a fresh start believes them whole."""
        await self._ties_changed.wait()
        raise StartError("the site's key statement has changed; start this daemon again")

    async def _forget(self) -> None:
        trouble = Trouble(LOG, "forgetting what the site's log holds")
        while True:
            await self._clock.sleep_until(self._clock.monotonic_ns() + FORGET_NS)
            held = self._checkpoints.held
            if held is None:
                continue
            before_ms = self._clock.wall_ms() - retention.KEEP_MS
            try:
                await retention.forget(
                    self._app.journal,
                    self._shipper.reload,
                    held.checkpoint,
                    self._gateway.inclusion,
                    self._app.alarms,
                    before_ms,
                )
            except (FetchFailed, JournalFailed, CommitFailed) as error:
                trouble.failed(str(error))
            else:
                trouble.over()


def log_trust(app: App) -> LogTrust:
    """From the key statement: whose receipts and checkpoints are believed."""
    log = app.identity.keys.statement.log
    return LogTrust(app.settings.site_id, log.epoch, VerifyKey.from_base64(log.key))
