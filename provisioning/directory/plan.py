"""A change of any size before it is sent: shown as a difference, then signed, sent, remembered.

The entries lie in a temporary file, so that what was shown is what is sent, and memory stays small.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

from contract.directory import Entry, Removed, entry_key, parse_entry
from provisioning.directory import ledger, sets
from provisioning.directory.administration import Administration
from provisioning.directory.difference import SHOWN, Difference, change_of
from provisioning.directory.mirror import Mirror
from provisioning.directory.sets import Advance, Sent
from provisioning.site.folder import SiteFolder


class Plan:
    """What a command would change. A context manager."""

    def __init__(self, mirror: Mirror, entries: Iterable[Entry], shown: int | None = SHOWN) -> None:
        """Reads `entries` once. What differs in nothing but its salt is left out."""
        self.base = mirror.head
        self.difference = Difference(shown)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the plan
        for entry in entries:
            if self.difference.add(change_of(mirror, entry)):
                self._file.write(entry.to_bytes() + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def lines(self) -> Iterator[bytes]:
        """The entries, a line each, streamed."""
        self._file.seek(0)
        return (line.removesuffix(b"\n") for line in self._file)

    def carry_out(
        self,
        administration: Administration,
        folder: SiteFolder,
        name: str,
        now_ms: int,
        advance: Advance | None = None,
    ) -> Sent | None:
        """Sends it; None when there is nothing to change. Raises ProvisioningError.

        `name` is under what it goes on when it was cut off.
        """
        wish = sets.prepare(
            set_folder(folder, name), administration, self.base, self.lines(), now_ms
        )
        if wish is None:
            return None
        return finish(administration, folder, wish, advance)


def finish(
    administration: Administration,
    folder: SiteFolder,
    wish: sets.Prepared,
    advance: Advance | None = None,
) -> Sent:
    """Sends what was prepared, or goes on with it, and remembers what became of its cards.

    Raises ChangeWaits (call it again when it is approved), MovedOn, or ProvisioningError.
    """
    sent = sets.send(administration, wish, advance)
    for line in _lines_of(wish):
        if entry := _known(folder, line):
            ledger.remember(folder, [entry])
    wish.forget()
    return sent


def set_folder(folder: SiteFolder, name: str) -> Path:
    """Where a change of this name lies while it is under way."""
    return folder.authority / "sets" / name


def _lines_of(wish: sets.Prepared) -> Iterator[bytes]:
    for place in range(wish.requests):
        yield from wish.request(place).split(b"\n")[1:]


def _known(folder: SiteFolder, line: bytes) -> Entry | None:
    """An entry that this authority published before: its ledger follows."""
    entry = parse_entry(line)
    kind, name = entry_key(entry)
    kept = not isinstance(entry, Removed) and ledger.knows(folder, kind, name)
    return entry if kept else None
