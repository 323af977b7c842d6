"""What ingest is measured on: a real mosquitto, the real gateway, and a thousand identities.

All state lies in one folder on a real disk; everything ends with the `with` block.
"""

from __future__ import annotations

import http.client
import json
import socket
import sqlite3
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.ingest import crowd
from benchmarks.ingest.generator import Answer, Order, raise_descriptors
from benchmarks.ingest.postgres import Postgres
from benchmarks.ward.mosquitto import BrokerFiles, Mosquitto
from benchmarks.ward.ports import PortBlock
from benchmarks.ward.processes import Command, NotReady, Process, WardError
from contract.ids import OperatorId, SiteId
from provisioning.directory.publish import Gateway, Operator, publish
from provisioning.site.folder import SiteFolder, add_operator, init_site
from runtime.clock import SystemClock

SITE: Final = SiteId("st-elsewhere")
_OPERATOR: Final = OperatorId("ines")
_ENTRIES_A_CHANGE: Final = 250
_LOOK_S: Final = 0.02


class Generator:
    """The other end of the generator's socket; its terminals are connected once it is there."""

    def __init__(self, site: IngestSite, terminals: int) -> None:
        self._site = site
        # Its own folder's path could be too long for a socket's.
        self._path = site.folder / f"generator-{terminals}.socket"
        self._path.unlink(missing_ok=True)
        self._running = ExitStack()
        self._said = 0
        self.process = Process(
            Command(
                name="generator",
                argv=[
                    *(sys.executable, "-m", "benchmarks.ingest.generator"),
                    *(str(site.site.path), str(site.broker.port), str(terminals), str(self._path)),
                ],
                log=site.folder / "generator.log",
            )
        )

    def __enter__(self) -> Self:
        self._running.callback(self.process.stop)
        try:
            self.process.start()
            self.process.wait_for_line("generator ready", timeout_s=60.0)
            line = self._running.enter_context(socket.socket(socket.AF_UNIX))
            line.connect(str(self._path))
            self._lines = self._running.enter_context(line.makefile("rw", encoding="utf-8"))
            self.connected_s: float = self._hear()["connected_s"]
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def carry(self, order: Order) -> Answer:
        """Raises WardError when not everything was receipted in time."""
        self.order(order)
        return self.answer()

    def order(self, order: Order) -> None:
        """Without waiting for its answer."""
        self._said = len(self.process.lines)
        self._lines.write(json.dumps(asdict(order)) + "\n")
        self._lines.flush()

    def wait_begun(self) -> None:
        """Returns when the batches are signed and the clock of the latest order has started."""
        self.process.wait_for_line("begun", timeout_s=300.0, after=self._said)

    def answer(self) -> Answer:
        """Of the latest order. Raises WardError."""
        return Answer(**self._hear()["answer"])

    def _hear(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise WardError("\n".join(("the generator ended:", *self.process.lines[-20:])))
        heard: dict[str, Any] = json.loads(line)
        if failed := heard.get("failed"):
            raise WardError(f"the generator: {failed}")
        return heard


class IngestSite:
    """Broker, gateway, and PostgreSQL if asked for; working when its `with` block begins."""

    def __init__(self, folder: Path, terminals: int = 1_000, *, on_postgres: bool = False) -> None:
        self.folder = folder
        self.site = SiteFolder(folder / "site")
        self.terminals = crowd.names(terminals)
        self._clock = SystemClock()
        self._running = ExitStack()
        self.ports = PortBlock()
        self.https_port, self.admin_port = self.ports.take(2)
        self.postgres: Postgres | None = None
        if on_postgres:
            self.postgres = Postgres(self.ports.take()[0], folder / "postgres.log")
        self.broker: Mosquitto
        self.gateway = self._command("serve")

    @property
    def database_file(self) -> Path:
        return self.folder / "gateway-state" / "gateway.sqlite"

    def __enter__(self) -> Self:
        try:
            self._running.callback(self.ports.release)
            self._begin()
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    @property
    def pids(self) -> dict[str, int]:
        """The processes whose CPU time counts."""
        pids = {"mosquitto": self.broker.process.pid, "gateway": self.gateway.pid}
        return pids if self.postgres is None else {**pids, "postgres": self.postgres.process.pid}

    def generator(self, terminals: int) -> Generator:
        """A new one, to be entered; the first of this site's terminals are in it."""
        return Generator(self, terminals)

    def ask(self, path: str) -> dict[str, Any]:
        """What the gateway answers an operator. Raises WardError."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.admin_port, timeout=10.0, context=self._operator.tls()
        )
        try:
            connection.request("GET", path)
            found: dict[str, Any] = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException) as error:
            raise WardError(f"the gateway does not answer {path}: {error}") from error
        finally:
            connection.close()
        return found

    def wait_linked(self, timeout_s: float = 20.0) -> None:
        """Returns when the gateway is connected to the broker. Raises NotReady."""
        deadline = time.monotonic() + timeout_s
        while (state := self.ask("/healthz")["broker"]) != "up":
            if time.monotonic() > deadline:
                raise NotReady(f"the gateway's link to the broker is {state}")
            time.sleep(_LOOK_S)

    def database_bytes(self) -> int:
        """Of the database's pages; what still waits in a write-ahead log is counted as pages."""
        if self.postgres is not None:
            return self.postgres.database_bytes()
        with closing(self._database()) as database:
            pages, bytes_each = (
                database.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "page_size")
            )
        return int(pages * bytes_each)

    def plain_consumer(self) -> Process:
        """In the gateway's place, once that has stopped; a database of its own."""
        argv = [sys.executable, "-m", "benchmarks.ingest.plain"]
        argv += [str(self.site.path), str(self.broker.port), str(self.folder / "plain.sqlite")]
        return Process(Command("plain-consumer", argv, self.folder / "plain.log"))

    def _database(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self.database_file}?mode=ro", uri=True)

    def stored(self) -> dict[str, int]:
        """What the SQLite database holds by its own count."""
        with closing(self._database()) as database:
            ask = database.execute
            return {
                "events": ask("SELECT count(*) FROM events").fetchone()[0],
                "batches": ask("SELECT count(*) FROM batches").fetchone()[0],
                "in_journals": ask("SELECT coalesce(sum(next), 0) FROM journals").fetchone()[0],
                "forks": ask("SELECT count(*) FROM forks").fetchone()[0],
            }

    def _begin(self) -> None:
        raise_descriptors()
        self.folder.mkdir(parents=True)
        now_ms = self._clock.wall_ms()
        init_site(self.site, SITE, ("127.0.0.1", "localhost"), None, now_ms)
        add_operator(self.site, _OPERATOR, now_ms)
        self.broker = Mosquitto(self.ports, self._broker_files())
        self._write_settings()
        if self.postgres is not None:
            self._running.enter_context(self.postgres)
        self._running.enter_context(self.broker)
        with self._command("init") as init:
            if init.wait_ended(timeout_s=60.0):
                raise WardError("\n".join(("the evidence log was not begun:", *init.lines)))
        self._running.enter_context(self.gateway)
        self.gateway.wait_for_port(self.admin_port, timeout_s=20.0)
        entries = crowd.make(self.site, self.terminals, now_ms)
        for start in range(0, len(entries), _ENTRIES_A_CHANGE):
            publish(
                Gateway(SITE, "127.0.0.1", self.admin_port),
                self._operator,
                entries[start : start + _ENTRIES_A_CHANGE],
                self._clock.wall_ms(),
            )
        self.wait_linked()

    def _command(self, name: str) -> Process:
        settings = str(self.folder / "gateway.toml")
        argv = [sys.executable, "-m", "gateway", name, "--settings", settings]
        return Process(Command(f"gateway-{name}", argv, self.folder / f"gateway-{name}.log"))

    def _broker_files(self) -> BrokerFiles:
        names = ("server.crt.pem", "server.key.pem", "terminal_ca.crt.pem", "terminal.crl.pem")
        return BrokerFiles(*((self.site.broker / name).read_bytes() for name in names))

    def _write_settings(self) -> None:
        settings: dict[str, str | int] = {
            "site": SITE,
            "root_fingerprint": self.site.root_fingerprint,
            "state_dir": str(self.folder / "gateway-state"),
            "identity_dir": str(self.site.gateway),
            "broker_host": "127.0.0.1",
            "broker_port": self.broker.port,
            "https_port": self.https_port,
            "admin_port": self.admin_port,
            "database": "" if self.postgres is None else self.postgres.url,
        }
        lines = [
            f"{key} = {value}" if isinstance(value, int) else f'{key} = "{value}"'
            for key, value in settings.items()
        ]
        (self.folder / "gateway.toml").write_text("\n".join(lines) + "\n")

    @property
    def _operator(self) -> Operator:
        authority = self.site.gateway / "operator_ca.crt.pem"
        return Operator(_OPERATOR, self.site.operator(_OPERATOR), authority)
