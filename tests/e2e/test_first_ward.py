"""docs/first-ward.md, word for word: its blocks in one shell, and its hands with a virtual card."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import pytest

from benchmarks.ward.glass import Glass
from benchmarks.ward.outside import query, wait_until
from benchmarks.ward.pcscd import Pcscd
from benchmarks.ward.ports import PortBlock
from benchmarks.ward.processes import Command, Process
from contract.ids import OperatorId
from hardware.virtual.card import Card
from hardware.virtual.control import CardBox
from hardware.virtual.names import Access
from provisioning.directory.administration import Administration, Gateway, Operator
from provisioning.site.folder import SiteFolder

pytestmark = pytest.mark.timeout(180)

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "first-ward.md"
PIECE: Final = re.compile(r"^```sh\n(.*?)^```$|^\*\*Hands:\*\* (.*?)$", re.DOTALL | re.MULTILINE)
PORTS: Final = ("broker_port", "https_port", "admin_port", "enrol_port", "kiosk_port")
BLOCK_S: Final = 60.0


def pieces() -> list[tuple[str, str]]:
    """The page's commands and hands, in their order."""
    return [(found[1] or "", found[2] or "") for found in PIECE.finditer(PAGE.read_text())]


class Shell:
    """One bash; what a block prints is kept, and a command that fails ends it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.said: list[str] = []
        self._news = threading.Condition()
        self._done = 0
        self._bash = subprocess.Popen(
            ["bash", "-eu", "-o", "pipefail"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._bash.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._bash.stdout,))
        self._reader.start()

    def run(self, block: str) -> None:
        assert self._bash.stdin is not None
        wanted = self._done + 1
        self._bash.stdin.write(f"{block}\necho __done__\n")
        self._bash.stdin.flush()
        with self._news:
            over = self._news.wait_for(
                lambda: self._done >= wanted or self._bash.poll() is not None, BLOCK_S
            )
            told = f"{block}\n{''.join(self.said[-40:])}"
            assert over, f"not within {BLOCK_S:g} s: {told}"
            assert self._done >= wanted, told

    def end(self) -> None:
        """Also what it has left running, where the page's own end was not come to."""
        assert self._bash.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._bash.stdin as stdin:
            stdin.write("kill $(jobs -p) 2>/dev/null || true; wait; exit 0\n")
        self._bash.wait(20)
        self._reader.join(5)

    def _read(self, output: IO[str]) -> None:
        with output:
            for line in output:
                with self._news:
                    if line == "__done__\n":
                        self._done += 1
                    else:
                        self.said.append(line)
                    self._news.notify_all()
        self._bash.wait()
        with self._news:
            self._news.notify_all()


@dataclass
class Hands:
    """Somebody with Amal's card, at a desk and terminal that share their readers here."""

    folder: Path
    box: CardBox
    pcscd: Pcscd
    glass: Glass
    admin_port: int
    card: Path = field(init=False)
    did: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.card = self.folder / "card.json"
        Card.create(self.card)
        self._slot = next(r for r in self.pcscd.readers if "Contactless" not in r.name)
        self._plate = next(r for r in self.pcscd.readers if "Contactless" in r.name)

    def do(self, sentence: str) -> None:
        known: dict[str, Callable[[], None]] = {
            "put a blank card into the reader.": self._put,
            "take the card out.": self._take,
            "put Amal's card into the slot and type her PIN on the glass, take the card out, "
            "lock the screen, and tap.": self._tap,
        }
        known[sentence]()
        self.did.append(sentence)

    def _put(self) -> None:
        self.box.insert(self._slot.port, self.card)
        self.box.wait(self.card, 5.0, powered=True)

    def _take(self) -> None:
        self.box.remove(self._slot.port)

    def _tap(self) -> None:
        self.glass.__enter__()
        journal = self.folder / "ward" / "bay-1" / "state" / "journal.sqlite"
        wait_until("readers are watched", lambda: _readers(journal) == len(self.pcscd.readers))
        self.glass.wait_screen("locked")
        mark = self.glass.mark()
        self._put()
        self.glass.wait_screen("pin", mark=mark)
        self.glass.post("pin", pin="274913")
        self.glass.wait(_is_amals, mark)
        self._take()
        mark = self.glass.mark()
        self.glass.post("lock")
        self.glass.wait_screen("locked", mark=mark)
        mark = self.glass.mark()
        self.box.insert(self._plate.port, self.card, access=Access.CONTACTLESS_STRICT)
        self.glass.wait(_is_amals, mark)
        self.box.remove(self._plate.port)
        assert "pin" not in [seen.screen for seen in self.glass.since(mark)]
        self.glass.__exit__()
        self._linger(journal)

    def _linger(self, journal: Path) -> None:
        """A person would be slower with the keyboard than the log is with a tap."""
        wait_until("all is delivered", lambda: _undelivered(journal) == 0)
        site = SiteFolder(self.folder / "ward" / "site")
        authority = site.gateway / "operator_ca.crt.pem"
        ines = Operator(OperatorId("ines"), site.operator(OperatorId("ines")), authority)
        with Administration(Gateway(site.site, "127.0.0.1", self.admin_port), ines) as gateway:
            size = gateway.get("/healthz").json()["log_size"]
            wait_until(
                "a checkpoint covers it",
                lambda: gateway.get("/healthz").json()["checkpoint_size"] >= size,
            )


def _is_amals(view: dict[str, object]) -> bool:
    return (view["screen"], view["name"], view["role"]) == ("open", "Amal H.", "Nurse")


def _undelivered(journal: Path) -> int:
    ((written,),) = query(journal, "SELECT count(*) FROM event")
    done = "SELECT coalesce(sum(next - first), 0) FROM batch WHERE verdict IS NOT NULL"
    ((receipted,),) = query(journal, done)
    return int(written) - int(receipted)


def _readers(journal: Path) -> int:
    rows = query(journal, "SELECT CAST(data AS TEXT) FROM event")
    return sum('"kind":"reader.changed"' in text for (text,) in rows)


@contextmanager
def cards(folder: Path) -> Iterator[CardBox]:
    socket = folder / "box.socket"
    argv = [sys.executable, "-m", "hardware.virtual", "box", "--socket", str(socket)]
    with Process(Command("cards", argv, folder / "cards.log")) as process:
        process.wait_for_line("card box ready")
        yield CardBox(socket)


def test_the_first_ward_is_set_up_by_what_its_page_says(short_tmp: Path) -> None:
    place = short_tmp / "ward"
    place.mkdir()
    with PortBlock() as ports, cards(short_tmp) as box, Pcscd(ports) as pcscd:
        own = {name: str(ports.take().start) for name in PORTS}
        commands = Path(sys.executable).parent
        own["reader"] = next(r.name for r in pcscd.readers if "Contactless" not in r.name)
        path = {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
        shell = Shell(place, {**os.environ, **own, **path, **pcscd.environment})
        glass = Glass(place / "bay-1" / "state" / "kiosk.url")
        hands = Hands(short_tmp, box, pcscd, glass, int(own["admin_port"]))
        try:
            for block, sentence in pieces():
                if block:
                    shell.run(block)
                else:
                    hands.do(sentence)
        finally:
            shell.end()
    assert len(hands.did) == 3
    said = "".join(shell.said)
    assert "online" in said
    assert "2 taps, 1 PIN proof, each signed by the cardholder's own card" in said
