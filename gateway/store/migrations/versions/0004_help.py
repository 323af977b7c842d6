"""Help at 03:00: spares assigned, PUKs kept sealed and released."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BYTES = sa.LargeBinary()
_DIGEST = sa.String(64)
_GUID = sa.String(32)


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


_ID = _name(48)


def _key(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _value(name: str, kind: sa.types.TypeEngine[Any], *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "spare_assignments",
        _key("terms", _DIGEST),
        _value("digest", _DIGEST),
        _value("spare", _GUID),
        _value("holder", _ID),
        _value("terminal", _ID),
        _value("begins_ms", _BIG),
        _value("until_ms", _BIG),
        _value("received_ms", _BIG),
        _value("reason", _name(32)),
        _value("message", _BYTES),
    )
    op.create_table(
        "puk_escrows",
        _key("guid", _GUID),
        _value("authority", _BYTES),
        _value("present", _BYTES),
        _value("wanted", _BYTES, nullable=True),
        _value("unsettled", sa.Integer()),
        _value("request", _DIGEST, nullable=True),
        _value("at_ms", _BIG),
    )
    op.create_table(
        "puk_releases",
        _key("request", _DIGEST),
        sa.Column("terms", _DIGEST, nullable=False, unique=True),
        _value("guid", _GUID),
        _value("terminal", _ID),
        _value("at_ms", _BIG),
        _value("answer", _BYTES),
    )
    for table, column in (
        ("spare_assignments", "spare"),
        ("spare_assignments", "holder"),
        ("puk_releases", "guid"),
    ):
        op.create_index(f"ix_{table}_{column}", table, [column])


def downgrade() -> None:
    for table in ("puk_releases", "puk_escrows", "spare_assignments"):
        op.drop_table(table)
