"""The gateway's composition root: every part is made here, begun in order, stopped in reverse."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine, Mapping
from contextlib import ExitStack
from socket import socket
from typing import Final

from fastapi import FastAPI

from contract.tap import DirectoryVersion
from gateway import authority, founding
from gateway.authority import Authority, server_context
from gateway.directory.desk import Desk
from gateway.directory.register import Register
from gateway.directory.snapshot import Snapshots
from gateway.directory.source import Directory
from gateway.enrolling import EnrolmentParts, Inner
from gateway.evidence.checkpoints import Checkpoints
from gateway.evidence.journal import Moment
from gateway.evidence.keeping import Evidence
from gateway.help import unblocking
from gateway.help.escrows import Deposits
from gateway.help.spares import Spares
from gateway.help.unblocking import Unblocking
from gateway.http import emergencies, operators, renewal, terminals
from gateway.http.est import MOST_CONNECTIONS
from gateway.http.help import Helping, add_terminal_routes
from gateway.http.listener import Listener, bind
from gateway.http.operators import Health, RevocationState
from gateway.link.broker import BrokerSession
from gateway.link.emergencies import Emergencies
from gateway.link.fleet import Fleet
from gateway.link.ingest import Ingest
from gateway.link.publisher import Publisher
from gateway.link.stating import Door
from gateway.link.unserved import Unserved
from gateway.settings import GatewaySettings
from gateway.store import Store, StoreFailed
from runtime.clock import Clock
from runtime.durable import FolderLock, StorageError, make_folder, remove_leftovers
from runtime.mqtt import LinkError
from runtime.settings import CertificateError, SettingsError, StartError
from runtime.supervisor import Supervisor, run_all
from runtime.systemd import ServiceManager

# Far beyond the slowest commit of a group of batches: a disk that takes so long serves nobody.
STALL_S: Final = 60.0

_log: Final = logging.getLogger(__name__)


class Gateway:
    """The parts of a running gateway. `run` ends at SIGTERM or SIGINT."""

    def __init__(
        self,
        settings: GatewaySettings,
        clock: Clock,
        known: Authority,
        store: Store,
        sockets: tuple[socket, socket],
        enrolling: socket | None,
        manager: ServiceManager,
    ) -> None:
        """Call it in the running event loop; reads the store. Raises StartError, StoreFailed.

        `enrolling` is the socket for devices without a certificate, where there is one.
        """
        self._clock = clock
        self._manager = manager
        evidence = founding.take_up(store, known, settings.root, Moment.of(clock))
        register = Register(known.statement)
        self._log = evidence.log
        self._directory = Directory(store, evidence, known, register)
        self._checkpoints = Checkpoints(store, evidence.log, known)
        self._publisher = Publisher(clock, known, self._directory, self._checkpoints)
        snapshots = Snapshots(store, evidence, known, settings.state_dir / "chunks")
        self._fleet = Fleet(store, register, clock, self._publisher.answer)
        self._fleet.load()
        self._directory.serving.heard = heard = self._fleet.interfaces
        self._unserved = Unserved(store, evidence, register, heard, clock)
        self._fleet.unserved = self._unserved.stands
        self._ingest = Ingest(evidence, register, clock, self._publisher.receipts)
        session = BrokerSession(settings, known.broker, self._ingest, self._fleet, self._publisher)
        trouble = (LinkError, CertificateError)
        self._broker = Supervisor(
            "the link to the broker", session.run, trouble, clock, random.Random()
        )
        self._enrolment: EnrolmentParts | None = None
        if enrolling is not None:
            inner = Inner(store, evidence, self._directory, register, self._publisher)
            self._enrolment = EnrolmentParts(settings, clock, known, inner, enrolling)
        helping = self._helping(settings, known, store, evidence, register)
        for_terminals = self._for_terminals(known, register, snapshots)
        add_terminal_routes(for_terminals, helping, self._publisher, clock)
        kept = settings.state_dir / "emergencies.json"
        self._emergencies = Emergencies(store, evidence, register, known.site, kept, clock)
        emergencies.add_routes(for_terminals, self._emergencies, self._publisher, clock)
        self._door = Door(settings.state_dir, evidence, known, clock)
        desk = Desk(store, evidence, self._directory, known.site)
        for_operators = operators.make_app(
            self._directory,
            desk,
            self._publisher,
            self._fleet,
            self._checkpoints,
            self._health,
            clock,
            enrolling=self._enrolment.routes if self._enrolment else None,
            helping=helping,
            emergencies=self._emergencies.standing,
        )
        self._terminals = Listener(for_terminals, sockets[0], server_context(known.terminals))
        self._operators = Listener(for_operators, sockets[1], server_context(known.operators))

    def _helping(
        self,
        settings: GatewaySettings,
        known: Authority,
        store: Store,
        evidence: Evidence,
        register: Register,
    ) -> Helping:
        puk_key = unblocking.load_key(settings.identity_dir)
        return Helping(
            Spares(store, evidence, self._directory, register, known),
            Unblocking(store, evidence, register, known, puk_key),
            Deposits(store, evidence, self._directory, known, puk_key),
        )

    def _for_terminals(self, known: Authority, register: Register, snapshots: Snapshots) -> FastAPI:
        parts = (known, register, self._directory, snapshots, self._checkpoints, self._clock)
        enrolment = self._enrolment
        if enrolment is None:
            return terminals.make_app(*parts)
        app = terminals.make_app(*parts, enrolment.met)
        renewal.add_routes(app, enrolment.enrolments, known.site, enrolment.issued, self._clock)
        return app

    async def run(self) -> None:
        """Everything, until a signal. Raises what is a bug of ours."""
        await asyncio.to_thread(self._publisher.checkpoint)
        # Stopped in reverse: the last checkpoint covers what the last commit wrote.
        parts = {
            "checkpoints": self._publisher.run_checkpoints(),
            "fleet": self._fleet.run(),
            "unserved": self._unserved.run(),
            "ingest": self._ingest.run(),
            "receipts": self._publisher.run_receipts(),
            "heartbeats": self._publisher.run_heartbeats(),
            "keys": self._publisher.run_keys(),
            "emergencies": self._emergencies.run(self._publisher.emergency),
            "door": self._door.run(),
            "terminals": self._terminals.run(),
            "operators": self._operators.run(),
            **self._enrolment_runs(),
            "broker": self._broker.run(),
            "watchdog": self._manager.keep_alive(
                self._clock, lambda: not self._ingest.stalled(STALL_S)
            ),
            "manager": self._tell_manager(),
        }
        await run_all(parts)

    def _enrolment_runs(self) -> dict[str, Coroutine[object, object, object]]:
        if self._enrolment is None:
            return {}
        return {
            "revocations": self._enrolment.revocations.run(),
            "enrolment": self._enrolment.listener.run(),
        }

    async def _tell_manager(self) -> None:
        """Ready means that the listeners serve; the broker may be away."""
        await self._terminals.up()
        await self._operators.up()
        if self._enrolment is not None:
            await self._enrolment.listener.up()
        self._manager.ready("serving")
        _log.info("serving", extra={"log_size": self._log.edge().size})
        try:
            await asyncio.Event().wait()
        finally:
            self._manager.stopping()

    def _health(self) -> Health:
        newest, counts = self._checkpoints.newest, self._ingest.counts
        return Health(
            log_size=self._log.edge().size,
            checkpoint_size=newest.checkpoint.size if newest else 0,
            directory=DirectoryVersion.of(self._directory.head.version),
            broker=self._broker.now.state,
            batches={str(verdict): count for verdict, count in counts.batches.items()},
            events=counts.events,
            refused=counts.refused,
            repeats=counts.repeats,
            failed_commits=counts.failed_commits,
            dropped=self._publisher.dropped,
            revocation=self._revocation(),
            unsettled=self._directory.unsettled,
        )

    def _revocation(self) -> RevocationState | None:
        if self._enrolment is None:
            return None
        now = self._enrolment.revocations.health
        return RevocationState(until_ms=now.until_ms, trouble=now.trouble)


def serve(settings: GatewaySettings, clock: Clock, environment: Mapping[str, str]) -> None:
    """Runs the gateway until a signal. Raises StartError."""
    with ExitStack() as opened:
        known = authority.load(
            settings.identity_dir, settings.site_id, settings.root, clock.wall_ms()
        )
        if (file := settings.database_file) is not None and not file.is_file():
            raise SettingsError(
                f"there is no evidence log at {file}: restore it from a back-up; "
                "for a new site, once: `tapover-gateway init`"
            )
        sockets = (
            opened.enter_context(bind("https_port", settings.bind_host, settings.https_port)),
            opened.enter_context(bind("admin_port", settings.bind_host, settings.admin_port)),
        )
        enrolling: socket | None = None
        if port := settings.enrol_port:
            listening = bind("enrol_port", settings.bind_host, port, MOST_CONNECTIONS)
            enrolling = opened.enter_context(listening)
        store = _open(settings, opened)
        manager = ServiceManager(environment)
        opened.callback(manager.close)

        async def run() -> None:
            try:
                gateway = Gateway(settings, clock, known, store, sockets, enrolling, manager)
            except StoreFailed as error:
                raise StartError(f"`database`: {error}") from error
            await gateway.run()

        asyncio.run(run())


def init(settings: GatewaySettings, clock: Clock) -> int:
    """Founds the site's log; returns its size. Raises StartError, also when there is one."""
    known = authority.load(settings.identity_dir, settings.site_id, settings.root, clock.wall_ms())
    with ExitStack() as opened:
        try:
            make_folder(settings.state_dir)
        except StorageError as error:
            raise StartError(f"`state_dir`: {error}") from error
        store = _open(settings, opened)
        return founding.found(store, known, Moment.of(clock)).size


def _open(settings: GatewaySettings, opened: ExitStack) -> Store:
    """The folder of state, ours alone, and the database in it."""
    try:
        opened.enter_context(FolderLock(settings.state_dir))
        remove_leftovers(settings.state_dir)
        store = Store.open(settings.database_url)
    except (StorageError, StoreFailed) as error:
        raise StartError(f"`state_dir` or `database`: {error}") from error
    opened.callback(store.close)
    return store
