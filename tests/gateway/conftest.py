"""A gateway over a real SQLite file; and a whole one, a process beside a real broker."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from benchmarks.ward.mosquitto import BrokerFiles, Mosquitto
from benchmarks.ward.ports import PortBlock
from benchmarks.ward.processes import Command, Process
from contract.certificates import Profile, build_crl
from contract.topics import Site as SiteTopic
from contract.topics import ToTerminal, site_topic, terminal_topic
from gateway import app, authority, founding
from gateway.evidence.journal import Moment
from gateway.evidence.keeping import Evidence
from gateway.settings import GatewaySettings
from gateway.store import Store, sqlite_url
from runtime.clock import ManualClock, SystemClock
from runtime.mqtt import Broker, MqttLink, client_context
from runtime.settings import load
from tests.gateway.identities import SITE, Person, SiteIdentity, pem, pem_key


class World:
    """The gateway's inner parts on a database file; `reopen` is a restart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.identity = SiteIdentity(folder / "identity")
        self.clock = ManualClock()
        self.database = folder / "gateway.sqlite"
        self.store = Store.open(sqlite_url(self.database))
        self.authority = self._authority()
        founding.found(self.store, self.authority, self.now)
        self.evidence = self.take_up()

    @property
    def now(self) -> Moment:
        return Moment.of(self.clock)

    def _authority(self) -> authority.Authority:
        folder, root = self.identity.folder, self.identity.fingerprint
        return authority.load(folder, SITE, root, self.clock.wall_ms())

    def take_up(self) -> Evidence:
        return founding.take_up(self.store, self.authority, self.identity.fingerprint, self.now)

    def reopen(self) -> None:
        self.store.close()
        self.store = Store.open(sqlite_url(self.database))
        self.authority = self._authority()
        self.evidence = self.take_up()

    def close(self) -> None:
        self.store.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


class Box:
    """A gateway as a process, a real mosquitto, and whoever connects to them."""

    def __init__(self, folder: Path, ports: PortBlock) -> None:
        self.folder = folder
        self.identity = SiteIdentity(folder / "identity", datetime.now(UTC))
        self.ports = ports
        self.https_port, self.admin_port = ports.take(2)
        self.broker = Mosquitto(ports, self._broker_files())
        self.settings = folder / "gateway.toml"
        self.write_settings()
        self.operator = Person(folder, self.identity.operator_ca, Profile.OPERATOR, "ines")
        self.gateway = self.command("serve")

    def _broker_files(self) -> BrokerFiles:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.identity.operator_ca.issue(
            Profile.GATEWAY_SERVER, "broker", key.public_key(), ("localhost", "127.0.0.1")
        )
        ca = self.identity.terminal_ca
        validity = ca.validity
        crl = build_crl(
            ca.certificate,
            ca.key,
            [],
            number=1,
            issued=validity.not_before,
            next_update=validity.not_after,
        )
        return BrokerFiles(
            certificate=pem(certificate),
            key=pem_key(key),
            terminal_authority=pem(ca.certificate),
            crl=crl.public_bytes(Encoding.PEM),
        )

    def write_settings(self, **others: object) -> None:
        values: dict[str, object] = {
            "site": SITE,
            "root_fingerprint": self.identity.fingerprint,
            "state_dir": "state",
            "identity_dir": "identity",
            "broker_host": "127.0.0.1",
            "broker_port": self.broker.port,
            "https_port": self.https_port,
            "admin_port": self.admin_port,
        } | others
        lines = [
            f"{key} = {value}" if isinstance(value, int) else f'{key} = "{value}"'
            for key, value in values.items()
        ]
        self.settings.write_text("\n".join(lines) + "\n")

    def command(self, name: str, *arguments: str, **environment: str) -> Process:
        argv = [sys.executable, "-m", "gateway", name, "--settings", str(self.settings)]
        log = self.folder / f"{name}.log"
        return Process(Command(f"gateway-{name}", [*argv, *arguments], log, environment))

    def done(self, name: str, *arguments: str) -> tuple[int, tuple[str, ...]]:
        """Runs a command to its end: exit status and what it said."""
        with self.command(name, *arguments) as process:
            status = process.wait_ended(timeout_s=30.0)
            return status, process.lines

    def start(self) -> None:
        self.gateway.start()
        self.gateway.wait_for_line('"serving"', timeout_s=20.0)

    def terminal(self, name: str) -> Person:
        return Person(self.folder, self.identity.terminal_ca, Profile.TERMINAL, name)

    def link(self, terminal: Person) -> MqttLink:
        """A terminal's connection to the broker, hearing what terminals hear."""
        tls = client_context(
            self.identity.folder / "operator_ca.crt.pem",
            terminal.certificate_file,
            terminal.key_file,
        )
        return MqttLink(
            Broker("127.0.0.1", self.broker.port, terminal.name),
            lambda: tls,
            subscribe=[
                terminal_topic(terminal.name, ToTerminal.RECEIPT),  # type: ignore[arg-type]
                terminal_topic(terminal.name, ToTerminal.INBOX),  # type: ignore[arg-type]
                *(site_topic(channel) for channel in SiteTopic),
            ],
        )

    def http(self, who: Person | None, port: int) -> httpx.Client:
        context = ssl.create_default_context(
            cafile=str(self.identity.folder / "operator_ca.crt.pem")
        )
        if who is not None:
            context.load_cert_chain(who.certificate_file, who.key_file)
        return httpx.Client(
            base_url=f"https://127.0.0.1:{port}", verify=context, trust_env=False, timeout=10
        )


@contextmanager
def made_box(folder: Path) -> Iterator[Box]:
    """Not started; the log is begun."""
    with ExitStack() as running:
        ports = running.enter_context(PortBlock())
        box = Box(folder, ports)
        running.callback(box.broker.close)
        running.callback(box.gateway.stop)
        app.init(load(GatewaySettings, box.settings), SystemClock())
        yield box


@pytest.fixture
def box(short_tmp: Path) -> Iterator[Box]:
    """Not started; the log is begun."""
    with made_box(short_tmp) as box:
        yield box
