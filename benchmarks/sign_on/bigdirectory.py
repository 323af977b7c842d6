"""A directory of 1.1 million entitlements (a whole country's cards) at one terminal.

It is made through the product's own store, as a snapshot that streams in, once; the file is kept
under ``build/`` for later runs. Names are made up; the keys are a few real P-256 points, repeated:
a look-up reads one row and parses it, whatever the others hold.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.ward.people import NURSE
from benchmarks.ward.site import WARD, Ward
from benchmarks.ward.terminals import WardTerminal
from contract.certificates import spki
from contract.directory import (
    Credential,
    Entitlement,
    Entry,
    EntryKind,
    Name,
    Slot,
    Status,
    entry_key,
)
from contract.ids import Guid, HolderId, TerminalId, Version
from contract.signing import Algorithm, Envelope, sha256
from contract.wire import encode_base64
from firmware_py.stores import DIRECTORY, TRUST
from firmware_py.trust.statements import Change, Held, Row
from firmware_py.trust.store import SCHEMA_VERSION, Directory
from firmware_py.trust.trust_store import TrustStore

ENTITLEMENTS: Final = 1_100_000
_CHUNK: Final = 2_000
_KEYS: Final = 16
_GUID: Final = "00000000000000000000000000000000"
_BEFORE: Final = Version(0, 1)
"""Of an epoch before every site's: the ward's own versions follow it."""
_HEAD: Final = sha256(b"generated directory")


def cached(folder: Path, entitlements: int = ENTITLEMENTS) -> Path:
    """The file, made if it is not there yet (about half a minute)."""
    path = folder / f"directory-{entitlements}-v{SCHEMA_VERSION}.sqlite"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        for suffix in ("", "-wal", "-shm"):
            unfinished.with_name(unfinished.name + suffix).unlink(missing_ok=True)
        _make(unfinished, entitlements)
        unfinished.replace(path)
    return path


def _make(path: Path, entitlements: int) -> None:
    with closing(Directory.open_or_replace(path, Held()).directory) as directory:
        writer = directory.begin_snapshot()
        rows: list[Row] = []
        for row in _rows(entitlements):
            rows.append(row)
            if len(rows) == _CHUNK:
                writer.add(rows)
                rows.clear()
        writer.add(rows)
        writer.swap(Held(_BEFORE, _HEAD, 1))


def fill(terminal: WardTerminal, ward: Ward, source: Path) -> int:
    """Gives a running terminal the entitlements of ``source`` beside its own ward's; how many.

    The daemon is stopped meanwhile. It comes back online with the version that the site knows, so
    that it fetches nothing.
    """
    terminal.process.stop()
    path = terminal.state / DIRECTORY
    with closing(Directory.open(path, Held())) as small:
        held, entries = small.held, list(_wards_own(small, terminal, ward))
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(source, path)
    _settle(path)
    keys = TrustStore.open(terminal.state / TRUST).remembered.keys
    assert keys is not None
    envelope = Envelope.from_bytes(keys)  # a change must carry one, which the store does not read
    rows = tuple(Row(*entry_key(entry), entry.to_bytes()) for entry in entries)
    with closing(Directory.open(path, Held())) as big:
        while (version := big.held.version) < held.version:
            later = version.next_in(held.version.epoch)
            then = held if later == held.version else Held(later, _HEAD, 1)
            big.apply(Change(then, rows, tuple(entries), envelope))
    mark = terminal.glass.mark()
    terminal.boot()
    terminal.glass.wait(lambda view: view["link"] == "online", mark)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM entry").fetchall()
    return int(count)


def _settle(path: Path) -> None:
    """Until a gigabyte is on the disk: else every flush of the taps would wait for it."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _wards_own(small: Directory, terminal: WardTerminal, ward: Ward) -> Iterator[Entry]:
    own: list[Entry | None] = [small.policy(WARD), small.terminal(TerminalId(terminal.name))]
    own += [small.entitlement(member.entitlement.guid) for member in ward.members.values()]
    for entry in own:
        assert entry is not None
        yield entry


def _rows(entitlements: int) -> Iterator[Row]:
    """Sorted by GUID, evenly spread, as a snapshot's entries are."""
    before, after = zip(*(_template() for _ in range(_KEYS)), strict=True)
    step = (1 << 128) // (entitlements + 1)
    for number in range(1, entitlements + 1):
        guid = f"{number * step:032x}"
        which = number % _KEYS
        line = before[which] + guid.encode() + after[which]
        yield Row(EntryKind.ENTITLEMENT, guid, line)


def _template() -> tuple[bytes, bytes]:
    """An entitlement's line, cut where the GUID stands."""
    credentials = tuple(
        Credential(
            slot=slot,
            algorithm=Algorithm.P256,
            key=encode_base64(spki(ec.generate_private_key(ec.SECP256R1()).public_key())),
            pin_gated=slot is Slot.PIV_AUTHENTICATION,
        )
        for slot in (Slot.PIV_AUTHENTICATION, Slot.CARD_AUTHENTICATION)
    )
    marker = "f" * len(_GUID)
    entitlement = Entitlement(
        guid=Guid(marker),
        holder=HolderId("h-somebody-of-another-ward"),
        name=Name(full="Somebody Else", short="Somebody E.", initials="SE"),
        credentials=credentials,
        positions=(NURSE,),
        status=Status.ACTIVE,
        not_before_ms=1_767_225_600_000,
        not_after_ms=1_900_000_000_000,
        salt="00" * 16,
    )
    before, after = entitlement.to_bytes().split(marker.encode())
    return before, after
