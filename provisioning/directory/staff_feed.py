"""The staff feed: a CSV of people and their positions, read whole or refused whole.

A row is a person in a position; several rows of one person give several. Columns, in any order:
`holder, full_name, short_name, initials, position, role, position_name`, and where wanted `areas`
(wards, with blanks between) and `leaves` (`yes`: in a delta, this person goes).

In memory is one row; the feed lies in a temporary database while it is looked at.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TextIO

from pydantic import ValidationError

from contract.directory import Name, Position
from contract.ids import HolderId, PositionId, WardId, is_name
from provisioning.directory.entries import Holder
from provisioning.errors import BadInput, ProvisioningError

REQUIRED: Final = (
    "holder",
    "full_name",
    "short_name",
    "initials",
    "position",
    "role",
    "position_name",
)
OPTIONAL: Final = ("areas", "leaves")
# A site of a million people with three positions each, at 200 bytes a row.
_MOST_BYTES: Final = 640 * 1024 * 1024
_MOST_ROWS: Final = 3_000_000
# Whoever mends a feed mends its first faults first.
_MOST_FAULTS: Final = 50
_MOST_POSITIONS: Final = 16
_FIELD_BYTES: Final = 8 * 1024


class FeedRefused(ProvisioningError):
    """Lines of the staff feed are wrong; none of it was taken."""

    code = 405
    exit_status = 2
    remedy = "Mend the lines that are named, or the feed that wrote them, and import it again."

    def __init__(self, path: Path, faults: list[str], more: int = 0) -> None:
        self.faults = faults
        rest = f" (and {more} more)" if more else ""
        super().__init__(f"{path} is refused whole: {'; '.join(faults)}{rest}")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the feed. `leaves`: to be ended, in a delta."""

    holder: Holder
    leaves: bool


class Feed:
    """A feed that was read without a fault. A context manager."""

    def __init__(self, path: Path) -> None:
        """Raises FeedRefused, BadInput."""
        # An empty name: a database on the disk that is gone when it is closed.
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.executescript(
            "CREATE TABLE person (holder TEXT PRIMARY KEY, name TEXT NOT NULL, leaves INTEGER"
            " NOT NULL) STRICT, WITHOUT ROWID; CREATE TABLE position (holder TEXT NOT NULL, line"
            " INTEGER NOT NULL, id TEXT NOT NULL, position TEXT NOT NULL,"
            " PRIMARY KEY (holder, id)) STRICT, WITHOUT ROWID;"
        )
        self._faults: list[str] = []
        self._more = 0
        try:
            self._read(path)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    @property
    def people(self) -> int:
        """How many people it names."""
        (count,) = self._connection.execute("SELECT count(*) FROM person").fetchone()
        return int(count)

    def find(self, holder: str) -> Person | None:
        row = self._connection.execute(
            "SELECT holder, name, leaves FROM person WHERE holder = ?", (holder,)
        ).fetchone()
        return None if row is None else self._person(*row)

    def all(self) -> Iterator[Person]:
        """Everybody, by id, streamed."""
        query = "SELECT holder, name, leaves FROM person ORDER BY holder"
        return (self._person(*row) for row in self._connection.cursor().execute(query))

    def _person(self, holder: str, name: str, leaves: int) -> Person:
        rows = self._connection.execute(
            "SELECT position FROM position WHERE holder = ? ORDER BY line", (holder,)
        )
        positions = tuple(Position.model_validate_json(line) for (line,) in rows)
        known = Holder(HolderId(holder), Name.model_validate_json(name), positions)
        return Person(known, bool(leaves))

    # --- reading ------------------------------------------------------------------------------

    def _read(self, path: Path) -> None:
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise BadInput(f"{path}: more than {_MOST_BYTES} bytes is no site's staff")
            with path.open(encoding="utf-8-sig", newline="") as file:
                self._connection.execute("BEGIN")
                self._read_rows(path, file)
                self._connection.execute("COMMIT")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{path}: {error}") from error
        if self._faults:
            raise FeedRefused(path, self._faults, self._more)

    def _read_rows(self, path: Path, file: TextIO) -> None:
        csv.field_size_limit(_FIELD_BYTES)
        rows = csv.DictReader(file, strict=True)
        try:
            columns = rows.fieldnames or []
            known = {*REQUIRED, *OPTIONAL}
            wrong = [name for name in columns if name not in known]
            missing = [name for name in REQUIRED if name not in columns]
            if wrong or missing or len(set(columns)) != len(columns):
                self._fault(1, _columns(wrong, missing))
                return
            for count, row in enumerate(rows, 1):
                if count > _MOST_ROWS:
                    raise BadInput(f"{path}: more than {_MOST_ROWS} rows is no site's staff")
                if words := self._take(rows.line_num, row):
                    self._fault(rows.line_num, words)
        except csv.Error as error:
            self._fault(rows.line_num + 1, str(error))

    def _take(self, line: int, row: dict[str, str | None]) -> str | None:
        """Keeps a row; what is wrong with it, in words."""
        if None in row or None in row.values():
            return "not one value for each column"
        values = {key: (value or "").strip() for key, value in row.items()}
        holder = values["holder"]
        if not is_name(holder):
            return f"holder '{holder[:60]}': use lower-case letters, digits and inner hyphens"
        if (leaves := values.get("leaves", "")) not in ("", "yes", "no"):
            return "leaves: write yes or no"
        try:
            name = Name(
                full=values["full_name"],
                short=values["short_name"],
                initials=values["initials"],
            ).model_dump_json()
            position = _position(values)
        except ValidationError as error:
            return _words(error)
        return self._keep(line, holder, name, position, leaves=leaves == "yes")

    def _keep(
        self, line: int, holder: str, name: str, position: Position, *, leaves: bool
    ) -> str | None:
        execute = self._connection.execute
        before = execute("SELECT name, leaves FROM person WHERE holder = ?", (holder,)).fetchone()
        if before is None:
            execute("INSERT INTO person VALUES (?, ?, ?)", (holder, name, leaves))
        elif before != (name, leaves):
            return f"{holder}: named otherwise, or staying and leaving, in an earlier line"
        (held,) = execute("SELECT count(*) FROM position WHERE holder = ?", (holder,)).fetchone()
        if held == _MOST_POSITIONS:
            return f"{holder}: more than {_MOST_POSITIONS} positions"
        row = (holder, line, position.id, position.model_dump_json())
        if not execute("INSERT OR IGNORE INTO position VALUES (?, ?, ?, ?)", row).rowcount:
            return f"{holder}: position {position.id} stands in an earlier line"
        return None

    def _fault(self, line: int, words: str) -> None:
        if len(self._faults) < _MOST_FAULTS:
            self._faults.append(f"line {line}: {words}")
        else:
            self._more += 1


def _position(values: dict[str, str]) -> Position:
    return Position(
        id=PositionId(values["position"]),
        role=values["role"],
        name=values["position_name"],
        areas=tuple(WardId(ward) for ward in values.get("areas", "").split()),
    )


def _columns(wrong: list[str], missing: list[str]) -> str:
    parts = [f"column '{name}' is unknown" for name in wrong]
    parts += [f"column '{name}' is missing" for name in missing]
    return ", ".join(parts) or "a column stands twice"


def _words(error: ValidationError) -> str:
    """Which value, never the value: a name does not belong in a log."""
    first = error.errors(include_input=False, include_url=False)[0]
    column = {"full": "full_name", "short": "short_name", "id": "position", "name": "position_name"}
    where = str(first["loc"][0])
    return f"{column.get(where, where)}: {first['msg']}"


def to_json(holder: Holder) -> str:
    """As `tapover card issue --holder` takes it."""
    return json.dumps(
        {
            "holder": holder.id,
            "name": holder.name.model_dump(mode="json"),
            "positions": [one.model_dump(mode="json") for one in holder.positions],
        },
        ensure_ascii=False,
    )
