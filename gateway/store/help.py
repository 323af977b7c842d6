"""Rows of help at 03:00: spares assigned, PUKs kept sealed, and what was released of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import sqlalchemy as sa

from contract.escrow import PukEscrow
from contract.helping import HelpReason
from contract.ids import Digest, Guid, HolderId, TerminalId
from gateway.store import schema
from gateway.store.rows import Rows

# A review looks at the newest nights.
MOST_TOLD = 200


@dataclass(frozen=True, slots=True)
class AssignmentRow:
    """An assignment whose lead was believed; `terms` is their digest."""

    terms: Digest
    digest: Digest
    spare: Guid
    holder: HolderId
    terminal: TerminalId
    begins_ms: int
    until_ms: int
    received_ms: int
    reason: HelpReason
    message: bytes

    @property
    def order(self) -> tuple[int, Digest]:
        """The earlier by site time goes first."""
        return self.begins_ms, self.terms


@dataclass(frozen=True, slots=True)
class EscrowRow:
    """A card's PUK. While one is replaced it holds `present` or `wanted`."""

    guid: Guid
    authority: bytes
    present: PukEscrow
    wanted: PukEscrow | None = None
    unsettled: int = 0
    """Releases since the card's PUK was last known."""
    request: Digest | None = None
    """The newest release that was not reported."""
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """A PUK that went out, sealed, by the digest of the request."""

    request: Digest
    terms: Digest
    guid: Guid
    terminal: TerminalId
    at_ms: int
    answer: bytes


class HelpRows(Rows):
    """Assignments, escrows, releases."""

    def assignment(self, terms: Digest) -> AssignmentRow | None:
        table = schema.assignments
        row = self._connection.execute(sa.select(table).where(table.c.terms == terms)).one_or_none()
        return None if row is None else _assignment(row)

    def standing(self, spare: Guid, holder: HolderId, now_ms: int) -> list[AssignmentRow]:
        """Those of this spare or this person that are in force."""
        table = schema.assignments
        about = (table.c.spare == spare) | (table.c.holder == holder)
        stands = (table.c.reason == HelpReason.GRANTED) & (table.c.until_ms > now_ms)
        rows = self._connection.execute(sa.select(table).where(about & stands))
        return [_assignment(row) for row in rows]

    def newest_assignments(self) -> list[AssignmentRow]:
        table = schema.assignments
        query = sa.select(table).order_by(table.c.received_ms.desc()).limit(MOST_TOLD)
        return [_assignment(row) for row in self._connection.execute(query)]

    def add_assignment(self, row: AssignmentRow) -> None:
        self._insert(schema.assignments, [{**asdict(row), "reason": str(row.reason)}])

    def overtake(self, terms: Digest) -> None:
        table = schema.assignments
        lost = sa.update(table).where(table.c.terms == terms)
        self._connection.execute(lost.values(reason=str(HelpReason.OVERTAKEN)))

    def escrow(self, guid: Guid) -> EscrowRow | None:
        table = schema.escrows
        row = self._connection.execute(sa.select(table).where(table.c.guid == guid)).one_or_none()
        return None if row is None else _escrow(row)

    def escrows(self) -> list[EscrowRow]:
        return [_escrow(row) for row in self._connection.execute(sa.select(schema.escrows))]

    def put_escrow(self, row: EscrowRow) -> None:
        table = schema.escrows
        self._connection.execute(sa.delete(table).where(table.c.guid == row.guid))
        values = {
            "guid": row.guid,
            "authority": row.authority,
            "present": row.present.to_bytes(),
            "wanted": row.wanted.to_bytes() if row.wanted else None,
            "unsettled": row.unsettled,
            "request": row.request,
            "at_ms": row.at_ms,
        }
        self._insert(table, [values])

    def release(self, request: Digest) -> ReleaseRow | None:
        return self._release(schema.releases.c.request == request)

    def release_by_terms(self, terms: Digest) -> ReleaseRow | None:
        return self._release(schema.releases.c.terms == terms)

    def _release(self, at: sa.ColumnElement[bool]) -> ReleaseRow | None:
        row = self._connection.execute(sa.select(schema.releases).where(at)).one_or_none()
        return None if row is None else ReleaseRow(**row._mapping)  # noqa: SLF001 - SQLAlchemy means it publicly

    def release_of(self, guid: Guid, escrow: bytes) -> bytes | None:
        """The release behind which this escrow was sent."""
        table = schema.releases
        query = sa.select(table.c.answer).where(table.c.guid == guid)
        answers = self._connection.scalars(query.order_by(table.c.at_ms.desc()))
        return next((each for each in answers if each.endswith(b"\n" + escrow)), None)

    def add_release(self, row: ReleaseRow) -> None:
        self._insert(schema.releases, [asdict(row)])


def _assignment(row: sa.Row[tuple[object, ...]]) -> AssignmentRow:
    values = dict(row._mapping)  # noqa: SLF001
    return AssignmentRow(**{**values, "reason": HelpReason(values["reason"])})


def _escrow(row: sa.Row[tuple[object, ...]]) -> EscrowRow:
    values = dict(row._mapping)  # noqa: SLF001
    wanted = values["wanted"]
    values["present"] = PukEscrow.from_bytes(values["present"])
    values["wanted"] = None if wanted is None else PukEscrow.from_bytes(wanted)
    return EscrowRow(**values)
