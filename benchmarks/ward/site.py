"""A ward in a box: every real process of a small site on this machine.

Foreign servers (pcscd, mosquitto) run unprivileged; our daemons run through their own commands. All
state lies in one folder on a real disk, all ports in one block, so two wards run side by side.
"""

from __future__ import annotations

import http.client
import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.ward.identities import add_terminal
from benchmarks.ward.mosquitto import BrokerFiles, Mosquitto
from benchmarks.ward.people import STAFF, Desk, Member, Person, hired
from benchmarks.ward.ports import PortBlock
from benchmarks.ward.processes import Command, NotReady, Process, WardError
from benchmarks.ward.terminals import PAIRS, Surroundings, WardTerminal
from contract.directory import Entry, Status, Terminal
from contract.ids import OperatorId, SiteId, Version, WardId
from contract.policy import Policy
from contract.signing import Algorithm, CardAlgorithm
from hardware.virtual.card import Card
from hardware.virtual.control import CardBox
from provisioning.directory import ledger
from provisioning.directory.entries import restate
from provisioning.directory.publish import Gateway, Operator, publish
from provisioning.site.folder import SiteFolder, add_operator, init_site
from runtime.clock import SystemClock

SITE: Final = SiteId("st-elsewhere")
WARD: Final = WardId("ed")
OPERATOR: Final = OperatorId("ines")
_LOOK_S: Final = 0.02  # between two looks at what the gateway says of itself


class Ward:
    """Broker, gateway, terminals and people; working when its `with` block begins."""

    first_root: str
    """What everybody of this ward pinned, the auditor too."""

    def __init__(
        self,
        folder: Path,
        terminals: Sequence[str] = ("bay-1", "bay-2"),
        staff: Sequence[Person] = STAFF,
        policy: dict[str, object] | None = None,
        *,
        asleep: Sequence[str] = (),
        blank: Sequence[str] = (),
        settings: Mapping[str, int | float | str] | None = None,
        pairs: Sequence[str] = PAIRS,
        environments: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """`asleep` are terminals of the register that nobody has started yet.

        `blank` ones are still in their boxes, and known to nobody: see `unpack`.
        `settings` go into every terminal's settings file; `pairs` are the readers of each;
        `environments` go, by a terminal's name, to its daemon.
        """
        self.folder = folder
        self._asleep = frozenset((*asleep, *blank))
        self._blank = tuple(blank)
        self._settings = settings or {}
        self._staff = staff
        self._policy = policy or {}
        self._clock = SystemClock()
        self._running = ExitStack()
        self.ports = PortBlock()
        self.https_port, self.admin_port, self.enrol_port = self.ports.take(3)
        self.site = SiteFolder(folder / "site")
        self._socket = folder / "box.socket"
        self.box = CardBox(self._socket)
        self.terminals = {
            name: WardTerminal(
                name, folder / name, self.ports, self.box, pairs, (environments or {}).get(name)
            )
            for name in (*terminals, *asleep, *blank)
        }
        self.members: dict[str, Member] = {}
        self.gateway = Process(
            Command(
                name="gateway",
                argv=[
                    *(sys.executable, "-m", "gateway", "serve"),
                    *("--settings", str(folder / "gateway.toml")),
                ],
                log=folder / "gateway.log",
            )
        )
        self._cards = Process(
            Command(
                name="cards",
                argv=[
                    *(sys.executable, "-m", "hardware.virtual", "box"),
                    *("--socket", str(self._socket)),
                ],
                log=folder / "cards.log",
            )
        )
        self.broker: Mosquitto

    def __enter__(self) -> Self:
        try:
            self._make()
            self._start()
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def __getitem__(self, name: str) -> WardTerminal:
        """A terminal by its name."""
        return self.terminals[name]

    def member(self, holder: str) -> Member:
        """A person of the ward by id."""
        return self.members[holder]

    def _make(self) -> None:
        self._running.callback(self.ports.release)
        self.folder.mkdir(parents=True, exist_ok=True)
        now_ms = self._clock.wall_ms()
        init_site(self.site, SITE, ("127.0.0.1", "localhost"), None, now_ms)
        self.first_root = self.site.root_fingerprint
        add_operator(self.site, OPERATOR, now_ms)
        self.broker = Mosquitto(self.ports, self._broker_files())
        settings = {
            "site": SITE,
            "root_fingerprint": self.site.root_fingerprint,
            "state_dir": str(self.folder / "gateway-state"),
            "identity_dir": str(self.site.gateway),
            "broker_host": "127.0.0.1",
            "bind_host": "127.0.0.1",
        }
        text = [f'{key} = "{value}"' for key, value in settings.items()]
        text += [f"broker_port = {self.broker.port}", f"https_port = {self.https_port}"]
        text += [f"admin_port = {self.admin_port}", f"enrol_port = {self.enrol_port}"]
        text += [f'crl_file = "{self.broker.crl}"', f'broker_pid_file = "{self.broker.pid_file}"']
        (self.folder / "gateway.toml").write_text("\n".join(text) + "\n")

    def _begin_log(self) -> None:
        """A site's evidence log is begun once, by command: no daemon makes it implicitly."""
        init = Process(
            Command(
                name="gateway-init",
                argv=[
                    *(sys.executable, "-m", "gateway", "init"),
                    *("--settings", str(self.folder / "gateway.toml")),
                ],
                log=self.folder / "gateway-init.log",
            )
        )
        with init:
            if init.wait_ended(timeout_s=20.0):
                raise WardError("\n".join(("the evidence log was not begun:", *init.lines)))

    def _broker_files(self) -> BrokerFiles:
        names = ("server.crt.pem", "server.key.pem", "terminal_ca.crt.pem", "terminal.crl.pem")
        return BrokerFiles(*((self.site.broker / name).read_bytes() for name in names))

    def _start(self) -> None:
        self._running.enter_context(self._cards)
        self._running.enter_context(self.broker)
        self._running.callback(self.gateway.stop)
        with ThreadPoolExecutor() as helping:
            # The gateway's start is mostly imports; meanwhile cards are made at the desk.
            gateway = helping.submit(self._found_gateway)
            made = self._make_cards()
            self.members = {member.person.holder.id: member for member in made}
            registered = self._register_terminals()
            gateway.result()
            self.publish(
                _policy(self._policy), *registered, *(member.entitlement for member in made)
            )
            around = Surroundings(self.site, self.broker.port, self.https_port, self._settings)
            self._running.callback(self._close_terminals)
            for name, terminal in self.terminals.items():
                terminal.configure(around, blank=name in self._blank)
            awake = [one for name, one in self.terminals.items() if name not in self._asleep]
            for started in [helping.submit(terminal.start) for terminal in awake]:
                started.result()
            for terminal in awake:
                terminal.wait_directory()

    def _close_terminals(self) -> None:
        with ThreadPoolExecutor() as helping:
            for closed in [helping.submit(one.close) for one in self.terminals.values()]:
                closed.result()

    def _found_gateway(self) -> None:
        self._begin_log()
        self.start_gateway()

    def _make_cards(self) -> list[Member]:
        self._cards.wait_for_line("card box ready")
        with Desk(self.folder / "cards", self.site, self.box, self.ports) as desk:
            return desk.issue(self._staff)

    def start_gateway(self) -> None:
        """Starts it, also after it was killed; returns when operators are answered."""
        self.gateway.start()
        self.gateway.wait_for_port(self.admin_port, timeout_s=20.0)

    def take_new_keys(self) -> None:
        """As after `tapover site rotate`: broker and gateway take what is theirs, and start again.

        Returns when the gateway is linked again.
        """
        self.broker.give(self._broker_files())
        self.broker.restart()
        self.gateway.stop()
        self.start_gateway()
        self.wait_linked(timeout_s=45.0)

    def _register_terminals(self) -> list[Terminal]:
        now_ms = self._clock.wall_ms()
        known = [name for name in self.terminals if name not in self._blank]
        return [add_terminal(self.site, name, WARD, now_ms) for name in known]

    def unpack(self, name: str, *options: str) -> None:
        """`tapover terminal add`: a blank terminal's boot partition is filled. Raises WardError."""
        boot = str(self.terminals[name].partition.parent)
        self.tapover("terminal", "add", name, "--ward", WARD, "--out", boot, "--yes", *options)

    def tapover(self, *arguments: str) -> dict[str, Any]:
        """The `tapover` command, as this ward's operator; its answer. Raises WardError."""
        at = f"127.0.0.1:{self.admin_port}"
        options = ["--folder", str(self.site.path), "--as", OPERATOR, "--gateway", at, "--json"]
        argv = [sys.executable, "-m", "provisioning", *arguments, *options]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise WardError(f"tapover {' '.join(arguments)}: {done.stderr}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def publish(self, *entries: Entry) -> Version:
        """An operator's change; returns when the gateway has answered."""
        version = publish(
            Gateway(SITE, "127.0.0.1", self.admin_port),
            self._operator,
            entries,
            self._clock.wall_ms(),
        )
        ledger.remember(self.site, entries)
        return version

    def wait_linked(self, timeout_s: float = 10.0) -> None:
        """Returns when the gateway is connected to the broker. Raises NotReady."""
        deadline = time.monotonic() + timeout_s
        while (state := self.ask("/healthz")["broker"]) != "up":
            if time.monotonic() > deadline:
                raise NotReady(f"the gateway's link to the broker is {state}")
            time.sleep(_LOOK_S)

    def ask(self, path: str) -> dict[str, Any]:
        """What the gateway answers an operator who asks for ``path``. Raises WardError."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.admin_port, timeout=10.0, context=self._operator.tls()
        )
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise WardError(f"the gateway does not answer {path}: {error}") from error
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise WardError(f"the gateway answers {path} with {answer.status}: {body!r}")
        found: dict[str, Any] = json.loads(body)
        return found

    @property
    def _operator(self) -> Operator:
        authority = self.site.gateway / "operator_ca.crt.pem"
        return Operator(OPERATOR, self.site.operator(OPERATOR), authority)

    def set_status(self, member: Member, status: Status) -> Version:
        """Suspends, revokes or restores a card."""
        return self.publish(
            restate(ledger.recall_entitlement(self.site, member.entitlement.guid), status)
        )

    def set_policy(self, **settings: object) -> Version:
        """Gives the ward another policy: what it began with, changed by ``settings``."""
        return self.publish(_policy({**self._policy, **settings}))

    def hire(
        self, somebody: Person, algorithm: CardAlgorithm = Algorithm.P256, **changes: object
    ) -> Member:
        """Takes somebody on, with a card and an entitlement that is changed by ``changes``."""
        made = hired(self.folder / "cards", somebody, self._clock.wall_ms(), algorithm)
        entitlement = made.entitlement.model_copy(update=changes)
        self.publish(entitlement)
        self.members[somebody.holder.id] = member = replace(made, entitlement=entitlement)
        return member

    def clone(self, member: Member) -> Member:
        """A forger's copy of a card: everything that can be read from it, and keys of its own."""
        path = member.card.with_name(f"{member.card.stem}-clone-{secrets.token_hex(4)}.json")
        Card.load(member.card).clone_with_other_keys().keep_in(path)
        return replace(member, card=path)

    def remove_folder(self) -> None:
        """Forgets everything; only after the ward has ended."""
        shutil.rmtree(self.folder)


def _policy(settings: dict[str, object]) -> Policy:
    return Policy.model_validate({"ward": WARD, "salt": secrets.token_hex(16), **settings})
