"""Replacing the root: the old one declares the new one, and signs nothing any more.

Whoever pinned the old root follows the declaration: terminals and the gateway by `roots.dsse`, the
auditor by the leaf of the log that it becomes. New terminals pin the new root.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from contract.signing import SignatureRefused, Signer
from contract.succession import RootSuccession, join_line, split_line
from contract.wire import WireError
from provisioning.errors import BadInput, DiskFailed
from provisioning.site.folder import SiteFolder, describe
from provisioning.site.making import Replacement
from provisioning.site.roots import FILES, RootHome
from provisioning.site.rotate import Key, Rotation, declare, read
from runtime import durable

_LINE: Final = "roots.dsse"
_CAP: Final = 64 * 1024


def plan(
    folder: SiteFolder, open_root: Callable[[], Signer], home: RootHome, now_ms: int
) -> Rotation:
    """A new root, made in `home`; `abandon` it unless the plan is carried out.

    Raises BadInput for another site's root, TokenTrouble, DiskFailed.
    """
    now, making_of = read(folder, now_ms), _making_of(folder)
    abandon(folder, home)
    old = open_root()
    if old.public.to_base64() != now.statement.root:
        raise BadInput("that root key is another one than this site's")
    try:
        durable.make_folder(making_of)
        new = home.make(making_of)
        made = {path.name: path.read_bytes() for path in sorted(making_of.iterdir())}
        line = _line(folder)
    except (durable.StorageError, OSError) as error:
        raise DiskFailed(str(error)) from error
    declared = RootSuccession(
        site=now.statement.site,
        root=old.public.to_base64(),
        next=new.public.to_base64(),
        epoch=now.next_epoch,
        issued_ms=now.now_ms,
    ).seal(old)
    line += join_line([declared])
    description = describe(now.statement.site, new.public)
    files = [
        *declare(now, {"root": new.public.to_base64()}, new),
        *(Replacement(f"{part}/{_LINE}", line, 0o644) for part in ("authority", "gateway")),
        *_root_files(made),
        Replacement("site.json", json.dumps(description, indent=1).encode(), 0o644),
    ]
    return Rotation(Key.ROOT, now.next_epoch, tuple(files))


def abandon(folder: SiteFolder, home: RootHome) -> None:
    """Takes back a new root that was planned and not carried out. Raises TokenTrouble."""
    if (making_of := _making_of(folder)).exists():
        home.undo(making_of)
        shutil.rmtree(making_of, ignore_errors=True)


def _root_files(made: dict[str, bytes]) -> list[Replacement]:
    """The new root's file in the place of the old one's, and not beside it any more."""
    mode = {name: 0o600 if name.endswith(".key.pem") else 0o644 for name in FILES}
    files = [Replacement(f"authority/{name}", made.get(name), mode[name]) for name in FILES]
    return [*files, *(Replacement(f"authority/root.next/{name}", None) for name in made)]


def _making_of(folder: SiteFolder) -> Path:
    return folder.authority / "root.next"


def _line(folder: SiteFolder) -> bytes:
    path = folder.authority / _LINE
    try:
        data = durable.read_capped(path, _CAP)
    except durable.NotThere:
        return b""
    try:
        return join_line(split_line(data))
    except (WireError, SignatureRefused) as error:
        raise BadInput(f"{path}: {error}") from error


def declared_roots(folder: SiteFolder) -> list[str]:
    """Fingerprints of the roots that this site had before, the first one first. Raises BadInput."""
    return [str(envelope.key_id) for envelope in split_line(_line(folder))]
