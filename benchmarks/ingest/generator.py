"""The generator: a process with all simulated terminals in it, told what to do over a socket.

    python -m benchmarks.ingest.generator SITE_FOLDER BROKER_PORT TERMINALS SOCKET

A line of JSON is an order, a line is its answer. Batches are signed before an order's clock starts.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import os
import resource
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.ingest import crowd
from benchmarks.ingest.load import Due, Fleet, Outcome, spread
from benchmarks.ingest.scribe import Scribe, Signed
from contract.ids import KeyId, TerminalId
from contract.journal import Receipt
from contract.signing import Envelope, SoftwareSigner, VerifyKey
from contract.statements import KeyStatement
from provisioning.site.folder import SiteFolder

_PUMP_EVERY: Final = 50  # batches signed between two looks at what the broker sends
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Order:
    """A load to carry. `rate` is in events a second; 0 is as many as the windows let through."""

    batches: int
    size: int
    rate: float = 0.0
    timeout_s: float = 120.0
    blind: bool = False
    pids: dict[str, int] | None = None
    """Processes whose CPU time is read at both ends, by name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an order."""

    began_ns: int
    """The beginning, by the clock that all processes of the machine share (CLOCK_MONOTONIC)."""
    seconds: float
    """From the first batch's time to the last receipt."""
    receipts: list[tuple[int, int, int]]
    """(due, receipted, events), in nanoseconds from the beginning, ordered by receipt."""
    late_ms: list[float]
    sent: int
    resent: int
    verdicts: dict[str, int]
    falls: int
    back_s: list[float]
    """When those that had fallen were connected again, from the beginning."""
    bytes: int
    """Of all messages, resends not counted."""
    cpu_s: dict[str, float]
    signatures: int
    """Receipts whose signatures were checked afterwards; all of them held."""


def cpu_s(pid: int) -> float:
    """CPU time so far, user and system, of a process and its children, also of ended ones."""
    proc = Path(f"/proc/{pid}")
    try:
        fields = (proc / "stat").read_text().rpartition(")")[2].split()
        children = (proc / "task" / str(pid) / "children").read_text().split()
    except FileNotFoundError:
        return 0.0  # a child that just ended: its parent has its time
    return sum(map(int, fields[11:15])) / _TICKS + sum(cpu_s(int(child)) for child in children)


class Generator:
    """Everything between an order and its answer."""

    def __init__(self, site: SiteFolder, port: int, terminals: list[TerminalId]) -> None:
        self._signers: dict[TerminalId, SoftwareSigner] = {
            name: crowd.signer(site, name) for name in terminals
        }
        contexts = {name: functools.partial(crowd.context, site, name) for name in terminals}
        self._fleet = Fleet(contexts, port)
        envelope = Envelope.from_bytes((site.gateway / "keys.dsse").read_bytes())
        known = KeyStatement.open_pinned(envelope, KeyId(site.root_fingerprint))
        self._log_key = VerifyKey.from_base64(known.log.key)

    def connect(self) -> float:
        return self._fleet.connect()

    def carry(self, order: Order) -> Answer:
        """Signs, sends, waits. Raises NotDrained."""
        load = spread(self._signed(order), order.rate)
        watched = {**(order.pids or {}), "generator": os.getpid()}
        gc.collect()
        gc.freeze()  # a collection over a million batches would be this process's pause alone
        before = {name: cpu_s(pid) for name, pid in watched.items()}
        print("begun", flush=True)
        began = time.monotonic_ns()
        outcome = self._fleet.carry(load, order.timeout_s, blind=order.blind)
        ended = time.monotonic_ns()
        spent = {name: cpu_s(pid) - before[name] for name, pid in watched.items()}
        for envelope in outcome.envelopes:
            Receipt.open(Envelope.from_bytes(envelope), self._log_key)
        gc.unfreeze()
        return _answer(outcome, load, began, ended, spent)

    def _signed(self, order: Order) -> Iterator[Signed]:
        """Batches of new journals, the terminals in turn; the connections stay alive meanwhile."""
        scribes = [Scribe(name, signer) for name, signer in self._signers.items()]
        for number in range(order.batches):
            if number % _PUMP_EVERY == 0:
                self._fleet.pump()
            yield scribes[number % len(scribes)].cut(order.size)


def _answer(
    outcome: Outcome, load: list[Due], began: int, ended: int, spent: dict[str, float]
) -> Answer:
    return Answer(
        began_ns=began,
        seconds=(ended - began) / 1e9,
        receipts=[(due - began, at - began, count) for due, at, count in outcome.receipts],
        late_ms=[late / 1e6 for late in outcome.late_ns],
        sent=outcome.sent,
        resent=outcome.resent,
        verdicts=outcome.verdicts,
        falls=outcome.falls,
        back_s=[(at - began) / 1e9 for at in outcome.back_ns],
        bytes=sum(len(due.batch.message) for due in load),
        cpu_s=spent,
        signatures=len(outcome.envelopes),
    )


def _serve(generator: Generator, listening: socket.socket) -> None:
    parent, _ = listening.accept()
    with parent, parent.makefile("rw", encoding="utf-8") as line:

        def say(what: dict[str, Any]) -> None:
            line.write(json.dumps(what) + "\n")
            line.flush()

        say({"connected_s": generator.connect()})
        for order in line:
            try:
                say({"answer": asdict(generator.carry(Order(**json.loads(order))))})
            except Exception as error:  # noqa: BLE001 - it is raised again, by who ordered it
                say({"failed": f"{type(error).__name__}: {error}"})


def main() -> None:
    """Runs until the one who ordered hangs up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("terminals", type=int)
    parser.add_argument("socket", type=Path)
    asked = parser.parse_args()
    raise_descriptors()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(asked.socket))
        listening.listen()
        names = crowd.names(asked.terminals)
        generator = Generator(SiteFolder(asked.site), asked.port, names)
        print("generator ready", flush=True)
        _serve(generator, listening)


def raise_descriptors() -> None:
    """As many connections as the machine allows; a shell often starts with 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    main()
