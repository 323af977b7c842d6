"""The staff as the feed knows it, against the directory as it stands: who changes, who ends.

- Who is in the feed has its name and positions on every card that still serves or is suspended.
- Who ends (not in a full feed any more; `leaves` in a delta) has the cards suspended: that is
  undone by a later decision of a person, or by restoring a version; a feed never lifts it.
- Who has no card yet is kept in the register here, for whoever issues one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract.administration import FINAL
from contract.directory import Entitlement, Status
from provisioning.directory.entries import Holder, fresh_salt, read_holder
from provisioning.directory.mirror import Mirror
from provisioning.directory.staff_feed import Feed, Person, to_json
from provisioning.errors import NotThere
from provisioning.site.folder import SiteFolder

_REGISTER: Final = "staff.sqlite"
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS person (holder TEXT PRIMARY KEY, line TEXT NOT NULL)"
    " STRICT, WITHOUT ROWID"
)


@dataclass
class Met:
    """What an import met, in numbers."""

    people: int = 0
    changed: int = 0
    """Cards whose holder's name or positions change."""
    ended: int = 0
    """Cards that are suspended because their holder leaves."""
    without_card: int = 0
    still_suspended: int = 0
    """People of the feed whose cards are suspended: a feed does not lift that."""


def wanted(feed: Feed, mirror: Mirror, *, full: bool, met: Met) -> Iterator[Entitlement]:
    """The entitlements that must change, streamed; counts what it meets."""
    for person in feed.all():
        met.people += 1
        yield from _of_person(person, mirror, met)
    if full:
        for holder in mirror.holders():
            if feed.find(holder) is None:
                yield from _ended(mirror.cards_of(holder), met)


def _of_person(person: Person, mirror: Mirror, met: Met) -> Iterator[Entitlement]:
    cards = mirror.cards_of(person.holder.id)
    if person.leaves:
        yield from _ended(cards, met)
        return
    serving = [card for card in cards if card.status not in FINAL]
    met.without_card += not serving
    met.still_suspended += bool(serving) and all(
        card.status is Status.SUSPENDED for card in serving
    )
    for card in serving:
        said = (person.holder.name, person.holder.positions)
        if (card.name, card.positions) != said:
            met.changed += 1
            yield card.model_copy(
                update={"name": said[0], "positions": said[1], "salt": fresh_salt()}
            )


def _ended(cards: list[Entitlement], met: Met) -> Iterator[Entitlement]:
    for card in cards:
        if card.status is Status.ACTIVE:
            met.ended += 1
            yield card.model_copy(update={"status": Status.SUSPENDED, "salt": fresh_salt()})


def keep(folder: SiteFolder, feed: Feed, *, full: bool) -> None:
    """Takes the feed into the register: all of it, or none. Raises sqlite3.Error."""
    connection = _register(folder.authority / _REGISTER)
    try:
        with connection:
            connection.execute("BEGIN")
            if full:
                connection.execute("DELETE FROM person")
            for person in feed.all():
                row = (person.holder.id, to_json(person.holder))
                if person.leaves:
                    connection.execute("DELETE FROM person WHERE holder = ?", row[:1])
                else:
                    connection.execute("INSERT OR REPLACE INTO person VALUES (?, ?)", row)
    finally:
        connection.close()


def find(folder: SiteFolder, holder: str) -> Holder:
    """Somebody of the last import. Raises NotThere."""
    connection = _register(folder.authority / _REGISTER)
    try:
        row = connection.execute("SELECT line FROM person WHERE holder = ?", (holder,)).fetchone()
    finally:
        connection.close()
    if row is None:
        raise NotThere(f"no {holder} in the staff register; import the feed first")
    return read_holder(row[0].encode())


def _register(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(_TABLE)
    path.chmod(0o600)
    return connection
