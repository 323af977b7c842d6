"""A back-up of the gateway in one encrypted file, and how it is laid down again (DESIGN §7.5).

In it: the database at one moment, taken while the gateway runs, and the identity's files. Laid
down, the log is marked as restored: the gateway does not start until the root has declared where it
goes on (`restoration.dsse`), for which `restored.json` says what came back.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import BinaryIO, Final

from contract.archive import PIECE, ArchiveRefused, Member, seal, unseal
from contract.ids import Digest, SiteId
from contract.journal import Holds
from contract.restoration import Restored
from contract.wire import WireError
from gateway.founding import EPOCH, RESTORED, SITE
from gateway.settings import GatewaySettings
from gateway.store import Store, StoreFailed
from gateway.tiles import TileMissing, load_edge
from runtime import durable
from runtime.durable import FolderLock, StorageError
from runtime.settings import SettingsError, StartError

Say = Callable[[str], None]
_DATABASE: Final = "gateway.sqlite"
_ABOUT: Final = "restored.json"
_IDENTITY: Final = "identity/"
# Between two words of progress; a site's year is a few gigabytes.
_PAGES: Final = 16_384
_FILE_CAP: Final = 1024 * 1024
_SECRET_CAP: Final = 1024


def passphrase(file: Path | None, fd: int | None) -> bytes:
    """Its one line, from a file or an open descriptor. Raises SettingsError."""
    try:
        if file is not None and fd is None:
            data = durable.read_capped(file, _SECRET_CAP)
        elif fd is not None and file is None:
            with os.fdopen(os.dup(fd), "rb") as opened:
                data = opened.read(_SECRET_CAP)
        else:
            raise SettingsError("give --passphrase-file or --passphrase-fd")
    except (StorageError, OSError) as error:
        raise SettingsError(f"the passphrase cannot be read: {error}") from error
    line = data.partition(b"\n")[0].rstrip(b"\r")
    if not line:
        raise SettingsError("the passphrase's first line is empty, and would protect nothing")
    return line


def back_up(settings: GatewaySettings, target: Path, secret: bytes, now_ms: int, say: Say) -> None:
    """Writes `target`, which must not exist. Raises StartError; then nothing is there."""
    source = _file_of(settings)
    if target.exists():
        raise StartError(f"{target}: is there already; a back-up goes into a new file")
    if not source.is_file():
        raise SettingsError(f"there is no evidence log at {source}: check `state_dir`")
    copy = target.absolute().with_name(f".{target.name}.database")
    unfinished = target.absolute().with_name(f".{target.name}.unfinished")
    try:
        for left in (copy, unfinished):
            left.unlink(missing_ok=True)
        _copy(source, copy, say)
        about = _read_about(copy, now_ms)
        with unfinished.open("xb") as file:
            unfinished.chmod(0o600)
            for piece in seal(_members(settings, copy, about), secret):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(target)
        durable.flush_folder(target.absolute().parent)
    except (StoreFailed, StorageError, ArchiveRefused, sqlite3.Error, OSError) as error:
        raise StartError(f"nothing was backed up: {error}") from error
    finally:
        for left in (copy, unfinished):
            left.unlink(missing_ok=True)
    say(f"{about.log.size} leaves, directory {about.directory_epoch}.{about.directory_n}")


def restore(settings: GatewaySettings, source: Path, secret: bytes, say: Say) -> Restored:
    """Lays a back-up down where there is none. Raises StartError; then nothing is there.

    The identity's files are written only where the folder has none.
    """
    target = _file_of(settings)
    if target.exists():
        raise StartError(f"{target}: is there already; nothing is ever restored over a log")
    try:
        durable.make_folder(settings.state_dir)
        with ExitStack() as opened:
            opened.enter_context(FolderLock(settings.state_dir))
            unfinished = target.with_name(f".{target.name}.restoring")
            opened.callback(unfinished.unlink, missing_ok=True)
            unfinished.unlink(missing_ok=True)
            with source.open("rb") as file:
                about, identity = _unpack(unseal(file.read, secret), unfinished)
            if about.site != settings.site:
                raise StartError(f"{source}: is of site {about.site!r}, not {settings.site!r}")
            _mark(unfinished)
            _lay_identity(settings.identity_dir, identity, say)
            durable.write_file(settings.state_dir / _ABOUT, about.to_bytes(), 0o644)
            unfinished.rename(target)
            durable.flush_folder(settings.state_dir)
    except (StorageError, ArchiveRefused, WireError, sqlite3.Error, OSError) as error:
        raise StartError(f"nothing was restored: {error}") from error
    say(f"{about.log.size} leaves came back, directory {about.directory_epoch}.{about.directory_n}")
    say(f"the root must declare them now: tapover site restore-log {settings.state_dir / _ABOUT}")
    return about


def _file_of(settings: GatewaySettings) -> Path:
    if (file := settings.database_file) is None:
        raise SettingsError(
            "`database` is no SQLite file: back it up with its own tools (pg_dump), and"
            " `identity_dir` with `tapover site backup`"
        )
    return file


def _copy(source: Path, copy: Path, say: Say) -> None:
    """One moment of the database, whatever is written meanwhile."""

    def told(_status: int, remaining: int, total: int) -> None:
        say(f"{total - remaining} of {total} pages")

    copy.touch(0o600)
    address = f"{source.absolute().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(address, uri=True, timeout=30)) as live,
        closing(sqlite3.connect(copy)) as into,
    ):
        # Read in one transaction: page by page it would begin anew at each commit of the gateway.
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM facts").fetchone()
        live.backup(into, pages=_PAGES, progress=told)
        live.execute("ROLLBACK")
        into.execute("PRAGMA journal_mode=DELETE").fetchone()


def _read_about(copy: Path, now_ms: int) -> Restored:
    store = Store.open(f"sqlite:///{copy}")
    try:
        with store.read() as tx:
            facts, newest = tx.facts.all(), tx.directory.newest()
            edge = load_edge(tx.log.size(), tx.log.tile)
    except TileMissing as error:
        raise StoreFailed(f"the database is damaged: {error}") from error
    finally:
        store.close()
    if RESTORED in facts:
        raise StoreFailed("it was itself restored, and the root has not declared it yet")
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    version = newest[0] if newest else None
    log = Holds(epoch=int(facts[EPOCH]), size=edge.size, root=Digest(edge.root().hex()))
    return Restored(
        site=SiteId(facts[SITE]),
        log=log,
        directory_epoch=version.epoch if version else 0,
        directory_n=version.n if version else 0,
        taken_ms=now_ms,
    )


def _members(settings: GatewaySettings, copy: Path, about: Restored) -> Iterator[Member]:
    data = about.to_bytes()
    yield Member(_ABOUT, len(data), [data])
    for path in sorted(settings.identity_dir.iterdir()):
        if path.is_file():
            data = durable.read_capped(path, _FILE_CAP)
            yield Member(f"{_IDENTITY}{path.name}", len(data), [data])
    with copy.open("rb") as file:
        yield Member(_DATABASE, copy.stat().st_size, _pieces(file))


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _unpack(members: Iterator[Member], database: Path) -> tuple[Restored, dict[str, bytes]]:
    """All of it is read, so all of it holds."""
    about: Restored | None = None
    identity: dict[str, bytes] = {}
    for member in members:
        name = member.name
        if name == _DATABASE:
            database.touch(0o600)
            with database.open("wb") as file:
                for piece in member.pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
        elif member.size > _FILE_CAP:
            raise ArchiveRefused(f"{name} in it is too large")
        elif name == _ABOUT:
            about = Restored.from_bytes(b"".join(member.pieces))
        elif name.startswith(_IDENTITY) and "/" not in name.removeprefix(_IDENTITY):
            identity[name.removeprefix(_IDENTITY)] = b"".join(member.pieces)
        else:
            raise ArchiveRefused(f"{name!r} belongs to no gateway: is it the site's back-up?")
    if about is None or not database.exists():
        raise ArchiveRefused("it holds no database of a gateway")
    return about, identity


def _mark(database: Path) -> None:
    """Before it is in its place: no gateway takes up an undeclared log as its own."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("INSERT INTO facts (name, value) VALUES (?, 'undeclared')", (RESTORED,))


def _lay_identity(folder: Path, files: dict[str, bytes], say: Say) -> None:
    durable.make_folder(folder)
    if any(folder.iterdir()):
        say(f"{folder} has an identity: what the back-up holds of one was left out")
        return
    for name, data in files.items():
        durable.create_new(folder / name, data, 0o600)
