"""What waits: change sets on their way, and requests that stopped at the guard."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from contract.directory import EntryKind, Key
from contract.ids import Digest, OperatorId, Version
from gateway.store import schema
from gateway.store.claims import Claim
from gateway.store.rows import Rows


class HeldKind(StrEnum):
    """What a digest names."""

    REQUEST = "request"
    SET = "set"


class HeldState(StrEnum):
    """Where it is on its way."""

    OPEN = "open"
    """A set whose requests are coming in."""
    WAITING = "waiting"
    """For a second operator."""
    RELEASED = "released"
    """A set that is carried out, request by request."""
    DONE = "done"
    REFUSED = "refused"
    EXPIRED = "expired"
    OVERTAKEN = "overtaken"
    """A set whose entries somebody else changed meanwhile, or that no longer fits."""


LIVE = (HeldState.OPEN, HeldState.WAITING, HeldState.RELEASED)
"""States that something can come of."""


@dataclass(frozen=True, slots=True)
class HeldRow:
    """`base` is the version up to which others' changes were looked at."""

    subject: Digest
    kind: HeldKind
    operator: OperatorId
    envelope: bytes
    state: HeldState
    base: Version
    opened_ms: int
    until_ms: int
    findings: bytes


class HeldRows(Rows):
    """What is staged is forgotten when it is settled; the row itself tells what became of it."""

    def add(self, row: HeldRow) -> None:
        values = {
            "subject": row.subject,
            "kind": row.kind.value,
            "operator": row.operator,
            "envelope": row.envelope,
            "opened_ms": row.opened_ms,
            **_movable(row),
        }
        self._insert(schema.held, [values])

    def put(self, row: HeldRow) -> None:
        """What can change of it: state, base, end, findings."""
        table = schema.held
        at = sa.update(table).where(table.c.subject == row.subject)
        self._connection.execute(at.values(**_movable(row)))

    def get(self, subject: Digest) -> HeldRow | None:
        table = schema.held
        found = self._connection.execute(sa.select(table).where(table.c.subject == subject))
        return _held(row) if (row := found.one_or_none()) else None

    def all(self, states: Collection[HeldState]) -> list[HeldRow]:
        """The oldest first."""
        table = schema.held
        query = sa.select(table).where(table.c.state.in_([state.value for state in states]))
        return [_held(row) for row in self._connection.execute(query.order_by(table.c.opened_ms))]

    def forget_before(self, opened_ms: int) -> None:
        """Rows of what was settled long ago."""
        table = schema.held
        live = [state.value for state in LIVE]
        old = (table.c.opened_ms < opened_ms) & table.c.state.not_in(live)
        self._connection.execute(sa.delete(table).where(old))

    def stage(
        self,
        subject: Digest,
        place: int,
        message: bytes,
        keys: Collection[Key],
        claims: Sequence[Claim],
    ) -> None:
        """A request's bytes, what it changes, and what its entitlements would give."""
        row = {"subject": subject, "place": place, "message": message}
        self._insert(schema.held_requests, [row])
        self._insert(
            schema.held_entries,
            [{"subject": subject, "kind": kind.value, "id": name} for kind, name in keys],
        )
        self._insert(
            schema.held_claims,
            [
                {
                    "subject": subject,
                    "kind": claim.kind.value,
                    "name": claim.name,
                    "holder": claim.holder,
                    "guid": claim.guid,
                    "from_ms": claim.from_ms,
                    "until_ms": claim.until_ms,
                }
                for claim in claims
            ],
        )

    def unstage(self, subject: Digest) -> None:
        """Forgets what was staged."""
        for table in (schema.held_requests, schema.held_entries, schema.held_claims):
            self._connection.execute(sa.delete(table).where(table.c.subject == subject))

    def places(self, subject: Digest) -> set[int]:
        """Which requests of a set are here."""
        table = schema.held_requests
        query = sa.select(table.c.place).where(table.c.subject == subject)
        return set(self._connection.scalars(query))

    def message(self, subject: Digest, place: int) -> bytes | None:
        table = schema.held_requests
        at = (table.c.subject == subject) & (table.c.place == place)
        return self._connection.scalar(sa.select(table.c.message).where(at))

    def drop_message(self, subject: Digest, place: int) -> None:
        """A request of a set was carried out."""
        table = schema.held_requests
        at = (table.c.subject == subject) & (table.c.place == place)
        self._connection.execute(sa.delete(table).where(at))

    def named(self, subject: Digest, keys: Collection[Key]) -> set[Key]:
        """Which of `keys` it would change."""
        table = schema.held_entries
        found: set[Key] = set()
        for kind in EntryKind:
            names = {name for of, name in keys if of is kind}
            at = (table.c.subject == subject) & (table.c.kind == kind.value)
            query = sa.select(table.c.id).where(at, table.c.id.in_(names))
            found |= {(kind, name) for name in self._connection.scalars(query)} if names else set()
        return found

    def names_kinds(self, subject: Digest, kinds: Collection[EntryKind]) -> bool:
        """Whether it would change an entry of one of these kinds."""
        table = schema.held_entries
        query = sa.select(table.c.id).where(table.c.subject == subject)
        query = query.where(table.c.kind.in_([kind.value for kind in kinds])).limit(1)
        return self._connection.scalar(query) is not None

    def messages(self, subject: Digest) -> Iterator[bytes]:
        """What is staged, in order, streamed."""
        table = schema.held_requests
        query = sa.select(table.c.message).where(table.c.subject == subject)
        return (row.message for row in self._stream(query.order_by(table.c.place)))


def _movable(row: HeldRow) -> dict[str, Any]:
    return {
        "state": row.state.value,
        "base_epoch": row.base.epoch,
        "base_n": row.base.n,
        "until_ms": row.until_ms,
        "findings": row.findings,
    }


def _held(row: sa.Row[Any]) -> HeldRow:
    return HeldRow(
        subject=row.subject,
        kind=HeldKind(row.kind),
        operator=row.operator,
        envelope=row.envelope,
        state=HeldState(row.state),
        base=Version(row.base_epoch, row.base_n),
        opened_ms=row.opened_ms,
        until_ms=row.until_ms,
        findings=row.findings,
    )
