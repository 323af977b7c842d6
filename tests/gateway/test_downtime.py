"""`tapover-gateway downtime`: the site's word that a ward may run without it, in the log first."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

import tapover_verify
from contract.emergency import DowntimeStated, DowntimeStatement
from contract.events import Event
from contract.ids import WardId
from contract.signing import Envelope, PayloadType
from gateway.link import stating
from gateway.link.stating import Door, NotStated, Order
from tests.gateway.conftest import Box, World
from tests.gateway.export_reader import Export, read_export
from tests.gateway.identities import SITE


def stated(box: Box, ward: str = "ed", minutes: int = 90) -> tuple[int, Path]:
    """Exit status, and where the statement was to be."""
    file = box.folder / "downtime.statement"
    asked = ("--ward", ward, "--minutes", str(minutes), str(file))
    return box.done("downtime", *asked)[0], file


def exported(box: Box, name: str) -> Export:
    status, lines = box.done("export", str(box.folder / name))
    assert status == 0, lines
    return read_export(box.folder / name, box.identity.log.public)


def events_of(export: Export) -> list[DowntimeStated]:
    events = [Event.from_bytes(body).detail for body in export.bodies if b"downtime.st" in body]
    return [one for one in events if isinstance(one, DowntimeStated)]


def require_in_the_log(box: Box, file: Path, export: Export) -> None:
    """The file's statement is a leaf, and the gateway's own journal says who asked for it."""
    envelope = Envelope.from_bytes(file.read_bytes())
    assert envelope.to_bytes() in export.leaves
    (told,) = [one for one in events_of(export) if one.subject == envelope.digest]
    assert (told.ward, told.minutes, told.account) == ("ed", 90, os.getuid())
    statement = DowntimeStatement.open(envelope, box.identity.statement.public)
    assert (statement.site, statement.ward) == (SITE, "ed")
    assert statement.until_ms - statement.begins_ms == 90 * 60_000


def test_where_no_gateway_serves_the_command_puts_it_into_the_log_and_signs_a_checkpoint(
    box: Box, capsys: pytest.CaptureFixture[str]
) -> None:
    status, file = stated(box)
    assert status == 0
    export = exported(box, "out")
    require_in_the_log(box, file, export)
    asked = [str(box.folder / "out"), "--root", box.identity.fingerprint, "--json"]
    assert tapover_verify.main(asked) == 0
    assert json.loads(capsys.readouterr().out)["leaves"]["downtime"] == 1


def test_beside_a_gateway_that_serves_that_one_puts_it_into_its_log(box: Box) -> None:
    box.start()
    file = box.folder / "downtime.statement"
    for _ in range(2):
        assert stated(box)[0] == 0
    assert box.gateway.stop() == 0  # its last checkpoint covers everything
    export = exported(box, "out")
    require_in_the_log(box, file, export)
    assert len(events_of(export)) == 2
    assert tapover_verify.main([str(box.folder / "out"), "--root", box.identity.fingerprint]) == 0


@pytest.mark.parametrize(("ward", "minutes"), [("ed", 721), ("ed", 0), ("E D", 60)])
def test_for_longer_or_for_no_ward_nothing_is_written(box: Box, ward: str, minutes: int) -> None:
    status, file = stated(box, ward, minutes)
    assert status == 2
    assert not file.exists()
    assert events_of(exported(box, "out")) == []


def test_without_a_log_nothing_is_stated(box: Box) -> None:
    (box.folder / "state" / "gateway.sqlite").unlink()
    status, file = stated(box)
    assert status == 2
    assert not file.exists()


def test_where_the_log_takes_nothing_nothing_is_written(box: Box) -> None:
    """Whatever a disk or a database does: the file is the last thing made."""
    refusing = "CREATE TRIGGER full BEFORE INSERT ON leaves BEGIN SELECT RAISE(ABORT, 'full'); END"
    with (
        closing(sqlite3.connect(box.folder / "state" / "gateway.sqlite")) as connection,
        connection,
    ):
        connection.execute(refusing)
    status, file = stated(box)
    assert status == 1
    assert not file.exists()


# --- the socket of the gateway that serves --------------------------------------------------------


class Asked:
    """A gateway's door in a folder of its own, and who knocks there."""

    def __init__(self, folder: Path, world: World) -> None:
        self.folder = folder
        self.door = Door(folder, world.evidence, world.authority, world.clock)
        self.serving = asyncio.create_task(self.door.run())

    async def ask(self, line: bytes) -> bytes:
        """One line there, and all that comes back."""
        reader, writer = await asyncio.open_unix_connection(self.folder / stating.SOCKET_FILE)
        writer.write(line)
        writer.write_eof()
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return answer


@pytest.fixture
async def asked(world: World, short_tmp: Path) -> AsyncIterator[Asked]:
    asked = Asked(short_tmp, world)
    yield asked
    asked.serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asked.serving
    assert not (short_tmp / stating.SOCKET_FILE).exists()


def size(world: World) -> int:
    with world.store.read() as tx:
        return tx.log.size()


async def test_who_asks_gets_what_is_in_the_log_by_then(asked: Asked, world: World) -> None:
    order = Order(ward=WardId("ed"), minutes=60)
    envelope = await asyncio.to_thread(stating.ask, asked.folder, order)
    with world.store.read() as tx:
        assert tx.log.has_statement(envelope.digest)
    assert DowntimeStatement.open(envelope, world.identity.statement.public).ward == "ed"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"\x00\xff\n",
        b'{"type":"tapover/downtime-order/v1","ward":"ed","minutes":721}\n',
        b'{"type":"tapover/downtime-order/v1","ward":"E D","minutes":60}\n',
        b'{"type":"tapover/downtime-order/v1","ward":"ed","minutes":60,"as":"root"}\n',
        b"x" * (3 * stating.LINE_CAP),
    ],
)
async def test_whatever_else_is_said_there_comes_to_nothing(
    asked: Asked, world: World, line: bytes
) -> None:
    before = size(world)
    answer = await asked.ask(line)
    assert b"payloadType" not in answer
    assert size(world) == before
    order = Order(ward=WardId("ed"), minutes=60)  # and others are served as before
    envelope = await asyncio.to_thread(stating.ask, asked.folder, order)
    assert envelope.payloadType is PayloadType.DOWNTIME


async def test_the_door_is_its_users_alone(asked: Asked) -> None:
    found = (asked.folder / stating.SOCKET_FILE).stat()
    assert stat.S_IMODE(found.st_mode) == 0o600


async def test_any_other_user_is_told_who_may_ask(
    asked: Asked, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stating, "_account_of", lambda _: os.geteuid() + 1)
    before = size(world)
    with pytest.raises(NotStated, match="own user and root"):
        await asyncio.to_thread(stating.ask, asked.folder, Order(ward=WardId("ed"), minutes=60))
    assert size(world) == before


def test_where_nobody_answers_nothing_is_stated(short_tmp: Path) -> None:
    with pytest.raises(NotStated):
        stating.ask(short_tmp, Order(ward=WardId("ed"), minutes=60))
