"""Exports of logs of every size, read by an independent reader."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

import tapover_verify
from contract.directory import Entitlement, Terminal
from gateway.directory.snapshot import Snapshots
from gateway.evidence.checkpoints import Checkpoints
from gateway.evidence.export import tile_path, write
from gateway.evidence.journal import Batch
from gateway.tiles import TileMissing
from tests.gateway.conftest import World
from tests.gateway.export_reader import Export, number_path, read_export
from tests.gateway.identities import Scribe
from tests.gateway.requests import terminal_entry
from tests.gateway.test_directory import CARD, Office, entitlement
from tests.gateway.test_evidence import Stranger, cut, rulings_of


def exported(world: World, folder: Path) -> Export:
    said: list[str] = []
    folder.mkdir()
    write(world.store, folder, said.append)
    assert said[-1].startswith("done")
    return read_export(folder, world.identity.log.public)


@pytest.mark.parametrize("more", [0, 1, 253, 254, 255, 600])
def test_every_leaf_and_every_body_is_there_whatever_the_size(
    world: World, tmp_path: Path, more: int
) -> None:
    scribe = Scribe("bay-1")
    batches = [cut(scribe, 2) for _ in range(more)]
    for first in range(0, more, 20):
        rulings_of(world, *batches[first : first + 20])
    office = Office(world)
    entries: list[Entitlement | Terminal] = [entitlement("aa" * 16), terminal_entry("bay-1", CARD)]
    office.change(*entries)
    Checkpoints(world.store, world.evidence.log, world.authority).advance(1)
    export = exported(world, tmp_path / "out")
    stranger = Stranger(world.database)
    assert export.leaves == stranger.leaves
    bodies = {body for batch in batches for body in batch.bodies}
    assert bodies | {entry.to_bytes() for entry in entries} <= export.bodies
    assert len(export.bodies) == len(stranger.events) + len(entries)


def test_the_auditors_program_accepts_what_the_gateway_exports(
    world: World, tmp_path: Path
) -> None:
    office, scribe = Office(world), Scribe("bay-1")
    office.change(terminal_entry("bay-1", scribe.signer.public), entitlement("aa" * 16))
    rulings_of(world, *(cut(scribe) for _ in range(300)))
    snapshots = Snapshots(world.store, world.evidence, world.authority, tmp_path / "chunks")
    snapshots.manifest(1)
    world.identity.write_keys(world.identity.key_statement(2))
    world.reopen()
    office.reopen()
    office.change(entitlement("bb" * 16))
    Checkpoints(world.store, world.evidence.log, world.authority).advance(1)
    exported(world, tmp_path / "out")
    arguments = [str(tmp_path / "out"), "--root", world.identity.fingerprint]
    assert tapover_verify.main(arguments) == 0
    bodies = tmp_path / "out" / "bodies"
    bodies.write_bytes(bodies.read_bytes().replace(b"h-ines", b"h-otto", 1))
    assert tapover_verify.main(arguments) == 1


def test_what_no_checkpoint_covers_is_left_out(world: World, tmp_path: Path) -> None:
    Checkpoints(world.store, world.evidence.log, world.authority).advance(1)
    size = world.evidence.log.edge().size
    batch = cut(Scribe("bay-1"))
    rulings_of(world, batch)
    Office(world).change(entitlement("aa" * 16))
    export = exported(world, tmp_path / "out")
    assert export.size == size
    assert not export.bodies & set(batch.bodies)


def test_one_body_under_two_events_is_written_once(world: World, tmp_path: Path) -> None:
    scribe = Scribe("bay-1")
    statement, envelope, bodies = scribe.cut([b"{}", b"{}", b'{"a":1}'])
    rulings_of(
        world,
        Batch(statement, envelope.digest, envelope.to_bytes(), bodies),
    )
    Checkpoints(world.store, world.evidence.log, world.authority).advance(1)
    assert {b"{}", b'{"a":1}'} <= exported(world, tmp_path / "out").bodies


def test_an_export_is_one_moment_though_the_log_grows_meanwhile(
    world: World, tmp_path: Path
) -> None:
    checkpoints = Checkpoints(world.store, world.evidence.log, world.authority)
    scribe = Scribe("bay-1")
    rulings_of(world, *(cut(scribe) for _ in range(20)))
    checkpoints.advance(1)
    size = world.evidence.log.edge().size
    folder = tmp_path / "out"
    folder.mkdir()

    def grow(_line: str) -> None:
        rulings_of(world, *(cut(scribe) for _ in range(20)))
        checkpoints.advance(1)

    write(world.store, folder, grow)
    assert read_export(folder, world.identity.log.public).size == size
    assert world.evidence.log.edge().size > size


def test_a_damaged_tree_is_not_exported(world: World, tmp_path: Path) -> None:
    with world.store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE tiles SET hashes = x'00'"))
    with pytest.raises(TileMissing):
        write(world.store, tmp_path, lambda _line: None)


@pytest.mark.parametrize(
    ("number", "path"),
    [(0, "000"), (7, "007"), (999, "999"), (1000, "x001/000"), (1_234_067, "x001/x234/067")],
)
def test_tiles_lie_where_tlog_tiles_says(number: int, path: str) -> None:
    assert tile_path(0, number, 256).as_posix() == f"tile/0/{path}"
    assert tile_path("entries", number, 7).as_posix() == f"tile/entries/{path}.p/7"
    assert number_path(number) == path
