"""Who is in the directory, by a part of a name: for somebody at a screen, at 03:00.

Reads entitlements as they lie, on a connection of its own: to be called in a thread, and never at a
tap. SQLite does the reading and lets go of the interpreter meanwhile, so taps go on; only what fits
is parsed. Bounded in results and in time: a directory of 1.1 million people may be told of in part.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from contract.directory import Entitlement, EntryKind, Status
from contract.ids import HolderId
from firmware_py.trust.store import KIND, Directory

MOST_FOUND: Final = 8
"""As many as a glass shows in targets for gloves; who finds more says more of the name."""
MIN_TEXT: Final = 2
"""One letter is a tenth of the hospital."""
# Four names are more than anybody types; each is another comparison a row.
_MOST_WORDS: Final = 4
_STEPS: Final = 20_000
"""Of SQLite's machine, between two looks at the clock: some milliseconds."""

# Where an entitlement's bytes tell of its holder: behind type and GUID, and so many that names of
# eighty letters of four bytes, twice, still lie within. Most rows are passed over by this alone.
_ABOUT: Final = "CAST(substr(line, 75, 800) AS TEXT) LIKE ? ESCAPE '\\'"
_LIKE: Final = "json_extract(CAST(line AS TEXT), '$.{field}') LIKE ? ESCAPE '\\'"


@dataclass(frozen=True, slots=True)
class Found:
    """People by a text; `more` than are told, or `cut` off by the time."""

    people: tuple[Entitlement, ...]
    more: bool = False
    cut: bool = False


def find(
    directory: Directory,
    text: str,
    fits: Callable[[Entitlement], bool],
    monotonic_ns: Callable[[], int],
    until_ns: int,
) -> Found:
    """People with a card in use, by initials, words of the name, or the id. Blocking.

    One card each; `fits` says whom to leave out. Raises DirectoryDamaged, DirectoryFailed.
    """
    words = text.casefold().split()[:_MOST_WORDS]
    if len("".join(words)) < MIN_TEXT:
        return Found(())
    people: dict[HolderId, Entitlement] = {}
    with directory.reading() as connection:
        connection.set_progress_handler(lambda: monotonic_ns() >= until_ns, _STEPS)
        try:
            for one in _rows(connection, text, words):
                if one.status is Status.ACTIVE and _is_meant(one, text, words) and fits(one):
                    if one.holder == text.casefold():
                        return Found((one,))  # there is no other
                    if one.holder not in people and len(people) == MOST_FOUND:
                        return Found(_sorted(people), more=True)
                    people[one.holder] = one
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            return Found(_sorted(people), cut=True)
    return Found(_sorted(people))


def cards_of(
    directory: Directory, holder: HolderId, monotonic_ns: Callable[[], int], until_ns: int
) -> list[Entitlement] | None:
    """Every card of a person; null: they could not all be read in time. Blocking.

    Raises DirectoryDamaged, DirectoryFailed.
    """
    with directory.reading() as connection:
        connection.set_progress_handler(lambda: monotonic_ns() >= until_ns, _STEPS)
        try:
            rows = connection.execute(
                "SELECT line FROM entry WHERE kind = ? AND instr(line, ?) > 0",
                (KIND[EntryKind.ENTITLEMENT], f'"holder":"{holder}"'.encode()),
            )
            found = [Entitlement.from_bytes(line) for (line,) in rows]
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            return None
    return [one for one in found if one.holder == holder]


def _rows(connection: sqlite3.Connection, text: str, words: list[str]) -> Iterator[Entitlement]:
    """Those that may be meant; SQLite folds the case of ASCII alone."""
    by_name = " AND ".join(_LIKE.format(field="name.full") for _ in words)
    by_initials, by_id = _LIKE.format(field="name.initials"), _LIKE.format(field="holder")
    meant = f"({by_name}) OR {by_initials} OR {by_id}"
    rows = connection.execute(
        f"SELECT line FROM entry WHERE kind = ? AND {_ABOUT} AND ({meant})",  # noqa: S608 - nothing of the text
        (
            KIND[EntryKind.ENTITLEMENT],
            f"%{_pattern(max(words, key=len))}%",
            *(f"%{_pattern(word)}%" for word in words),
            _pattern(text),
            f"%{_pattern(text)}%",
        ),
    )
    for (line,) in rows:
        yield Entitlement.from_bytes(line)


def _pattern(text: str) -> str:
    """For LIKE: what is no ASCII stands for any one letter, since its case is not folded."""
    return "".join(f"\\{c}" if c in "%_\\" else c if c.isascii() else "_" for c in text)


def _is_meant(one: Entitlement, text: str, words: list[str]) -> bool:
    name, whole = one.name.full.casefold(), text.casefold()
    if whole in (one.name.initials.casefold(), one.holder):
        return True
    return whole in one.holder or all(word in name for word in words)


def _sorted(people: dict[HolderId, Entitlement]) -> tuple[Entitlement, ...]:
    return tuple(sorted(people.values(), key=lambda one: (one.name.initials, one.holder)))
