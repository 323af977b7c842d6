"""Journals on a real disk, for tests; `close_all` leaves none open."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from contract.ids import TerminalId
from firmware_py.evidence.journal import Journal
from firmware_py.evidence.journal_store import Head
from runtime.clock import ManualClock
from tests.firmware.fake_site import TERMINAL, stamps

OPEN: list[Journal] = []


def close_all() -> None:
    while OPEN:
        asyncio.run(OPEN.pop().close())


def new_journal(path: Path, after: Head | None = None) -> Journal:
    clock = ManualClock()
    OPEN.append(Journal.create(path, TERMINAL, "0.1.0", lambda: stamps(clock), after))
    return OPEN[-1]


def open_journal(path: Path, terminal: TerminalId = TERMINAL) -> Journal:
    clock = ManualClock()
    OPEN.append(Journal.open(path, terminal, lambda: stamps(clock)))
    return OPEN[-1]


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def read_events(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as connection:
        return [data for (data,) in connection.execute("SELECT data FROM event ORDER BY position")]
