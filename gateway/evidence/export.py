"""The evidence in a folder, as `docs/evidence.md` §3 says (C2SP tlog-tiles layout).

Written out of one moment of the database, also while the gateway runs, up to the newest stored
checkpoint: no key is needed. The folder appears whole or not at all. Memory grows by about 100
bytes an event: the digests by which no body is written twice.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Final

from gateway.settings import GatewaySettings
from gateway.store import CheckpointRow, Store, StoreFailed, Transaction
from gateway.tiles import HASH_BYTES, WIDTH, TileMissing, all_tiles
from runtime.durable import StorageError, flush_folder
from runtime.settings import SettingsError, StartError

Say = Callable[[str], None]
_LENGTH_BYTES: Final = 2
_THOUSAND: Final = 1000
_SAY_EVERY: Final = 100_000


def run(settings: GatewaySettings, folder: Path, say: Say) -> None:
    """Writes `folder`, which must not exist; `say` hears of progress. Raises StartError."""
    if folder.exists():
        raise StartError(f"{folder}: is there already; an export goes into a new folder")
    if (file := settings.database_file) is not None and not file.is_file():
        raise SettingsError(f"there is no evidence log at {file}: check `state_dir`")
    unfinished = folder.absolute().with_name(f".{folder.name}.{secrets.token_hex(4)}.unfinished")
    try:
        store = Store.open(settings.database_url)
        try:
            unfinished.mkdir()
            write(store, unfinished, say)
        finally:
            store.close()
        unfinished.rename(folder)
        flush_folder(folder.absolute().parent)
    except (StoreFailed, StorageError, TileMissing, OSError) as error:
        raise StartError(f"nothing was exported: {error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write(store: Store, folder: Path, say: Say) -> None:
    """Writes the files into `folder`. Raises StoreFailed, TileMissing, OSError, StartError."""
    with store.read() as tx:
        newest = tx.checkpoints.newest()
        if newest is None:
            raise StartError("the log has no checkpoint yet: start the gateway once")
        say(f"{newest.size} leaves up to the newest checkpoint")
        if beyond := tx.log.size() - newest.size:
            say(f"{beyond} newer leaves are not exported: no checkpoint covers them yet")
        _write(folder / "checkpoint", newest.note.encode())
        _write_tiles(tx, folder, newest)
        say("tiles are written")
        _write_entries(tx, folder, newest, say)
        count = _write_bodies(tx, folder, newest, say)
    for path in (*folder.rglob("*"), folder):
        if path.is_dir():
            flush_folder(path)
    say(f"done: {newest.size} leaves, {count} bodies")


def tile_path(level: int | str, number: int, width: int) -> Path:
    """Where a tile lies: `tile/0/x001/234`, with `.p/<width>` when it is not full."""
    groups = [f"{number % _THOUSAND:03d}"]
    while number := number // _THOUSAND:
        groups.insert(0, f"x{number % _THOUSAND:03d}")
    if width < WIDTH:
        groups[-1] += ".p"
        groups.append(str(width))
    return Path("tile", str(level), *groups)


def _write_tiles(tx: Transaction, folder: Path, newest: CheckpointRow) -> None:
    for level, number, width in all_tiles(newest.size):
        hashes = tx.log.tile(level, number)[: width * HASH_BYTES]
        if len(hashes) != width * HASH_BYTES:
            raise TileMissing(level, number)
        _write(folder / tile_path(level, number, width), hashes)


def _write_entries(tx: Transaction, folder: Path, newest: CheckpointRow, say: Say) -> None:
    leaves = tx.log.leaves(newest.size)
    for number, first in enumerate(range(0, newest.size, WIDTH)):
        group = list(islice(leaves, WIDTH))
        data = b"".join(len(leaf).to_bytes(_LENGTH_BYTES, "big") + leaf for leaf in group)
        _write(folder / tile_path("entries", number, len(group)), data)
        if first and first % _SAY_EVERY < WIDTH:
            say(f"{first} leaves")


def _write_bodies(tx: Transaction, folder: Path, newest: CheckpointRow, say: Say) -> int:
    written: set[bytes] = set()
    with (folder / "bodies").open("xb") as file:
        for body in chain(tx.log.bodies(newest.size), _entries_of_changes(tx, newest)):
            digest = hashlib.sha256(body).digest()
            if digest in written:
                continue
            written.add(digest)
            file.write(body + b"\n")
            if len(written) % _SAY_EVERY == 0:
                say(f"{len(written)} bodies")
        _flush(file.fileno(), file.flush)
    return len(written)


def _entries_of_changes(tx: Transaction, newest: CheckpointRow) -> Iterator[bytes]:
    for message in tx.directory.changes_in(newest.size):
        yield from message.split(b"\n")[1:]


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(data)
        _flush(file.fileno(), file.flush)


def _flush(descriptor: int, flush: Callable[[], None]) -> None:
    flush()
    os.fsync(descriptor)
