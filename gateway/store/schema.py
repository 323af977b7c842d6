"""The tables, once for every database.

- A leaf of the evidence log is a row, and so is a tile of its tree (a tile that is not full is
  replaced as it grows).
- An event's body stands under `leaf * MAX_BATCH_EVENTS + position`: one key that only grows, so
  that a batch is written at the table's end, and no other index is kept on the largest table. Its
  hash stands in the batch.
- Whatever grows with time has a sequential key; whatever is looked up by a name has that name as
  its key.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

metadata: Final = sa.MetaData()

# The only two words of a dialect: SQLite's row number is an INTEGER, and PostgreSQL must order
# names by their bytes, as the directory's manifest does.
_BIG: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


_ID: Final = _name(48)
_DIGEST: Final = sa.String(64)
_JOURNAL: Final = sa.String(32)
_KIND: Final = _name(32)


def _key(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _value(name: str, kind: sa.types.TypeEngine[Any], *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable)


facts: Final = sa.Table("facts", metadata, _key("name", _KIND), _value("value", sa.String(255)))
"""What this log is: site, log epoch, the gateway's own journal. Written once, when the log is made.
"""

leaves: Final = sa.Table(
    "leaves", metadata, _key("leaf", _BIG), _value("envelope", sa.LargeBinary())
)

tiles: Final = sa.Table(
    "tiles",
    metadata,
    _key("level", sa.Integer()),
    _key("number", _BIG),
    _value("hashes", sa.LargeBinary()),
)

events: Final = sa.Table("events", metadata, _key("id", _BIG), _value("body", sa.LargeBinary()))

journals: Final = sa.Table(
    "journals",
    metadata,
    _key("journal", _JOURNAL),
    _value("terminal", _ID),
    _value("next", _BIG),
    _value("chain", _DIGEST),
)
"""Where each journal stands: the sequence wanted next and the chain value before it."""

batches: Final = sa.Table(
    "batches",
    metadata,
    _key("journal", _JOURNAL),
    _key("first", _BIG),
    _value("digest", _DIGEST),
    _value("leaf", _BIG),
)

forks: Final = sa.Table(
    "forks",
    metadata,
    _key("digest", _DIGEST),
    sa.Column("journal", _JOURNAL, nullable=False, index=True),
    _value("terminal", _ID),
    _value("first", _BIG),
    _value("received_ms", _BIG),
    _value("message", sa.LargeBinary()),
)
"""Batches that tell another history than the one accepted, whole, apart from the log."""

statements: Final = sa.Table(
    "statements", metadata, _key("digest", _DIGEST), _value("kind", _KIND), _value("leaf", _BIG)
)
"""Leaves that are no batches, by digest: key statements, requests, changes, manifests."""

entries: Final = sa.Table(
    "directory_entries",
    metadata,
    _key("kind", _KIND),
    _key("id", _ID),
    _value("line", sa.LargeBinary()),
)
"""The directory as it is now."""

changes: Final = sa.Table(
    "directory_changes",
    metadata,
    _key("epoch", _BIG),
    _key("n", _BIG),
    _value("digest", _DIGEST),
    _value("leaf", _BIG),
    sa.Column("nonce", _DIGEST, nullable=True, unique=True),
    _value("request", _DIGEST, nullable=True),
    _value("message", sa.LargeBinary()),
)
"""How it came to be so: each change as it was published, with its entries."""

manifests: Final = sa.Table(
    "directory_manifests",
    metadata,
    _key("epoch", _BIG),
    _key("n", _BIG),
    _value("leaf", _BIG),
    _value("envelope", sa.LargeBinary()),
    _value("chunk_list", sa.LargeBinary()),
)

checkpoints: Final = sa.Table(
    "checkpoints",
    metadata,
    _key("number", _BIG),
    _value("size", _BIG),
    _value("root", _DIGEST),
    _value("issued_ms", _BIG),
    _value("note", sa.String(4096)),
)

fleet: Final = sa.Table(
    "fleet",
    metadata,
    _key("terminal", _ID),
    _value("seen_ms", _BIG),
    _value("status", sa.LargeBinary()),
)

claims: Final = sa.Table(
    "directory_claims",
    metadata,
    _key("guid", _JOURNAL),
    _key("kind", _KIND),
    _key("name", _ID),
    _value("holder", _ID),
    _value("from_ms", _BIG),
    _value("until_ms", _BIG),
    sa.Index("ix_directory_claims_name", "kind", "name", "holder", "until_ms"),
)
"""What the directory's active entitlements give: who is a person here, in which positions, leading
which wards. Made from `directory_entries`, in the same transaction.
"""

withdrawn: Final = sa.Table("withdrawn_cards", metadata, _key("guid", _JOURNAL))
"""Cards that were revoked or lost: no later entry makes them serve again, also once removed."""

endings: Final = sa.Table(
    "directory_endings",
    metadata,
    _key("leaf", _BIG),
    _key("kind", _KIND),
    _key("name", _ID),
    _key("holder", _ID),
    _value("operator", _ID),
    _value("at_ms", _BIG),
    _value("locked", sa.Boolean()),
)
"""What operators ended alone within the last day, by the leaf of the change."""

held: Final = sa.Table(
    "held",
    metadata,
    _key("subject", _DIGEST),
    _value("kind", _KIND),
    _value("operator", _ID),
    _value("envelope", sa.LargeBinary()),
    _value("state", _KIND),
    _value("base_epoch", _BIG),
    _value("base_n", _BIG),
    _value("opened_ms", _BIG),
    _value("until_ms", _BIG),
    _value("findings", sa.LargeBinary()),
)
"""Change sets, and requests that stopped at the guard, by the digest of their envelope."""

held_requests: Final = sa.Table(
    "held_requests",
    metadata,
    _key("subject", _DIGEST),
    _key("place", sa.Integer()),
    _value("message", sa.LargeBinary()),
)

held_entries: Final = sa.Table(
    "held_entries", metadata, _key("subject", _DIGEST), _key("kind", _KIND), _key("id", _ID)
)
"""What they would change, ..."""

held_claims: Final = sa.Table(
    "held_claims",
    metadata,
    _key("subject", _DIGEST),
    _key("kind", _KIND),
    _key("name", _ID),
    _key("holder", _ID),
    _key("guid", _JOURNAL),
    _value("from_ms", _BIG),
    _value("until_ms", _BIG),
)
"""... and what the changed entitlements would give."""

tokens: Final = sa.Table(
    "enrolment_tokens",
    metadata,
    _key("digest", _DIGEST),
    sa.Column("terminal", _ID, nullable=False, index=True),
    _value("ward", _ID),
    sa.Column("granted", _DIGEST, nullable=False, index=True),
    _value("granted_ms", _BIG),
    _value("until_ms", _BIG),
    _value("used_ms", _BIG, nullable=True),
)
"""One-time tokens by their SHA-256; the tokens themselves are nowhere here."""

certificates: Final = sa.Table(
    "terminal_certificates",
    metadata,
    _key("serial", sa.String(40)),
    sa.Column("terminal", _ID, nullable=False, index=True),
    _value("key", _DIGEST),
    _value("batch", _DIGEST),
    _value("issued_ms", _BIG),
    _value("until_ms", _BIG),
    _value("certificate", sa.LargeBinary()),
    _value("revoked_ms", _BIG, nullable=True),
    _value("ended_ms", _BIG, nullable=True),
)
"""What the terminal CA issued, as far as this gateway issued it or saw it shown."""

crls: Final = sa.Table(
    "revocation_lists",
    metadata,
    _key("number", _BIG),
    _value("issued_ms", _BIG),
    _value("pem", sa.LargeBinary()),
)

assignments: Final = sa.Table(
    "spare_assignments",
    metadata,
    _key("terms", _DIGEST),
    _value("digest", _DIGEST),
    sa.Column("spare", _JOURNAL, nullable=False, index=True),
    sa.Column("holder", _ID, nullable=False, index=True),
    _value("terminal", _ID),
    _value("begins_ms", _BIG),
    _value("until_ms", _BIG),
    _value("received_ms", _BIG),
    _value("reason", _KIND),
    _value("message", sa.LargeBinary()),
)
"""Spares as ward leads assigned them; `reason`: granted, overtaken, or why not."""

escrows: Final = sa.Table(
    "puk_escrows",
    metadata,
    _key("guid", _JOURNAL),
    _value("authority", sa.LargeBinary()),
    _value("present", sa.LargeBinary()),
    _value("wanted", sa.LargeBinary(), nullable=True),
    _value("unsettled", sa.Integer()),
    _value("request", _DIGEST, nullable=True),
    _value("at_ms", _BIG),
)
"""The PUK of each card, sealed; while one is replaced, also the next, and for whom."""

releases: Final = sa.Table(
    "puk_releases",
    metadata,
    _key("request", _DIGEST),
    sa.Column("terms", _DIGEST, nullable=False, unique=True),
    sa.Column("guid", _JOURNAL, nullable=False, index=True),
    _value("terminal", _ID),
    _value("at_ms", _BIG),
    _value("answer", sa.LargeBinary()),
)
"""What was released, sealed to a terminal's fresh key; behind it the next PUK's escrow."""

late_batches: Final = sa.Table(
    "late_batches",
    metadata,
    _key("digest", _DIGEST),
    sa.Column("terminal", _ID, nullable=False, index=True),
    _value("received_ms", _BIG),
    _value("message", sa.LargeBinary()),
)
"""Batches of terminals that were retired when they came, whole, apart from the log."""
