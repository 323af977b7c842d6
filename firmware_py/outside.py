"""The terminal's side towards its site: link, shipper, checkpoints, catching up, forgetting.

All of it goes on in the background; what it has to say to the terminal it says as an item.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from contract.checkpoint import Checkpoint
from contract.tap import PinProof
from contract.topics import FromTerminal
from firmware_py.evidence import checkpoints, proving, retention
from firmware_py.evidence.checkpoints import Checkpoints, LogTrust
from firmware_py.evidence.committer import CommitFailed
from firmware_py.evidence.journal import JournalDamaged, JournalFailed
from firmware_py.evidence.shipper import Shipper
from firmware_py.fetch import FetchFailed, Gateway
from firmware_py.items import EnrolmentChanged, Item, JournalBack, JournalDown, JournalForked
from firmware_py.parts import EmergencyTools, HelpTools, RoamingTools
from firmware_py.site.link import KeysHeard, Link, LinkChanged, Report, SiteMessage
from firmware_py.site.renewing import Known, Renewing
from firmware_py.trust.custody import boot_of
from firmware_py.trust.statements import Keys
from firmware_py.trust.upkeep import Upkeep
from runtime.clock import Clock
from runtime.logs import Trouble
from runtime.supervisor import State

if TYPE_CHECKING:
    from firmware_py.app import App
    from firmware_py.parts import Mailbox
    from firmware_py.terminal import Terminal

LOG: Final = logging.getLogger("tapover.outside")

_MS: Final = 1_000_000
_S: Final = 1_000_000_000
REOPEN_NS: Final = 5 * _S
"""How often a journal that failed is tried again."""
ANEW_NS: Final = 1 * _S
"""How often a checkpoint of a new log is looked for, and a gateway that failed asked again."""
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
        self._telling: set[asyncio.Task[bool]] = set()
        identity = app.identity
        self._gateway = Gateway(
            app.settings.gateway_address, identity.tls, app.clock, identity.tls_to_anybody
        )
        self._upkeep = Upkeep(
            *(app.custody, app.folder.directory_path, self._gateway, app.clock, mailbox.post),
            self._follow,
        )
        trust = log_trust(app.custody.kept.keys, app.custody.kept.before)
        self._checkpoints = Checkpoints(
            *(trust, app.alarms, app.clock.monotonic_ns, self._gateway.checkpoint, held),
            app.custody.doubt,
        )
        self._shipper = Shipper(
            app.journal,
            identity.batch,
            trust,
            self._checkpoints,
            app.alarms,
            app.clock,
            lambda: mailbox.post(JournalForked()),
            app.custody.doubt,
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
        self._renewing = Renewing(
            *(app.settings, self._known, self._swapped),
            lambda enrolling: mailbox.post(EnrolmentChanged(enrolling)),
            *(app.clock, random.Random()),
        )
        app.journal.on_failed = self._journal_failed
        self._log_replaced = asyncio.Event()
        app.custody.on_question = self._link.ask

    @classmethod
    async def make(cls, app: App, mailbox: Mailbox) -> Self:
        """Raises JournalFailed, CommitFailed."""
        kept = app.custody.kept
        trust = log_trust(kept.keys, kept.before)
        return cls(app, mailbox, await checkpoints.load(app.journal, trust))

    def attach(self, terminal: Terminal) -> None:
        """Whose counts are reported, and who answers a fork."""
        self._terminal = terminal
        terminal.outage.begin_anew = lambda: self._shipper.begin_anew(self._app.software)
        terminal.on_news = self._link.status_changed

    def parts(self) -> dict[str, Coroutine[Any, Any, None]]:
        """In the order in which they are started; stopped in reverse."""
        return {
            "journal": self._mend_journal(),
            "upkeep": self._upkeep.run(),
            "log": self._prove_anew(),
            "forgetting": self._forget(),
            "shipper": self._shipper.run(),
            "link": self._link.run(),
            "renewing": self._renewing.run(),
        }

    @property
    def newest_note(self) -> str | None:
        """The newest checkpoint that was accepted, as it was signed."""
        held = self._checkpoints.held
        return held.note if held else None

    def publish_pin(self, proof: PinProof) -> None:
        """Tell the other terminals, if the link stands: they only gain comfort by it."""
        self._tell(FromTerminal.PIN, proof.to_bytes())

    def say_downtime(self, message: bytes) -> None:
        """Tell the other terminals, if the link stands; it is said again."""
        self._tell(FromTerminal.DOWNTIME, message)

    def _tell(self, channel: FromTerminal, payload: bytes) -> None:
        task = asyncio.ensure_future(self._link.tell(channel, payload))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    def roaming_tools(self) -> RoamingTools:
        """To speak on this terminal's own move topic."""
        return RoamingTools(self._app.identity.batch, partial(self._tell, FromTerminal.MOVE))

    def help_tools(self) -> HelpTools:
        """A gateway of its own: nobody at 03:00 stands behind a snapshot."""
        identity = self._app.identity
        address = self._app.settings.gateway_address
        helping = Gateway(address, identity.tls, self._clock)
        return HelpTools(
            self._app.folder.path / "help.json",
            identity.batch,
            lambda: self._app.custody.kept.keys,
            helping.help,
            partial(self._link.tell, FromTerminal.HELP),
        )

    def emergency_tools(self) -> EmergencyTools:
        """A gateway of its own: break-glass stands behind nothing."""
        identity, address = self._app.identity, self._app.settings.gateway_address
        telling = Gateway(address, identity.tls, self._clock)
        return EmergencyTools(
            self._app.folder.path,
            identity.batch,
            telling.help,
            partial(self._link.tell, FromTerminal.EMERGENCY),
        )

    def _hear(self, message: SiteMessage | KeysHeard) -> None:
        if isinstance(message, KeysHeard):
            self._app.custody.hear_keys(message.data)
            return
        if isinstance(message, LinkChanged):
            if message.up:
                self._upkeep.hurry()
                self._renewing.link_up()
            elif message.state is State.WAITING:
                self._renewing.link_down(message.reason)
                # The broker may have a certificate of a new operator CA: only the keys tell.
                self._app.custody.want_keys()
        self._mailbox.post(message)

    async def _follow(self, keys: Keys) -> None:
        """The site's keys are others from now on; whoever is signed on notices nothing of it."""
        before = self._app.custody.kept.keys
        await asyncio.to_thread(self._app.identity.follow, keys)
        self._gateway.close()
        trust = log_trust(keys, before)
        if trust.epoch != before.statement.log.epoch:
            self._log_replaced.set()
        self._checkpoints.follow(trust)
        self._shipper.follow(trust)
        self._link.hurry()

    def _known(self) -> Known:
        custody, clock = self._app.custody, self._clock
        past_ms = custody.time.now_ms(clock.monotonic_ns() // _MS)
        ca = custody.kept.keys.statement.terminal_ca
        return Known(past_ms, clock.wall_ms() >= custody.time.floor_ms, ca)

    async def _swapped(self) -> None:
        """Another certificate is in place: broker and gateway see it from now on."""
        self._gateway.close()
        self._link.renew()

    def _report(self) -> Report:
        counts = self._terminal.signon.outcomes.counts if self._terminal else None
        return Report(
            directory=self._app.custody.version,
            taps=counts.taps if counts else 0,
            refused=counts.refused if counts else 0,
            alarms=self._app.alarms.count,
            break_glass=counts.break_glass if counts else 0,
            unrecorded=counts.unrecorded if counts else 0,
            downtimes=counts.downtimes if counts else 0,
            readers=self._terminal.reader_count if self._terminal else None,
            interfaces=self._app.custody.served.interfaces(),
            rtc=self._app.custody.time.rtc_checked,
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
            # A receipt's mark may have been in the commit that failed: what has none is sent again.
            self._shipper.reload()
            self._post(JournalBack())

    async def _prove_anew(self) -> None:
        """At a start, and whenever the root has the site's log go on from a back-up."""
        trouble = Trouble(LOG, "proving anew what an earlier log held")
        while True:
            held = self._checkpoints.held
            if held is not None and await self._proved_anew(held.checkpoint, trouble):
                await self._log_replaced.wait()
                self._log_replaced.clear()
            else:
                await self._clock.sleep_until(self._clock.monotonic_ns() + ANEW_NS)

    async def _proved_anew(self, held: Checkpoint, trouble: Trouble) -> bool:
        parts = (self._app.journal, self._shipper.reload, held, self._gateway.inclusion)
        try:
            await proving.prove_anew(*parts)
        except (FetchFailed, JournalFailed, CommitFailed) as error:
            trouble.failed(str(error))
            return False
        trouble.over()
        return True

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


def log_trust(keys: Keys, before: Keys | None) -> LogTrust:
    """From the key statement, and the one it replaced: whose receipts and checkpoints count."""
    epoch = keys.statement.log.epoch
    same = before is not None and before.statement.log.epoch == epoch
    return LogTrust(keys.site, epoch, keys.log_key, before.log_key if before and same else None)
