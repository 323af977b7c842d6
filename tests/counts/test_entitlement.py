"""How often a tap asks the directory on disk, as SQLite itself tells of its statements."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from hardware.virtual.sample import personalised
from tests.firmware.bench import Bench, staff

TAPS = 6
READS = 2
"""Of one row each: which key the card shall sign with; and anew when it has, for the directory may
have changed while it computed. Terminal and policy are kept from the version's first use."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that reads entries, of every database that is opened in this test."""
    statements: list[str] = []
    connect = sqlite3.connect

    def note(statement: str) -> None:
        if "FROM entry" in statement and statement.lstrip().startswith("SELECT"):
            statements.append(statement)

    def telling(*arguments: Any, **options: Any) -> sqlite3.Connection:  # noqa: ANN401
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(note)
        return connection

    monkeypatch.setattr(sqlite3, "connect", telling)
    return statements


async def test_a_warm_tap_reads_its_own_entitlement_twice_and_nothing_else(
    tmp_path: Path, asked: list[str]
) -> None:
    amal, bronwen = personalised(), personalised()
    async with Bench(tmp_path) as bench:
        await bench.open_day(staff("amal", "AM", amal), staff("bronwen", "BR", bronwen))
        for card in (amal, bronwen):
            await bench.sign_on(card)
        await bench.tap(amal)
        await bench.rest()
        for at in range(TAPS):
            asked.clear()
            card = (bronwen, amal)[at % 2]
            await bench.tap(card)
            await bench.rest()
            assert card.guid is not None
            assert len(asked) == READS
            assert all(card.guid.hex() in statement for statement in asked)
