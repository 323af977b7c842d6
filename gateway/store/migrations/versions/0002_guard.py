"""What the guard counts by, and what waits for a second operator.

Frozen as it was: later forms of the tables are later revisions.
"""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BYTES = sa.LargeBinary()
_DIGEST = sa.String(64)
_JOURNAL = sa.String(32)
_MANY = 500


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


_ID = _name(48)
_KIND = _name(32)
_KEYS: dict[str, dict[str, sa.types.TypeEngine[Any]]] = {
    "directory_claims": {"guid": _JOURNAL, "kind": _KIND, "name": _ID},
    "withdrawn_cards": {"guid": _JOURNAL},
    "directory_endings": {"leaf": _BIG, "kind": _KIND, "name": _ID, "holder": _ID},
    "held": {"subject": _DIGEST},
    "held_requests": {"subject": _DIGEST, "place": sa.Integer()},
    "held_entries": {"subject": _DIGEST, "kind": _KIND, "id": _ID},
    "held_claims": {
        "subject": _DIGEST,
        "kind": _KIND,
        "name": _ID,
        "holder": _ID,
        "guid": _JOURNAL,
    },
}
_VALUES: dict[str, dict[str, sa.types.TypeEngine[Any]]] = {
    "directory_claims": {"holder": _ID, "from_ms": _BIG, "until_ms": _BIG},
    "directory_endings": {"operator": _ID, "at_ms": _BIG, "locked": sa.Boolean()},
    "held": {
        "kind": _KIND,
        "operator": _ID,
        "envelope": _BYTES,
        "state": _KIND,
        "base_epoch": _BIG,
        "base_n": _BIG,
        "opened_ms": _BIG,
        "until_ms": _BIG,
        "findings": _BYTES,
    },
    "held_requests": {"message": _BYTES},
    "held_claims": {"from_ms": _BIG, "until_ms": _BIG},
}


def upgrade() -> None:
    for table, keys in _KEYS.items():
        op.create_table(
            table,
            *(
                sa.Column(name, kind, primary_key=True, autoincrement=False)
                for name, kind in keys.items()
            ),
            *(
                sa.Column(name, kind, nullable=False)
                for name, kind in _VALUES.get(table, {}).items()
            ),
        )
    index = ["kind", "name", "holder", "until_ms"]
    op.create_index("ix_directory_claims_name", "directory_claims", index)
    _fill()


def _fill() -> None:
    """Out of the entitlements that stand."""
    connection = op.get_bind()
    entries = sa.table("directory_entries", sa.column("kind"), sa.column("line"))
    query = sa.select(entries.c.line).where(entries.c.kind == "entitlement")
    claims = sa.table(
        "directory_claims",
        *(sa.column(name) for name in ("guid", "kind", "name", "holder", "from_ms", "until_ms")),
    )
    withdrawn = sa.table("withdrawn_cards", sa.column("guid"))
    for rows in connection.execute(query, execution_options={"yield_per": _MANY}).partitions():
        found = [json.loads(row.line) for row in rows]
        if given := [claim for one in found for claim in _claims(one)]:
            connection.execute(sa.insert(claims), given)
        if gone := [{"guid": one["guid"]} for one in found if one["status"] in ("revoked", "lost")]:
            connection.execute(sa.insert(withdrawn), gone)


def _claims(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if one["status"] != "active" or not one["positions"]:
        return
    names = {("person", one["holder"])}
    for position in one["positions"]:
        names.add(("position", position["id"]))
        if position["id"].endswith("-lead"):
            led = position["areas"] or [position["id"].removesuffix("-lead")]
            names |= {("lead", ward) for ward in led}
    for kind, name in sorted(names):
        yield {
            "guid": one["guid"],
            "kind": kind,
            "name": name,
            "holder": one["holder"],
            "from_ms": one["not_before_ms"],
            "until_ms": one["not_after_ms"],
        }


def downgrade() -> None:
    for table in reversed(_KEYS):
        op.drop_table(table)
