"""Evidence log, journals, directory, checkpoints, fleet.

Frozen as it was: later forms of the tables are later revisions.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BYTES = sa.LargeBinary()
_DIGEST = sa.String(64)
_JOURNAL = sa.String(32)


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


_ID = _name(48)
_KIND = _name(32)
_KEYS: dict[str, dict[str, sa.types.TypeEngine[Any]]] = {
    "facts": {"name": _KIND},
    "leaves": {"leaf": _BIG},
    "tiles": {"level": sa.Integer(), "number": _BIG},
    "events": {"id": _BIG},
    "journals": {"journal": _JOURNAL},
    "batches": {"journal": _JOURNAL, "first": _BIG},
    "forks": {"digest": _DIGEST},
    "statements": {"digest": _DIGEST},
    "directory_entries": {"kind": _KIND, "id": _ID},
    "directory_changes": {"epoch": _BIG, "n": _BIG},
    "directory_manifests": {"epoch": _BIG, "n": _BIG},
    "checkpoints": {"number": _BIG},
    "fleet": {"terminal": _ID},
}
_VALUES: dict[str, dict[str, sa.types.TypeEngine[Any]]] = {
    "facts": {"value": sa.String(255)},
    "leaves": {"envelope": _BYTES},
    "tiles": {"hashes": _BYTES},
    "events": {"body": _BYTES},
    "journals": {"terminal": _ID, "next": _BIG, "chain": _DIGEST},
    "batches": {"digest": _DIGEST, "leaf": _BIG},
    "forks": {
        "journal": _JOURNAL,
        "terminal": _ID,
        "first": _BIG,
        "received_ms": _BIG,
        "message": _BYTES,
    },
    "statements": {"kind": _KIND, "leaf": _BIG},
    "directory_entries": {"line": _BYTES},
    "directory_changes": {
        "digest": _DIGEST,
        "leaf": _BIG,
        "nonce": _DIGEST,
        "request": _DIGEST,
        "message": _BYTES,
    },
    "directory_manifests": {"leaf": _BIG, "envelope": _BYTES, "chunk_list": _BYTES},
    "checkpoints": {
        "size": _BIG,
        "root": _DIGEST,
        "issued_ms": _BIG,
        "note": sa.String(4096),
    },
    "fleet": {"seen_ms": _BIG, "status": _BYTES},
}
_NULLABLE = {("directory_changes", "nonce"), ("directory_changes", "request")}
_UNIQUE = {("directory_changes", "nonce")}


def upgrade() -> None:
    for table, keys in _KEYS.items():
        op.create_table(
            table,
            *(
                sa.Column(name, kind, primary_key=True, autoincrement=False)
                for name, kind in keys.items()
            ),
            *(
                sa.Column(
                    name,
                    kind,
                    nullable=(table, name) in _NULLABLE,
                    unique=(table, name) in _UNIQUE,
                )
                for name, kind in _VALUES[table].items()
            ),
        )
    op.create_index("ix_forks_journal", "forks", ["journal"])


def downgrade() -> None:
    for table in reversed(_KEYS):
        op.drop_table(table)
