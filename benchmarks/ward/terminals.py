"""One terminal of the ward: its readers behind a pcscd of its own, its daemon, its screen."""

from __future__ import annotations

import json
import os
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.ward.glass import Glass
from benchmarks.ward.pcscd import Pcscd, VirtualReader
from benchmarks.ward.people import Member
from benchmarks.ward.ports import PortBlock
from benchmarks.ward.processes import Command, Process, WardError
from hardware.virtual.control import CardBox
from hardware.virtual.names import Access
from provisioning.site.folder import SiteFolder
from runtime.clock import SystemClock

# Detection on a virtual reader is up to 0.4 s, a swap up to 0.8 s: taps rotate over these.
PAIRS: Final = ("Ward Contactless", "Second Contactless", "Ward Contact")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a terminal finds the rest of its site."""

    site: SiteFolder
    broker_port: int
    https_port: int
    settings: Mapping[str, int | float | str] = field(default_factory=dict)
    """More of the terminal's settings, by key."""


class WardTerminal:
    """A terminal's processes. Started by `start`, which returns when the daemon is ready."""

    def __init__(
        self,
        name: str,
        folder: Path,
        ports: PortBlock,
        box: CardBox,
        pairs: Sequence[str] = PAIRS,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """``pairs`` of readers by name (contactless unless it does not say so).

        The daemon gets ``environment`` besides.
        """
        self.name = name
        self.folder = folder
        self._box = box
        self._environment = environment or {}
        self.pcscd = Pcscd(ports, pairs)
        self.kiosk_port = ports.take().start
        self.contactless = [r for r in self.pcscd.readers if "Contactless" in r.name]
        self.contact = [r for r in self.pcscd.readers if "Contactless" not in r.name]
        self._turn = 0
        self._clock = SystemClock()
        self.ready_s = 0.0
        self.state = folder / "state"
        self.identity = folder / "identity"
        self.glass = Glass(self.state / "kiosk.url")
        settings = folder / "terminal.toml"
        self.process = self._daemon("-m", "firmware_py", "--settings", str(settings))

    @property
    def partition(self) -> Path:
        """A blank terminal's boot partition."""
        return self.folder / "boot" / self.name

    def configure(self, around: Surroundings, *, blank: bool = False) -> None:
        """Writes the settings file; a `blank` terminal's names nothing but its enrolment file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.identity = around.site.path / "terminals" / self.name
        lines = {
            "terminal": self.name,
            "site": around.site.site,
            "root_fingerprint": around.site.root_fingerprint,
            "broker_host": "127.0.0.1",
            "gateway_url": f"https://127.0.0.1:{around.https_port}",
        }
        if blank:
            self.identity = self.folder / "identity"
            lines = {"enrolment_file": str(self.partition / "tapover" / "enrolment.json")}
        lines |= {"state_dir": str(self.state), "identity_dir": str(self.identity)}
        text = [f'{key} = "{value}"' for key, value in lines.items()]
        text += [] if blank else [f"broker_port = {around.broker_port}"]
        text += [f"kiosk_port = {self.kiosk_port}"]
        text += [f"{key} = {json.dumps(value)}" for key, value in around.settings.items()]
        text += ["[interfaces]", '"*Contactless*" = "contactless"', '"*Contact*" = "contact"']
        (self.folder / "terminal.toml").write_text("\n".join(text) + "\n")

    def start(self) -> None:
        """pcscd, the daemon, the screen. Raises WardError."""
        self.pcscd.start()
        self.glass.__enter__()
        self.boot()

    def boot(self) -> None:
        """The daemon alone, as after a power cut; returns when its kiosk shows something."""
        mark, began_ns = self.glass.mark(), self._clock.monotonic_ns()
        self.process.start()
        ready = self.glass.wait(lambda view: view["screen"] != "starting", mark, timeout_s=20.0)
        self.ready_s = (ready.at_ns - began_ns) / 1e9

    def wait_directory(self) -> None:
        """Until it holds one: a card that comes earlier is refused, and rightly."""
        self.glass.wait(
            lambda view: view["screen"] != "starting" and "directory" not in view["waits_for"],
            timeout_s=20.0,
        )

    def kill(self) -> None:
        """SIGKILL for the daemon: nothing is said, nothing is flushed."""
        self.process.kill()

    def reboot(self, *, rtc: bool = False) -> None:
        """The daemon killed and started again as after a power cut: under another boot id.

        ``rtc``: the machine has a clock chip, and it is right.
        """
        self.kill()
        boot_id = self.folder / "boot-id"
        boot_id.write_text(f"{uuid.uuid4()}\n")
        settings = str(self.folder / "terminal.toml")
        self.process = self._daemon(
            *("-m", "benchmarks.ward.rebooted", str(boot_id), "--settings", settings),
            *(("--rtc",) if rtc else ()),
        )
        self.boot()

    def _daemon(self, *arguments: str) -> Process:
        command = Command(
            name=self.name,
            argv=[sys.executable, *arguments],
            log=self.folder / "terminal.log",
            environment={**self.pcscd.environment, **self._environment},
        )
        return Process(command)

    @property
    def url(self) -> str:
        """Where a browser sees the kiosk; holds the secret of this boot. Raises WardError."""
        try:
            return (self.state / "kiosk.url").read_text().strip()
        except OSError as error:
            raise WardError(f"no kiosk yet: {error}") from error

    def idle_cpu_percent(self, for_s: float) -> float:
        """Of one core, while nobody taps; takes ``for_s`` seconds."""
        began_ns, used = self._clock.monotonic_ns(), self._cpu_ticks()
        threading.Event().wait(for_s)
        seconds = (self._clock.monotonic_ns() - began_ns) / 1e9
        ticks_a_second = os.sysconf("SC_CLK_TCK")
        return round(100 * (self._cpu_ticks() - used) / ticks_a_second / seconds, 2)

    def _cpu_ticks(self) -> int:
        """Utime and stime, proc(5); the command's name before them may hold blanks."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def footprint(self) -> dict[str, float]:
        """Resident memory now, and the time from the daemon's latest start to its first view.

        ``rss_mb`` is VmRSS in the kernel's units: 1 MB = 1,024 kB = 1,048,576 bytes.
        """
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        return {"rss_mb": round(int(kib) / 1024, 1), "ready_s": round(self.ready_s, 2)}

    def close(self) -> None:
        """Stop everything of this terminal."""
        self.glass.__exit__()
        self.process.stop()
        self.pcscd.close()

    def next_contactless(self) -> VirtualReader:
        """The contactless reader that rested longest."""
        self._turn += 1
        return self.contactless[self._turn % len(self.contactless)]

    def next_contact(self) -> VirtualReader:
        """The contact slot that rested longest."""
        self._turn += 1
        return self.contact[self._turn % len(self.contact)]

    def tap(
        self,
        member: Member,
        *,
        profile: str = "typical",
        access: Access = Access.CONTACTLESS_STRICT,
        faults: tuple[str, ...] = (),
        hold_s: float = 1.2,
    ) -> dict[str, object]:
        """Holds the card to a contactless reader; returns what the card tells of the visit."""
        port = self.next_contactless().port
        return self._box.tap(
            port, member.card, hold_s, profile=profile, access=access, faults=faults
        )

    def sign_on_with_pin(self, member: Member, *, profile: str = "fast") -> None:
        """Card into the contact slot, PIN at the pad, card out once the session is open."""
        mark = self.glass.mark()
        port = self.next_contact().port
        self._box.insert(port, member.card, profile=profile)
        try:
            self.glass.wait_screen("pin", mark=mark)
            self.glass.post("pin", pin=member.pin)
            self.glass.wait(lambda view: is_open_for(view, member), mark)
        finally:
            self._box.remove(port)


def is_open_for(view: dict[str, object], member: Member) -> bool:
    """Whether a view shows this person's open session."""
    return view["screen"] == "open" and view["name"] == member.shown
