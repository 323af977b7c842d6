"""A site with a running gateway, two operators, and as much staff as a test wants; no broker."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.ward.ports import PortBlock
from benchmarks.ward.processes import Command, Process
from contract.directory import Credential, Entitlement, Entry, Name, Position, Slot, Status
from contract.ids import Guid, HolderId, OperatorId, PositionId, SiteId, Version
from contract.signing import Algorithm, SoftwareSigner
from provisioning.directory import sets
from provisioning.directory.administration import Administration, Gateway, Operator
from provisioning.directory.mirror import Mirror
from provisioning.site import keys
from provisioning.site.folder import SiteFolder, add_operator, init_site
from runtime.clock import SystemClock

SITE: Final = SiteId("st-elsewhere")
CLOCK: Final = SystemClock()
_KEY: Final = SoftwareSigner(keys.p256()).public.to_base64()
NURSE: Final = Position(id=PositionId("nurse"), role="R8001", name="Nurse", areas=())


def member(number: int, *positions: Position) -> Entitlement:
    """A member of staff by number, with one card."""
    return Entitlement(
        guid=Guid(f"{number + 1:032x}"),
        holder=HolderId(f"h-{number}"),
        name=Name(full=f"Person {number}", short=f"P. {number}", initials="PN"),
        credentials=(
            Credential(slot=Slot.CARD_AUTHENTICATION, algorithm=Algorithm.P256, key=_KEY),
        ),
        positions=positions or (NURSE,),
        status=Status.ACTIVE,
        not_before_ms=0,
        not_after_ms=2**50,
        salt=secrets.token_hex(16),
    )


HEADER: Final = "holder,full_name,short_name,initials,position,role,position_name"


def row(number: int, position: str = "nurse", leaves: str | None = None) -> str:
    """A line of the feed that says of `member(number)` what the directory says."""
    line = f"h-{number},Person {number},P. {number},PN,{position},R8001,{position.capitalize()}"
    return line if leaves is None else f"{line},{leaves}"


class Office:
    """Operators `ines` and `otto`, and the gateway that they work with."""

    def __init__(self, folder: Path, ports: PortBlock) -> None:
        self.folder = folder
        self.site = SiteFolder(folder / "site")
        now_ms = CLOCK.wall_ms()
        init_site(self.site, SITE, ("127.0.0.1", "localhost"), None, now_ms)
        for name in ("ines", "otto"):
            add_operator(self.site, OperatorId(name), now_ms)
        self.https_port, self.admin_port, broker = ports.take(3)
        settings = {
            "site": SITE,
            "root_fingerprint": self.site.root_fingerprint,
            "state_dir": str(folder / "state"),
            "identity_dir": str(self.site.gateway),
            "broker_host": "127.0.0.1",
        }
        lines = [f'{key} = "{value}"' for key, value in settings.items()]
        lines += [f"https_port = {self.https_port}", f"admin_port = {self.admin_port}"]
        (folder / "gateway.toml").write_text("\n".join([*lines, f"broker_port = {broker}\n"]))
        self.gateway = self._command("serve")

    def _command(self, name: str) -> Process:
        argv = [sys.executable, "-m", "gateway", name]
        argv += ["--settings", str(self.folder / "gateway.toml")]
        return Process(Command(f"gateway-{name}", argv, self.folder / f"{name}.log"))

    def start(self) -> None:
        with self._command("init") as init:
            assert init.wait_ended(timeout_s=30.0) == 0, init.lines
        self.restart()

    def restart(self) -> None:
        self.gateway.start()
        self.gateway.wait_for_port(self.admin_port, timeout_s=30.0)

    def operator(self, name: str = "ines") -> Operator:
        id_ = OperatorId(name)
        return Operator(id_, self.site.operator(id_), self.site.gateway / "operator_ca.crt.pem")

    def administration(self, name: str = "ines") -> Administration:
        return Administration(Gateway(SITE, "127.0.0.1", self.admin_port), self.operator(name))

    def send(self, entries: Iterable[Entry], name: str = "ines") -> sets.Sent:
        """Entries as one wish. Raises ProvisioningError."""
        with self.administration(name) as administration, Mirror.open(self.site) as mirror:
            lines = (entry.to_bytes() for entry in entries)
            base = mirror.sync(administration)
            where = self.folder / "wish"
            wish = sets.prepare(where, administration, base, lines, CLOCK.wall_ms())
            assert wish is not None
            return sets.send(administration, wish)

    def feed(self, *lines: str, header: str = HEADER) -> Path:
        path = self.folder / f"feed-{secrets.token_hex(4)}.csv"
        path.write_text("\n".join([header, *lines]) + "\n")
        return path

    @property
    def version(self) -> Version:
        with self.administration() as administration:
            found = administration.get("/healthz").json()["directory"]
        return Version(found["epoch"], found["n"])

    def entitlement(self, number: int) -> Entitlement | None:
        """As it stands at the gateway."""
        with self.administration() as administration, Mirror.open(self.site) as mirror:
            mirror.sync(administration)
            return mirror.entitlement(f"{number + 1:032x}")

    def tapover(self, *argv: str, who: str = "ines") -> subprocess.CompletedProcess[str]:
        """A command that an operator signs, with `--json`, and nobody there to be asked."""
        address = ("--gateway", f"127.0.0.1:{self.admin_port}")
        return self.alone(*argv, "--as", who, *address)

    def alone(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """A command that needs no gateway."""
        folder = ("--folder", str(self.site.path))
        return subprocess.run(
            [sys.executable, "-m", "provisioning", *argv, *folder, "--json"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ},
            stdin=subprocess.DEVNULL,
        )


@contextmanager
def made_office(folder: Path) -> Iterator[Office]:
    """Running, with an empty directory."""
    with ExitStack() as running:
        ports = running.enter_context(PortBlock())
        office = Office(folder, ports)
        running.callback(office.gateway.stop)
        office.start()
        yield office


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What a command answered that succeeded."""
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
