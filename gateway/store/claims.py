"""What the directory gives to whom, as rows: what the guard counts, before and after a change.

A *claim* says that a card makes its holder a person of this site (`person`), a holder of a position
(`position`) or a lead of a ward (`lead`) for a time. Claims of entitlements as they stand are kept
in step with the entries; `held_claims` are those of a change that is being judged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from contract.ids import Digest, Guid, OperatorId
from gateway.store import schema
from gateway.store.rows import Rows


class ClaimKind(StrEnum):
    """What an entitlement makes of its holder."""

    PERSON = "person"
    POSITION = "position"
    LEAD = "lead"
    TERMINAL = "terminal"
    """No claim of a card's: of what was ended alone, a terminal in a ward (`holder`)."""


@dataclass(frozen=True, slots=True)
class Claim:
    """`name` is the holder's, the position's, or the ward's id."""

    guid: Guid
    kind: ClaimKind
    name: str
    holder: str
    from_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Ending:
    """Somebody is no longer a person here, in a position, or a lead."""

    kind: ClaimKind
    name: str
    holder: str


@dataclass(frozen=True, slots=True)
class Past:
    """An ending of before: by whom, when, and whether a card was only locked."""

    ending: Ending
    operator: OperatorId
    at_ms: int
    locked: bool


class ClaimRows(Rows):
    """Claims, endings, cards that never serve again."""

    def replace(self, guids: Collection[str], claims: Sequence[Claim]) -> None:
        """Puts `claims` in the place of whatever these cards gave."""
        table = schema.claims
        if guids:
            self._connection.execute(sa.delete(table).where(table.c.guid.in_(guids)))
        self._insert(table, [_values(claim) for claim in claims])

    def withdrawn(self, guids: Collection[str]) -> set[str]:
        """Which of these cards were revoked or lost."""
        table = schema.withdrawn
        return set(self._connection.scalars(sa.select(table).where(table.c.guid.in_(guids))))

    def withdraw(self, guids: Collection[str]) -> None:
        """Never to serve again."""
        fresh = set(guids) - self.withdrawn(guids)
        self._insert(schema.withdrawn, [{"guid": guid} for guid in sorted(fresh)])

    def ended_by(self, subject: Digest, now_ms: int) -> Iterator[Ending]:
        """What a staged change would end, streamed: it stands, and nothing gives it afterwards."""
        before, given, other = schema.claims.alias(), schema.held_claims, schema.claims.alias()
        touched, also = schema.held_entries, schema.held_entries.alias()
        same = (
            given.c.subject == subject,
            given.c.kind == before.c.kind,
            given.c.name == before.c.name,
            given.c.holder == before.c.holder,
            *_no_later(given, before, now_ms),
        )
        kept = (
            other.c.kind == before.c.kind,
            other.c.name == before.c.name,
            other.c.holder == before.c.holder,
            *_no_later(other, before, now_ms),
            ~sa.exists().where(_touches(also, subject, other)),
        )
        columns = (before.c.kind, before.c.name, before.c.holder)
        query = (
            sa.select(*columns)
            .distinct()
            .where(_touches(touched, subject, before), before.c.until_ms > now_ms)
            .where(~sa.exists().where(*same), ~sa.exists().where(*kept))
        )
        rows = self._stream(query)
        return (Ending(ClaimKind(row.kind), row.name, row.holder) for row in rows)

    def is_left(self, subject: Digest, kind: ClaimKind, name: str, now_ms: int) -> bool:
        """Whether anybody holds it once the staged change is made."""
        stands, given, touched = schema.claims, schema.held_claims, schema.held_entries
        others = sa.select(stands.c.guid).where(
            stands.c.kind == kind.value,
            stands.c.name == name,
            stands.c.until_ms > now_ms,
            ~sa.exists().where(_touches(touched, subject, stands)),
        )
        theirs = sa.select(given.c.guid).where(
            given.c.subject == subject,
            given.c.kind == kind.value,
            given.c.name == name,
            given.c.until_ms > now_ms,
        )
        return any(self._connection.scalar(query.limit(1)) for query in (others, theirs))

    def holders(self, kind: ClaimKind, name: str, now_ms: int, most: int) -> set[str]:
        """Who holds it as it stands, up to `most` of them."""
        table = schema.claims
        query = sa.select(table.c.holder).distinct()
        query = query.where(table.c.kind == kind.value, table.c.name == name)
        return set(self._connection.scalars(query.where(table.c.until_ms > now_ms).limit(most)))

    def names_after(self, kind: ClaimKind, after: str, most: int) -> list[str]:
        """Names that are claimed, in order, each by one look into the index."""
        table, found = schema.claims, list[str]()
        while len(found) < most:
            query = sa.select(sa.func.min(table.c.name))
            at = (table.c.kind == kind.value) & (table.c.name > after)
            name = self._connection.scalar(query.where(at))
            if name is None:
                break
            found.append(after := name)
        return found

    def cards(self, kind: ClaimKind, name: str, now_ms: int, most: int) -> list[Guid]:
        """Cards that give this claim, up to `most` of them."""
        table = schema.claims
        query = sa.select(table.c.guid).where(table.c.kind == kind.value, table.c.name == name)
        rows = self._connection.scalars(query.where(table.c.until_ms > now_ms).limit(most))
        return [Guid(guid) for guid in rows]

    def people(self, now_ms: int) -> int:
        """How many people the site has."""
        table = schema.claims
        query = sa.select(sa.func.count(sa.distinct(table.c.name)))
        at = (table.c.kind == ClaimKind.PERSON.value) & (table.c.until_ms > now_ms)
        return self._connection.scalar(query.where(at)) or 0

    def add_endings(self, leaf: int, endings: Collection[Past]) -> None:
        """By the leaf of what ended them."""
        rows = [
            {
                "leaf": leaf,
                "kind": past.ending.kind.value,
                "name": past.ending.name,
                "holder": past.ending.holder,
                "operator": past.operator,
                "at_ms": past.at_ms,
                "locked": past.locked,
            }
            for past in endings
        ]
        self._insert(schema.endings, rows)

    def forget_endings(self, before_ms: int) -> None:
        table = schema.endings
        self._connection.execute(sa.delete(table).where(table.c.at_ms < before_ms))

    def endings_since(self, since_ms: int, now_ms: int) -> list[Past]:
        """What was ended since then and still is."""
        table, again = schema.endings, schema.claims
        returned = (
            again.c.kind == table.c.kind,
            again.c.name == table.c.name,
            again.c.holder == table.c.holder,
            again.c.until_ms > now_ms,
        )
        query = sa.select(table).where(table.c.at_ms > since_ms, ~sa.exists().where(*returned))
        return [
            Past(
                Ending(ClaimKind(row.kind), row.name, row.holder),
                row.operator,
                row.at_ms,
                row.locked,
            )
            for row in self._connection.execute(query)
        ]


def _values(claim: Claim) -> dict[str, Any]:
    return {
        "guid": claim.guid,
        "kind": claim.kind.value,
        "name": claim.name,
        "holder": claim.holder,
        "from_ms": claim.from_ms,
        "until_ms": claim.until_ms,
    }


def _touches(
    entries: sa.FromClause, subject: Digest, claims: sa.FromClause
) -> sa.ColumnElement[bool]:
    return sa.and_(
        entries.c.subject == subject,
        entries.c.kind == "entitlement",
        entries.c.id == claims.c.guid,
    )


def _no_later(
    after: sa.FromClause, before: sa.FromClause, now_ms: int
) -> tuple[sa.ColumnElement[bool], ...]:
    """Valid, and not put off: from a time that has come, or that was its time before."""
    begun = sa.or_(after.c.from_ms <= now_ms, after.c.from_ms <= before.c.from_ms)
    return after.c.until_ms > now_ms, begun
