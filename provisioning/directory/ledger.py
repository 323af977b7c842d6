"""What this authority last published (of a card just made: is about to), an entry a file.

The basis for the next change of the same thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from contract.directory import Entitlement, Entry, EntryKind, entry_key, parse_entry
from contract.wire import WireError
from provisioning.errors import BadInput, NotThere
from provisioning.site.folder import SiteFolder
from runtime import durable

_CAP = 16 * 1024


def remember(folder: SiteFolder, entries: Sequence[Entry]) -> None:
    """Keeps `entries` as the newest; call it when the gateway has accepted them.

    Earlier only for a card: it cannot be made a second time.
    """
    for entry in entries:
        kind, name = entry_key(entry)
        where = folder.authority / "published" / kind
        durable.make_folder(where)
        durable.write_file(where / f"{name}.json", entry.to_bytes())


def knows(folder: SiteFolder, kind: EntryKind, name: str) -> bool:
    """Whether this was ever published from here."""
    return (folder.authority / "published" / kind / f"{name}.json").exists()


def recall_entitlement(folder: SiteFolder, guid: str) -> Entitlement:
    """The entitlement last published for a card. Raises NotThere or BadInput."""
    return _entitlement(folder.authority / "published" / "entitlement" / f"{guid}.json", guid)


def _entitlement(path: Path, guid: str) -> Entitlement:
    try:
        entry = parse_entry(durable.read_capped(path, _CAP))
    except durable.NotThere as error:
        raise NotThere(f"no card {guid} was ever published from this folder") from error
    except (durable.StorageError, WireError) as error:
        raise BadInput(f"{path}: {error}") from error
    if not isinstance(entry, Entitlement):
        raise BadInput(f"{path} is no entitlement")
    return entry
