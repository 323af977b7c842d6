"""Tokens, terminals' certificates, revocation lists, batches of retired terminals.

Frozen as it was: later forms of the tables are later revisions.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BYTES = sa.LargeBinary()
_DIGEST = sa.String(64)


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


_ID = _name(48)
_KEYS: dict[str, dict[str, sa.types.TypeEngine[Any]]] = {
    "enrolment_tokens": {"digest": _DIGEST},
    "terminal_certificates": {"serial": sa.String(40)},
    "revocation_lists": {"number": _BIG},
    "late_batches": {"digest": _DIGEST},
}
_VALUES: dict[str, dict[str, sa.types.TypeEngine[Any]]] = {
    "enrolment_tokens": {
        "terminal": _ID,
        "ward": _ID,
        "granted": _DIGEST,
        "granted_ms": _BIG,
        "until_ms": _BIG,
    },
    "terminal_certificates": {
        "terminal": _ID,
        "key": _DIGEST,
        "batch": _DIGEST,
        "issued_ms": _BIG,
        "until_ms": _BIG,
        "certificate": _BYTES,
    },
    "revocation_lists": {"issued_ms": _BIG, "pem": _BYTES},
    "late_batches": {"terminal": _ID, "received_ms": _BIG, "message": _BYTES},
}
_NULLABLE = {"enrolment_tokens": ["used_ms"], "terminal_certificates": ["revoked_ms", "ended_ms"]}
_INDEXES = [
    ("enrolment_tokens", "terminal"),
    ("enrolment_tokens", "granted"),
    ("terminal_certificates", "terminal"),
    ("late_batches", "terminal"),
]


def upgrade() -> None:
    for table, keys in _KEYS.items():
        op.create_table(
            table,
            *(
                sa.Column(name, kind, primary_key=True, autoincrement=False)
                for name, kind in keys.items()
            ),
            *(sa.Column(name, kind, nullable=False) for name, kind in _VALUES[table].items()),
            *(sa.Column(name, _BIG, nullable=True) for name in _NULLABLE.get(table, [])),
        )
    for table, column in _INDEXES:
        op.create_index(f"ix_{table}_{column}", table, [column])


def downgrade() -> None:
    for table in reversed(_KEYS):
        op.drop_table(table)
