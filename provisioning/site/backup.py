"""The site's folder in one encrypted file, and back into an empty place.

Everything is in it: the authority with its journals, ledger and copy of the directory, the
identities of gateway and broker, terminals' folders. A root key in a token is not: the token is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from contract.archive import PIECE, ArchiveRefused, Member, seal, unseal
from provisioning.errors import AlreadyThere, BadInput, DiskFailed
from provisioning.site import making
from provisioning.site.folder import SiteFolder
from runtime import durable

_NOT_KEPT: Final = frozenset(("lock",))
_PREFIX: Final = "site/"


def back_up(folder: SiteFolder, target: Path, passphrase: bytes, done: Callable[[], None]) -> int:
    """Writes `target`, which must not exist; the number of files. `done` is called for each.

    The caller holds the folder. Raises AlreadyThere, DiskFailed; then nothing is there.
    """
    if target.exists():
        raise AlreadyThere(f"{target} is there already; a back-up goes into a new file")
    unfinished = target.absolute().with_name(f".{target.name}.unfinished")
    paths = files_of(folder, (target.absolute(), unfinished))
    try:
        unfinished.unlink(missing_ok=True)
        with unfinished.open("xb") as file:
            unfinished.chmod(0o600)
            for piece in seal(_members(folder.path, paths, done), passphrase):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(target)
        durable.flush_folder(target.absolute().parent)
    except (OSError, durable.StorageError, ArchiveRefused) as error:
        raise DiskFailed(f"nothing was backed up: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return len(paths)


def restore(folder: SiteFolder, source: Path, passphrase: bytes) -> None:
    """Makes the folder as it was; it appears whole or not at all.

    Raises AlreadyThere when it holds anything, BadInput, DiskFailed.
    """

    def make(unfinished: Path) -> None:
        try:
            with source.open("rb") as file:
                for member in unseal(file.read, passphrase):
                    _write(unfinished, member)
        except (ArchiveRefused, UnicodeDecodeError) as error:
            raise BadInput(f"{source}: {error}") from error
        except (OSError, durable.StorageError) as error:
            raise DiskFailed(str(error)) from error
        if not (unfinished / "site.json").is_file():
            raise BadInput(f"{source}: holds no site's folder")

    making.make_whole(folder.path, make, lambda _: None)


def files_of(folder: SiteFolder, without: tuple[Path, ...] = ()) -> list[Path]:
    """What goes into a back-up."""
    return [
        path
        for path in sorted(folder.path.rglob("*"))
        if path.is_file() and path.name not in _NOT_KEPT and path.absolute() not in without
    ]


def _members(root: Path, paths: list[Path], done: Callable[[], None]) -> Iterator[Member]:
    for path in paths:
        mode, name = path.stat().st_mode & 0o777, path.relative_to(root).as_posix()
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            yield Member(f"{_PREFIX}{mode:03o}/{name}", size, _pieces(file))
        done()


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _write(root: Path, member: Member) -> None:
    prefix, mode, *parts = PurePosixPath(member.name).parts or ("",)
    named = f"{prefix}/" == _PREFIX and parts and ".." not in parts and mode in ("600", "644")
    if not named:
        raise ArchiveRefused(f"{member.name!r} belongs to no site: is it the gateway's back-up?")
    target = root.joinpath(*parts)
    durable.make_folder(target.parent)
    with target.open("xb") as file:
        target.chmod(int(mode, 8))
        for piece in member.pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    durable.flush_folder(target.parent)
