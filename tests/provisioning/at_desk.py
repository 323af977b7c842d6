"""`tapover card` as a person runs it: a process, and a card in a reader of a real pcscd."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, Unpack

from benchmarks.ward.pcscd import Pcscd, VirtualReader
from hardware.virtual.control import CardBox
from hardware.virtual.names import Access

# Deadlines, not waits: with every core busy a process starts in seconds, and pcscd looks late.
SEEN_S = 20.0
COMMAND_S = 60.0


class Held(TypedDict, total=False):
    """The card in the reader, and the PIN in a file."""

    card: Path
    access: Access
    faults: tuple[str, ...]
    pin: str


@dataclass
class CardDesk:
    """Readers used in turn, a box of cards, and what every command is given."""

    pcscd: Pcscd
    box: CardBox
    signed: tuple[str, ...]
    """Folder, operator and gateway."""
    folder: tuple[str, ...]
    papers: Path
    _turn: int = field(default=0, init=False)

    @contextmanager
    def holding(
        self, card: Path, *, access: Access = Access.CONTACT, faults: tuple[str, ...] = ()
    ) -> Iterator[VirtualReader]:
        """The card in the reader that rested longest."""
        reader = self.rested(access)
        self.box.insert(reader.port, card, access=access, faults=faults)
        self.box.wait(card, SEEN_S, powered=True)
        try:
            yield reader
        finally:
            self.box.remove(reader.port)

    def rested(self, access: Access = Access.CONTACT) -> VirtualReader:
        """The reader that was used longest ago: of one just emptied pcscd still says it is full."""
        readers = [
            one for one in self.pcscd.readers if ("less" in one.name) is (access != "contact")
        ]
        self._turn += 1
        return readers[self._turn % len(readers)]

    def run(self, *argv: str, **given: Unpack[Held]) -> subprocess.CompletedProcess[str]:
        """One command with `--json` and nobody to ask; no secret may be in its words."""
        words = [sys.executable, "-m", "provisioning", "card", *argv, "--json"]
        card, pin = given.get("card"), given.get("pin")
        if pin is not None:
            (self.papers / "pin").write_text(f"{pin}\n")
            words += ["--pin-file", str(self.papers / "pin")]
        if card is None:
            done = self._run(words)
        else:
            access = given.get("access", Access.CONTACT)
            with self.holding(card, access=access, faults=given.get("faults", ())) as reader:
                done = self._run([*words, "--reader", reader.name])
        assert pin is None or pin not in done.stdout + done.stderr
        return done

    def answer(self, *argv: str, **given: Unpack[Held]) -> dict[str, Any]:
        """What a command that succeeds answers."""
        done = self.run(*argv, **given)
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def refused(self, code: int, *argv: str, **given: Unpack[Held]) -> str:
        """What a command that fails says; its number is `code`."""
        done = self.run(*argv, **given)
        assert done.returncode in {1, 2, 3}, done.stdout
        assert done.stdout == ""
        assert f"[{code}]" in done.stderr, done.stderr
        return done.stderr

    def holder(self, number: int) -> str:
        """A holder's file."""
        path = self.papers / f"holder-{number}.json"
        path.write_text(json.dumps(holder(number)))
        return str(path)

    def start(self, *argv: str, reader: str) -> subprocess.Popen[str]:
        """A command that goes on while the test does something else."""
        words = [sys.executable, "-m", "provisioning", "card", *argv, "--reader", reader]
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.pcscd.environment},
        )

    def _run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
            env={**os.environ, **self.pcscd.environment},
            stdin=subprocess.DEVNULL,
        )


def holder(number: int) -> dict[str, Any]:
    """A person as an operator writes one down."""
    position = {"id": "ed-nurse", "role": "R8001", "name": "Nurse", "areas": []}
    name = {"full": f"Person {number}", "short": f"P. {number}", "initials": "P"}
    return {"holder": f"h-{number}", "name": name, "positions": [position]}
