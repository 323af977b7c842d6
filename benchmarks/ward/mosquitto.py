"""The ward's MQTT broker: the real mosquitto, told what `tapover site broker` tells a site's.

Its own certificate is another authority's than the terminals'.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.ward.ports import PortBlock
from benchmarks.ward.processes import Command, Process, program, unprivileged_user
from provisioning.site import broker


@dataclass(frozen=True, slots=True)
class BrokerFiles:
    """PEM: what the broker shows, and whom it lets in. ``crl`` revokes those; never repr'd."""

    certificate: bytes
    key: bytes
    terminal_authority: bytes
    crl: bytes

    def __repr__(self) -> str:
        return "BrokerFiles(…)"


class Mosquitto:
    """One broker on 127.0.0.1: a context manager; may be killed and restarted on its port."""

    def __init__(self, ports: PortBlock, files: BrokerFiles, log: Path | None = None) -> None:
        """Prepare, without starting; ``log`` outlives it, else the log goes with its folder.

        Raises PartMissing with the command that installs it.
        """
        server = program("mosquitto", "mosquitto")
        (self.port,) = ports.take()
        self.user = unprivileged_user()
        self.folder = Path(tempfile.mkdtemp(prefix="tap-mosquitto-", dir="/tmp"))
        self.folder.chmod(
            0o755
        )  # the unprivileged broker reads here; its key has a mode of its own
        self.crl = self.folder / "crl.pem"
        """Whoever renews the list writes here (mode 0644), and then sends SIGHUP."""
        self.pid_file = self.folder / "pid"
        """Whom to send it to; written at each start."""
        self.give(files)
        self._write(broker.ACCESS, broker.access_rules().encode(), private=True)
        configuration = self._write(broker.CONFIGURATION, self._configuration().encode())
        self.process = Process(
            Command(
                name="mosquitto",
                argv=[server, "-c", str(configuration)],
                log=log or self.folder / "mosquitto.log",
                user=self.user,
            )
        )

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it and wait until it serves. Raises WardError."""
        self.process.start()
        self.pid_file.write_text(f"{self.process.pid}\n")
        self.process.wait_for_line(r"mosquitto version \S+ running")

    def kill(self) -> None:
        """SIGKILL: connections are reset, and everything queued is gone."""
        self.process.kill()

    def restart(self) -> None:
        """Kill it if it runs, and start it on the same port. Raises WardError."""
        self.kill()
        self.start()

    def give(self, files: BrokerFiles) -> None:
        """Other certificates and authorities; they count from its next start on."""
        self._write("certificate.pem", files.certificate)
        self._write("key.pem", files.key, private=True)
        self._write("terminal-authority.pem", files.terminal_authority)
        self._write("crl.pem", files.crl)

    def revoke(self, crl: bytes) -> None:
        """Give it another revocation list; it counts for connections from now on."""
        self._write(self.crl.name, crl)
        said = len(self.process.lines)
        self.process.signal(signal.SIGHUP)
        self.process.wait_for_line("Reloading config", after=said)

    def close(self) -> None:
        """Stop it and remove its files."""
        self.process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _configuration(self) -> str:
        return broker.configuration(
            broker.Broker(
                host="127.0.0.1",
                port=self.port,
                certificate=self.folder / "certificate.pem",
                key=self.folder / "key.pem",
                terminal_authority=self.folder / "terminal-authority.pem",
                crl=self.crl,
                access=self.folder / broker.ACCESS,
            )
        )

    def _write(self, name: str, data: bytes, *, private: bool = False) -> Path:
        """Replaced whole, so that a broker that reads meanwhile sees the old or the new file."""
        path = self.folder / name
        fresh = path.with_name(f"{name}.new")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600 if private else 0o644)
        if self.user is not None and private:
            os.chown(fresh, pwd.getpwnam(self.user).pw_uid, -1)
        fresh.write_bytes(data)
        return fresh.rename(path)
