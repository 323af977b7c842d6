"""A PostgreSQL server of the benchmark's own: unprivileged, on loopback and a port of its own.

Debian's package as it is configured there, `fsync` and `synchronous_commit` on: a commit is on the
disk when it returns, as with SQLite beside it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final, Self

import psycopg

from benchmarks.ward.processes import Command, PartMissing, Process, unprivileged_user

_USER: Final = "tapover"
_DATABASE: Final = "postgres"
_PACKAGE: Final = "postgresql"


def _binaries() -> Path:
    """Where the newest installed version keeps its programs. Raises PartMissing."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda at: int(at.parts[-3])
    )
    if not found:
        raise PartMissing("postgres", _PACKAGE)
    return found[-1].parent


class Postgres:
    """A context manager; serves when its block begins, and its files go with it."""

    def __init__(self, port: int, log: Path) -> None:
        """Raises PartMissing with the command that installs it."""
        self._binaries = _binaries()
        self._user = unprivileged_user()
        # On the disk that /tmp is on: where another user may go.
        self.folder = Path(tempfile.mkdtemp(prefix="tap-postgres-", dir="/tmp"))
        self._data = self.folder / "data"
        self._port = port
        self.process = Process(
            Command(
                name="postgres",
                argv=[
                    *(str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(port)),
                    *("-c", "listen_addresses=127.0.0.1", "-k", str(self.folder)),
                ],
                log=log,
                user=self._user,
            )
        )

    @property
    def url(self) -> str:
        """SQLAlchemy's address; loopback trusts who can reach it, as the cluster was made."""
        return f"postgresql+psycopg://{_USER}@127.0.0.1:{self._port}/{_DATABASE}"

    @property
    def version(self) -> str:
        said = subprocess.run(
            [self._binaries / "postgres", "--version"], check=True, capture_output=True, text=True
        )
        return said.stdout.strip()

    @property
    def command_line(self) -> str:
        """As it runs; its folder is gone when somebody reads this."""
        return " ".join(self.process.command.argv).replace(str(self.folder), "FOLDER")

    def database_bytes(self) -> int:
        """Tables and indexes, as the server counts them."""
        address = f"host=127.0.0.1 port={self._port} user={_USER} dbname={_DATABASE}"
        with psycopg.connect(address) as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return int(row[0]) if row else 0

    def __enter__(self) -> Self:
        try:
            if self._user is not None:
                os.chown(self.folder, pwd.getpwnam(self._user).pw_uid, -1)
            self._make()
            self.process.start()
            self.process.wait_for_line("ready to accept connections", timeout_s=30.0)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop(timeout_s=20.0)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make(self) -> None:
        argv = [
            *(str(self._binaries / "initdb"), "-D", str(self._data), "-U", _USER),
            *("-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions"),
            "--no-sync",  # of the empty cluster alone
        ]
        made = Command("initdb", argv, self.folder.with_suffix(".initdb.log"), user=self._user)
        process = Process(made)
        with process:
            status = process.wait_ended(timeout_s=60.0)
        made.log.unlink(missing_ok=True)
        if status:
            raise RuntimeError("\n".join(("initdb failed:", *process.lines)))
